"""The library: surveys and single questions that are ready to use, each survey with its journey stage and its method.

A file here is a definition (surveys.definition) and, as `template`, what staff are told of it. A question may start
from one of ready/questions.json, {"ready": "contact"}, and override any of its members.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l

from surveys import definition
from surveys.definition import Definition
from surveys.kinds.reading import Texts

FOLDER: Final = Path(__file__).parent
NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
STAGES: Final[dict[str, LazyString]] = {
    "discover": _l("Discover"),
    "buy": _l("Buy"),
    "delivery": _l("Delivery"),
    "use": _l("Use"),
    "get_help": _l("Get help"),
    "return": _l("Return"),
    "leave": _l("Leave"),
}
"""The stages of a customer's journey, in their order."""


class UnknownTemplate(KeyError):
    """The library has no survey of this key."""


@dataclass(frozen=True)
class Template:
    """A survey of the library: what is asked, at which stage, by which method and after whom, and what for."""

    asked: Definition
    stage: str
    method: str
    source: str
    purpose: Texts

    @property
    def key(self) -> str:
        return self.asked.key


@cache
def templates() -> dict[str, Template]:
    """Return every survey of the library by key, in the order of the journey."""
    found = (template(path.stem) for path in sorted(FOLDER.glob("*.json")))
    stages = list(STAGES)
    return {each.key: each for each in sorted(found, key=lambda each: stages.index(each.stage))}


def template(key: str) -> Template:
    """Return one survey of the library. Raises UnknownTemplate."""
    path = FOLDER / f"{key}.json"
    if not NAME.fullmatch(key) or not path.is_file():
        raise UnknownTemplate(key)
    data = json.loads(path.read_text("utf-8"))
    about = data.pop("template")
    data["questions"] = [_whole(question) for question in data["questions"]]
    return Template(definition.parse(data), about["stage"], about["method"], about["source"], about["purpose"])


def survey(key: str) -> Definition:
    """Return what a survey of the library asks. Raises UnknownTemplate."""
    return template(key).asked


@cache
def _ready() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((FOLDER / "ready" / "questions.json").read_text("utf-8"))
    return found


def ready_names() -> list[str]:
    """Return the names of the questions that can be taken up into any survey."""
    return list(_ready())


def ready_question(name: str, *, languages: tuple[str, ...]) -> dict[str, Any]:
    """Return a ready question as a definition has it, in these languages. Raises KeyError for an unknown name."""
    spoken: dict[str, Any] = _spoken(copy.deepcopy(_ready()[name]), languages)
    return spoken


def _whole(question: Mapping[str, Any]) -> dict[str, Any]:
    """Return a question with what it takes from a ready one."""
    own = dict(question)
    name = own.pop("ready", None)
    return {**copy.deepcopy(_ready()[name]), **own} if name else own


def _spoken(part: Any, languages: tuple[str, ...]) -> Any:
    """Return a part of a definition with its texts in these languages alone."""
    if isinstance(part, list):
        return [_spoken(each, languages) for each in part]
    if not isinstance(part, dict):
        return part
    if "en" in part:
        return {code: part[code] for code in languages if code in part}
    return {name: _spoken(value, languages) for name, value in part.items()}
