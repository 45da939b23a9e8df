"""Web addresses that strangers or settings name: read without stumbling over what is none."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def parts_of(address: str) -> SplitResult | None:
    """Return an address in its parts; None where it cannot be read, such as http://[0] (urlsplit raises there)."""
    try:
        return urlsplit(address)
    except ValueError:
        return None


def leads_somewhere(parts: SplitResult | None) -> bool:
    """Whether a browser can go there: http or https, a host, and no port such as 99999."""
    try:
        return parts is not None and parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is read when it is asked for
        return False
