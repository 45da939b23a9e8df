"""The desk's lists: named queues, filters, what is due first, and counts that stop at a hundred."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l
from sqlalchemy import ColumnElement, Select, and_, exists, func, literal, or_, select, true, tuple_
from sqlalchemy.orm import aliased, contains_eager

from accounts import visibility
from accounts.models import SavedView, Staff, Team
from core import working_time
from core.db import db, written
from customers.models import Customer, Touchpoint
from customers.scales import SCALES, Band, Metric, band
from feedback.models import OPEN_STATES, Case, CaseState

PAGE: Final = 50
CAP: Final = 99  # counts above this are told as "99+"
CHOICES_FROM: Final = 1000  # open cases that are looked through for the tiers and languages a filter offers
SOON: Final = timedelta(hours=2)

QUEUES: Final[Mapping[str, LazyString]] = {
    "all": _l("All open"),
    "first-contact": _l("Needs first contact"),
    "call-back": _l("Call back today"),
    "promises": _l("Promises due"),
    "waiting": _l("Waiting on customer"),
    "verify": _l("Verify"),
}
TITLES: Final[Mapping[str, LazyString]] = {**QUEUES, "all": _l("All open cases")}
PROMISED: Final = ("promise", "broken_promise", "contact")  # what is due next is something we said
LATE_COUNTED: Final = ("first-contact", "promises")
GROUPINGS: Final[Mapping[str, LazyString]] = {
    "due": _l("Grouped by due time"),
    "owner": _l("Grouped by owner"),
    "touchpoint": _l("Grouped by touchpoint"),
}
SCORES: Final[Mapping[str, LazyString]] = {
    Band.NEGATIVE: _l("Detractors"),
    Band.NEUTRAL: _l("Passives"),
    Band.POSITIVE: _l("Promoters"),
    "complaint": _l("Complaints"),
}
_on_desk = and_(written(Case.state, OPEN_STATES), ~Case.off_desk)


@dataclass(frozen=True)
class Filters:
    """What a list of cases is narrowed to; `owner` is "", me, none or somebody's public id, `team` "" or a team's."""

    queue: str = "all"
    touchpoints: tuple[str, ...] = ()
    tiers: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    owner: str = ""
    team: str = ""
    group: str = "due"

    @classmethod
    def read(cls, asked: Mapping[str, Iterable[str]]) -> Filters:
        """Read what an address or a saved view asks for; what is unknown or too long is left out."""

        def many(name: str) -> tuple[str, ...]:
            values = [str(value) for value in asked.get(name, ())]
            return tuple(dict.fromkeys(value for value in values[:50] if 0 < len(value) <= 100 and "\0" not in value))

        def one(name: str, known: Iterable[str], default: str) -> str:
            values = many(name)
            return values[0] if values and values[0] in known else default

        owner, team = many("owner"), many("team")
        return cls(
            queue=one("queue", QUEUES, "all"),
            touchpoints=many("touchpoint"),
            tiers=many("tier"),
            scores=tuple(score for score in many("score") if score in SCORES),
            languages=many("language"),
            owner=owner[0] if owner else "",
            team=team[0] if team else "",
            group=one("group", GROUPINGS, "due"),
        )

    @property
    def args(self) -> dict[str, Any]:
        """Return these filters as the arguments of an address, without what is the default."""
        every = {
            "queue": self.queue if self.queue != "all" else "",
            "touchpoint": list(self.touchpoints),
            "tier": list(self.tiers),
            "score": list(self.scores),
            "language": list(self.languages),
            "owner": self.owner,
            "team": self.team,
            "group": self.group if self.group != "due" else "",
        }
        return {name: value for name, value in every.items() if value}

    @property
    def narrows(self) -> bool:
        return bool(self.touchpoints or self.tiers or self.scores or self.languages or self.owner)

    def without(self, name: str, value: str = "") -> Filters:
        """Return these filters with one value taken away."""
        kept = getattr(self, name)
        less: Any = "" if isinstance(kept, str) else tuple(each for each in kept if each != value)
        return replace(self, **{name: less})


@dataclass(frozen=True)
class Place:
    """Where a page of a list begins: after the case with this group, due time and id."""

    group: int
    due_at: datetime
    id: int

    def __str__(self) -> str:
        return f"{self.group}~{self.due_at.isoformat()}~{self.id}"

    @classmethod
    def read(cls, text: str | None) -> Place | None:
        """Read a place from an address; None for anything that is none."""
        try:
            group, due_at, number = (text or "").split("~")
            place = cls(int(group), datetime.fromisoformat(due_at), int(number))
        except ValueError:
            return None
        fits = abs(place.group) < 2**63 and abs(place.id) < 2**63
        return place if fits and place.due_at.tzinfo is not None else None


@dataclass(frozen=True)
class Page:
    cases: list[Case]
    after: Place | None  # where the next page begins, if there is one


@dataclass(frozen=True)
class Count:
    """A count that stopped at CAP: `shown` is "99+" beyond it."""

    number: int
    late: int = 0

    @property
    def shown(self) -> str:
        return f"{CAP}+" if self.number > CAP else str(self.number)


@dataclass(frozen=True)
class Counts:
    queues: dict[str, Count]
    groups: dict[str, Count]
    views: dict[str, Count]
    teams: dict[str, Count] = field(default_factory=dict)
    here: Count = field(default_factory=lambda: Count(0))


def page(staff: Staff, filters: Filters, *, after: Place | None, now: datetime) -> Page:
    """Return a page of cases, what is due first on top, with what a row shows of them; one statement."""
    query = _selected(staff, filters, now)
    if after is not None:
        query = query.where(tuple_(*_key(filters)) > _here(after, filters))
    owner = aliased(Staff)
    query = (
        query.outerjoin(Case.touchpoint)
        .outerjoin(owner, Case.assignee)
        .options(contains_eager(Case.customer), contains_eager(Case.touchpoint))
        .options(contains_eager(Case.assignee.of_type(owner)).lazyload(owner.roles))
        .order_by(*_key(filters))
        .limit(PAGE + 1)
    )
    found = list(db.session.scalars(query))
    rows = found[:PAGE]
    return Page(rows, place_of(rows[-1], filters) if len(found) > PAGE else None)


def place_of(case: Case, filters: Filters) -> Place:
    group = {"owner": case.assignee_id, "touchpoint": case.touchpoint_id}.get(filters.group)
    due_at = case.resolved_at if filters.queue == "verify" else case.due_at
    return Place(group or 0, due_at or case.due_at, case.id)


def neighbours(staff: Staff, filters: Filters, case: Case, *, now: datetime) -> tuple[int | None, int | None]:
    """Return the numbers of the cases before and after a case in its list; one statement."""
    key, here = _key(filters), _here(place_of(case, filters), filters)
    query = _selected(staff, filters, now).with_only_columns(Case.number)
    before = query.where(tuple_(*key) < here).order_by(*(column.desc() for column in key)).limit(1)
    after = query.where(tuple_(*key) > here).order_by(*key).limit(1)
    row = db.session.execute(select(before.scalar_subquery(), after.scalar_subquery())).one()
    return row[0], row[1]


def first(staff: Staff, filters: Filters, *, now: datetime, limit: int = 5) -> list[Case]:
    """Return the first cases of a list with their customers, for the side column; one statement."""
    query = _selected(staff, filters, now).options(contains_eager(Case.customer))
    return list(db.session.scalars(query.order_by(*_key(filters)).limit(limit)))


def counts(
    staff: Staff, filters: Filters, views: Iterable[SavedView], teams: Iterable[Team] = (), *, now: datetime
) -> Counts:
    """Count the queues, also the teams' own, the groups of this list and the saved views, up to CAP; one statement."""
    plain = {name: Filters(queue=name) for name in QUEUES}
    saved = {view.public_id: Filters.read(view.query) for view in views}
    wanted: dict[tuple[str, str], Select[Any]] = {("here", ""): _selected(staff, filters, now)}
    wanted |= {("queue", name): _selected(staff, each, now) for name, each in plain.items()}
    wanted |= {("late", name): _selected(staff, plain[name], now).where(Case.due_at < now) for name in LATE_COUNTED}
    wanted |= {("view", name): _selected(staff, each, now) for name, each in saved.items()}
    own = {team.public_id: _selected(staff, Filters(), now).where(_is_with(team.id)) for team in teams}
    wanted |= {("team", name): query for name, query in own.items()}
    wanted |= {("late team", name): query.where(Case.due_at < now) for name, query in own.items()}
    if filters.group == "due" and filters.queue != "verify":
        for name, span in spans(staff, now).items():
            wanted["group", name] = _selected(staff, filters, now).where(*_within(span))
    columns = [_capped(query).label(f"c{index}") for index, query in enumerate(wanted.values())]
    numbers = dict(zip(wanted, db.session.execute(select(*columns)).one(), strict=True))
    return Counts(
        queues={name: Count(numbers["queue", name], numbers.get(("late", name), 0)) for name in QUEUES},
        groups={name: Count(number) for (kind, name), number in numbers.items() if kind == "group"},
        views={name: Count(numbers["view", name]) for name in saved},
        teams={name: Count(numbers["team", name], numbers["late team", name]) for name in own},
        here=Count(numbers["here", ""]),
    )


