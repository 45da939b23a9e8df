"""Addresses and numbers in one written form, so that the same person is found by them again."""

from __future__ import annotations

import re

import phonenumbers
from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

MAX_EMAIL = 254
MAX_PHONE = 40
# What no rule can object to or write otherwise: short, lower case, ASCII, at an ordinary domain. Most addresses are.
_PLAIN = re.compile(
    r"(?=.{6,64}\Z)[a-z0-9_+-]+(\.[a-z0-9_+-]+)*"
    rf"@([a-z0-9]+(-[a-z0-9]+)*\.)+(?!({'|'.join(SPECIAL_USE_DOMAIN_NAMES)})\Z)[a-z]{{2,}}"
)


def written_email(value: str) -> str | None:
    """Return the address with its domain in lower case, or None for what is no address. Nothing is looked up."""
    value = value.strip()[: MAX_EMAIL + 1]
    if _PLAIN.fullmatch(value):
        return value
    try:
        checked = validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        return None
    address: str = checked.normalized
    return address


def written_phone(value: str, *, region: str | None = None) -> str:
    """Return a number in E.164, or trimmed as given where it cannot be read as one: a person can still dial it."""
    try:
        number = phonenumbers.parse(value, region)
    except phonenumbers.NumberParseException:
        return value.strip()[:MAX_PHONE]
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
