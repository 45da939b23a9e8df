"""No foreign host gets into a link, no address leads away from here, and cookies are as strict as can be."""

from __future__ import annotations

import re
from dataclasses import replace
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from flask import Flask
from sqlalchemy import select

import wsgi
from accounts import sign_in
from core import tokens
from core.db import db
from notifications.models import Message
from tests.client import Client
from tests.conftest import data_folder
from tests.factories import PASSWORD, make_brand, make_invitation, make_staff, make_touchpoint
from tests.hostile.words import lines_of

AWAY = (
    "https://evil.example/x",
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "https:evil.example",
    "http:///evil.example",
    "https://localhost@evil.example/",
    "https://localhost.evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "///evil.example",
    " //evil.example",
    "/%09/evil.example",
    "//localhost%2f@evil.example",
)
HOSTS = (
    "evil.example",
    "evil.example:80",
    "localhost.evil.example",
    "evil.example#localhost",
    "localhost@evil.example",
    "localhost evil.example",
    "[::1",
    "",
)
FORWARDED = {
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-For": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Server": "evil.example",
    "X-Host": "evil.example",
    "X-Original-URL": "https://evil.example/",
    "X-Rewrite-URL": "https://evil.example/",
    "Forwarded": "host=evil.example;proto=https",
}


def leads_to(location: str) -> str:
    """Return the host to which a browser goes from here: it drops line breaks and tabs, and reads \\ as /."""
    read = re.sub(r"[\t\r\n]", "", location).strip(" \x00\x0b\x0c").replace("\\", "/")
    parts = urlsplit(urljoin("http://localhost/login", read))
    return f"{parts.scheme}://{parts.netloc}"


def addresses() -> list[str]:
    folder = data_folder()
    listed = lines_of(folder, "payloads/Open_Redirect_Intruder", "payloads/CRLF_Injection_Files") if folder else []
    return [*AWAY, *listed]


@pytest.mark.timeout(300)
def test_no_address_leads_away_after_signing_in_or_changing_the_look(app: Flask) -> None:
    ana = make_staff()
    away = []

    for address in addresses():
        visitor = app.test_client()
        shown = visitor.get("/login", query_string={"next": address})
        signed_in = visitor.post("/login", data={"email": ana.email, "password": PASSWORD, "next": address})
        again = visitor.get("/login", query_string={"next": address})
        sent = address.replace("\r", "").replace("\n", "").encode("utf-8").decode("latin-1")
        look = visitor.post("/profile/look", data={"theme": "dark"}, headers={"Referer": sent})
        assert signed_in.status_code == 302, address
        for answer in (shown, signed_in, again, look):
            to = leads_to(answer.headers.get("Location", "/"))
            if to != "http://localhost" or answer.status_code >= 500:
                away.append((address, answer.status_code, answer.headers.get("Location")))

    assert away == []


def test_a_host_that_is_not_ours_gets_no_answer(app: Flask, client: Client) -> None:
    make_touchpoint()
    make_brand()

    wrong = [
        (host, path)
        for host in HOSTS
        for path in ("/login", "/complaints/new", "/api/v1/openapi.json", "/desk")
        if client.get(path, headers={"Host": host}).status_code != 400
    ]

    assert wrong == []


def test_what_a_proxy_would_say_is_no_host_of_ours(app: Flask, client: Client) -> None:
    """No proxy is declared here, so that whoever calls wrote these headers themselves."""
    make_brand()
    ana, token = make_staff(), tokens.sign("survey", make_invitation().public_id)

    answers = [
        client.get("/desk", headers=FORWARDED),
        client.get("/login", headers=FORWARDED),
        client.get(f"/s/{token}", headers=FORWARDED),
        client.post(f"/s/{token}", data={"nps": "9"}, headers=FORWARDED),
        client.get("/complaints/new", headers=FORWARDED),
        client.get("/api/v1/openapi.json", headers=FORWARDED),
        client.post("/reset", data={"email": ana.email}, headers=FORWARDED),
    ]

    assert [answer.request.path for answer in answers if "evil.example" in answer.text + str(answer.headers)] == []
    mail = db.session.scalars(select(Message).where(Message.kind == "staff_reset")).one()
    assert mail.values["reset_url"].startswith(app.extensions["config"].base_url)


def test_cookies_over_https_are_of_this_host_alone_and_no_script_reads_them(
    app: Flask, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    secure = replace(app.extensions["config"], base_url="https://localhost")
    elsewhere = Flask("elsewhere", root_path=str(Path(wsgi.__file__).parent))
    wsgi.configure(elsewhere, secure)
    for name, value in {**elsewhere.config, **sign_in.settings(secure)}.items():
        if "COOKIE" in name:
            monkeypatch.setitem(app.config, name, value)
    ana = make_staff()
    page = client.get("/login", base_url="https://localhost")
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token is not None
    form = {"email": ana.email, "password": PASSWORD, "remember": "y", "csrf_token": token[1]}

    client.sends_csrf = False
    answer = client.post(
        "/login", data=form, base_url="https://localhost", headers={"Referer": "https://localhost/login"}
    )

    assert answer.status_code == 302
    cookies = SimpleCookie()
    for header in answer.headers.getlist("Set-Cookie"):
        cookies.load(header)
    assert set(cookies) == {"__Host-amends", "__Host-amends-remember"}
    for cookie in cookies.values():
        assert (cookie["secure"], cookie["httponly"], cookie["path"], cookie["domain"]) == (True, True, "/", "")
        assert cookie["samesite"] == "Lax"