def count_open(staff: Staff, *, now: datetime) -> Count:
    """Count the open cases up to CAP; for the navigation."""
    return Count(db.session.scalar(select(_capped(_selected(staff, Filters(), now)))) or 0)


def spans(staff: Staff, now: datetime) -> dict[str, tuple[datetime | None, datetime | None]]:
    """Return from when to when each group of due times reaches; "today" ends in this person's zone."""
    soon, tonight = now + SOON, max(now + SOON, _end_of_day(staff.zone, now))
    return {"overdue": (None, now), "soon": (now, soon), "today": (soon, tonight), "later": (tonight, None)}


def choices(staff: Staff) -> tuple[list[str], list[str]]:
    """Return the tiers and the languages among the open cases (the first thousand), for the filters; one statement."""
    every: Any = select(Customer.tier, Case.language).select_from(Case)
    query = visibility.visible_to(staff, every, Case.brand_id)
    query = query.outerjoin(Customer, Customer.id == Case.customer_id).where(_on_desk)
    some = query.order_by(Case.due_at).limit(CHOICES_FROM).subquery()
    rows = db.session.execute(select(some.c.tier, some.c.language).distinct()).all()
    return sorted({row.tier for row in rows if row.tier}), sorted({row.language for row in rows})


def saved_views(staff: Staff, *, limit: int = 12) -> list[SavedView]:
    """Return this person's own views and those that others share, in their order."""
    mine = or_(SavedView.staff_id == staff.id, SavedView.shared)
    return list(
        db.session.scalars(select(SavedView).where(mine).order_by(SavedView.position, SavedView.id).limit(limit))
    )


