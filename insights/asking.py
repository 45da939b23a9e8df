"""What the insights page is asked for: period, comparison and filters, read from its address and written back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import select, text

from accounts import visibility
from accounts.models import Staff
from core.db import db
from core.i18n import LANGUAGES
from customers.models import Brand
from insights import journey
from insights.journey import Place
from insights.metrics import Asked
from insights.models import EVERY_TIER, Rollup
from surveys.scoring import METRICS, Metric

PERIODS: Final = (30, 90, 365)
USUAL_DAYS: Final = 90
LONGEST_DAYS: Final = 3660
EARLIEST: Final = date(1990, 1, 1)
WORDS: Final = ("touchpoint", "brand", "channel", "language", "tier")  # what narrows


class Compare(StrEnum):
    BEFORE = "before"  # as many days just before
    YEAR = "year"  # the same days a year ago
    NONE = "none"


@dataclass(frozen=True)
class Filters:
    """The address's words; `days` is 0 for a period from one day to another."""

    metric: Metric
    start: date
    end: date
    days: int
    touchpoint: str = ""
    brand: str = ""
    channel: str = ""
    language: str = ""
    tier: str = ""
    compare: Compare = Compare.BEFORE

    @classmethod
    def read(cls, args: Mapping[str, str], *, today: date) -> Filters:
        """Read an address; what is malformed falls back to what is usual, so that every address shows a page."""
        metric, compare = args.get("metric", ""), args.get("compare", "")
        start, end, days = _period(args, today)
        return cls(
            metric=Metric(metric) if metric in METRICS else Metric.NPS,
            start=start,
            end=end,
            days=days,
            compare=Compare(compare) if compare in list(Compare) else Compare.BEFORE,
            **{name: _word(args, name) for name in WORDS},
        )

    @property
    def args(self) -> dict[str, Any]:
        """Return these filters as the arguments of an address, without what is usual."""
        every = {
            "metric": str(self.metric) if self.metric is not Metric.NPS else "",
            "days": str(self.days) if self.days not in (0, USUAL_DAYS) else "",
            "from": "" if self.days else self.start.isoformat(),
            "to": "" if self.days else self.end.isoformat(),
            "touchpoint": self.touchpoint,
            "brand": self.brand,
            "channel": self.channel,
            "language": self.language,
            "tier": self.tier,
            "compare": str(self.compare) if self.compare is not Compare.BEFORE else "",
        }
        return {name: value for name, value in every.items() if value}

    @property
    def narrows(self) -> bool:
        return any(getattr(self, name) for name in WORDS)

    def with_(self, **changed: Any) -> Filters:
        return replace(self, **changed)


def _period(args: Mapping[str, str], today: date) -> tuple[date, date, int]:
    start, end = _day(args.get("from")), _day(args.get("to"))
    if start or end:
        end = min(end or today, today)
        start = start or end - timedelta(days=USUAL_DAYS - 1)
        start, end = min(start, end), max(start, end)
        return max(start, end - timedelta(days=LONGEST_DAYS)), end, 0
    asked = args.get("days", "")
    days = int(asked) if asked in {str(known) for known in PERIODS} else USUAL_DAYS
    return today - timedelta(days=days - 1), today, days


def _day(text: str | None) -> date | None:
    try:
        day = date.fromisoformat(text or "")
    except ValueError:
        return None
    return day if day >= EARLIEST else None


def _word(args: Mapping[str, str], name: str) -> str:
    value = args.get(name, "")
    return value if len(value) <= 100 and "\0" not in value and value != EVERY_TIER else ""


@dataclass(frozen=True)
class Choices:
    """What the filters offer somebody: touchpoints and brands they may see; channels, languages, tiers with answers."""

    places: list[Place]
    brands: list[Brand]
    channels: list[str]
    languages: list[str]
    tiers: list[str]


def choices(staff: Staff, filters: Filters) -> Choices:
    """Return what to offer, in four statements."""
    brand_id = visibility.brand_of(staff)
    brands: Any = select(Brand).order_by(Brand.name, Brand.id)
    found: Any = select(Rollup.channel, Rollup.language).where(
        Rollup.day.between(filters.start, filters.end), Rollup.metric == filters.metric, Rollup.tier == EVERY_TIER
    )
    rows = db.session.execute(visibility.visible_to(staff, found, Rollup.brand_id).distinct()).all()
    known = {row.language for row in rows}
    return Choices(
        journey.places(brand_id),
        list(db.session.scalars(visibility.visible_to(staff, brands, Brand.id))),
        sorted({row.channel for row in rows}),
        [*(code for code in LANGUAGES if code in known), *sorted(known - set(LANGUAGES))],
        tiers(brand_id),
    )


_TIERS: Final = text("""
    WITH RECURSIVE known AS (
        SELECT min(tier) AS tier FROM rollup WHERE tier > '' AND brand_id = coalesce(CAST(:brand AS bigint), brand_id)
        UNION ALL
        SELECT (SELECT min(tier) FROM rollup
                WHERE tier > known.tier AND brand_id = coalesce(CAST(:brand AS bigint), brand_id))
        FROM known WHERE known.tier IS NOT NULL
    )
    SELECT tier FROM known WHERE tier IS NOT NULL AND tier <> :every ORDER BY tier LIMIT 100
""")


def tiers(brand_id: int | None = None) -> list[str]:
    """Return the tiers of which there are answers, of all brands or of one, at most a hundred; no scan of them all."""
    return list(db.session.scalars(_TIERS, {"every": EVERY_TIER, "brand": brand_id}))


def asked(staff: Staff, filters: Filters, offered: Choices) -> Asked:
    """Return the question to the figures: never wider than what this person may see, whatever the address says.

    An unknown touchpoint or brand finds nothing rather than everything.
    """
    brand_id = visibility.brand_of(staff)
    seen = () if brand_id is None else (brand_id,)
    brands = tuple(each.id for each in offered.brands if each.key == filters.brand) or (-1,)
    places = tuple(each.id for each in offered.places if each.key == filters.touchpoint) or (-1,)
    return Asked(
        filters.metric,
        filters.start,
        filters.end,
        touchpoint_ids=places if filters.touchpoint else (),
        brand_ids=brands if filters.brand else seen,
        channels=(filters.channel,) if filters.channel else (),
        languages=(filters.language,) if filters.language else (),
        tiers=(filters.tier,) if filters.tier else (),
    )


def before(filters: Filters, now: Asked) -> Asked | None:
    """Return the question about the period compared with: as many days before, or those of a year ago."""
    if filters.compare is Compare.NONE:
        return None
    back = timedelta(days=364) if filters.compare is Compare.YEAR else now.end - now.start + timedelta(days=1)
    return now.moved(start=now.start - back, end=now.end - back)
