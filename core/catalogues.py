"""Translation catalogues: read from the .po files themselves, and kept in step with the strings in the code.

There are no compiled .mo files: a catalogue is small, is parsed once per process when its language is first spoken
(tens of milliseconds) and so can neither be stale nor missing in a fresh clone.

`bin/translations extract | update | check` runs `main` below. docs/translating.md tells a writer how to use it.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from babel.messages import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from babel.support import Translations

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "translations"
TRANSLATED = ("de", "ar")

# What a customer can see. Strings of these files must have every language; others may stay English.
PUBLIC = (
    "templates/public.html",
    "templates/errors/public.html",
    "templates/errors/words.html",
    "templates/macros/public.html",
    "templates/**/public/**",
    "templates/**/public_*.html",
    "templates/notifications/**",
    "*/public.py",
    "*/views/public.py",
    "*/forms/public.py",
    "core/*.py",
    "feedback/complaints.py",
    "feedback/files.py",
    "feedback/forms/complaint.py",
    "feedback/happened.py",
    "feedback/views/complaints.py",
    "surveys/answering.py",
    "surveys/kinds/*.py",
    "surveys/letters.py",
    "surveys/pages.py",
)
SOURCES = [("**.py", "python"), ("templates/**", "jinja2")]
OPTIONS = {"templates/**": {"trimmed": "true", "silent": "false"}}
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "_l": None,
    "_n": (1, 2),
    "gettext": None,
    "lazy_gettext": None,
    "ngettext": (1, 2),
    "lazy_ngettext": (1, 2),
}
SKIPPED = {
    "tests",
    "benchmarks",
    "migrations",
    "translations",
    "var",
    "docs",
    "bin",
    "static",
    "build",
    "dist",
}


def path_of(language: str) -> Path:
    return FOLDER / language / "LC_MESSAGES" / "messages.po"


def read(language: str) -> Catalog:
    with path_of(language).open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


@cache
def translations(language: str) -> Translations:
    """Return the spoken catalogue of `language`; an empty one (English) where there is no file."""
    if not path_of(language).exists():
        return Translations()
    compiled = io.BytesIO()
    write_mo(compiled, read(language))
    compiled.seek(0)
    return Translations(fp=compiled)


def extract() -> Catalog:
    """Return every string of the code and templates, each with the files it stands in."""
    found = Catalog()
    for file, line, text, comments, context in extract_from_dir(
        ROOT,
        SOURCES,
        OPTIONS,
        KEYWORDS,
        comment_tags=("Translators:",),
        strip_comment_tags=True,
        directory_filter=_is_ours,
    ):
        found.add(text, locations=[(file, line)], auto_comments=comments, context=context)
    return found


def _is_ours(folder: str) -> bool:
    name = Path(folder).name
    return not name.startswith(".") and name not in SKIPPED


def public(found: Catalog) -> Iterator[Message]:
    """The strings that a customer can see."""
    return (message for message in found if message.id and any(is_public(file) for file, _line in message.locations))


def is_public(file: str) -> bool:
    path = Path(file)
    if path.name.startswith("staff_"):  # a mail to staff among those to customers
        return False
    return any(_matches(path.as_posix(), pattern) for pattern in PUBLIC)


def _matches(path: str, pattern: str) -> bool:
    """Match `path` part by part: `*` stands for one part or a piece of one, `**` for any number of parts."""
    return _parts_match(path.split("/"), pattern.split("/"))


def _parts_match(path: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(_parts_match(path[cut:], pattern[1:]) for cut in range(len(path) + 1))
    return bool(path) and Path(path[0]).match(pattern[0]) and _parts_match(path[1:], pattern[1:])


def update(language: str, found: Catalog) -> int:
    """Add what is missing and drop what nobody says any more; return how many strings still wait for a translation."""
    known, fresh = read(language), Catalog(locale=language)
    wanted = {(message.id, message.context): message for message in public(found)}
    for message in found:
        old = known.get(_singular(message), message.context) if message.id else None
        is_wanted = (message.id, message.context) in wanted
        if is_wanted or (old and old.string):
            fresh.add(
                message.id,
                old.string if old else None,
                context=message.context,
                flags=message.flags,
            )
    write(language, fresh)
    return sum(1 for message in fresh if message.id and not _is_complete(message))


def write(language: str, catalog: Catalog) -> None:
    """Write `catalog` sorted and without dates or line numbers, so that two people's additions rarely collide."""
    text = io.BytesIO()
    write_po(text, catalog, width=0, no_location=True, omit_header=True, sort_output=True)
    path_of(language).write_bytes(_header(language, catalog).encode() + text.getvalue())


def _header(language: str, catalog: Catalog) -> str:
    lines = (
        f"Language: {language}",
        "MIME-Version: 1.0",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        f"Plural-Forms: {catalog.plural_forms}",
    )
    return 'msgid ""\nmsgstr ""\n' + "".join(f'"{line}\\n"\n' for line in lines) + "\n"


def missing(language: str, found: Catalog) -> list[str]:
    """The strings a customer can see that `language` does not say, each with its first place."""
    known = read(language)
    return [
        f"{message.locations[0][0]}: {_singular(message)}"
        for message in public(found)
        if not _is_complete(known.get(_singular(message), message.context))
    ]


def broken(language: str) -> list[str]:
    """Translations whose placeholders differ from the English ones: they would fail while a page is rendered."""
    known = read(language)
    return [f"{_singular(message)}: {error}" for message, errors in known.check() for error in errors]


def _is_complete(message: Message | None) -> bool:
    if message is None or message.fuzzy:
        return False
    parts = message.string if isinstance(message.string, (list, tuple)) else [message.string]
    return bool(parts) and all(parts)


def _singular(message: Message) -> str:
    return message.id if isinstance(message.id, str) else message.id[0]


def main(arguments: Iterable[str]) -> int:
    command, found = next(iter(arguments), "check"), extract()
    if command == "extract":
        sys.stdout.writelines(f"{_singular(message)}\n" for message in found if message.id)
        return 0
    if command == "update":
        for language in TRANSLATED:
            sys.stdout.write(f"{language}: {update(language, found)} without a translation\n")
        return 0
    if command == "check":
        return _check(found)
    sys.stderr.write("usage: bin/translations extract | update | check\n")
    return 2


def _check(found: Catalog) -> int:
    faults = [
        f"{language}: {text}" for language in TRANSLATED for text in (*missing(language, found), *broken(language))
    ]
    report = "\n".join(faults) or "Every string a customer can see is there in " + " and ".join(TRANSLATED)
    sys.stdout.write(report + "\n")
    return 1 if faults else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