def save_view(name: str, filters: Filters, *, by: Staff, shared: bool) -> SavedView:
    """Keep the filters of a list under a name; the same name again replaces one's own view."""
    query = {key: value if isinstance(value, list) else [value] for key, value in filters.args.items()}
    known = select(SavedView).where(SavedView.staff_id == by.id, SavedView.name == name)
    view = db.session.scalar(known) or SavedView(staff_id=by.id, name=name, position=0)
    view.query, view.shared = query, shared
    db.session.add(view)
    db.session.flush()
    return view


def rename_view(view: SavedView, name: str, *, shared: bool) -> bool:
    """Give a saved view another name, shared or not; False if its owner has another one of that name."""
    taken = exists().where(
        SavedView.staff_id == view.staff_id, SavedView.name == name, SavedView.public_id != view.public_id
    )
    if db.session.scalar(select(taken)):
        return False
    view.name, view.shared = name, shared
    return True


def _capped(query: Select[Any]) -> Any:
    """Count up to CAP, along the list's index: in no order, a sequential scan seems to find enough of them sooner."""
    some = query.with_only_columns(Case.id).order_by(Case.due_at).limit(CAP + 1).subquery()
    return select(func.count()).select_from(some).scalar_subquery()


def _selected(staff: Staff, filters: Filters, now: datetime) -> Select[Any]:
    query = visibility.visible_to(staff, select(Case).outerjoin(Case.customer), Case.brand_id)
    return query.where(_queue(filters.queue, staff, now), *_narrowed(filters, staff))


