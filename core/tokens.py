"""Signed links and hashed secrets.

A link token is `<key version><public id><MAC>`: HMAC-SHA-256 over purpose and public id, cut to 128 bits, compared in
constant time. It holds no state: the row it names revokes and expires it, so a reminder carries the same link.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final

from flask import current_app
from itsdangerous import BadData
from itsdangerous.encoding import base64_decode, base64_encode

from core.config import Config
from core.errors import NotFound

PUBLIC_ID_LENGTH: Final = 22
_SHAPE: Final = re.compile(r"([1-9])([A-Za-z0-9_-]{22})([A-Za-z0-9_-]{22})")


class UnknownLink(NotFound):
    code = "unknown-link"


def sign(purpose: str, public_id: str) -> str:
    """Return the token (45 URL-safe characters) by which whoever holds it may do `purpose` to the row `public_id`."""
    version, key = _config().link_keys[0]
    return f"{version}{public_id}{_mac(key, version, purpose, public_id)}"


def read(purpose: str, token: str) -> str:
    """Return the public id a token names, or raise UnknownLink for anything we did not sign for this purpose."""
    match = _SHAPE.fullmatch(token) if len(token) <= 64 else None
    key = dict(_config().link_keys).get(int(match[1])) if match else None
    if match is None or key is None:
        raise UnknownLink
    if not hmac.compare_digest(match[3], _mac(key, int(match[1]), purpose, match[2])):
        raise UnknownLink
    return match[2]


def is_exact(signed: str) -> bool:
    """Whether the signature of an itsdangerous token is written as that library writes it.

    Reading base64, it passes over strange characters and spare bits, so that several spellings of one link would work.
    """
    signature = signed.rpartition(".")[2]
    try:
        return base64_encode(base64_decode(signature)).decode() == signature
    except BadData:
        return False


def new_secret(prefix: str = "") -> str:
    """Return a fresh secret of 256 random bits, shown once and kept only as its hash."""
    return prefix + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return the SHA-256 of a secret in hexadecimal; its 256 random bits need no slow hash."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _mac(key: str, version: int, purpose: str, public_id: str) -> str:
    digest = hmac.digest(key.encode(), f"{version}:{purpose}:{public_id}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()


def _config() -> Config:
    config: Config = current_app.extensions["config"]
    return config
