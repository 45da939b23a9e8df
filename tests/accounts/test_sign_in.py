"""Signing in and out, new passwords by mail, the second factor, and that nobody learns who exists."""

from __future__ import annotations

import re
import time
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask_security.proxies import _security
from flask_security.recoverable import generate_reset_password_token
from itsdangerous import TimestampSigner
from redis import Redis
from sqlalchemy import func, select

from accounts import staff as people
from accounts.models import Staff
from accounts.sign_in import welcome_link
from core import clock, outbox
from core.db import db
from core.events import Event
from notifications.models import MailboxMessage, Message
from tests.client import Client, count_queries
from tests.factories import PASSWORD, make_brand, make_staff, make_team

GENERIC = "That didn’t fit together"
NEW = "eight boots in the snow"


def sign_in(client: Client, email: str, password: str = PASSWORD, **more: str):
    return client.post("/login", data={"email": email, "password": password, **more})


def location(response) -> str:
    parts = urlsplit(response.headers.get("Location", ""))
    return parts.path + (f"?{parts.query}" if parts.query else "")


def kinds() -> list[str]:
    return list(db.session.scalars(select(Event.kind).order_by(Event.id)))


def test_a_host_with_an_impossible_port_is_refused(client: Client) -> None:
    ana, host = make_staff(), {"Host": "localhost:99999"}
    typed = {"email": ana.email, "password": PASSWORD, "next": "http://localhost:99999/desk"}

    assert client.post("/login", data=typed, headers=host).status_code == 400


@pytest.mark.parametrize("address", ["http://[0]/", "//[", r"\\[0]", "https://[::1"])
@pytest.mark.parametrize("place", ["data", "query_string"])
def test_an_address_to_go_on_to_that_nobody_can_read_is_refused(client: Client, place: str, address: str) -> None:
    ana = make_staff()
    typed = {"email": ana.email, "password": PASSWORD}

    answers = [client.get("/login", query_string={"next": address})]
    answers.append(
        client.post("/login", **{"data": typed, place: {**(typed if place == "data" else {}), "next": address}})
    )
    client.sign_in(ana)
    answers.append(client.get("/login", query_string={"next": address}))

    assert [answer.status_code for answer in answers] == [400, 400, 400]


def test_the_right_password_signs_in_and_is_logged(client: Client) -> None:
    ana = make_staff("lead")

    response = sign_in(client, ana.email.upper())

    assert response.status_code == 302
    assert location(response) == "/"
    assert client.get("/profile").status_code == 200
    assert kinds()[-1] == "staff.signed_in"
    assert ana.login_count == 1


@pytest.mark.parametrize("case", ["unknown", "wrong password", "disabled", "invited"])
def test_a_refused_sign_in_says_the_same_whoever_exists(client: Client, case: str) -> None:
    ana = make_staff("agent")
    ana.active = case != "disabled"
    if case == "invited":
        ana.password = None
    email = "nobody@northwind.example" if case == "unknown" else ana.email

    response = sign_in(client, email, "not this one" if case == "wrong password" else PASSWORD)

    assert response.status_code == 200
    assert GENERIC in response.text
    assert "disabled" not in response.text
    assert client.get("/profile").status_code == 302


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/x", "//evil.example", "/\\evil.example", "javascript:alert(1)", "///evil.example"]
)
def test_after_signing_in_nobody_is_sent_to_another_site(client: Client, wanted: str) -> None:
    ana = make_staff()

    response = sign_in(client, ana.email, next=wanted)

    assert response.status_code == 302
    assert urlsplit(response.headers["Location"]).netloc in {"", "localhost"}
    assert re.match(r"/(?![/\\])|http://localhost/", response.headers["Location"])


def test_after_signing_in_one_is_where_one_wanted_to_be(client: Client) -> None:
    ana = make_staff("admin")

    refused = client.get("/settings/keys?x=1")
    response = sign_in(client, ana.email, next="/settings/keys?x=1")

    assert location(refused).startswith("/login?next=")
    assert location(response) == "/settings/keys?x=1"


def test_a_forged_sign_in_form_is_refused(client: Client) -> None:
    ana = make_staff()
    client.sends_csrf = False

    response = sign_in(client, ana.email)

    assert response.status_code == 400


@pytest.mark.parametrize("path", ["/login", "/reset", "/tf-select", "/tf-validate", "/mf-recovery"])
@pytest.mark.parametrize("body", ["-1", "[]", "{", '{"email": ["a"]}'])
def test_the_pages_take_forms_alone(client: Client, path: str, body: str) -> None:
    assert client.post(path, data=body, content_type="application/json").status_code == 415


