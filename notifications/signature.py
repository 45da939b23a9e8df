"""Is this event webhook from the vendor? ECDSA over P-256 of timestamp + raw body, as the vendor signs.

Only the raw bytes count: JSON parsed and written again has other blanks and fails.
"""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

SIGNATURE_HEADER = "X-Twilio-Email-Event-Webhook-Signature"
TIMESTAMP_HEADER = "X-Twilio-Email-Event-Webhook-Timestamp"


def is_genuine(
    body: bytes, *, signature: str, timestamp: str, public_key: str, now: datetime, tolerance: timedelta
) -> bool:
    """True if `body` was signed with the key's other half, no further from `now` than `tolerance`.

    signature: base64 of a DER signature; timestamp: Unix seconds; public_key: base64 of DER, as the vendor shows it.
    Raises ValueError for a public key that is none: that is our configuration, not the caller's fault.
    """
    key = _key(public_key)
    if not _is_near(timestamp, now, tolerance):
        return False
    try:
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + body, ECDSA(SHA256()))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def is_key(public_key: str) -> bool:
    """Whether this is a public key that a webhook's signatures can be checked with."""
    try:
        _key(public_key)
    except ValueError:  # of base64 too
        return False
    return True


def _is_near(timestamp: str, now: datetime, tolerance: timedelta) -> bool:
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
        return False
    return abs(now - datetime.fromtimestamp(int(timestamp), UTC)) <= tolerance


@lru_cache(maxsize=8)
def _key(public_key: str) -> EllipticCurvePublicKey:
    key = load_der_public_key(base64.b64decode(public_key, validate=True))
    if not isinstance(key, EllipticCurvePublicKey):
        raise ValueError("The event webhook's public key is not one of an elliptic curve.")
    return key
