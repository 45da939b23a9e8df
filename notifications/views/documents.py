"""Mails shown inside pages: a document of its own that may do nothing, and the page that may frame it."""

from __future__ import annotations

import html
import re

from flask import Response, make_response

from core.security import csp_nonce, policy

# Links lead out of the frame, and only when a person clicks. Mails carry their style inline; nothing else is loaded.
_DOCUMENT_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox allow-top-navigation-by-user-activation; "
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
)
_DARK = "@media (prefers-color-scheme: dark)"
_HREF = re.compile(r'href="([^"]*)"')


def mail_document(source: str, *, look: str = "device") -> Response:
    """Answer with a mail's HTML; `look` light or dark fixes what its reader's device would decide."""
    fixed = {"dark": "@media all", "light": "@media not all"}.get(look, _DARK)
    shown = source.replace(_DARK, fixed).replace("<head>", '<head>\n<base target="_top">', 1)
    response = make_response(shown)
    response.headers["Content-Security-Policy"] = _DOCUMENT_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    return response


def framing(page: str) -> Response:
    """Answer with a page that may frame documents of our own."""
    response = make_response(page)
    response.headers["Content-Security-Policy"] = f"{policy(csp_nonce())}; frame-src 'self'"
    return response


def links_of(source: str) -> list[str]:
    """Return the addresses that a mail links to, each once, in their order."""
    return list(dict.fromkeys(html.unescape(href) for href in _HREF.findall(source)))