def test_signing_out_ends_the_session(client: Client) -> None:
    client.sign_in(make_staff())

    response = client.post("/logout")

    assert location(response) == "/login"
    assert client.get("/profile").status_code == 302


def test_a_get_does_not_sign_out(client: Client) -> None:
    client.sign_in(make_staff())

    assert client.get("/logout").status_code == 405
    assert client.get("/profile").status_code == 200


def test_the_reader_is_loaded_with_roles_and_team_in_one_query(client: Client) -> None:
    ana = make_staff(roles=["lead", "marketer"], team=make_team(make_brand()))
    client.sign_in(ana)

    with count_queries() as queries:
        response = client.get("/profile")

    assert response.status_code == 200
    assert ana.team is not None
    assert ana.team.name in response.text
    assert len([query for query in queries if re.search(r"\b(staff|role|team)\b", query)]) == 1


def test_nobody_can_register(client: Client) -> None:
    assert client.get("/register").status_code == 404


# A new password by mail


def mailed_link(kind: str = "staff_reset") -> str:
    message = db.session.scalars(select(Message).where(Message.kind == kind).order_by(Message.id.desc())).first()
    assert message is not None
    return str(message.values["reset_url"])


def test_a_reset_mail_leads_to_a_new_password_and_ends_every_session(app: Flask, client: Client) -> None:
    make_brand()
    ana = make_staff()
    elsewhere = app.test_client()
    elsewhere.sign_in(ana)

    client.post("/reset", data={"email": ana.email})
    link = mailed_link()
    path = urlsplit(link).path
    page = client.get(path)
    done = client.post(path, data={"password": NEW, "password_confirm": NEW})

    assert link.startswith(app.extensions["config"].base_url)
    assert page.status_code == 200
    assert location(done) == "/login"
    assert elsewhere.get("/profile").status_code == 302
    assert sign_in(client, ana.email, NEW).status_code == 302


def test_a_reset_link_works_once(client: Client) -> None:
    make_brand()
    ana = make_staff()
    client.post("/reset", data={"email": ana.email})
    path = urlsplit(mailed_link()).path
    client.post(path, data={"password": NEW, "password_confirm": NEW})

    again = client.post(path, data={"password": "nine lamps at night", "password_confirm": "nine lamps at night"})

    assert location(again) == "/reset"
    assert sign_in(client, ana.email, NEW).status_code == 302


def test_asking_for_a_reset_tells_nobody_who_exists(client: Client) -> None:
    make_brand()
    ana = make_staff()
    gone = make_staff()
    gone.active = False

    def answer(email: str) -> str:
        text = client.post("/reset", data={"email": email}).text
        text = re.sub(r'name="csrf_token" value="[^"]*"', "", text)
        return re.sub(r'nonce="[^"]*"', "", text.replace(email, "…"))

    known, unknown, disabled = answer(ana.email), answer("nobody@northwind.example"), answer(gone.email)

    assert known == unknown == disabled
    assert "a mail is on its way" in known
    assert db.session.scalars(select(Message.to_address)).all() == [ana.email]


def test_a_reset_mail_costs_no_second_of_work_that_would_tell_who_exists(app: Flask, client: Client) -> None:
    ana = make_staff()
    before = time.thread_time()

    with app.test_request_context():
        for _ in range(5):
            generate_reset_password_token(ana)

    assert time.thread_time() - before < 0.5  # the library's usual scheme takes three seconds or more


def test_two_resets_in_a_minute_send_one_mail(client: Client) -> None:
    make_brand()
    ana = make_staff()

    client.post("/reset", data={"email": ana.email})
    client.post("/reset", data={"email": ana.email})

    assert len(db.session.scalars(select(Message)).all()) == 1


def test_a_short_password_is_refused_and_says_why(client: Client) -> None:
    make_brand()
    ana = make_staff()
    client.post("/reset", data={"email": ana.email})

    response = client.post(urlsplit(mailed_link()).path, data={"password": "short", "password_confirm": "short"})

    assert "at least 10 characters" in response.text


# A changed password


def test_changing_the_password_keeps_this_session_and_ends_the_others(app: Flask, client: Client) -> None:
    ana = make_staff()
    sign_in(client, ana.email)
    elsewhere = app.test_client()
    elsewhere.sign_in(ana)

    form = {"password": PASSWORD, "new_password": NEW, "new_password_confirm": NEW}
    response = client.post("/change", data=form)

    assert location(response) == "/profile"
    assert client.get("/profile").status_code == 200
    assert elsewhere.get("/profile").status_code == 302
    assert "staff.password_set" in kinds()


