"""Programmes: a marketer's rules for an incentive. A change takes effect for new rewards; the ledger keeps the old."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from flask_babel import gettext as _
from sqlalchemy import case, exists, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from accounts.models import Staff
from accounts.visibility import visible_to
from core import events
from core.db import constraint_of, db, new_public_id
from core.errors import Conflict, NotFound, Refusal
from core.events import Event
from customers.models import Brand
from incentives import budgets, eligibility
from incentives.models import Code, Fulfilment, Programme, ProgrammeState, Reward, Trigger

MAX_SHOWN: Final = 100
PREFIX: Final = re.compile(r"[A-Z0-9]{2,12}")
HISTORY: Final = (
    "programme.created",
    "programme.changed",
    "programme.funded",
    "programme.started",
    "programme.paused",
    "programme.ended",
    "codes.added",
)


class NotPossibleNow(Conflict):
    code = "programme-state"

    def sentence(self) -> str:
        return _("This programme cannot do that in the state it is in.")


class BadProgramme(Refusal):
    code = "bad-programme"


@dataclass(frozen=True)
class Rules:
    """What of a programme can be changed later, but for its budget. Money in minor units of the brand's currency."""

    name: str
    fulfilment: Fulfilment
    reward_minor: int
    code_prefix: str | None = None
    cap_per_customer: int = 1
    cap_days: int = 365
    staff_day_limit_minor: int | None = None
    customer_limit_minor: int | None = None
    conditions: dict[str, Any] = field(default_factory=dict)
    terms: dict[str, str] = field(default_factory=dict)
    valid_days: int = 90
    starts_at: datetime | None = None  # None: from its creation
    ends_at: datetime | None = None


def create(rules: Rules, *, trigger: Trigger, brand: Brand, budget_minor: int, by: str, now: datetime) -> Programme:
    """Make a draft with its budget; it gives nothing before `start`. Raises a Refusal that names the field."""
    _check(rules)
    programme = Programme(
        public_id=new_public_id(),
        key=_free_key(rules.name),
        brand_id=brand.id,
        brand=brand,
        trigger=trigger,
        state=ProgrammeState.DRAFT,
        currency=brand.currency,
        budget_minor=0,
        reserved_minor=0,
        spent_minor=0,
        created_at=now,
        **_columns(rules, starts_at=rules.starts_at or now),
    )
    db.session.add(programme)
    _flush()
    events.record("programme.created", at=now, actor=by, programme=programme.id)
    if budget_minor:
        budgets.fund(programme, budget_minor, by=by, now=now)
    return programme


def change(programme: Programme, rules: Rules, *, budget_minor: int, by: str, now: datetime) -> None:
    """Change a programme for the rewards to come. Raises a Refusal that names the field; nothing is changed then."""
    if programme.state == ProgrammeState.ENDED:
        raise NotPossibleNow
    _check(rules)
    budgets.change(programme, budget_minor, by=by, now=now)
    before = {name: getattr(programme, name) for name in _columns(rules, starts_at=programme.starts_at)}
    after = _columns(rules, starts_at=rules.starts_at or programme.starts_at)
    changed = sorted(name for name, value in after.items() if before[name] != value)
    if not changed:
        return
    for name in changed:
        setattr(programme, name, after[name])
    _flush()
    events.record("programme.changed", at=now, actor=by, programme=programme.id, fields=changed)


def start(programme: Programme, *, by: str, now: datetime) -> None:
    """Let a draft give its rewards, or a paused programme go on."""
    if programme.fulfilment == Fulfilment.POOL and not _has_codes(programme):
        raise BadProgramme(_("Upload codes first: the pool is empty."))
    if programme.budget_minor < programme.reward_minor:
        raise BadProgramme(_("Give it a budget for at least one reward first."), field="budget")
    _turn(programme, ProgrammeState.RUNNING, since={ProgrammeState.DRAFT, ProgrammeState.PAUSED})
    events.record("programme.started", at=now, actor=by, programme=programme.id)


def pause(programme: Programme, *, by: str, now: datetime) -> None:
    """Stop new rewards for a while; what is reserved is still honoured."""
    _turn(programme, ProgrammeState.PAUSED, since={ProgrammeState.RUNNING})
    events.record("programme.paused", at=now, actor=by, programme=programme.id)


def end(programme: Programme, *, by: str, now: datetime) -> None:
    """Stop new rewards for good; what is reserved is still honoured until it lapses."""
    _turn(programme, ProgrammeState.ENDED, since=set(ProgrammeState) - {ProgrammeState.ENDED})
    events.record("programme.ended", at=now, actor=by, programme=programme.id)


