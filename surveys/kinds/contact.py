"""May we contact you, and how: only ways in which we can reach this customer are offered, and no address is typed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from flask_babel import lazy_gettext as _l
from wtforms import RadioField
from wtforms.fields.core import UnboundField

from surveys.kinds.base import Answered, Coded, OneOf, Question
from surveys.kinds.reading import Reader, Texts

WAYS = ("phone", "email")
NONE = "none"


@dataclass(frozen=True)
class Contact(Question):
    kind: ClassVar[str] = "contact"
    name: ClassVar[Any] = _l("One choice, how to reach you")
    phone: Texts
    email: Texts
    none: Texts

    @classmethod
    def details(cls, reader: Reader) -> dict[str, Any]:
        return {way: reader.texts(way) for way in (*WAYS, NONE)}

    def details_to_json(self) -> dict[str, Any]:
        return {way: dict(self.words_for(way)) for way in (*WAYS, NONE)}

    def words_for(self, way: str) -> Texts:
        return {"phone": self.phone, "email": self.email, NONE: self.none}[way]

    def offered(self, reachable: frozenset[str]) -> tuple[str, ...]:
        """Return the ways to offer; empty when there is none but "no"."""
        ways = tuple(way for way in WAYS if way in reachable)
        return (*ways, NONE) if ways else ()

    def field(self, *, reachable: frozenset[str]) -> UnboundField | None:
        offered = self.offered(reachable)
        if not offered:
            return None
        rules = [*([Answered()] if self.required else []), OneOf(frozenset(offered))]
        return RadioField(choices=list(offered), validators=rules, validate_choice=False)

    def coded(self, data: Any) -> Coded:
        return str(data) if data else None

    def told(self, coded: Coded, language: str) -> str:
        return self.words_for(str(coded))[language] if coded else ""