def test_whoever_can_sign_in_is_told_what_of_it_was_changed(app: Flask, client: Client) -> None:
    make_brand()
    ana, admin = make_staff(), make_staff("admin")
    sign_in(client, ana.email)
    client.post("/change", data={"password": PASSWORD, "new_password": NEW, "new_password_confirm": NEW})
    second_factor(client)
    people.remove_second_factor(ana, by=admin, now=clock.now())
    db.session.commit()

    told = db.session.scalars(select(Message).where(Message.kind == "staff_changed").order_by(Message.id)).all()

    assert [each.values["because"] for each in told] == ["password", "second_factor", "no_second_factor"]
    assert {each.to_address for each in told} == {ana.email}
    outbox.drain("messages")
    mails = db.session.scalars(select(MailboxMessage).order_by(MailboxMessage.id)).all()
    assert [each.subject for each in mails] == [
        "Your password was changed",
        "A second factor was set up",
        "Your second factor was removed",
    ]
    assert all(f"{app.extensions['config'].base_url}/reset" in each.text for each in mails)


def test_the_old_password_is_asked_for(client: Client) -> None:
    ana = make_staff()
    client.sign_in(ana)

    form = {"password": "wrong", "new_password": NEW, "new_password_confirm": NEW}
    response = client.post("/change", data=form)
    client.post("/logout")

    assert "isn’t your current password" in response.text
    assert sign_in(client, ana.email, NEW).status_code == 200


# The second factor


def second_factor(client: Client) -> str:
    """Set up an authenticator for who is signed in with the password just now; return its stored secret."""
    page = client.post("/tf-setup", data={"setup": "authenticator"})
    action = re.search(r'action="(/tf-setup/[^"]+)"', page.text)
    assert action, page.text
    with client.session_transaction() as session:
        secret = str(session["tf_totp_secret"])
    client.post(action[1], data={"code": code_of(secret)})
    return secret


def code_of(secret: str) -> str:
    return str(_security.totp_factory.generate_totp_password(secret))


def forget_used_codes(app: Flask) -> None:
    redis: Redis = app.extensions["redis"]
    redis.delete(*redis.keys("totp:*"))


def test_with_a_second_factor_the_password_alone_opens_nothing(app: Flask, client: Client) -> None:
    ana = make_staff()
    sign_in(client, ana.email)
    secret = second_factor(client)
    forget_used_codes(app)
    client.post("/logout")

    first = sign_in(client, ana.email, next="/profile")
    between = client.get("/profile")
    wrong = client.post("/tf-validate", data={"code": "000000"})
    right = client.post(location(first), data={"code": code_of(secret)})

    assert location(first) == "/tf-validate?next=/profile"
    assert between.status_code == 302
    assert "doesn’t fit" in wrong.text
    assert location(right) == "/profile"
    assert client.get("/profile").status_code == 200
    assert "staff.second_factor_set" in kinds()


def test_after_a_code_that_does_not_fit_the_same_key_takes_the_next(client: Client) -> None:
    ana = make_staff()
    sign_in(client, ana.email)
    page = client.post("/tf-setup", data={"setup": "authenticator"}).text
    action, key = re.findall(r'action="(/tf-setup/[^"]+)"', page)[0], re.findall(r"<code>([^<]+)</code>", page)[0]

    wrong = client.post(action, data={"code": "000000"})

    assert "doesn’t fit" in wrong.text and key in wrong.text
    assert "Code from your app" in page and "Code from your app" in wrong.text
    assert re.findall(r'action="(/tf-setup/[^"]+)"', wrong.text) == [action]
    with client.session_transaction() as session:
        secret = str(session["tf_totp_secret"])
    assert location(client.post(action, data={"code": code_of(secret)})) == "/profile"


def test_a_code_is_taken_once(app: Flask, client: Client) -> None:
    ana = make_staff()
    sign_in(client, ana.email)
    code = code_of(second_factor(client))
    client.post("/logout")
    sign_in(client, ana.email)
    client.post("/tf-validate", data={"code": code})  # taken only if half a minute began since the set-up
    client.post("/logout")

    sign_in(client, ana.email)
    response = client.post("/tf-validate", data={"code": code})

    assert "doesn’t fit" in response.text
    assert client.get("/profile").status_code == 302


