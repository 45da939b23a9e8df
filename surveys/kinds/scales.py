"""The scored kinds: NPS 0-10, CSAT 1-5, CES 2.0 1-7. Bands and limits come from surveys.scoring alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

from flask_babel import lazy_gettext as _l
from wtforms import RadioField
from wtforms.fields.core import UnboundField

from surveys import scoring
from surveys.kinds.base import Answered, Coded, OneOf, Question
from surveys.kinds.reading import Reader, Texts

BAND_OF: Final = {scoring.Band.NEGATIVE: "low", scoring.Band.NEUTRAL: "mid", scoring.Band.POSITIVE: "top"}


@dataclass(frozen=True)
class Scale(Question):
    """A row of numbers, uncoloured: colour would lead the answer.

    `scale` is the version that is stored with each score: a scale with other points or another wording is another one.
    `opens_case_at` is the highest score that opens a case where this is the survey's second scored question.
    """

    scale: ClassVar[str]
    low: Texts
    high: Texts
    opens_case_at: int | None

    @classmethod
    def details(cls, reader: Reader) -> dict[str, Any]:
        return {
            "low": reader.texts("low"),
            "high": reader.texts("high"),
            "opens_case_at": reader.get("opens_case_at"),
        }

    def details_to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"low": dict(self.low), "high": dict(self.high)}
        return data | ({} if self.opens_case_at is None else {"opens_case_at": self.opens_case_at})

    @property
    def values(self) -> range:
        scale = scoring.SCALES[scoring.Metric(str(self.metric))]
        return range(scale[0], scale[-1] + 1)

    def band(self, score: int) -> str:
        """Return low, mid or top: the profile of a score by where its follow-ups hang."""
        return BAND_OF[scoring.band(str(self.metric), score)]

    def field(self, *, reachable: frozenset[str]) -> UnboundField:
        codes = [str(value) for value in self.values]
        words = _l("Please choose a number from %(low)s to %(high)s.", low=codes[0], high=codes[-1])
        rules = [*([Answered(words)] if self.required else []), OneOf(frozenset(codes))]
        return RadioField(choices=codes, validators=rules, validate_choice=False)

    def coded(self, data: Any) -> Coded:
        return int(data) if data else None

    def told(self, coded: Coded, language: str) -> str:
        return "" if coded is None else str(coded)


@dataclass(frozen=True)
class Nps(Scale):
    kind: ClassVar[str] = "nps"
    name: ClassVar[Any] = _l("0 to 10 scale")
    metric: ClassVar[str | None] = "nps"
    scale: ClassVar[str] = "nps-11"


@dataclass(frozen=True)
class Csat(Scale):
    kind: ClassVar[str] = "csat"
    name: ClassVar[Any] = _l("1 to 5 scale")
    metric: ClassVar[str | None] = "csat"
    scale: ClassVar[str] = "csat-5"


@dataclass(frozen=True)
class Ces(Scale):
    kind: ClassVar[str] = "ces"
    name: ClassVar[Any] = _l("1 to 7 agreement")
    metric: ClassVar[str | None] = "ces"
    scale: ClassVar[str] = "ces-2.0"
