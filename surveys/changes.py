"""What differs between two versions of a survey, and where a trend breaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from flask_babel import gettext as _

from core import formats, i18n
from surveys.definition import Definition
from surveys.kinds import Question, Scale
from surveys.kinds.reading import Texts


@dataclass(frozen=True)
class Change:
    """One difference; `breaks` where answers before and after it cannot be compared."""

    words: str
    breaks: bool = False


def between(old: Definition | None, new: Definition) -> list[Change]:
    """Return what is different in `new`; nothing is where there was no version before."""
    if old is None:
        return []
    broken = set(reworded(old, new))
    found = list(_of_survey(old, new))
    for question in new.questions:
        before = old.question(question.key)
        if before is None:
            found.append(Change(_("New: “%(question)s”", question=_name(question, new)), question.key in broken))
        else:
            found += _of_question(before, question, new, broken)
    gone = [each for each in old.questions if new.question(each.key) is None]
    return found + [Change(_("Gone: “%(question)s”", question=_name(each, old)), each.key in broken) for each in gone]


def reworded(old: Definition, new: Definition) -> list[str]:
    """Return the keys of scored questions that ask otherwise than before, or are new or gone: their trends break."""
    before, after = _scored(old), _scored(new)
    return sorted(key for key in before.keys() | after.keys() if before.get(key) != after.get(key))


def wording_of(asked: Definition, metric: str) -> list[tuple[str, dict[str, str]]]:
    """Return the words in which a definition asks for a metric, by question; nothing where it does not."""
    return [
        (each.key, dict(each.text)) for each in asked.questions if isinstance(each, Scale) and each.metric == metric
    ]


def _scored(asked: Definition) -> dict[str, tuple[str, dict[str, str]]]:
    return {each.key: (each.kind, dict(each.text)) for each in asked.questions if isinstance(each, Scale)}


def _of_survey(old: Definition, new: Definition) -> Iterator[Change]:
    if old.name != new.name:
        yield Change(_("The survey is called “%(name)s”", name=new.name))
    if old.opens_case_at != new.opens_case_at:
        yield Change(_threshold(new.opens_case_at))
    kept = [each.key for each in new.questions if old.question(each.key)]
    if kept != [each.key for each in old.questions if new.question(each.key)]:
        yield Change(_("The order of the questions"))


def _threshold(limit: int | None) -> str:
    return _("No answer opens a case") if limit is None else _("A case opens at %(score)s or less", score=limit)


def _of_question(old: Question, new: Question, asked: Definition, broken: set[str]) -> Iterator[Change]:
    name = _name(new, asked)
    for language in asked.languages:
        if old.text.get(language) != new.text.get(language):
            words = _("“%(question)s” reads differently in %(language)s", question=name, language=_spoken(language))
            yield Change(words, new.key in broken)
    if old.required != new.required:
        yield Change(_("“%(question)s” is required", question=name) if new.required else _optional(name))
    if old.show_when != new.show_when:
        yield Change(_("When “%(question)s” is asked", question=name))
    if isinstance(new, Scale) and isinstance(old, Scale) and old.opens_case_at != new.opens_case_at:
        yield Change(f"{name}: {_threshold(new.opens_case_at)}")
    others = [label for member, label in _members().items() if getattr(old, member, None) != getattr(new, member, None)]
    if old.kind != new.kind or others:
        what = formats.listed(others or [_("its kind")])
        yield Change(_("%(what)s of “%(question)s”", what=what, question=name), old.kind != new.kind)


def _members() -> dict[str, str]:
    return {
        "hint": _("the hint"),
        "low": _("the label of the low end"),
        "high": _("the label of the high end"),
        "choices": _("the choices"),
        "other": _("the choice “other”"),
        "max_length": _("the length"),
        "phone": _("the words for the phone"),
        "email": _("the words for e-mail"),
        "none": _("the words for no contact"),
    }


def _optional(name: str) -> str:
    return _("“%(question)s” is optional", question=name)


def _name(question: Question, asked: Definition) -> str:
    return short(question.text, asked.languages[0])


def short(texts: Texts, language: str, most: int = 60) -> str:
    words = texts.get(language, "")
    return words if len(words) <= most else f"{words[: most - 1].rstrip()}…"


def _spoken(language: str) -> str:
    return i18n.language_name(language)
