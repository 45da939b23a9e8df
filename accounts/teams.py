"""Teams: who works together, and for which brand. A team of one brand sees that brand's records alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from flask_babel import gettext as _
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from accounts.models import Staff, Team
from accounts.visibility import brand_of
from core import events
from core.db import constraint_of, db, new_public_id
from core.errors import Conflict, NotFound, Refusal
from customers.models import Brand


class NameTaken(Conflict):
    code = "team-name-taken"

    def sentence(self) -> str:
        return _("Another team has this name already. Choose a different one.")


class WouldSeeMore(Refusal):
    """Whoever sees one brand cannot let anybody see the others."""

    code = "would-see-more"

    def sentence(self) -> str:
        return _("Without a team somebody sees every brand. Put them into another team of this brand instead.")


def shown_to(staff: Staff) -> list[Team]:
    """Return the teams whose settings somebody may see: those of their brand, or all."""
    query = select(Team).options(joinedload(Team.brand)).order_by(Team.name)
    brand_id = brand_of(staff)
    return list(db.session.scalars(query if brand_id is None else query.where(Team.brand_id == brand_id)))


def by_public_id(public_id: str, *, staff: Staff) -> Team:
    """Return a team that somebody may see, or raise NotFound."""
    team = next((each for each in shown_to(staff) if each.public_id == public_id), None)
    if team is None:
        raise NotFound
    return team


def people(staff: Staff) -> Sequence[Staff]:
    """Return whom somebody may put into teams: everybody active, or the people of their own brand's teams."""
    query = select(Staff).where(Staff.active).options(joinedload(Staff.team)).order_by(Staff.name)
    found = db.session.scalars(query).all()
    brand_id = brand_of(staff)
    return [each for each in found if brand_id is None or brand_of(each) == brand_id]


def sizes() -> dict[int, int]:
    """Return how many active people each team has, by its id."""
    query = select(Staff.team_id, func.count()).where(Staff.active, Staff.team_id.is_not(None))
    return {team_id: count for team_id, count in db.session.execute(query.group_by(Staff.team_id)) if team_id}


def members(team: Team) -> list[Staff]:
    return list(db.session.scalars(select(Staff).where(Staff.team_id == team.id, Staff.active).order_by(Staff.name)))


def create(name: str, *, brand: Brand | None, members: Collection[Staff], by: Staff, now: datetime) -> Team:
    """Add a team with its first members. Raises NameTaken."""
    team = Team(public_id=new_public_id(), name=name, brand=brand)
    _flush(team)
    moved = _move(team, members, before=[])
    events.record(
        "team.created", at=now, actor=events.staff_actor(by.id), team=team.id, brand=team.brand_id, members=moved
    )
    return team


def change(team: Team, name: str, *, brand: Brand | None, members: Collection[Staff], by: Staff, now: datetime) -> None:
    """Change a team and who is in it; what they see changes with their next page. Raises NameTaken or WouldSeeMore."""
    before = db.session.scalars(select(Staff).where(Staff.team_id == team.id, Staff.active)).all()
    if brand_of(by) is not None and not set(before) <= set(members):
        raise WouldSeeMore(field="members")
    team.name, team.brand = name, brand
    _flush(team)
    moved = _move(team, members, before=before)
    events.record(
        "team.changed", at=now, actor=events.staff_actor(by.id), team=team.id, brand=team.brand_id, members=moved
    )


def _move(team: Team, members: Collection[Staff], *, before: Sequence[Staff]) -> list[int]:
    """Put people in and out; return the ids of who is in."""
    for person in before:
        if person not in members:
            person.team = None
    for person in members:
        person.team = team
    db.session.flush()
    return sorted(person.id for person in members)


def _flush(team: Team) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(team)
            db.session.flush()
    except IntegrityError as error:
        if constraint_of(error) == "uq_team_name":
            raise NameTaken(field="name") from error
        raise
