"""Keys of connected systems: what works, what doesn't, and what each refusal tells."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from accounts import api_keys
from accounts.api_keys import MissingScope, NoKey
from accounts.models import ApiKey
from accounts.room import authenticate
from core import clock
from core.db import db
from core.errors import refused
from tests.factories import make_api_key, make_staff

SCOPE = "metrics:read"


def check(secret: str, scope: str = SCOPE) -> int:
    return api_keys.check(f"Bearer {secret}", scope, now=clock.now())


def test_a_key_with_the_scope_opens(app: Flask) -> None:
    key, secret = make_api_key(SCOPE)

    assert check(secret) == key.id


def test_the_secret_is_nowhere_in_the_database(app: Flask) -> None:
    key, secret = make_api_key()

    stored = " ".join(str(value) for value in vars(key).values())
    assert secret.startswith(key.hint)
    assert secret not in stored
    assert len(secret) >= 43


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Bearer nonsense", "Basic YTpi", "Bearer \ud800", "x" * 9000]
)
def test_what_is_no_key_of_ours_is_refused_with_401(app: Flask, header: str | None) -> None:
    make_api_key()

    with pytest.raises(NoKey):
        api_keys.check(header, SCOPE, now=clock.now())


def test_a_revoked_and_an_expired_key_are_refused_alike(app: Flask) -> None:
    boss = make_staff("admin")
    revoked, revoked_secret = make_api_key()
    api_keys.revoke(revoked, by=boss, now=clock.now())
    _expired, expired_secret = make_api_key(expires_at=clock.now() - timedelta(seconds=1))

    for secret in (revoked_secret, expired_secret):
        with pytest.raises(NoKey) as refusal:
            check(secret)
        assert refusal.value.problem()["code"] == "no-key"


def test_a_401_says_how_to_come_back_and_a_403_names_the_scope(app: Flask) -> None:
    _key, secret = make_api_key("interactions:write")

    with app.test_request_context("/api/v1/x"):
        unknown = refused(NoKey())
    with app.test_request_context("/api/v1/x"), pytest.raises(MissingScope) as missing:
        check(secret)
    with app.test_request_context("/api/v1/x"):
        forbidden = refused(missing.value)

    assert (unknown.status_code, unknown.headers["WWW-Authenticate"]) == (401, 'Bearer realm="Amends"')
    assert forbidden.status_code == 403
    assert forbidden.json is not None
    assert forbidden.json["scope"] == SCOPE
    assert SCOPE in forbidden.json["detail"]


def test_a_call_knows_its_key(app: Flask) -> None:
    from flask import g

    key, secret = make_api_key(SCOPE)
    db.session.commit()

    with app.test_request_context("/api/v1/x", headers={"Authorization": f"bearer {secret}"}):
        authenticate(SCOPE)
        assert g.api_key_id == key.id


def test_an_unknown_scope_cannot_be_given(app: Flask) -> None:
    with pytest.raises(ValueError, match="Scopes are"):
        make_api_key("everything")

    assert db.session.scalars(select(ApiKey)).all() == []
