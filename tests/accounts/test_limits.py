"""Tries are counted in Redis, and in this process alone while Redis is away; with Redis working see test_sign_in."""

from __future__ import annotations

from dataclasses import replace

from flask import Flask

from core.config import Config
from core.db import db
from tests.client import Client
from wsgi import create_app


def test_without_redis_one_can_sign_in_and_tries_are_still_counted(app: Flask, config: Config) -> None:
    alone = create_app(replace(config, redis_url="redis://127.0.0.1:1/0"))
    alone.test_client_class = Client
    client = alone.test_client()
    form = {"email": "nobody@northwind.example", "password": "wrong password"}

    answers = [client.post("/login", data=form).status_code for _try in range(6)]
    with alone.app_context():
        db.engine.dispose()

    assert answers == [200] * 5 + [429]


def test_no_address_of_a_person_is_in_redis(app: Flask, client: Client) -> None:
    client.post("/login", data={"email": "nobody@northwind.example", "password": "wrong password"})

    keys = b" ".join(app.extensions["redis"].keys("*"))

    assert b"amends" in keys
    assert b"nobody" not in keys
    assert b"127.0.0.1" not in keys
