"""The scores' formulas: each figure is computed here and nowhere else, for pages, exports, the API and digests alike.

Counts map a score to how many gave it, {9: 12, 10: 30}; an answer left blank or not asked is in no count. Figures are
in percentage points (NPS from -100 to 100, shares from 0 to 100), intervals at 95 %.
Sources: Rocks 2016 (adjusted Wald for NPS), Wilson 1927 (shares), Newcombe 1998 and Zou & Donner 2008 (differences).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from customers.scales import METRICS, SCALES, Band, Metric, Profile, band, metric_of, profile

__all__ = [
    "FEW",
    "METRICS",
    "SCALES",
    "TOO_FEW",
    "Z95",
    "Band",
    "CesFigure",
    "Difference",
    "Figure",
    "Metric",
    "Profile",
    "band",
    "ces",
    "csat",
    "difference",
    "figure",
    "nps",
    "profile",
    "wilson",
]

Z95: Final = 1.959963984540054
FEW: Final = 30
"""Below so many answers a page says "too few" and shows no score; the API gives it, marked."""
TOO_FEW: Final = 5
"""Below so many answers nobody is given the score: that also protects the anonymous."""


@dataclass(frozen=True)
class Figure:
    """One score over `n` answers with its 95 % interval `low` to `high`; all three None when n < 5, `few` when n < 30.

    `value` is in percentage points: promoters less detractors (NPS), the share of 4 and 5 (CSAT), of 5 to 7 (CES).
    """

    metric: Metric
    n: int
    value: float | None
    low: float | None
    high: float | None
    few: bool

    def to_json(self) -> dict[str, Any]:
        """Return {"metric", "n", "value", "low", "high", "few"} with the figures at two decimals."""
        return {
            "metric": str(self.metric),
            "n": self.n,
            "value": _two(self.value),
            "low": _two(self.low),
            "high": _two(self.high),
            "few": self.few,
        }


@dataclass(frozen=True)
class CesFigure(Figure):
    """CES 2.0: the share of 5 to 7 as `value`, beside it the mean of the answers (1 to 7) with its 95 % interval."""

    mean: float | None
    mean_low: float | None
    mean_high: float | None

    def to_json(self) -> dict[str, Any]:
        """Return Figure's members, then "mean", "mean_low" and "mean_high"."""
        means = {"mean": _two(self.mean), "mean_low": _two(self.mean_low), "mean_high": _two(self.mean_high)}
        return super().to_json() | means


@dataclass(frozen=True)
class Difference:
    """How far one figure lies above another, with the 95 % interval of that distance, in percentage points.

    `different` only where the interval leaves zero out and neither figure has too few answers (`few`). All None where
    either figure is withheld.
    """

    value: float | None
    low: float | None
    high: float | None
    different: bool
    few: bool


def figure(metric: Metric | str, counts: Mapping[int, int]) -> Figure:
    """Return `metric`'s figure over these counts; raises ValueError for an unknown metric, score or negative count."""
    return FORMULAS[metric_of(metric)](counts)


def nps(counts: Mapping[int, int]) -> Figure:
    """Return the promoters' (9-10) share less the detractors' (0-6), from -100 to 100.

    Interval: adjusted Wald of Rocks 2016, which adds three answers, three quarters of one to each end.
    Raises ValueError for a score off the scale or a negative count.
    """
    n, promoters, detractors = _tally(Metric.NPS, counts)
    if n < TOO_FEW:
        return Figure(Metric.NPS, n, None, None, None, few=True)
    p, d = (promoters + 0.75) / (n + 3), (detractors + 0.75) / (n + 3)
    half = Z95 * math.sqrt((p + d - (p - d) ** 2) / (n + 3))
    low, high = max(-1.0, p - d - half), min(1.0, p - d + half)
    return Figure(Metric.NPS, n, 100 * (promoters - detractors) / n, 100 * low, 100 * high, few=n < FEW)


def csat(counts: Mapping[int, int]) -> Figure:
    """Return the share of 4 and 5 in percent (top-2-box, never the mean) with its Wilson interval.

    Raises ValueError for a score off the scale or a negative count.
    """
    n, top, _bottom = _tally(Metric.CSAT, counts)
    return Figure(Metric.CSAT, n, *_share(top, n), few=n < FEW)


