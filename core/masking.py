"""Addresses shown so that their owner recognises them and a stranger learns nothing worth having."""

import re

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

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
    """Calling codes have one to three digits, and none begins with another."""
    if not number.strip().startswith("+"):
        return ""
    digits = re.sub(r"\D", "", number)
    known = (digits[:length] for length in (1, 2, 3) if int(digits[:length]) in COUNTRY_CODE_TO_REGION_CODE)
    code = next(known, None)
    return f"+{code} " if code else ""
