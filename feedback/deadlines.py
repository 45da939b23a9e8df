"""Setting the SLA policies: which cases get which deadlines, in one order. The last one holds for every other case.

A policy is for cases to come: clocks that run keep the target they were started with.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final

from flask_babel import gettext as _
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from accounts.models import Team
from core import editing, events
from core.db import constraint_of, db, new_public_id
from core.errors import Conflict, NotFound, Refusal
from customers.models import Brand
from customers.scales import SCALES, Metric
from feedback.models import Origin, SlaPolicy
from feedback.policies import STANDARD

LAST_POSITION: Final = 30_000
WITHOUT_SCORE: Final = (Origin.COMPLAINT, Origin.HAND)


class NameTaken(Conflict):
    code = "policy-name-taken"

    def sentence(self) -> str:
        return _("Other deadlines have this name already. Choose a different one.")


class NeverUsed(Refusal):
    """Deadlines that no case could ever get, or that would leave none for those after them."""

    code = "never-used"


class LastStays(Conflict):
    code = "last-stays"

    def sentence(self) -> str:
        return _("The last deadlines stay where they are: no case is ever without any.")


@dataclass(frozen=True)
class PolicyData:
    """Deadlines as somebody wants them, in minutes of working time. The last ones have no brand and no conditions."""

    name: str
    brand: Brand | None
    conditions: Mapping[str, Any]
    first_contact_minutes: int
    next_response_minutes: int
    resolution_minutes: int
    priority: str
    team: Team | None
    outcome_after_days: int


def in_order(*, locked: bool = False) -> tuple[list[SlaPolicy], SlaPolicy | None]:
    """Return the policies in their order, and the last one, for every other case (None: the built-in one)."""
    query = select(SlaPolicy).order_by(SlaPolicy.position, SlaPolicy.id)
    query = query.with_for_update() if locked else query
    found = list(db.session.scalars(query, execution_options={"populate_existing": locked}))
    last = next((each for each in reversed(found) if each.brand_id is None and not each.conditions), None)
    return [each for each in found if each is not last], last


def by_public_id(public_id: str) -> SlaPolicy:
    """Return a policy, or raise NotFound."""
    is_text = "\0" not in public_id
    policy = db.session.scalar(select(SlaPolicy).where(SlaPolicy.public_id == public_id)) if is_text else None
    if policy is None:
        raise NotFound
    return policy


def add(data: PolicyData, *, by: str, now: datetime) -> SlaPolicy:
    """Add deadlines before the last ones. Raises NameTaken or NeverUsed."""
    known, last = in_order(locked=True)
    _check(data, before=known)
    policy = SlaPolicy(public_id=new_public_id(), position=0, **_columns(data))
    _flush(policy)
    _number([*known, policy], last)
    events.record("policy.created", at=now, actor=by, policy=policy.id)
    return policy


def change(policy: SlaPolicy, data: PolicyData, *, by: str, now: datetime) -> None:
    """Change deadlines for cases to come. Raises NameTaken or NeverUsed."""
    known, _last = in_order(locked=True)
    _check(data, before=known[: known.index(policy)])
    _apply(policy, _columns(data), by=by, now=now)


def change_last(data: PolicyData, *, by: str, now: datetime) -> SlaPolicy:
    """Change what holds for every other case; the built-in deadlines become a policy of their own then."""
    known, last = in_order(locked=True)
    _check_times(data)
    columns = {name: value for name, value in _columns(data).items() if name not in ("brand_id", "conditions")}
    if last is not None:
        _apply(last, columns, by=by, now=now)
        return last
    policy = SlaPolicy(public_id=new_public_id(), position=LAST_POSITION, brand_id=None, conditions={}, **columns)
    _flush(policy)
    _number(known, policy)
    events.record("policy.created", at=now, actor=by, policy=policy.id)
    return policy


def move(policy: SlaPolicy, places: int, *, by: str, now: datetime) -> None:
    """Try a policy earlier (negative) or later. Raises LastStays, or NeverUsed where another would hide one then."""
    known, last = in_order(locked=True)
    if policy is last:
        raise LastStays
    here = known.index(policy)
    there = min(max(here + places, 0), len(known) - 1)
    known.insert(there, known.pop(here))
    _refuse_hidden(known)
    _number(known, last)
    if here != there:
        events.record("policy.moved", at=now, actor=by, policy=policy.id, position=there + 1)


def remove(policy: SlaPolicy, *, by: str, now: datetime) -> None:
    """Take deadlines away; cases that have them keep them. Raises LastStays."""
    _known, last = in_order(locked=True)
    if policy is last:
        raise LastStays
    events.record("policy.removed", at=now, actor=by, policy=policy.id)
    db.session.delete(policy)
    db.session.flush()


def standard() -> PolicyData:
    """Return what holds where there is no policy at all."""
    shared = {each.name: getattr(STANDARD, each.name) for each in fields(PolicyData) if hasattr(STANDARD, each.name)}
    return PolicyData(**shared | {"brand": None, "team": None, "conditions": {}})


def teams_with_queues(brand_id: int | None) -> Sequence[Team]:
    """Return the teams that deadlines give cases to, where there is more than one: each has its own queue."""
    given = select(SlaPolicy.team_id).where(SlaPolicy.team_id.is_not(None))
    query = select(Team).where(Team.id.in_(given)).order_by(Team.name).options(joinedload(Team.brand))
    teams = db.session.scalars(query).all()
    own = [team for team in teams if brand_id is None or team.brand_id in (None, brand_id)]
    return own if len(own) > 1 else ()


def said(tree: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what conditions ask, by field (tier: a list), if a sentence can say it; else None."""
    parts = tree.get("all", [tree] if tree else [])
    found: dict[str, Any] = {}
    for part in parts if isinstance(parts, list) else [None]:
        match part:
            case {"field": str(field)} if field in found:
                return None
            case {"field": "tier", "op": "in", "value": list(values)} if all(isinstance(each, str) for each in values):
                found["tier"] = values
            case {"field": "tier", "op": "==", "value": str(value)}:
                found["tier"] = [value]
            case {"field": "score", "op": "<=", "value": int(value)}:
                found["score"] = value
            case {"field": ("metric" | "touchpoint" | "language" | "origin") as field, "op": "==", "value": str(value)}:
                found[field] = value
            case _:
                return None
    return found


