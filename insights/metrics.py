"""A score over a period, whole and by group, from the roll-ups; the page, the exports and the API all ask here."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ColumnElement, Date, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY

from core.db import db
from core.errors import BadInput
from customers.models import Brand, Touchpoint
from insights.models import EVERY_TIER, Rollup
from surveys import scoring
from surveys.models import Survey, SurveyVersion
from surveys.scoring import Figure, Metric

Counts = dict[int, int]
Period = tuple[date, date]  # first and last day
DAY: Final = timedelta(days=1)


class GroupBy(StrEnum):
    TOUCHPOINT = "touchpoint"
    CHANNEL = "channel"
    LANGUAGE = "language"
    TIER = "tier"
    BRAND = "brand"
    SURVEY = "survey"
    VERSION = "version"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


@dataclass(frozen=True)
class Asked:
    """What is asked for: a metric, first answers unless `kind` is outcome, from `start` to `end`, both days included.

    Days are those of each brand's zone. Empty restrictions mean all.
    """

    metric: Metric
    start: date
    end: date
    survey_ids: tuple[int, ...] = ()
    touchpoint_ids: tuple[int, ...] = ()
    brand_ids: tuple[int, ...] = ()
    channels: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    kind: str = "first"
    without_versions: tuple[int, ...] = ()  # whose answers are left out

    def moved(self, *, start: date, end: date) -> Asked:
        """Return the same question about another period."""
        return Asked(**{**self.__dict__, "start": start, "end": end})


@dataclass(frozen=True)
class Group:
    """One group's figure; `key` is what the API calls it, `name` what people do."""

    key: str
    name: str
    figure: Figure
    counts: Counts = field(repr=False)