def rules_of(programme: Programme) -> dict[str, Any]:
    """Return the rules of a programme by name, to be changed and given back."""
    return {name: getattr(programme, name) for name in Rules.__dataclass_fields__}


def _turn(programme: Programme, state: ProgrammeState, *, since: set[ProgrammeState]) -> None:
    held = db.session.execute(
        select(Programme.state).where(Programme.id == programme.id).with_for_update()
    ).scalar_one()
    if held not in since:
        raise NotPossibleNow
    programme.state = state
    db.session.flush()


def _columns(rules: Rules, *, starts_at: datetime) -> dict[str, Any]:
    return asdict(rules) | {"conditions": eligibility.checked(rules.conditions), "starts_at": starts_at}


def _check(rules: Rules) -> None:
    if not rules.name.strip():
        raise BadProgramme(_("Give it a name."), field="name")
    if rules.reward_minor <= 0:
        raise BadProgramme(_("A reward is worth something, for example 5."), field="reward")
    if rules.code_prefix and not PREFIX.fullmatch(rules.code_prefix):
        raise BadProgramme(_("Use 2 to 12 capital letters and digits, for example THANKS."), field="code_prefix")
    if rules.fulfilment == Fulfilment.GENERATED and not rules.code_prefix:
        raise BadProgramme(_("Generated codes need a beginning, for example THANKS."), field="code_prefix")
    if rules.ends_at and rules.starts_at and rules.ends_at <= rules.starts_at:
        raise BadProgramme(_("The end comes after the start."), field="ends_on")
    for name in ("cap_per_customer", "cap_days", "valid_days"):
        if getattr(rules, name) < 1:
            raise BadProgramme(_("This is at least 1."), field=name)
    eligibility.checked(rules.conditions)


def _has_codes(programme: Programme) -> bool:
    free = exists(select(Code.id).where(Code.programme_id == programme.id, Code.reward_id.is_(None)))
    return bool(db.session.execute(select(free)).scalar_one())


def _free_key(name: str) -> str:
    """Return a key made of the name, with a number behind it if there is one like it."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40] or "programme"
    taken = set(db.session.scalars(select(Programme.key).where(Programme.key.startswith(stem, autoescape=True))))
    return next(key for key in (stem, *(f"{stem}-{number}" for number in range(2, len(taken) + 3))) if key not in taken)


def _flush() -> None:
    try:
        db.session.flush()
    except IntegrityError as error:
        if constraint_of(error) == "uq_programme_key":
            raise Conflict(_("Somebody has just made a programme of that name."), field="name") from error
        raise


# What pages show


def shown_to(staff: Staff) -> list[Programme]:
    """Return the programmes somebody may see: running ones first, ended ones last."""
    order = case(
        (Programme.state == ProgrammeState.RUNNING, 0),
        (Programme.state == ProgrammeState.ENDED, 2),
        else_=1,
    )
    wanted = (
        select(Programme).options(joinedload(Programme.brand)).order_by(order, Programme.created_at).limit(MAX_SHOWN)
    )
    return list(db.session.scalars(visible_to(staff, wanted, Programme.brand_id)))


def by_public_id(public_id: str, *, staff: Staff) -> Programme:
    """Return a programme that somebody may see, or raise NotFound."""
    wanted = select(Programme).where(Programme.public_id == public_id).options(joinedload(Programme.brand))
    programme = db.session.scalars(visible_to(staff, wanted, Programme.brand_id)).first()
    if programme is None:
        raise NotFound
    return programme


def by_key(key: str) -> Programme | None:
    return db.session.scalars(select(Programme).where(Programme.key == key)).first()


def given(programme: Programme, *, at_most: int = 10_000) -> tuple[int, int]:
    """Return how many rewards were issued, counting no further than `at_most`, and their average in minor units."""
    rows = (
        select(Reward.amount_minor)
        .where(Reward.programme_id == programme.id, Reward.issued_at.is_not(None))
        .limit(at_most)
        .subquery()
    )
    count, average = db.session.execute(select(func.count(), func.avg(rows.c.amount_minor)).select_from(rows)).one()
    return int(count), int(average or 0)


def history(programme: Programme, *, limit: int = 20) -> list[Event]:
    """Return what people did to a programme, newest first."""
    return list(
        db.session.scalars(
            select(Event)
            .where(Event.kind.in_(HISTORY), Event.data["programme"].as_integer() == programme.id)
            .order_by(Event.id.desc())
            .limit(limit)
        )
    )
