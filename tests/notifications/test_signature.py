"""The vendor's signature covers raw bytes; anything else is forged."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from notifications.signature import SIGNATURE_HEADER, TIMESTAMP_HEADER, is_genuine, is_key
from tests.vendor_sendgrid import SignedPost, Vendor

NOW = datetime(2025, 11, 13, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
EVENTS = [{"email": "p@mail.example", "event": "delivered", "timestamp": AT}]


def verdict(
    post: SignedPost, public_key: str, *, body: bytes | None = None, now: datetime = NOW, **changes: str
) -> bool:
    return is_genuine(
        post.body if body is None else body,
        signature=changes.get("signature", post.headers[SIGNATURE_HEADER]),
        timestamp=changes.get("timestamp", post.headers[TIMESTAMP_HEADER]),
        public_key=public_key,
        now=now,
        tolerance=timedelta(minutes=10),
    )


def test_a_signed_body_is_genuine_and_a_changed_or_forged_one_is_not() -> None:
    vendor = Vendor()
    post = vendor.signed(EVENTS, at=AT)

    assert verdict(post, vendor.public_key)
    assert not verdict(post, vendor.public_key, body=post.body.replace(b"delivered", b"bounced"))
    assert not verdict(post, vendor.public_key, body=json.dumps(json.loads(post.body)).encode())
    assert not verdict(post, vendor.public_key, timestamp=str(AT + 1))
    assert not verdict(vendor.forged(EVENTS, at=AT), vendor.public_key)


def test_a_replayed_body_is_refused_after_the_tolerance() -> None:
    vendor = Vendor()
    post = vendor.signed(EVENTS, at=AT)

    assert verdict(post, vendor.public_key, now=NOW + timedelta(minutes=10))
    assert not verdict(post, vendor.public_key, now=NOW + timedelta(minutes=11))
    assert not verdict(post, vendor.public_key, now=NOW - timedelta(minutes=11))


@pytest.mark.parametrize("timestamp", ["", "soon", "-5", "1e9", "٤٥", "9" * 40, "1.5"])
def test_a_timestamp_that_is_none_is_refused(timestamp: str) -> None:
    vendor = Vendor()

    assert not verdict(vendor.signed(EVENTS, at=AT), vendor.public_key, timestamp=timestamp)


@pytest.mark.parametrize("signature", ["", "%%%", "AAAA", "é"])
def test_a_signature_that_is_none_is_refused(signature: str) -> None:
    vendor = Vendor()

    assert not verdict(vendor.signed(EVENTS, at=AT), vendor.public_key, signature=signature)


def test_a_public_key_that_is_none_is_our_mistake_and_says_so() -> None:
    vendor = Vendor()

    with pytest.raises(ValueError):
        verdict(vendor.signed(EVENTS, at=AT), "not a key")


@pytest.mark.parametrize("text", ["", "not base64!", "bm90IGEga2V5", "MFkw"])
def test_a_public_key_that_is_none_is_known_before_it_is_needed(text: str) -> None:
    with Vendor() as vendor:
        assert is_key(vendor.public_key)
    assert not is_key(text)


def test_the_vendors_own_signed_body_verifies_byte_exact_and_fails_written_anew() -> None:
    data = os.environ.get("AMENDS_TEST_DATA")
    if not data or not Path(data, "sendgrid/signed/cases.json").exists():
        pytest.skip("AMENDS_TEST_DATA is not set: the vendor's own sample is not here")
    folder = Path(data, "sendgrid/signed")
    case = json.loads((folder / "cases.json").read_text())["single"]
    raw, at = (folder / case["body"]).read_bytes(), int(case["headers"][TIMESTAMP_HEADER])
    post, now = SignedPost(raw, case["headers"]), datetime.fromtimestamp(at, UTC)

    assert verdict(post, case["public_key"], now=now)
    assert not verdict(post, case["public_key"], now=now, body=json.dumps(json.loads(raw)).encode())
    assert not verdict(post, case["public_key"], now=now, body=raw.strip())
