"""Staff with roles and teams, their second factors, and the keys of connected systems."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from flask_security import AsaList, RoleMixin, UserMixin
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.mutable import MutableList
from sqlalchemy.orm import Mapped, mapped_column, relationship

from accounts.permissions import TITLES, allows
from accounts.permissions import RoleName as RoleName
from core.db import Id, Model, PublicId, db
from customers.models import Brand

staff_role = Table(
    "staff_role",
    db.metadata,
    Column(
        "staff_id",
        BigInteger,
        ForeignKey("staff.id", ondelete="CASCADE"),
        primary_key=True,
    ),
    Column("role_id", BigInteger, ForeignKey("role.id"), primary_key=True),
)


class Role(Model, RoleMixin):
    __tablename__ = "role"
    id: Mapped[Id]
    name: Mapped[str] = mapped_column(unique=True)
    description: Mapped[str | None]


class Team(Model):
    __tablename__ = "team"
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str] = mapped_column(unique=True)
    brand_id: Mapped[int | None] = mapped_column(ForeignKey("brand.id"))  # None: works for every brand
    brand: Mapped[Brand | None] = relationship()


def first_name_of(name: str) -> str:
    return name.split(" ")[0]


def initials_of(name: str) -> str:
    return "".join(part[0] for part in name.split()[:2]).upper()


class Staff(Model, UserMixin):
    """Somebody who works here. Where a type is ignored, Flask-Security's mixin promises a value that may be missing."""

    __tablename__ = "staff"
    __table_args__ = (Index("uq_staff_email_lower", text("lower(email)"), unique=True),)
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str]
    email: Mapped[str] = mapped_column(unique=True)
    password: Mapped[str | None]
    active: Mapped[bool] = mapped_column(Boolean, default=True)
    fs_uniquifier: Mapped[str] = mapped_column(unique=True, default=lambda: secrets.token_hex(32))
    fs_webauthn_user_handle: Mapped[str | None] = mapped_column(unique=True)  # type: ignore[assignment]
    confirmed_at: Mapped[datetime | None]
    create_datetime: Mapped[datetime | None]  # type: ignore[assignment]
    update_datetime: Mapped[datetime | None]  # type: ignore[assignment]
    tf_primary_method: Mapped[str | None]
    tf_totp_secret: Mapped[str | None]
    tf_phone_number: Mapped[str | None]
    mf_recovery_codes: Mapped[list[str] | None] = mapped_column(MutableList.as_mutable(AsaList()))
    last_login_at: Mapped[datetime | None]  # type: ignore[assignment]
    current_login_at: Mapped[datetime | None]  # type: ignore[assignment]
    login_count: Mapped[int | None]  # type: ignore[assignment]
    language: Mapped[str] = mapped_column(default="en")
    zone: Mapped[str] = mapped_column(default="Europe/Berlin")
    theme: Mapped[str] = mapped_column(default="device")  # light, dark or device
    single_keys: Mapped[bool] = mapped_column(Boolean, default=True)  # WCAG 2.1.4: they can be turned off
    capacity: Mapped[int] = mapped_column(default=10)  # open cases this person can carry at once
    goodwill_limit_minor: Mapped[int | None]  # None: the programme's own limit
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    created_at: Mapped[datetime]
    team: Mapped[Team | None] = relationship()
    roles: Mapped[list[Role]] = relationship(secondary=staff_role, lazy="selectin")  # type: ignore[assignment]

    @property
    def initials(self) -> str:
        return initials_of(self.name)

    @property
    def first_name(self) -> str:
        return first_name_of(self.name)

    @property
    def role_names(self) -> list[str]:
        return [role.name for role in self.roles]

    @property
    def role_name(self) -> str:
        """The title of this person's first role, in the order of RoleName: "Support lead"."""
        return str(next((TITLES[name] for name in RoleName if name in self.role_names), ""))

    @property
    def uses_keys(self) -> bool:
        return self.single_keys

    @property
    def has_second_factor(self) -> bool:
        return self.tf_primary_method is not None

    def may(self, permission: str) -> bool:
        """Whether any of this person's roles includes a permission (accounts.permissions)."""
        return self.active and any(allows(role, permission) for role in self.role_names)


class WebAuthn(Model):
    """A passkey of a member of staff, in the columns Flask-Security asks for."""

    __tablename__ = "webauthn"
    id: Mapped[Id]
    credential_id: Mapped[bytes] = mapped_column(LargeBinary, unique=True, index=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(default=0)
    transports: Mapped[list[str] | None] = mapped_column(MutableList.as_mutable(AsaList()))
    backup_state: Mapped[bool] = mapped_column(Boolean)
    device_type: Mapped[str]
    extensions: Mapped[str | None]
    create_datetime: Mapped[datetime]
    lastuse_datetime: Mapped[datetime]
    name: Mapped[str]
    usage: Mapped[str]
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"))


class ApiKey(Model):
    """A connected system's key: 256 random bits, shown once, kept as a hash."""

    __tablename__ = "api_key"
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str]
    secret_hash: Mapped[str] = mapped_column(unique=True)
    hint: Mapped[str]  # the first characters, to recognise it by
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_at: Mapped[datetime]
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class SavedView(Model):
    """Filters of the desk that somebody named; shared with the team or kept for oneself."""

    __tablename__ = "saved_view"
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id", ondelete="CASCADE"), index=True)
    name: Mapped[str]
    query: Mapped[dict[str, Any]] = mapped_column(JSONB)
    shared: Mapped[bool] = mapped_column(Boolean, default=False)
    position: Mapped[int] = mapped_column(default=0)
