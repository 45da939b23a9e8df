"""Opening a case: the case, its clocks, the contact that is promised and its first events, in one statement.

A customer waits for "thank you" meanwhile. `values` decides; `beside` writes, alone or beside what is the reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, cast

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    FromClause,
    String,
    Table,
    Text,
    bindparam,
    func,
    insert,
    literal,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import insert as insert_or_not

from core import i18n, working_time
from core.db import Moment, new_public_id
from core.events import Event
from core.prepared import Prepared
from feedback import clocks, policies, public
from feedback.actors import RULE
from feedback.models import Case, CaseClock, CaseState, ClockEvent, ClockKind, Origin, Promise, PromiseState

_case, _clock, _act, _promise, _event = (
    cast(Table, model.__table__) for model in (Case, CaseClock, ClockEvent, Promise, Event)
)
_GIVEN: Final = (
    "public_id", "origin", "brand_id", "touchpoint_id", "interaction_id", "customer_id", "survey_id", "question",
    "metric", "score", "why", "summary", "words", "language", "wants", "state", "priority", "team_id", "opened_at",
    "due_at", "next_act",
)  # fmt: skip
_FIXED: Final = {"reopened": 0, "last_entry_id": 0, "off_desk": False}


class Unhappy(policies.Judged, Protocol):
    """What becomes a case: what a policy judges, and what the case keeps of it."""

    @property
    def interaction_id(self) -> int | None: ...
    @property
    def words(self) -> str | None: ...


def values(
    unhappy: Unhappy, *, origin: Origin, wants: str, is_promised: bool, actor: str, now: datetime, **columns: Any
) -> dict[str, Any]:
    """Return the parameters of `beside`: a case, its policy's clocks, and a contact promised for the end of the first.

    `columns` are further ones of the case.
    """
    policy = policies.policy_for(unhappy, origin=origin)
    brand, customer = unhappy.brand, unhappy.customer
    calendar = policies.calendar(brand.calendar_id)
    work = [timedelta(minutes=each) for each in (policy.first_contact_minutes, policy.resolution_minutes)]
    due = [working_time.add(now, each, calendar) for each in work]
    row = {
        "public_id": new_public_id(),
        "origin": origin,
        "brand_id": brand.id,
        "touchpoint_id": unhappy.touchpoint_id,
        "interaction_id": unhappy.interaction_id,
        "customer_id": customer.id if customer else None,
        "metric": unhappy.metric,
        "score": unhappy.score,
        "why": list(unhappy.why),
        "words": unhappy.words,
        "language": unhappy.language,
        "wants": wants,
        "state": CaseState.OPEN,
        "priority": policy.priority,
        "team_id": policy.team_id,
        "opened_at": now,
        "due_at": due[0],
        "next_act": "contact" if is_promised else ClockKind.FIRST_CONTACT,
        "survey_id": None,
        "question": None,
        "summary": None,
    }
    return {f"case_{name}": value for name, value in (row | columns).items()} | {
        "clock_minutes": [policy.first_contact_minutes, policy.resolution_minutes],
        "clock_due": due,
        "clock_warn": [working_time.add(now, each * clocks.WARN_SHARE, calendar) for each in work],
        "calendar_id": brand.calendar_id,
        "policy": policy.name,
        "actor": actor,
        "promise_id": new_public_id(),
        "promise_words": _promised(wants, unhappy.language, brand.zone) if is_promised else None,
        "zone": brand.zone,
        "opened_data": {"origin": origin, "policy": policy.name, "score": unhappy.score},
    }


def _promised(wants: str, language: str, zone: str) -> str:
    with i18n.use_language(language, zone=zone):
        return public.contact_words(wants)


def beside(source: FromClause, *, reason: ColumnElement[str], response_id: ColumnElement[int]) -> list[CTE]:
    """Return the CTEs that open a case for the one row of `source`, the last of them the case (its id).

    `reason` and `response_id` are made of the columns of `source`; a reason that has a case already opens none. The
    other parameters are those of `values`.
    """
    columns: dict[str, ColumnElement[Any]] = {
        name: bindparam(f"case_{name}", type_=_case.c[name].type) for name in _GIVEN
    }
    columns |= {name: literal(value) for name, value in _FIXED.items()}
    columns |= {"reason": reason, "response_id": response_id}
    opened = (
        insert_or_not(_case)
        .from_select(list(columns), select(*columns.values()).select_from(source))
        .on_conflict_do_nothing(index_elements=["reason"])
        .returning(_case.c.id, _case.c.customer_id, _case.c.opened_at)
        .cte("opened")
    )
    started = _clocks(opened)
    promised = _promise_of(opened)
    return [started, _acts(started), promised, _events(opened, promised), opened]


def _clocks(opened: CTE) -> CTE:
    kinds = literal([str(ClockKind.FIRST_CONTACT), str(ClockKind.RESOLUTION)], ARRAY(Text))
    given = (("minutes", BigInteger()), ("due", Moment()), ("warn", Moment()))
    arrays = [bindparam(f"clock_{name}", type_=ARRAY(type_)) for name, type_ in given]
    target = func.unnest(kinds, *arrays).table_valued("kind", "minutes", "due", "warn", name="target").render_derived()
    columns: dict[str, ColumnElement[Any]] = {
        "case_id": opened.c.id,
        "kind": target.c.kind,
        "target_minutes": target.c.minutes,
        "calendar_id": bindparam("calendar_id", type_=BigInteger),
        "policy": bindparam("policy", type_=String),
        "started_at": opened.c.opened_at,
        "due_at": target.c.due,
        "warn_at": target.c.warn,
    }
    rows = select(*columns.values()).select_from(opened.join(target, true()))
    return insert(_clock).from_select(list(columns), rows).returning(_clock.c.id, _clock.c.started_at).cte("started")


def _acts(started: CTE) -> CTE:
    rows = select(started.c.id, literal("start"), _actor(), started.c.started_at)
    return insert(_act).from_select(["clock_id", "kind", "actor", "at"], rows).cte("acts")


def _promise_of(opened: CTE) -> CTE:
    words = bindparam("promise_words", type_=String)
    columns: dict[str, ColumnElement[Any]] = {
        "public_id": bindparam("promise_id", type_=String),
        "case_id": opened.c.id,
        "kind": literal("contact"),
        "words": words,
        "due_at": bindparam("case_due_at", type_=_case.c.due_at.type),
        "due_zone": bindparam("zone", type_=String),
        "made_by": literal(RULE),
        "made_at": opened.c.opened_at,
        "state": literal(str(PromiseState.OPEN)),
    }
    rows = select(*columns.values()).where(words.is_not(None))
    made = insert(_promise).from_select(list(columns), rows)
    return made.returning(_promise.c.id, _promise.c.case_id).cte("promised")


def _events(opened: CTE, promised: CTE) -> CTE:
    shared = (literal(1), opened.c.opened_at, _actor(), opened.c.customer_id, opened.c.id)
    told = select(literal("case.opened"), *shared, bindparam("opened_data", type_=JSONB))
    made = select(literal("promise.made"), *shared, func.jsonb_build_object("promise", promised.c.id))
    names = ["kind", "version", "at", "actor", "customer_id", "case_id", "data"]
    rows = union_all(told, made.join_from(opened, promised, promised.c.case_id == opened.c.id))
    return insert(_event).from_select(names, rows).cte("told")


def _actor() -> ColumnElement[str]:
    return bindparam("actor", type_=String)


def _alone() -> Prepared:
    source = select(
        bindparam("reason", type_=String).label("reason"),
        bindparam("response_id", type_=BigInteger).label("response_id"),
    ).cte("source")
    *others, opened = beside(source, reason=source.c.reason, response_id=source.c.response_id)
    return Prepared(select(opened.c.id).add_cte(*others))


_OPEN: Final = _alone()


def write(parameters: Mapping[str, Any], *, reason: str, response_id: int | None = None) -> None:
    """Open a case in the caller's transaction, unless its reason has one."""
    _OPEN.run(**parameters, reason=reason, response_id=response_id)
