"""What somebody told a customer would happen by when: made, kept, kept late, broken, agreed anew."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select, update

from accounts.models import Staff
from core import working_time
from core.db import db, is_public_id, written
from core.errors import Conflict, NotFound, Refusal
from feedback import reopening
from feedback.actors import RULE, By, actor_of
from feedback.models import OPEN_STATES, Case, Promise, PromiseState
from feedback.state import lock, raise_priority, record, settle

WHY_ANEW: Final = {  # why another time is agreed on
    "customer_asked": _l("The customer asked for it"),
    "third_party": _l("We wait for somebody else"),
    "needs_time": _l("It takes longer than we thought"),
    "our_mistake": _l("We made a mistake"),
}


class InThePast(Refusal):
    code = "in-the-past"

    def sentence(self) -> str:
        return _("That time has passed. A promise needs a time that is still to come.")


class PromiseEnded(Conflict):
    code = "promise-ended"

    def sentence(self) -> str:
        return _("This promise has already ended. Make a new one instead.")


class PromisePassed(PromiseEnded):
    code = "promise-passed"

    def sentence(self) -> str:
        return _("The time of this promise has passed, so it is late. Make a new promise instead: this stays in view.")


@dataclass(frozen=True)
class Appointment:
    """A wall time as people agree it: a day, a time and the IANA zone it is meant in."""

    day: date
    wall: time
    zone: str

    @property
    def at(self) -> datetime:
        """The aware UTC moment: after a DST gap the first valid one, in an overlap the first."""
        return working_time.local_moment(self.day, self.wall, self.zone)

    @property
    def local(self) -> str:
        return f"{self.day.isoformat()}T{self.wall.isoformat('minutes')}"


def make(
    case: Case,
    *,
    words: str,
    when: Appointment,
    keeper: Staff | None,
    by: By,
    now: datetime,
    form_key: str | None = None,
    kind: str = "other",
) -> Promise:
    """Promise a customer something by a time; the same form sent twice makes one promise. Raises InThePast."""
    lock(case)
    if form_key and (again := db.session.scalar(select(Promise).where(Promise.form_key == form_key))):
        return again
    if when.at <= now:
        raise InThePast(field="on")
    promise = Promise(
        case_id=case.id,
        kind=kind,
        words=words,
        due_at=when.at,
        due_local=when.local,
        due_zone=when.zone,
        keeper_id=keeper.id if keeper else None,
        keeper=keeper,
        made_by=actor_of(by),
        made_at=now,
        state=PromiseState.OPEN,
        form_key=form_key,
    )
    db.session.add(promise)
    db.session.flush()
    record(case, "promise.made", by=by, now=now, promise=promise.id)
    settle(case, now=now)
    return promise


def keep(promise: Promise, *, case: Case, by: By, now: datetime) -> None:
    """Note that a promise is fulfilled: kept, or late when its time has passed. A second time changes nothing."""
    lock(case)
    db.session.refresh(promise)
    if promise.state in (PromiseState.KEPT, PromiseState.LATE):
        return
    if promise.state == PromiseState.RENEGOTIATED:
        raise PromiseEnded
    _end(promise, _kept_state(promise, now), case=case, by=by, now=now)
    settle(case, now=now)


def keep_contact(case: Case, *, by: By, now: datetime) -> None:
    """Note that the promised contact happened. The caller holds the case's lock and settles it."""
    waiting = select(Promise).where(
        Promise.case_id == case.id,
        Promise.kind == "contact",
        Promise.state.in_((PromiseState.OPEN, PromiseState.BROKEN)),
    )
    for promise in db.session.scalars(waiting):
        _end(promise, _kept_state(promise, now), case=case, by=by, now=now)


def let_contact_go(case: Case, *, by: By, now: datetime) -> None:
    """Let a promised contact go that its customer no longer needs: else it would break, and open the case again.

    What a person promised in their own words still holds. The caller holds the case's lock and settles it.
    """
    waiting = select(Promise).where(
        Promise.case_id == case.id, Promise.kind == "contact", Promise.state == PromiseState.OPEN
    )
    for promise in db.session.scalars(waiting):
        _end(promise, PromiseState.RENEGOTIATED, case=case, by=by, now=now)


