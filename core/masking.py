"""Addresses shown so that their owner recognises them and a stranger learns nothing worth having."""

import re

from phonenumbers import NumberParseException, parse

DOTS = "•••"


def mask_email(address: str) -> str:
    """Return `h•••@posteo.example` for `hanna.keller@posteo.example`; only dots for what is no address."""
    local, at, domain = address.strip().rpartition("@")
    if not at or not local or not domain:
        return DOTS
    return f"{local[0]}{DOTS}@{domain}"


def mask_phone(number: str) -> str:
    """Return `+49 ••• 4471` for `+49 40 5550 4471`; only dots for fewer than seven digits.

    The country calling code is shown when the number carries one; the last four digits tell its owner which phone.
    """
    digits = re.sub(r"\D", "", number)
    if len(digits) < 7:
        return DOTS
    return f"{_calling_code(number)}{DOTS} {digits[-4:]}"


def _calling_code(number: str) -> str:
    if not number.strip().startswith("+"):
        return ""
    try:
        return f"+{parse(number).country_code} "
    except NumberParseException:
        return ""
