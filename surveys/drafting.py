"""Editing a draft in a form: one question at a time, each text in each language, with faults at their fields.

A field is named for its place inside the question: text.de, low.en, choices.late.ar; `choices.+.en` is one to add.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask_babel import gettext as _

from core.errors import BadInput
from surveys import library
from surveys.definition import Definition
from surveys.kinds import KINDS, Question
from surveys.kinds.base import BANDS
from surveys.kinds.reading import Fault
from surveys.kinds.stars import VALUES as STARS
from surveys.scoring import SCALES, Metric

Data = dict[str, Any]
NEW: Final = "+"
KEEP: Final = "keep"
CHOICE: Final = re.compile(r"choices\.([a-z][a-z0-9_]{0,39})\.")
LONGEST: Final = 4000  # characters of one field that are looked at; a definition itself takes fewer


class NoSuchQuestion(BadInput):
    code = "no-such-question"

    def sentence(self) -> str:
        return _("This question is no longer part of the draft.")


@dataclass(frozen=True)
class Slot:
    """One text of a question: where it stands, what it is called, and whether it is long or may stay empty."""

    path: str
    label: str
    is_long: bool = False
    is_optional: bool = False


def question_of(data: Data, key: str) -> Data:
    """Return one question's JSON. Raises NoSuchQuestion."""
    found: Data | None = next((each for each in data["questions"] if each["key"] == key), None)
    if found is None:
        raise NoSuchQuestion([{"field": "question", "detail": key}])
    return found


def slots(question: Data) -> list[Slot]:
    """Return every text of a question, in the order of the page."""
    found = [Slot("text", _("Question"), is_long=True), Slot("hint", _("Hint"), is_optional=True)]
    if "low" in question:
        low, high = ends(question["kind"])
        found += [Slot("low", _("Label at %(score)s", score=low)), Slot("high", _("Label at %(score)s", score=high))]
    if "choices" in question:
        found += _choice_slots(question)
    labels = {"phone": _("Yes, by phone"), "email": _("Yes, by e-mail"), "none": _("No")}
    return found + [Slot(way, label) for way, label in labels.items() if way in question]


def _choice_slots(question: Data) -> Iterator[Slot]:
    for number, choice in enumerate(question["choices"], 1):
        yield Slot(f"choices.{choice['code']}", _("Choice %(number)s", number=number), is_optional=True)
    if question["kind"] != "sources":
        yield Slot(f"choices.{NEW}", _("One more choice"), is_optional=True)
        if all(choice["code"] != "other" for choice in question["choices"]):
            yield Slot("other", _("“Other”, with a line to write on"), is_optional=True)


def ends(kind: str) -> tuple[int, int]:
    """Return the lowest and the highest number of a scale or of stars."""
    metric = KINDS[kind].metric
    points = SCALES[Metric(metric)] if metric else (STARS[0], STARS[-1])
    return points[0], points[-1]


def text_at(question: Data, path: str, language: str) -> str:
    """Return the text of a slot in one language; empty where there is none."""
    member, _dot, code = path.partition(".")
    if not code:
        found = question.get(member) or {}
    else:
        found = next((each["text"] for each in question["choices"] if each["code"] == code), {})
    return str(found.get(language, ""))


def applied(data: Data, key: str, form: Mapping[str, str]) -> Data:
    """Return the definition with what a form says of question `key`; definition.parse judges it."""
    changed = copy.deepcopy(data)
    question, languages = question_of(changed, key), changed["languages"]
    for slot in slots(question):
        if not slot.path.startswith("choices."):
            _set_texts(question, slot, _typed(form, slot.path, languages))
    if "choices" in question:
        question["choices"] = _typed_choices(question, form, languages)
    _set_flags(question, form)
    changed["name"] = form.get("name", changed["name"])[:LONGEST]
    holder = changed if question["key"] == _main(changed) else question
    if "threshold" in form and (holder is changed or _is_scored(question)):
        holder["opens_case_at"] = _number(form["threshold"])
    return changed


def _typed(form: Mapping[str, str], path: str, languages: list[str]) -> dict[str, str]:
    return {code: form.get(f"{path}.{code}", "").strip()[:LONGEST] for code in languages}


def _set_texts(question: Data, slot: Slot, texts: dict[str, str]) -> None:
    if slot.is_optional and not any(texts.values()):
        question.pop(slot.path, None)
    else:
        question[slot.path] = texts