def test_a_recovery_code_opens_once_and_is_stored_encrypted(client: Client) -> None:
    ana = make_staff()
    sign_in(client, ana.email)
    second_factor(client)
    page = client.post("/mf-recovery-codes", data={"generate_new_codes": "1"})
    codes = re.findall(r"<code>([0-9a-f-]{14})</code>", page.text)
    client.post("/logout")

    sign_in(client, ana.email)
    first = client.post("/mf-recovery", data={"code": codes[0]})
    client.post("/logout")
    sign_in(client, ana.email)
    second = client.post("/mf-recovery", data={"code": codes[0]})

    assert len(codes) == 8
    assert first.status_code == 302
    assert second.status_code == 200
    assert codes[1] not in str(ana.mf_recovery_codes)


def test_setting_up_a_second_factor_needs_a_fresh_password(client: Client) -> None:
    ana = make_staff()
    client.sign_in(ana)  # without a password just now

    response = client.get("/tf-setup")

    assert location(response).startswith("/verify?next=")
    confirmed = client.post(location(response), data={"password": PASSWORD})
    assert location(confirmed) == "/tf-setup"
    assert client.get("/tf-setup").status_code == 200


# How often one may try


def test_the_sixth_wrong_password_in_a_minute_must_wait(client: Client) -> None:
    ana = make_staff()

    answers = [sign_in(client, ana.email, "wrong password").status_code for _try in range(6)]
    right = sign_in(client, ana.email)

    assert answers == [200] * 5 + [429]
    assert right.status_code == 429
    assert int(right.headers["Retry-After"]) <= 60


def test_another_account_from_the_same_office_can_still_sign_in(client: Client) -> None:
    ana, ben = make_staff(), make_staff()
    for _try in range(6):
        sign_in(client, ana.email, "wrong password")

    assert sign_in(client, ben.email).status_code == 302


def test_the_sixth_code_in_a_minute_must_wait_also_in_a_new_session(app: Flask, client: Client) -> None:
    ana = make_staff()
    sign_in(client, ana.email)
    second_factor(client)
    forget_used_codes(app)

    answers = []
    for _try in range(6):
        thief = app.test_client()
        sign_in(thief, ana.email)
        answers.append(thief.post("/tf-validate", data={"code": "000000"}).status_code)

    assert answers == [200] * 5 + [429]


def test_the_sixth_reset_mail_in_an_hour_must_wait(client: Client) -> None:
    answers = [client.post("/reset", data={"email": "x@northwind.example"}).status_code for _try in range(6)]

    assert answers == [200] * 5 + [429]


# Welcome


def test_a_welcome_link_sets_the_first_password_once(client: Client) -> None:
    ana = make_staff(password=None)
    path = urlsplit(welcome_link(ana)).path
    db.session.commit()

    page = client.get(path)
    done = client.post(path, data={"password": NEW, "again": NEW})
    again = client.get(path)

    assert ana.first_name in page.text
    assert location(done) == "/login"
    assert again.status_code == 410
    assert sign_in(client, ana.email, NEW).status_code == 302


def test_who_has_a_password_is_told_when_a_welcome_link_replaces_it(client: Client) -> None:
    make_brand()
    ana = make_staff()
    told = select(func.count()).select_from(Message).where(Message.kind == "staff_changed")
    for password, notices in ((None, 0), (ana.password, 1)):
        ana.password = password
        db.session.commit()
        client.post(urlsplit(welcome_link(ana)).path, data={"password": NEW, "again": NEW})
        db.session.expire_all()

        assert db.session.scalar(told) == notices


def test_a_welcome_link_expires(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    ana = make_staff(password=None)
    path = urlsplit(welcome_link(ana)).path
    in_time = TimestampSigner.get_timestamp

    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda self: in_time(self) + 4 * 86400)

    assert client.get(path).status_code == 410


def test_a_link_of_ours_for_something_else_is_no_welcome(client: Client) -> None:
    ana = make_staff()

    assert client.get(f"/welcome/{ana.fs_uniquifier}").status_code == 410


def test_a_disabled_person_is_out_at_once(app: Flask, client: Client) -> None:
    ana, boss = make_staff(), make_staff("admin")
    client.sign_in(ana)
    assert client.get("/profile").status_code == 200

    people.disable(ana, by=boss, now=clock.now())
    db.session.commit()

    assert client.get("/profile").status_code == 302
    assert db.session.get(Staff, ana.id) is not None
