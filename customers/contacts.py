"""Addresses and numbers in one written form, so that the same person is found by them again."""

from __future__ import annotations

import phonenumbers
from email_validator import EmailNotValidError, validate_email

MAX_EMAIL = 254
MAX_PHONE = 40


def written_email(value: str) -> str | None:
    """Return the address with its domain in lower case, or None for what is no address. Nothing is looked up."""
    try:
        checked = validate_email(value.strip()[: MAX_EMAIL + 1], check_deliverability=False, test_environment=True)
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