def _check(data: PolicyData, *, before: Sequence[SlaPolicy]) -> None:
    if not data.conditions and data.brand is None:
        raise NeverUsed(
            _("Say for which cases. Without that these deadlines would hold for all, and those after them for none."),
            field="origin",
        )
    _check_score(data.conditions)
    _check_times(data)
    brand_id = data.brand.id if data.brand else None
    for other in before:
        if _hides(other, brand_id, data.conditions):
            raise _hidden_by(other)


def _check_times(data: PolicyData) -> None:
    if data.first_contact_minutes > data.resolution_minutes:
        raise NeverUsed(
            _("It would have to be put right before anybody is in touch. Give more time here, or less to the first."),
            field="resolution",
        )


def _check_score(tree: Mapping[str, Any]) -> None:
    asked = said(tree) or {}
    if "score" not in asked:
        return
    if asked.get("origin") in WITHOUT_SCORE:
        raise NeverUsed(_("Such a case has no score. Take the score or the kind of case back."), field="score")
    metric = asked.get("metric")
    lowest = SCALES[Metric(metric)][0] if metric in set(Metric) else 0
    if asked["score"] < lowest:
        words = _("Scores of this question begin at %(low)s. Choose a higher one.", low=lowest)
        raise NeverUsed(words, field="score")


def _refuse_hidden(known: Sequence[SlaPolicy]) -> None:
    for place, policy in enumerate(known):
        for other in known[:place]:
            if _hides(other, policy.brand_id, policy.conditions):
                raise _hidden_by(other)


def _hides(earlier: SlaPolicy, brand_id: int | None, tree: Mapping[str, Any]) -> bool:
    """Whether an earlier policy takes every case that these conditions could pick."""
    if earlier.brand_id is not None and earlier.brand_id != brand_id:
        return False
    broader, narrower = said(earlier.conditions), said(tree)
    if broader is None or narrower is None:
        return dict(earlier.conditions) == dict(tree)
    return all(name in narrower and _covers(name, value, narrower[name]) for name, value in broader.items())


def _covers(name: str, broader: Any, narrower: Any) -> bool:
    if name == "tier":
        return set(narrower) <= set(broader)
    return bool(narrower <= broader if name == "score" else narrower == broader)


def _hidden_by(other: SlaPolicy) -> NeverUsed:
    words = _("“%(name)s” stands before it and takes all of these cases. Change one of the two.", name=other.name)
    return NeverUsed(words, field="origin")


def _columns(data: PolicyData) -> dict[str, Any]:
    columns = {each.name: getattr(data, each.name) for each in fields(data)}
    brand, team = columns.pop("brand"), columns.pop("team")
    ids = {"brand_id": brand.id if brand else None, "team_id": team.id if team else None}
    return columns | ids | {"conditions": dict(data.conditions)}


def _apply(policy: SlaPolicy, columns: Mapping[str, Any], *, by: str, now: datetime) -> None:
    changed = editing.apply(policy, columns)
    _flush(policy)
    if changed:
        events.record("policy.changed", at=now, actor=by, policy=policy.id, fields=changed)


def _number(known: Sequence[SlaPolicy], last: SlaPolicy | None) -> None:
    for place, policy in enumerate(known, 1):
        policy.position = place * 10
    if last is not None:
        last.position = LAST_POSITION
    db.session.flush()


def _flush(policy: SlaPolicy) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(policy)
            db.session.flush()
    except IntegrityError as error:
        if constraint_of(error) == "uq_sla_policy_name":
            raise NameTaken(field="name") from error
        raise
