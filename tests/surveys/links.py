"""Addresses that these tests open."""

from __future__ import annotations

from core import tokens
from surveys.models import Invitation


def link(invitation: Invitation) -> str:
    return f"/s/{tokens.sign('survey', invitation.public_id)}"