@dataclass(frozen=True)
class Report:
    """A figure with its counts by score, and its groups in their natural order."""

    figure: Figure
    counts: Counts
    groups: tuple[Group, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return {"metric", "n", "value", "low", "high", "few", "groups"}; a group adds its "key" and "name"."""
        groups = [{"key": group.key, "name": group.name} | group.figure.to_json() for group in self.groups]
        return self.figure.to_json() | {"groups": groups}


_PERIODS: Final = {GroupBy.DAY: "day", GroupBy.WEEK: "week", GroupBy.MONTH: "month"}
_COLUMNS: Final[Mapping[GroupBy, ColumnElement[Any]]] = {
    GroupBy.TOUCHPOINT: Rollup.__table__.c.touchpoint_id,
    GroupBy.CHANNEL: Rollup.__table__.c.channel,
    GroupBy.LANGUAGE: Rollup.__table__.c.language,
    GroupBy.TIER: Rollup.__table__.c.tier,
    GroupBy.BRAND: Rollup.__table__.c.brand_id,
    GroupBy.SURVEY: Rollup.__table__.c.survey_id,
    GroupBy.VERSION: Rollup.__table__.c.version_id,
}


def report(asked: Asked, *, group_by: GroupBy | None = None) -> Report:
    """Return the figure and its groups in at most two statements, whatever the number of answers."""
    if group_by is None:
        counts = _counts(asked)
        return Report(scoring.figure(asked.metric, counts), counts)
    return reports(asked, [(asked.start, asked.end)], group_by=group_by)[0]


def reports(asked: Asked, periods: Sequence[Period], *, group_by: GroupBy) -> list[Report]:
    """Return a report for each period (first and last day), whatever the period of `asked`; in two statements as well.

    Days that lie in several of the periods are read once.
    """
    counted = counts_in(asked, periods, group_by=group_by)
    names = _names(group_by, {value for grouped in counted for value in grouped})
    return [_report(asked, grouped, names) for grouped in counted]


def counts_in(asked: Asked, periods: Sequence[Period], *, group_by: GroupBy) -> list[dict[Any, Counts]]:
    """Return, for each period, counts of scores by the raw value of a group, an id or a word; one statement.

    Each day is read and added up once: the periods are cut where one of them begins or ends, and put together here.
    """
    cuts = sorted({day for start, end in periods for day in (start, end + DAY)})
    keys = (_column(group_by), Rollup.score, func.width_bucket(Rollup.day, literal(cuts, ARRAY(Date))))
    read = or_(*(Rollup.day.between(*span) for span in _spans(periods)))
    query = select(*keys, func.sum(Rollup.count)).where(read, *_restrictions(asked, group_by)).group_by(*keys)
    found: list[dict[Any, Counts]] = [defaultdict(lambda: defaultdict(int)) for _ in periods]
    for value, score, stretch, count in db.session.execute(query):
        for grouped, (start, end) in zip(found, periods, strict=True):
            if count and start <= cuts[stretch - 1] <= end:
                grouped[value][score] += int(count)
    return found


def _spans(periods: Iterable[Period]) -> list[Period]:
    """Return the days of all periods as few periods that neither meet nor overlap."""
    spans: list[Period] = []
    for start, end in sorted(periods):
        if spans and start <= spans[-1][1] + DAY:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((start, end))
    return spans


def _report(asked: Asked, grouped: Mapping[Any, Counts], names: Mapping[Any, tuple[str, str]]) -> Report:
    total: Counts = defaultdict(int)
    for counts in grouped.values():
        for score, count in counts.items():
            total[score] += count
    groups = [
        Group(*names[value], scoring.figure(asked.metric, counts), counts)
        for value, counts in sorted(grouped.items(), key=lambda item: str(item[0]))
    ]
    return Report(scoring.figure(asked.metric, total), dict(total), tuple(groups))


def rolling(asked: Asked, *, days: int, step: int, breaks: Collection[date] = ()) -> list[tuple[date, Figure]]:
    """Return the figure of the `days` days up to each `step`th day of the period, oldest first, from one statement.

    No window reaches back over one of `breaks`, the days on which another wording began.
    """
    [by_day] = counts_in(asked, [(asked.start - timedelta(days=days), asked.end)], group_by=GroupBy.DAY)
    ends = [asked.end - timedelta(days=step * back) for back in range((asked.end - asked.start).days // step + 1)]
    return [(end, scoring.figure(asked.metric, _window(by_day, end, days, breaks))) for end in reversed(ends)]


def survey_ids(key: str | None) -> tuple[int, ...]:
    """Return the ids a survey's key stands for, or () for no key; raises BadInput for an unknown one."""
    if not key:
        return ()
    survey_id = db.session.scalar(select(Survey.id).where(Survey.key == key))
    if survey_id is None:
        raise BadInput([{"field": "survey", "detail": "There is no survey with this key."}])
    return (survey_id,)


def touchpoint_ids(key: str | None) -> tuple[int, ...]:
    """Return the ids a touchpoint's key stands for, or () for no key; raises BadInput for an unknown one."""
    if not key:
        return ()
    touchpoint_id = db.session.scalar(select(Touchpoint.id).where(Touchpoint.key == key))
    if touchpoint_id is None:
        raise BadInput([{"field": "touchpoint", "detail": "There is no touchpoint with this key."}])
    return (touchpoint_id,)


def _window(by_day: Mapping[Any, Counts], end: date, days: int, breaks: Collection[date]) -> Counts:
    window: Counts = defaultdict(int)
    first = max([end - timedelta(days=days - 1), *(day for day in breaks if day <= end)])
    for back in range((end - first).days + 1):
        for score, count in by_day.get(end - timedelta(days=back), {}).items():
            window[score] += count
    return window


def _counts(asked: Asked) -> Counts:
    within = Rollup.day.between(asked.start, asked.end)
    query = select(Rollup.score, func.sum(Rollup.count)).where(within, *_restrictions(asked)).group_by(Rollup.score)
    return {score: int(count) for score, count in db.session.execute(query)}


def _column(group_by: GroupBy) -> ColumnElement[Any]:
    if group_by is GroupBy.DAY:
        return Rollup.__table__.c.day
    if group_by in _PERIODS:
        return func.date_trunc(_PERIODS[group_by], Rollup.day).cast(Rollup.__table__.c.day.type)
    return _COLUMNS[group_by]


def _restrictions(asked: Asked, group_by: GroupBy | None = None) -> Iterable[ColumnElement[bool]]:
    yield Rollup.metric == asked.metric
    yield Rollup.kind == asked.kind
    for column, wanted in (
        (Rollup.survey_id, asked.survey_ids),
        (Rollup.touchpoint_id, asked.touchpoint_ids),
        (Rollup.brand_id, asked.brand_ids),
        (Rollup.channel, asked.channels),
        (Rollup.language, asked.languages),
    ):
        if wanted:
            yield column.in_(wanted)
    if group_by is GroupBy.TIER and not asked.tiers:
        yield Rollup.tier != EVERY_TIER
    else:
        yield Rollup.tier.in_(asked.tiers or (EVERY_TIER,))
    if asked.without_versions:
        yield Rollup.version_id.not_in(asked.without_versions)


def _names(group_by: GroupBy, values: Iterable[Any]) -> dict[Any, tuple[str, str]]:
    """Return each group's key and name; rows without a touchpoint or a tier are "none"."""
    known: dict[Any, tuple[str, str]] = {value: (str(value), str(value)) for value in values}
    models: dict[GroupBy, Any] = {GroupBy.TOUCHPOINT: Touchpoint, GroupBy.BRAND: Brand, GroupBy.SURVEY: Survey}
    if model := models.get(group_by):
        rows = db.session.execute(select(model.id, model.key, model.name).where(model.id.in_(known)))
        known |= {row.id: (row.key, row.name) for row in rows} | ({0: ("none", "None")} if 0 in known else {})
    elif group_by is GroupBy.TIER and "" in known:
        known[""] = ("none", "None")
    elif group_by is GroupBy.VERSION:
        query = select(SurveyVersion.id, Survey.key, SurveyVersion.number).join(Survey)
        for row in db.session.execute(query.where(SurveyVersion.id.in_(known))):
            known[row.id] = (f"{row.key}/{row.number}", f"{row.key} {row.number}")
    return known
