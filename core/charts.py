"""Where the lines, columns and labels of the charts go. Pure geometry: the caller brings the figures and their words.

A drawing holds finished coordinates for attributes of SVG elements, since the CSP forbids inline styles;
templates/macros/figures.html sets them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

TONES = {
    "detractor": "det",
    "negative": "det",
    "passive": "pas",
    "neutral": "pas",
    "promoter": "pro",
    "positive": "pro",
}


@dataclass(frozen=True)
class Text:
    x: float
    y: float
    text: str
    anchor: str = ""  # "", mid or end
    path: str = ""  # the line it belongs to


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    r: float = 4


@dataclass(frozen=True)
class Last:
    """The newest value, written beside its end of the line: the value, and its interval below."""

    x: float
    y: float
    text: str
    more: str


# A trend with its band


@dataclass(frozen=True)
class Point:
    """One moment of a trend; `value` is None where there were too few answers, and the line breaks there."""

    label: str
    value: float | None
    low: float = 0
    high: float = 0
    breaks: bool = False  # the wording changed here: the line starts anew


@dataclass(frozen=True)
class Trend:
    width: int
    height: int
    grid: list[Text]
    bands: list[str]
    lines: list[str]
    dots: list[Dot]
    marks: list[Text]
    labels: list[Text]
    last: Last | None


@dataclass(frozen=True)
class _Frame:
    """The plane of a trend: values to y, positions to x."""

    count: int
    low: float
    high: float
    left: float = 34
    right: float = 576
    top: float = 14
    bottom: float = 278

    def x(self, index: float) -> float:
        return round(self.left + (self.right - self.left) * index / max(self.count - 1, 1), 1)

    def y(self, value: float) -> float:
        return round(self.bottom - (self.bottom - self.top) * (value - self.low) / (self.high - self.low), 1)


def trend(
    points: Sequence[Point],
    *,
    say: Callable[[float], str],
    interval: Callable[[float, float], str],
    events: Iterable[tuple[float, str]] = (),
    bounds: tuple[float, float] = (-100, 100),
) -> Trend:
    """Draw `points` evenly spaced; `events` are (position among them, words), `bounds` what the metric can reach.

    `say` writes a value, `interval` the newest one's low and high.
    """
    known = [point for point in points if point.value is not None]
    ticks = _ticks(known, bounds)
    frame = _Frame(len(points), ticks[0], ticks[-1])
    runs = list(_runs(points))
    return Trend(
        width=640,
        height=304,
        grid=[Text(26, round(frame.y(tick) + 4, 1), say(tick), path=f"M34 {frame.y(tick)}H576") for tick in ticks[1:]],
        bands=[_band(run, frame) for run in runs if len(run) > 1],
        lines=[
            _line([(frame.x(index), frame.y(point.value or 0)) for index, point in run]) for run in runs if len(run) > 1
        ],
        dots=_dots(runs, frame),
        marks=[_mark(position, words, frame) for position, words in events],
        labels=_labels(points, frame),
        last=_last(runs, frame, say, interval),
    )


def _ticks(known: Sequence[Point], bounds: tuple[float, float]) -> list[float]:
    """Return four to six round values around every band, within `bounds`."""
    low = min((point.low for point in known), default=bounds[0])
    high = max((point.high for point in known), default=bounds[1])
    step = _round_step(max(high - low, (bounds[1] - bounds[0]) / 20) / 4)
    first = max(math.floor(low / step) * step, bounds[0])
    last = min(math.ceil(high / step) * step, bounds[1])
    if last <= first:
        first, last = (first - step, last) if last >= bounds[1] else (first, first + step)
    return [round(first + step * index, 6) for index in range(math.ceil((last - first) / step - 1e-9) + 1)]


def _round_step(least: float) -> float:
    """Return the smallest of 1, 2, 5, 10, 20, 50 … (or their tenths) that is not below `least`."""
    power: float = 10 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least - 1e-9)


def _runs(points: Sequence[Point]) -> Iterable[list[tuple[int, Point]]]:
    """Split at moments without a value and where the wording changed."""
    run: list[tuple[int, Point]] = []
    for index, point in enumerate(points):
        if run and (point.value is None or point.breaks):
            yield run
            run = []
        if point.value is not None:
            run.append((index, point))
    if run:
        yield run


def _line(places: Iterable[tuple[float, float]]) -> str:
    return "M" + " ".join(f"{x:g} {y:g}" for x, y in places)


def _band(run: list[tuple[int, Point]], frame: _Frame) -> str:
    upper = [(frame.x(index), frame.y(min(point.high, frame.high))) for index, point in run]
    lower = [(frame.x(index), frame.y(max(point.low, frame.low))) for index, point in reversed(run)]
    return _line([*upper, *lower]) + "z"


def _dots(runs: list[list[tuple[int, Point]]], frame: _Frame) -> list[Dot]:
    """Mark the newest value, and every value that stands alone."""
    lone = [run[0] for run in runs[:-1] if len(run) == 1]
    newest = [runs[-1][-1]] if runs else []
    return [
        Dot(frame.x(index), frame.y(point.value or 0), 4 if index == newest[0][0] else 3)
        for index, point in [*lone, *newest]
    ]


def _mark(position: float, words: str, frame: _Frame) -> Text:
    x, is_late = frame.x(position), position > (frame.count - 1) / 2
    return Text(
        x - 6 if is_late else x + 6, 270, words, "end" if is_late else "", f"M{x:g} {frame.top:g}V{frame.bottom:g}"
    )


def _labels(points: Sequence[Point], frame: _Frame) -> list[Text]:
    """Name at most five moments, evenly spread, the newest among them."""
    step = max(math.ceil((len(points) - 1) / 4), 1)
    named = range(len(points) - 1, -1, -step)
    return [Text(frame.x(index), 298, points[index].label) for index in sorted(named)]


def _last(
    runs: list[list[tuple[int, Point]]],
    frame: _Frame,
    say: Callable[[float], str],
    interval: Callable[[float, float], str],
) -> Last | None:
    if not runs:
        return None
    index, point = runs[-1][-1]
    return Last(
        frame.x(index) + 10,
        round(frame.y(point.value or 0) + 1, 1),
        say(point.value or 0),
        interval(point.low, point.high),
    )


# All answers by score


@dataclass(frozen=True)
class Column:
    x: float
    y: float
    width: float
    height: float
    middle: float
    tone: str
    text: str  # the count above it
    text_y: float
    label: str  # the score below it
    label_y: float = 167


@dataclass(frozen=True)
class Group:
    """The columns of one profile, under one line: its name and its share."""

    path: str
    x: float
    name: str
    text: str
    y: float = 188


@dataclass(frozen=True)
class Distribution:
    columns: list[Column]
    groups: list[Group]
    width: int = 420
    height: int = 206


def distribution(
    counts: Sequence[tuple[str, int, str]], *, groups: dict[str, tuple[str, str]], say: Callable[[int], str]
) -> Distribution:
    """Draw `counts`, each (label, count, profile), as columns from zero.

    `groups` maps a profile to its name and its share in words.
    """
    tallest = max((count for _label, count, _profile in counts), default=0) or 1
    each = 420 / max(len(counts), 1)
    columns = [
        _column(index, each, label, count / tallest, say(count), profile)
        for index, (label, count, profile) in enumerate(counts)
    ]
    return Distribution(columns, [_group(profile, words, counts, each) for profile, words in groups.items()])


def _column(index: int, each: float, label: str, share: float, text: str, profile: str) -> Column:
    x, height = round(index * each + 3, 1), round(136 * share, 1)
    return Column(
        x=x,
        y=round(152 - height, 1),
        width=round(each - 6, 1),
        height=height,
        middle=round(x + (each - 6) / 2, 1),
        tone=TONES.get(profile, "pas"),
        text=text,
        text_y=round(147 - height, 1),
        label=label,
    )


def _group(profile: str, words: tuple[str, str], counts: Sequence[tuple[str, int, str]], each: float) -> Group:
    places = [index for index, (_label, _count, own) in enumerate(counts) if own == profile] or [0]
    start, end = round(places[0] * each + 4, 1), round((places[-1] + 1) * each - 4, 1)
    return Group(f"M{start:g} 174H{end:g}", round((start + end) / 2, 1), *words)


# A customer's scores over time


@dataclass(frozen=True)
class Mark:
    """One answer of a customer; `mends` says that it won them back, from the answer before that opened the case."""

    at: datetime
    score: float
    profile: str
    text: str
    note: str = ""
    mends: bool = False


@dataclass(frozen=True)
class Zone:
    tone: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Chip:
    x: float
    y: float
    tone: str
    text: str
    r: float
    side: float
    round: float

    @property
    def left(self) -> float:
        return round(self.x - self.side / 2, 1)

    @property
    def top(self) -> float:
        return round(self.y - self.side / 2, 1)

    @property
    def text_y(self) -> float:
        return round(self.y + 4, 1)


@dataclass(frozen=True)
class Note:
    x: float
    y: float
    text: str
    look: str  # start, mid, end or seam-text


@dataclass(frozen=True)
class ScoreLine:
    width: int
    height: int
    is_long: bool
    zones: list[Zone]
    chips: list[Chip]
    threads: list[str]
    seams: list[str]
    names: list[Text] = field(default_factory=list)
    years: list[Text] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


@dataclass(frozen=True)
class _Plane:
    """Where a score line is drawn: top of the best score, bottom of the worst, and the time between left and right."""

    left: float
    right: float
    top: float
    bottom: float
    since: datetime
    until: datetime
    worst: float
    best: float

    def x(self, at: datetime) -> float:
        whole = (self.until - self.since).total_seconds() or 1
        return round(self.left + (self.right - self.left) * (at - self.since).total_seconds() / whole, 1)

    def y(self, score: float) -> float:
        return round(self.bottom - (self.bottom - self.top) * (score - self.worst) / (self.best - self.worst), 1)


def score_line(
    marks: Sequence[Mark],
    *,
    names: dict[str, str] | None = None,
    scale: tuple[float, float] = (0, 10),
    edges: tuple[float, float] = (6.5, 8.5),
) -> ScoreLine:
    """Draw a customer's answers, oldest first; with `names` of the profiles the long form with years and notes.

    `scale` is the worst and best score, `edges` where neutral and positive begin. Answers must not be empty.
    """
    is_long = names is not None
    chip = 26 if is_long else 17
    edge = (92.0, 1080.0, 10.0, 190.0) if is_long else (0.0, 320.0, 4.0, 90.0)
    plane = _Plane(
        edge[0] + chip, edge[1] - chip, edge[2] + chip * 0.7, edge[3] - chip * 0.7, marks[0].at, marks[-1].at, *scale
    )
    places = _apart([(plane.x(mark.at), plane.y(mark.score)) for mark in marks], chip + 2, plane)
    zones = [
        Zone("zone-pro", edge[0], edge[2], edge[1] - edge[0], round(plane.y(edges[1]) - edge[2], 1)),
        Zone("zone-det", edge[0], plane.y(edges[0]), edge[1] - edge[0], round(edge[3] - plane.y(edges[0]), 1)),
    ]
    return ScoreLine(
        width=1080 if is_long else 320,
        height=214 if is_long else 96,
        is_long=is_long,
        zones=zones,
        chips=[_chip(mark, place, chip) for mark, place in zip(marks, places, strict=True)],
        threads=[_line(pair) for pair, mark in zip(pairwise(places), marks[1:], strict=False) if not mark.mends],
        seams=[_seam(*pair) for pair, mark in zip(pairwise(places), marks[1:], strict=False) if mark.mends],
        names=_profile_names(names, zones) if names else [],
        years=_years(plane, edge) if is_long else [],
        notes=[_note(mark, place, edge) for mark, place in zip(marks, places, strict=True) if mark.note]
        if is_long
        else [],
    )


def _apart(places: list[tuple[float, float]], least: float, plane: _Plane) -> list[tuple[float, float]]:
    """Move chips to the left of their moment where they would lie upon each other; the newest stays where it is."""
    moved: list[tuple[float, float]] = []
    limit = plane.right
    for x, y in reversed(places):
        moved.append((round(min(x, limit), 1), y))
        limit = moved[-1][0] - least
    return moved[::-1]


def _chip(mark: Mark, place: tuple[float, float], size: int) -> Chip:
    tone = TONES.get(mark.profile, "pas")
    return Chip(*place, tone, mark.text, r=size / 2, side=size - 1, round=3 if tone == "det" else size // 3)


def _seam(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Return a mended crack between two answers: the straight way with a small, always equal unevenness."""
    wobble = (0, -4, 3, -5, 2, -3, 4, -2)
    steps = max(int((end[0] - start[0]) // 16), 2)
    way = [
        (start[0] + (end[0] - start[0]) * n / steps, start[1] + (end[1] - start[1]) * n / steps)
        for n in range(steps + 1)
    ]
    uneven = [(x, y + (wobble[n % 8] if 0 < n < steps else 0)) for n, (x, y) in enumerate(way)]
    return _line((round(x, 1), round(y, 1)) for x, y in uneven)


def _profile_names(names: dict[str, str], zones: list[Zone]) -> list[Text]:
    best, worst = zones
    middles = {
        "positive": best.y + best.height / 2,
        "neutral": (best.y + best.height + worst.y) / 2,
        "negative": worst.y + worst.height / 2,
    }
    return [Text(80, round(middles[profile] + 4, 1), words, "end") for profile, words in names.items()]


def _years(plane: _Plane, edge: tuple[float, float, float, float]) -> list[Text]:
    """Return a line and a name for each new year between the first and the last answer."""
    starts = [
        plane.since.replace(year=year, month=1, day=1) for year in range(plane.since.year + 1, plane.until.year + 1)
    ]
    return [
        Text(round(plane.x(start) + 4, 1), 207, f"{start:%Y}", path=f"M{plane.x(start):g} {edge[2]:g}V{edge[3]:g}")
        for start in starts
    ]


def _note(mark: Mark, place: tuple[float, float], edge: tuple[float, float, float, float]) -> Note:
    x, y = place
    below = y + 32 if y < edge[3] - 40 else y - 20
    if mark.mends:  # above, for the answer it mends lies lower and may be near; at the top there is no room
        above = y - 20
        return Note(x, round(above if above > edge[2] + 12 else below, 1), mark.note, "mid seam-text")
    look = "start" if x < edge[0] + 120 else "end" if x > edge[1] - 120 else "mid"
    return Note(
        round(x - 13 if look == "start" else x + 13 if look == "end" else x, 1), round(below, 1), mark.note, look
    )
