"""Web addresses that strangers or settings name: read without stumbling over what is none."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def parts_of(address: str) -> SplitResult | None:
    """Return an address in its parts; None where it cannot be read, such as http://[0] (urlsplit raises there)."""
    try:
        return urlsplit(address)
    except ValueError:
        return None