def ces(counts: Mapping[int, int]) -> CesFigure:
    """Return the share of 5 to 7 in percent with its Wilson interval, and the mean with the normal one.

    Raises ValueError for a score off the scale or a negative count.
    """
    n, top, _bottom = _tally(Metric.CES, counts)
    return CesFigure(Metric.CES, n, *_share(top, n), n < FEW, *_mean(Metric.CES, counts, n))


def wilson(k: int, n: int, *, z: float = Z95) -> tuple[float, float]:
    """Return the Wilson interval of k / n as two shares from 0 to 1; raises ValueError unless 0 <= k <= n, n > 0."""
    if not 0 <= k <= n or n == 0:
        raise ValueError(f"{k} of {n} is not a share.")
    p, z2 = k / n, z * z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    # At the ends the formula is exact; rounding would put the bound a hair inside of the share itself.
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)


def difference(a: Figure, b: Figure) -> Difference:
    """Return how far figure `a` lies above figure `b`, by combining both intervals (Newcombe's hybrid score method).

    The figures must come from different answers. Raises ValueError for two metrics.
    """
    if a.metric != b.metric:
        raise ValueError(f"{a.metric} and {b.metric} cannot be compared.")
    few = a.few or b.few
    if a.value is None or a.low is None or a.high is None or b.value is None or b.low is None or b.high is None:
        return Difference(None, None, None, different=False, few=few)
    return _apart((a.value, a.low, a.high), (b.value, b.low, b.high), few=few)


def share_difference(k: int, n: int, of_k: int, of_n: int) -> Difference:
    """Return how far the share k / n lies above of_k / of_n, from -1 to 1, with Newcombe's interval."""
    few = n < FEW or of_n < FEW
    if not n or not of_n:
        return Difference(None, None, None, different=False, few=few)
    return _apart((k / n, *wilson(k, n)), (of_k / of_n, *wilson(of_k, of_n)), few=few)


def _apart(a: tuple[float, float, float], b: tuple[float, float, float], *, few: bool) -> Difference:
    """Return the difference of two values that come with the ends of their intervals."""
    value = a[0] - b[0]
    low = value - math.hypot(a[0] - a[1], b[2] - b[0])
    high = value + math.hypot(a[2] - a[0], b[0] - b[1])
    return Difference(value, low, high, different=not few and not low <= 0 <= high, few=few)


def _tally(metric: Metric, counts: Mapping[int, int]) -> tuple[int, int, int]:
    """Return how many answered, how many of them positive, how many negative."""
    tally = dict.fromkeys(Band, 0)
    for score, count in counts.items():
        if count < 0:
            raise ValueError(f"{count} answers of {score} cannot be.")
        tally[band(metric, score)] += count
    return sum(tally.values()), tally[Band.POSITIVE], tally[Band.NEGATIVE]


def _share(k: int, n: int) -> tuple[float | None, float | None, float | None]:
    if n < TOO_FEW:
        return None, None, None
    low, high = wilson(k, n)
    return 100 * k / n, 100 * low, 100 * high


def _mean(metric: Metric, counts: Mapping[int, int], n: int) -> tuple[float | None, float | None, float | None]:
    """Return the mean with mean ± z·s/√n, which is cut to the scale."""
    if n < TOO_FEW:
        return None, None, None
    first, last = SCALES[metric]
    mean = sum(score * count for score, count in counts.items()) / n
    variance = sum(count * (score - mean) ** 2 for score, count in counts.items()) / (n - 1)
    half = Z95 * math.sqrt(variance / n)
    return mean, max(float(first), mean - half), min(float(last), mean + half)


def _two(value: float | None) -> float | None:
    return None if value is None else round(value, 2) + 0.0  # no "-0.0"


FORMULAS: Final[Mapping[Metric, Callable[[Mapping[int, int]], Figure]]] = {
    Metric.NPS: nps,
    Metric.CSAT: csat,
    Metric.CES: ces,
}
