"""What a score means for the customer who gave it: the metrics' scales, and who is unhappy, neutral or happy on each.

It lies in the customer's room because recovery and the customer's profile need it below the surveys. The figures over
many scores are in surveys.scoring, which offers these names as well. Source: docs/definitions "Profile of a score".
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Metric(StrEnum):
    NPS = "nps"
    CSAT = "csat"
    CES = "ces"


class Band(StrEnum):
    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"


class Profile(StrEnum):
    DETRACTOR = "detractor"
    PASSIVE = "passive"
    PROMOTER = "promoter"
    SILENT = "silent"


METRICS: Final = tuple(Metric)

SCALES: Final[Mapping[Metric, tuple[int, int]]] = MappingProxyType(
    {Metric.NPS: (0, 10), Metric.CSAT: (1, 5), Metric.CES: (1, 7)}
)
"""The lowest and the highest score of each metric."""

_HIGHEST: Final = {Metric.NPS: (6, 8), Metric.CSAT: (2, 3), Metric.CES: (3, 4)}
"""The highest negative and the highest neutral score of each metric."""

_PROFILES: Final = {
    Band.NEGATIVE: Profile.DETRACTOR,
    Band.NEUTRAL: Profile.PASSIVE,
    Band.POSITIVE: Profile.PROMOTER,
}


class BadScore(ValueError):
    """A score that is not on its metric's scale, or a metric that we do not know."""


def band(metric: Metric | str, score: int) -> Band:
    """Return whether `score` is negative, neutral or positive on `metric`'s scale; raises BadScore off the scale."""
    known = metric_of(metric)
    check(known, score)
    negative, neutral = _HIGHEST[known]
    if score <= negative:
        return Band.NEGATIVE
    return Band.NEUTRAL if score <= neutral else Band.POSITIVE


def profile(metric: Metric | str, score: int | None) -> Profile:
    """Return what the customer is by this last score: silent where there is none. Raises BadScore off the scale."""
    return Profile.SILENT if score is None else _PROFILES[band(metric, score)]


def check(metric: Metric | str, score: int) -> None:
    """Raise BadScore unless `score` is a whole number on `metric`'s scale."""
    first, last = SCALES[metric_of(metric)]
    if isinstance(score, bool) or not isinstance(score, int) or not first <= score <= last:
        raise BadScore(f"{score!r} is not a score of {metric} ({first} to {last}).")


def metric_of(name: Metric | str) -> Metric:
    """Return the metric of that name; raises BadScore for any other word."""
    try:
        return Metric(name)
    except ValueError:
        raise BadScore(f"{name!r} is not one of the metrics {', '.join(METRICS)}.") from None
