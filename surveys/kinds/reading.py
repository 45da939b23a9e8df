"""Reading a definition's JSON: every fault is noted with its place, so that an author sees them all at once."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

KEY: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
PLACEHOLDERS: Final = frozenset({"brand"})
MAX_TEXT: Final = 2000
Texts = Mapping[str, str]  # by language code


@dataclass(frozen=True)
class Fault:
    where: str  # a path such as questions[1].text.de
    words: str


@dataclass
class Reader:
    """One JSON object of a definition, and the list that the whole definition's faults go to."""

    raw: Mapping[str, Any]
    where: str
    languages: tuple[str, ...]
    faults: list[Fault]
    read: set[str] = field(default_factory=set)

    def fault(self, name: str, words: str) -> None:
        self.faults.append(Fault(f"{self.where}.{name}".strip("."), words))

    def get(self, name: str) -> Any:
        self.read.add(name)
        return self.raw.get(name)

    def key(self, name: str = "key") -> str:
        value = self.get(name)
        if isinstance(value, str) and KEY.fullmatch(value):
            return value
        self.fault(name, "is a short name of small letters, digits and underscores, for example what_went_wrong")
        return "?"

    def flag(self, name: str, *, default: bool = False) -> bool:
        value = self.get(name)
        if value is not None and not isinstance(value, bool):
            self.fault(name, "is true or false")
        return value if isinstance(value, bool) else default

    def number(self, name: str, *, low: int, high: int, default: int) -> int:
        value = self.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.fault(name, f"is a whole number from {low} to {high}")
            return default
        return value

    def texts(self, name: str, *, required: bool = True) -> Texts:
        """Return a text in every language of the definition, or nothing where it may be left out and was."""
        value = self.get(name)
        if value is None and not required:
            return {}
        if not isinstance(value, dict):
            self.fault(name, f"is an object with a text for each of {', '.join(self.languages)}")
            return {}
        for strange in sorted(set(value) - set(self.languages)):
            self.fault(f"{name}.{strange}", "is not one of the survey's languages")
        return {language: self._text(name, language, value.get(language)) for language in self.languages}

    def _text(self, name: str, language: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            self.fault(f"{name}.{language}", "has no text yet")
            return ""
        if len(value) > MAX_TEXT:
            self.fault(f"{name}.{language}", f"is longer than {MAX_TEXT} characters")
        for strange in sorted(set(PLACEHOLDER.findall(value)) - PLACEHOLDERS):
            self.fault(f"{name}.{language}", f"names {{{strange}}}, which we don't know; there is {{brand}}")
        return value.strip()

    def objects(self, name: str, *, low: int, high: int) -> Iterator[Reader]:
        """Yield a reader for each object of a list that has `low` to `high` of them."""
        value = self.get(name)
        if not isinstance(value, list) or not low <= len(value) <= high:
            self.fault(name, f"is a list of {low} to {high}")
            return
        for index, item in enumerate(value):
            if isinstance(item, dict):
                where = f"{self.where}.{name}[{index}]".strip(".")
                yield Reader(item, where, self.languages, self.faults)
            else:
                self.fault(f"{name}[{index}]", "is not an object")

    def inner(self, name: str) -> Reader | None:
        """Return a reader for the object `name`, or None where there is none."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.fault(name, "is not an object")
            return None
        return Reader(value, f"{self.where}.{name}".strip("."), self.languages, self.faults)

    def finish(self) -> None:
        """Note what nobody asked for: a misspelt member would otherwise be silently without effect."""
        for strange in sorted(set(map(str, self.raw)) - self.read):
            self.fault(strange, "is not something we know here")