def _queue(name: str, staff: Staff, now: datetime) -> ColumnElement[bool]:
    if name == "verify":
        return and_(written(Case.state, [CaseState.RESOLVED]), ~Case.off_desk)
    narrower: dict[str, ColumnElement[bool]] = {
        "first-contact": and_(written(Case.state, [CaseState.OPEN]), Case.first_contact_at.is_(None)),
        "call-back": and_(
            Case.next_act == "contact", Case.wants == "phone", Case.due_at < _end_of_day(staff.zone, now)
        ),
        "promises": and_(Case.next_act.in_(PROMISED), Case.due_at < _end_of_day(staff.zone, now)),
        "waiting": written(Case.state, [CaseState.WAITING]),
    }
    return and_(_on_desk, narrower.get(name, true()))


def _narrowed(filters: Filters, staff: Staff) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.touchpoints:
        named = select(Touchpoint.id).where(Touchpoint.key.in_(filters.touchpoints))
        found.append(Case.touchpoint_id.in_(named))
    if filters.tiers:
        found.append(Customer.tier.in_(filters.tiers))
    if filters.languages:
        found.append(Case.language.in_(filters.languages))
    if filters.scores:
        found.append(or_(*(_scored(name) for name in filters.scores)))
    if filters.owner:
        found.append(_owned(filters.owner, staff))
    if filters.team:
        found.append(_is_with(db.session.scalar(select(Team.id).where(Team.public_id == filters.team)) or 0))
    return found


def _is_with(team_id: int) -> ColumnElement[bool]:
    """The id stands in the statement: PostgreSQL then knows whether it is with this team that few cases are."""
    return written(Case.team_id, [str(team_id)])


def _scored(name: str) -> ColumnElement[bool]:
    if name == "complaint":
        return Case.score.is_(None)
    return or_(*(and_(Case.metric == metric, Case.score.between(*_ends(metric, Band(name)))) for metric in Metric))


def _ends(metric: Metric, which: Band) -> tuple[int, int]:
    """Return the lowest and the highest score of a band."""
    low, high = SCALES[metric]
    scores = [score for score in range(low, high + 1) if band(metric, score) is which]
    return scores[0], scores[-1]


def _owned(owner: str, staff: Staff) -> ColumnElement[bool]:
    if owner == "none":
        return Case.assignee_id.is_(None)
    if owner == "me":
        return Case.assignee_id == staff.id
    return Case.assignee_id == select(Staff.id).where(Staff.public_id == owner).scalar_subquery()


def _key(filters: Filters) -> tuple[ColumnElement[Any], ...]:
    """Return the columns that a list is sorted by; the plain list's are those of its index."""
    due = Case.resolved_at if filters.queue == "verify" else Case.due_at
    group = {"owner": Case.assignee_id, "touchpoint": Case.touchpoint_id}.get(filters.group)
    ordered: tuple[Any, ...] = (due, Case.id)
    return ordered if group is None else (func.coalesce(group, 0), *ordered)


def _here(place: Place, filters: Filters) -> Any:
    values = (literal(place.due_at, Case.due_at.type), literal(place.id))
    return tuple_(*values) if filters.group == "due" else tuple_(literal(place.group), *values)


def _within(span: tuple[datetime | None, datetime | None]) -> list[ColumnElement[bool]]:
    start, end = span
    return [
        *([Case.due_at >= start] if start else []),
        *([Case.due_at < end] if end else []),
    ]


def _end_of_day(zone: str, now: datetime) -> datetime:
    day = now.astimezone(ZoneInfo(zone)).date()
    return working_time.local_moment(day + timedelta(days=1), time(0, 0), zone)
