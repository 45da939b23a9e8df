"""Members of staff come, change and go. Every change is an event; a disabled or changed sign-in ends every session."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from flask_babel import gettext as _
from flask_security.utils import hash_password
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import joinedload

from accounts import letters
from accounts.models import Role, RoleName, Staff, Team, staff_role
from core import events
from core.db import constraint_of, db, new_public_id
from core.errors import Conflict, NotFound


class EmailTaken(Conflict):
    code = "email-taken"

    def sentence(self) -> str:
        return _("Somebody with this address is already here.")


class LastAdmin(Conflict):
    code = "last-admin"

    def sentence(self) -> str:
        return _("This is the last administrator. Make somebody else one first.")


class NotYourself(Conflict):
    code = "not-yourself"

    def sentence(self) -> str:
        return _("You can’t disable yourself. Another administrator can.")


def create(
    email: str,
    *,
    name: str,
    roles: Iterable[str],
    by: str,
    now: datetime,
    password: str | None = None,
    team: Team | None = None,
    language: str = "en",
    zone: str = "Europe/Berlin",
) -> Staff:
    """Add a member of staff; without a password they set one through a link (accounts.sign_in.welcome_link).

    `by` is the actor of the event, for example `staff:12` or `system`. Raises EmailTaken, whatever the address' case.
    """
    staff = Staff(
        public_id=new_public_id(),
        name=name.strip(),
        email=email.strip().lower(),
        password=hash_password(password) if password else None,
        active=True,
        roles=roles_named(roles),
        team=team,
        language=language,
        zone=zone,
        created_at=now,
    )
    _insert(staff)
    _record("staff.created", staff, by=by, now=now, roles=sorted(staff.role_names))
    return staff


def _insert(staff: Staff) -> None:
    try:
        with db.session.begin_nested():
            db.session.add(staff)
    except IntegrityError as error:
        if constraint_of(error) in {"uq_staff_email", "uq_staff_email_lower"}:
            raise EmailTaken(field="email") from error
        raise


def roles_named(names: Iterable[str]) -> list[Role]:
    """Return the roles of these names, in the order of RoleName; their rows are made when first needed."""
    wanted = [name.value for name in RoleName if name in set(names)]
    if not wanted:
        raise ValueError("A member of staff needs a role.")
    rows = [{"name": name} for name in wanted]
    db.session.execute(insert(Role).values(rows).on_conflict_do_nothing(index_elements=["name"]))
    found = {role.name: role for role in db.session.scalars(select(Role).where(Role.name.in_(wanted)))}
    return [found[name] for name in wanted]


def change(staff: Staff, *, name: str, roles: Sequence[str], team: Team | None, by: Staff, now: datetime) -> None:
    """Give somebody a name, roles and a team; what they may do changes with their next page. Raises LastAdmin."""
    if RoleName.ADMIN not in roles:
        _keep_one_admin(staff)
    before = sorted(staff.role_names)
    staff.name, staff.team, staff.roles = name.strip(), team, roles_named(roles)
    db.session.flush()
    _record("staff.changed", staff, by=_actor(by), now=now, roles=sorted(staff.role_names), before=before)


def disable(staff: Staff, *, by: Staff, now: datetime) -> None:
    """Shut somebody out at once: every session of theirs ends. Raises NotYourself or LastAdmin."""
    if staff.id == by.id:
        raise NotYourself
    _keep_one_admin(staff)
    staff.active = False
    end_sessions(staff)
    db.session.flush()
    _record("staff.disabled", staff, by=_actor(by), now=now)


def enable(staff: Staff, *, by: Staff, now: datetime) -> None:
    """Let somebody in again; they sign in anew."""
    staff.active = True
    end_sessions(staff)
    db.session.flush()
    _record("staff.enabled", staff, by=_actor(by), now=now)


def remove_second_factor(staff: Staff, *, by: Staff, now: datetime) -> None:
    """Take away a lost second factor and its recovery codes, and end every session."""
    staff.tf_primary_method = staff.tf_totp_secret = staff.mf_recovery_codes = None
    end_sessions(staff)
    db.session.flush()
    _record("staff.second_factor_removed", staff, by=_actor(by), now=now)
    letters.tell_of_change(staff, "no_second_factor", now=now)


def set_password(staff: Staff, password: str, *, by: str, now: datetime) -> None:
    """Give somebody a password; every session and every link made before ends. Who had one is told of it by mail."""
    had_one = staff.password is not None
    staff.password = hash_password(password)
    end_sessions(staff)
    db.session.flush()
    _record("staff.password_set", staff, by=by, now=now)
    if had_one:
        letters.tell_of_change(staff, "password", now=now)


def renew_link(staff: Staff, *, by: Staff, now: datetime) -> None:
    """End what was handed out before, so that only the newest one-time link works."""
    end_sessions(staff)
    db.session.flush()
    _record("staff.link_made", staff, by=_actor(by), now=now)


def end_sessions(staff: Staff) -> None:
    """End every session of a person: sessions, links and remembered devices name this value."""
    staff.fs_uniquifier = secrets.token_hex(32)


def by_public_id(public_id: str) -> Staff:
    """Return the member of staff, or raise NotFound."""
    staff = db.session.scalar(select(Staff).where(Staff.public_id == public_id))
    if staff is None:
        raise NotFound
    return staff


def by_email(email: str) -> Staff | None:
    return db.session.scalar(select(Staff).where(func.lower(Staff.email) == email.strip().lower()))


def everybody() -> Sequence[Staff]:
    """Return all staff with roles and teams, those who work here first, by name."""
    statement = select(Staff).options(joinedload(Staff.team)).order_by(Staff.active.desc(), func.lower(Staff.name))
    return db.session.scalars(statement).all()


def teams() -> Sequence[Team]:
    return db.session.scalars(select(Team).order_by(Team.name)).all()


def _keep_one_admin(staff: Staff) -> None:
    """Raise LastAdmin if nobody else is an active administrator; the rows are locked, so that two cannot go at once."""
    admins = (
        select(Staff.id)
        .join(staff_role, staff_role.c.staff_id == Staff.id)
        .join(Role, Role.id == staff_role.c.role_id)
        .where(Role.name == RoleName.ADMIN, Staff.active)
        .order_by(Staff.id)
        .with_for_update(of=Staff)
    )
    ids = set(db.session.scalars(admins))
    if ids == {staff.id}:
        raise LastAdmin


def _record(kind: str, staff: Staff, *, by: str, now: datetime, **data: Any) -> None:
    events.record(kind, at=now, actor=by, staff=staff.id, **data)


def _actor(by: Staff) -> str:
    return events.staff_actor(by.id)
