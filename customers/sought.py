"""What is still looked for of a customer who was erased: keyed hashes, from which nobody reads who it was."""

from __future__ import annotations

from hashlib import blake2b, sha256

from flask import current_app

from core.config import Config


def hashed(word: str) -> str:
    """Return the hash by which a word is looked for from now on."""
    return _hash(word, _keys()[0])


def each_hashed(word: str) -> list[str]:
    """Return the hashes that a word may have been kept under: keys change."""
    return [_hash(word, key) for key in _keys()]


def _hash(word: str, key: bytes) -> str:
    return blake2b(word.encode("utf-8", "surrogatepass"), key=key, digest_size=32, person=b"erased").hexdigest()


def _keys() -> list[bytes]:
    config: Config = current_app.extensions["config"]
    return [sha256(key.encode()).digest() for key in (config.secret_key, *config.previous_secret_keys)]