def _typed_choices(question: Data, form: Mapping[str, str], languages: list[str]) -> list[Data]:
    """Return the choices as typed: one without any words is gone, one with words in the last line is new."""
    posted = (CHOICE.match(name) for name in form)  # a choice that was typed and not saved yet comes back by its code
    codes = list(dict.fromkeys([*(each["code"] for each in question["choices"]), *(m[1] for m in posted if m)]))
    given = [{"code": code, "text": _typed(form, f"choices.{code}", languages)} for code in codes]
    added = _typed(form, f"choices.{NEW}", languages)
    new = {"code": _code(added, {*codes, "other"}), "text": added}
    return [each for each in [*given, new] if any(each["text"].values())]


def _code(texts: dict[str, str], taken: set[str]) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", next(iter(texts.values()), "").lower()).strip("_")[:30]
    stem = words if re.match(r"[a-z]", words) else "choice"
    return next(code for code in (stem, *(f"{stem}_{number}" for number in range(2, 99))) if code not in taken)


def _set_flags(question: Data, form: Mapping[str, str]) -> None:
    question["required"] = "required" in form
    when = form.get("when", KEEP)
    if when in BANDS:
        question["show_when"] = {"band": when}
    elif when != KEEP:
        question.pop("show_when", None)
    if "max_length" in question:
        question["max_length"] = _number(form.get("max_length", ""))


def _number(typed: str) -> int | str | None:
    """Return a typed number; anything else as it is, so that the definition names the fault."""
    typed = typed.strip()[:20]
    return int(typed) if re.fullmatch(r"\d{1,6}", typed, re.ASCII) else typed or None


def _is_scored(question: Data) -> bool:
    return KINDS[question["kind"]].metric is not None


def _main(data: Data) -> str | None:
    return next((each["key"] for each in data["questions"] if _is_scored(each)), None)


# The order of the questions


def moved(data: Data, key: str, *, by: int) -> Data:
    """Return the definition with a question one place further (by 1) or earlier (by -1); at the end nothing moves."""
    changed = copy.deepcopy(data)
    questions = changed["questions"]
    index = questions.index(question_of(changed, key))
    target = index + by
    if 0 <= target < len(questions):
        questions[index], questions[target] = questions[target], questions[index]
    return changed


def without(data: Data, key: str) -> Data:
    changed = copy.deepcopy(data)
    changed["questions"].remove(question_of(changed, key))
    return changed


def with_ready(data: Data, name: str) -> tuple[Data, str]:
    """Return the definition with a ready question at its end, and that question's key. Raises NoSuchQuestion."""
    if name not in library.ready_names():
        raise NoSuchQuestion([{"field": "ready", "detail": name[:40]}])
    changed = copy.deepcopy(data)
    question = library.ready_question(name, languages=tuple(data["languages"]))
    taken = {each["key"] for each in data["questions"]}
    stem = question["key"]
    question["key"] = next(key for key in (stem, *(f"{stem}_{number}" for number in range(2, 99))) if key not in taken)
    if "band" in question.get("show_when", {}) and _main(data) is None:
        del question["show_when"]
    changed["questions"].append(question)
    return changed, question["key"]


# Faults, and what others did meanwhile


def field_of(fault: Fault, data: Data, key: str) -> str:
    """Return the name of the field at which a fault stands, or "" where the form of question `key` has none."""
    if fault.where == "name":
        return "name"
    if fault.where == "opens_case_at":
        return "threshold" if key == _main(data) else ""
    index = next(number for number, each in enumerate(data["questions"]) if each["key"] == key)
    own, _dot, path = fault.where.partition(".")
    if own != f"questions[{index}]":
        return ""
    choice = re.match(r"choices\[(\d+)\]\.text(.*)", path)
    if choice:
        return f"choices.{data['questions'][index]['choices'][int(choice[1])]['code']}{choice[2]}"
    return {"show_when": "when", "opens_case_at": "threshold"}.get(path, path)


def to_check(before: Definition | None, question: Question, languages: tuple[str, ...]) -> set[str]:
    """Return the languages whose wording stayed while the first language's changed since the published version."""
    old = before.question(question.key) if before else None
    source = languages[0]
    if old is None or old.text.get(source) == question.text.get(source):
        return set()
    return {code for code in languages[1:] if old.text.get(code) == question.text.get(code)}
