"""Headers that every response carries: a CSP without exceptions, no sniffing, no framing, no referrer to strangers."""

from __future__ import annotations

import secrets

from flask import Flask, Response, g, request

PERMISSIONS = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": PERMISSIONS,
    "Cross-Origin-Opener-Policy": "same-origin",
}


def csp_nonce() -> str:
    """Return this response's nonce, for the rare script element; it differs in every response."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    nonce: str = g.csp_nonce
    return nonce


def init_app(app: Flask, *, https: bool) -> None:
    app.jinja_env.globals["csp_nonce"] = csp_nonce
    always = [(name.lower(), name, value) for name, value in ALWAYS.items()]
    if https:
        always.append(("strict-transport-security", "Strict-Transport-Security", "max-age=31536000; includeSubDomains"))

    @app.after_request
    def add_headers(response: Response) -> Response:
        headers = response.headers
        said = {name.lower() for name, _value in headers}  # what the view itself decided stays
        if "content-security-policy" not in said:
            is_page = response.mimetype == "text/html"
            headers.add("Content-Security-Policy", policy(csp_nonce()) if is_page else "default-src 'none'")
        for key, name, value in always:
            if key not in said:
                headers.add(name, value)
        if "cache-control" not in said and request.endpoint not in {"static", "brand.css"}:
            headers.add("Cache-Control", "no-store")  # pages hold personal data
        return response


def policy(nonce: str) -> str:
    """Return the CSP: own files only; a script element needs the nonce, and nothing is inline."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
    )
