"""Who may what: one table from role to permissions. Routes name a permission, never a role (core.access)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from flask_babel import LazyString
from flask_babel import lazy_gettext as _l


class RoleName(StrEnum):
    ADMIN = "admin"
    LEAD = "lead"
    AGENT = "agent"
    MARKETER = "marketer"
    ANALYST = "analyst"


TITLES: Final[dict[RoleName, LazyString]] = {
    RoleName.ADMIN: _l("Administrator"),
    RoleName.LEAD: _l("Support lead"),
    RoleName.AGENT: _l("Agent"),
    RoleName.MARKETER: _l("Marketing"),
    RoleName.ANALYST: _l("Analyst"),
}

EVERYBODY: Final = frozenset({"home.see"})
AGENT: Final = EVERYBODY | {
    "desk.see",
    "cases.work",
    "goodwill.give",
    "customers.see",
    "customers.edit",
    "insights.see",
}
LEAD: Final = AGENT | {
    "cases.assign",
    "cases.merge",
    "cases.see_all",
    "customers.erase",
    "customers.export",
    "customers.hand_out",
    "customers.merge",
    "goodwill.approve",
    "insights.export",
    "surveys.see",
    "incentives.see",
    "messages.see",
    "problems.work",
    "settings.see",
}
MARKETER: Final = EVERYBODY | {
    "customers.export",
    "customers.see",
    "goodwill.approve",
    "insights.see",
    "insights.export",
    "surveys.see",
    "surveys.edit",
    "wordings.declare",
    "incentives.see",
    "incentives.edit",
    "messages.see",
    "rules.edit",
    "settings.see",
}
ANALYST: Final = EVERYBODY | {
    "incentives.see",
    "insights.export",
    "insights.see",
    "problems.work",
    "surveys.see",
    "wordings.declare",
}
ADMIN: Final = (
    AGENT
    | LEAD
    | MARKETER
    | ANALYST
    | {
        "api_keys.manage",
        "imports.run",
        "settings.edit",
        "settings.see",
        "staff.manage",
        "work.see",
    }
)

OF_ROLE: Final[dict[str, frozenset[str]]] = {
    RoleName.ADMIN: ADMIN,
    RoleName.LEAD: LEAD,
    RoleName.AGENT: AGENT,
    RoleName.MARKETER: MARKETER,
    RoleName.ANALYST: ANALYST,
}
ALL: Final = ADMIN  # an administrator has every permission; tests/test_access.py holds routes to this list


def allows(role: str, permission: str) -> bool:
    """Whether a role includes a permission; an unknown role includes nothing."""
    return permission in OF_ROLE.get(role, frozenset())
