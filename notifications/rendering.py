"""From a kind to a mail, in two steps: compile the template once, then put each recipient's values in.

`compile` renders Jinja with tags where values will stand, once per (kind, version, language, brand, parts); the vendor
fills the tags of a batch, and `fill` does the same here for the mailbox and for previews (notifications.substitution).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from flask import current_app
from jinja2 import Environment
from markupsafe import Markup, escape

from core.i18n import LANGUAGES, use_language
from notifications import substitution
from notifications.colours import mail_colours
from notifications.kinds import KINDS, Kind


@dataclass(frozen=True)
class Look:
    """What of a brand a mail shows; equal looks share their compiled templates, so a changed colour shows at once."""

    key: str
    name: str
    colour: str
    site_url: str = ""
    privacy_url: str = ""
    phone: str = ""
    address: str = ""


@dataclass(frozen=True)
class CompiledTemplate:
    """Templates with tags; `fields` are the raw values that `fill` and a transport ask for."""

    subject: str
    html: str
    text: str
    fields: frozenset[str]


@dataclass(frozen=True)
class Rendered:
    subject: str
    html: str
    text: str


class UnknownField(Exception):
    """A template uses a value that its kind does not declare."""


class _Tags:
    """Stands for one recipient's values while a template is compiled: `v.name` becomes a tag."""

    def __init__(self, kind: Kind, ending: str, *, isolated: bool = False) -> None:
        self._kind, self._ending, self._isolated = kind, ending, isolated

    def __getattr__(self, name: str) -> str:
        if name not in self._kind.fields | self._kind.optional:
            raise UnknownField(f"{self._kind.name} has no {name}")
        lines = "_lines" if name in self._kind.paragraphs else ""
        tag = substitution.tag(name, self._ending + lines)
        if self._ending == "text":
            return tag
        # A name keeps its own direction inside a sentence of the other one. A tag is ours, not typed.
        style = ' style="white-space:nowrap"' if name == "number" else ""
        return Markup(f"<bdi{style}>{tag}</bdi>") if self._isolated else Markup(tag)  # noqa: S704


@lru_cache(maxsize=1024)
def compile(kind: str, *, version: int, language: str, look: Look, parts: frozenset[str]) -> CompiledTemplate:
    """Return the kind's templates in one language and brand, with `parts` from `kinds.parts_of`; cached.

    Needs an application context. Raises jinja2.TemplateNotFound for a version whose files are gone.
    """
    known = KINDS[kind]
    path = known.template_of(version)
    with use_language(language):
        environment = current_app.jinja_env
        subject, text = _plain(environment, f"{path}.txt", known, language, look, parts)
        html = _html(environment, f"{path}.html", known, language, look, parts, subject)
    tags = substitution.tags_in(subject, html, text)
    return CompiledTemplate(subject, html, text, frozenset(each.field for each in tags))


def fill(compiled: CompiledTemplate, values: Mapping[str, str]) -> Rendered:
    """Return the mail as its recipient gets it. Raises KeyError naming a field that `values` lacks."""
    ready = substitution.substitutions(substitution.tags_in(compiled.subject, compiled.html, compiled.text), values)
    subject, html, text = (
        substitution.filled(each, ready) for each in (compiled.subject, compiled.html, compiled.text)
    )
    return Rendered(substitution.one_line(subject), html, text)


def _plain(
    environment: Environment, path: str, kind: Kind, language: str, look: Look, parts: frozenset[str]
) -> tuple[str, str]:
    template = environment.get_template(path)
    context = _context(language, look, parts) | {"v": _Tags(kind, "text")}
    subject = "".join(template.blocks["subject"](template.new_context(context)))
    return substitution.one_line(subject.strip()), _tidied(template.render(context))


def _html(
    environment: Environment, path: str, kind: Kind, language: str, look: Look, parts: frozenset[str], subject: str
) -> str:
    context = _context(language, look, parts) | {
        "v": _Tags(kind, "html", isolated=True),
        "a": _Tags(kind, "html"),
        "subject": Markup(substitution.TAG.sub(r"-\1_html-", str(escape(subject)))),  # noqa: S704  escaped just here
    }
    lines = (line.strip() for line in environment.get_template(path).render(context).splitlines())
    return "\n".join(line for line in lines if line) + "\n"


def _context(language: str, look: Look, parts: frozenset[str]) -> dict[str, object]:
    here = LANGUAGES[language]
    return {
        "parts": parts,
        "look": look,
        "colours": mail_colours(look.colour),
        "lang": here.code,
        "direction": here.direction,
        "start": "right" if here.direction == "rtl" else "left",
        "end": "left" if here.direction == "rtl" else "right",
        "other_languages": [each for each in LANGUAGES.values() if each != here],
    }


def _tidied(text: str) -> str:
    """Paragraphs stand one empty line apart, whatever the template's conditions left between them."""
    lines = "\n".join(line.strip() for line in text.splitlines())
    return re.sub(r"\n{3,}", "\n\n", lines).strip() + "\n"