def _kept_state(promise: Promise, now: datetime) -> PromiseState:
    return PromiseState.KEPT if now <= promise.due_at else PromiseState.LATE


def _end(promise: Promise, state: PromiseState, *, case: Case, by: By, now: datetime, **why: str) -> None:
    promise.state, promise.ended_at, promise.ended_by = state, now, actor_of(by)
    record(case, f"promise.{state}", by=by, now=now, promise=promise.id, **why)


def renegotiate(
    promise: Promise,
    *,
    case: Case,
    words: str,
    when: Appointment,
    keeper: Staff | None,
    because: str,
    by: By,
    now: datetime,
    form_key: str | None = None,
) -> Promise:
    """Agree on something else in time; the old promise stays visible. A promised contact remains one.

    `because` is a code of WHY_ANEW. The same form sent twice agrees once. Raises PromiseEnded, InThePast; and
    PromisePassed once its time is over, even before the clock process has called it broken.
    """
    lock(case)
    db.session.refresh(promise)
    if form_key and (again := db.session.scalar(select(Promise).where(Promise.form_key == form_key))):
        return again
    check_renewable(promise, now=now)
    fresh = make(case, words=words, when=when, keeper=keeper, by=by, now=now, form_key=form_key, kind=promise.kind)
    promise.replaced_by_id = fresh.id
    _end(promise, PromiseState.RENEGOTIATED, case=case, by=by, now=now, because=because)
    settle(case, now=now)
    return fresh


def check_renewable(promise: Promise, *, now: datetime) -> None:
    """Raise PromiseEnded or PromisePassed if another time can no longer be agreed on."""
    if promise.state != PromiseState.OPEN:
        raise PromiseEnded
    if now > promise.due_at:
        raise PromisePassed


def one_of(case: Case, public_id: str) -> Promise:
    """Return a promise of this case by its public id, or raise NotFound."""
    query = select(Promise).where(Promise.public_id == public_id, Promise.case_id == case.id)
    found = db.session.scalar(query) if is_public_id(public_id) else None
    if found is None:
        raise NotFound
    return found


def of(case_id: int) -> list[Promise]:
    """Return the promises of a case, oldest first."""
    return list(
        db.session.scalars(select(Promise).where(Promise.case_id == case_id).order_by(Promise.made_at, Promise.id))
    )


def break_overdue(*, now: datetime, limit: int = 200) -> int:
    """Break up to `limit` promises whose time has passed; return how many. For the clock process.

    Each raises its case; one that is resolved or closed opens again. Cases that somebody works on this moment are left
    for the next time.
    """
    overdue = select(Promise.case_id).where(written(Promise.state, [PromiseState.OPEN]), Promise.due_at < now)
    ids = db.session.scalars(overdue.order_by(Promise.due_at).limit(limit)).all()
    if not ids:
        return 0
    held = db.session.scalars(
        select(Case).where(Case.id.in_(set(ids))).order_by(Case.id).with_for_update(skip_locked=True, key_share=True),
        execution_options={"populate_existing": True},
    ).all()
    broken = _break({case.id for case in held}, now)
    for case in held:
        for promise_id in broken.get(case.id, ()):
            record(case, "promise.broken", by=RULE, now=now, promise=promise_id)
        if broken.get(case.id):
            _raise(case, now)
    return sum(map(len, broken.values()))


def _break(case_ids: set[int], now: datetime) -> dict[int, list[int]]:
    rows = db.session.execute(
        update(Promise)
        .where(Promise.case_id.in_(case_ids), Promise.state == PromiseState.OPEN, Promise.due_at < now)
        .values(state=PromiseState.BROKEN, ended_at=now, ended_by=RULE)
        .returning(Promise.id, Promise.case_id)
        .execution_options(synchronize_session="fetch")
    )
    found: dict[int, list[int]] = defaultdict(list)
    for row in rows:
        found[row.case_id].append(row.id)
    return found


def _raise(case: Case, now: datetime) -> None:
    raise_priority(case)
    if case.state not in OPEN_STATES:
        reopening.reopen(case, because="broken_promise", by=RULE, now=now)
    settle(case, now=now)
