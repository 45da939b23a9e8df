"""The local mailbox and the staff's view of messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from flask import Flask

from core import outbox
from core.db import db
from core.i18n import LANGUAGES
from notifications.kinds import KINDS
from notifications.models import MailboxMessage, Message
from tests.client import Client, count_queries

Post = Callable[..., Message]


def test_the_mailbox_tells_programs_newest_first_what_was_sent(client: Client, post: Post) -> None:
    post(1)
    post(2, "invitation")
    outbox.drain("messages")

    mails = client.get("/mailbox.json").get_json()

    assert [mail["to"] for mail in mails] == ["person2@mail.example", "person1@mail.example"]
    assert set(mails[0]) >= {"to", "subject", "text", "html", "links", "sent_at"}
    survey = [link for link in mails[0]["links"] if "/s/" in link]
    assert survey and all(link.startswith("https://") and "&amp;" not in link for link in survey)
    assert mails[0]["headers"]["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_the_mailbox_can_be_asked_for_one_address(client: Client, post: Post) -> None:
    post(1)
    post(2)
    outbox.drain("messages")

    assert len(client.get("/mailbox.json?to=PERSON2@mail.example").get_json()) == 1
    assert client.get("/mailbox.json?to=nobody@mail.example").get_json() == []
    assert "person1@" not in client.get("/mailbox?to=person2@mail.example").text


def test_a_mail_may_do_nothing_in_its_frame(client: Client, post: Post) -> None:
    post(1)
    outbox.drain("messages")
    mail = db.session.query(MailboxMessage).one()

    page = client.get(f"/mailbox/{mail.id}")
    document = client.get(f"/mailbox/{mail.id}/html")

    assert "frame-src 'self'" in page.headers["Content-Security-Policy"]
    policy = document.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ") and "allow-scripts" not in policy and "allow-same-origin" not in policy
    assert "default-src 'none'" in policy and "script-src" not in policy
    assert document.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert client.get("/mailbox/999999999999999999999999").status_code == 404


def test_where_mail_leaves_there_is_no_mailbox(app: Flask, client: Client) -> None:
    config = app.extensions["config"]
    app.extensions["config"] = replace(config, sendgrid_api_key="SG.key")
    try:
        assert [client.get(path).status_code for path in ("/mailbox", "/mailbox.json", "/mailbox/1")] == [404] * 3
    finally:
        app.extensions["config"] = config


def test_lists_cost_the_same_at_one_and_three_mails(client: Client, post: Post) -> None:
    counts = []
    for numbers in ((1,), (2, 3)):
        for number in numbers:
            post(number)
        outbox.drain("messages")
        with count_queries() as queries:
            client.get("/mailbox")
        counts.append(queries.count)

    assert counts[0] == counts[1]


class TestSettings:
    @pytest.fixture
    def lead(self, client: Client) -> Client:
        from tests.factories import make_staff

        client.sign_in(make_staff("lead"))
        return client

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind_can_be_looked_at(self, lead: Client, post: Post, kind: str) -> None:
        for language in LANGUAGES:
            for look in ("light", "dark", "text"):
                asked = {"kind": kind, "language": language, "look": look}
                assert lead.get("/settings/messages", query_string=asked).status_code == 200
            document = lead.get("/settings/messages/preview", query_string=asked | {"look": "dark"})
            assert f'lang="{language}"' in document.text
            assert "prefers-color-scheme: dark" not in document.text

    def test_addresses_are_masked_and_failures_said_in_words(self, lead: Client, post: Post) -> None:
        message = post(1)
        message.failure = "temporary"
        db.session.commit()

        page = lead.get("/settings/messages").text

        assert "p•••@mail.example" in page and "person1@" not in page
        assert "messages wait and leave by themselves" in page

    def test_the_other_settings_stay_in_reach(self, lead: Client) -> None:
        page = lead.get("/settings/messages").text

        assert '<a href="/settings/deadlines"' in page
        assert '<a href="/settings/messages" aria-current="true"' in page

    def test_the_list_costs_the_same_at_one_and_three_messages(self, lead: Client, post: Post) -> None:
        counts = []
        for numbers in ((1,), (2, 3)):
            for number in numbers:
                post(number)
            with count_queries() as queries:
                assert lead.get("/settings/messages").status_code == 200
            counts.append(queries.count)

        assert counts[0] == counts[1]

    def test_strange_wishes_are_not_found(self, lead: Client, post: Post) -> None:
        for wish in ("kind=nothing", "language=xx", "look=pink", "kind=%00"):
            assert lead.get(f"/settings/messages?{wish}").status_code == 404

    def test_agents_and_strangers_may_not_look(self, app: Flask, client: Client) -> None:
        from tests.factories import make_staff

        assert client.get("/settings/messages").status_code == 302
        client.sign_in(make_staff("agent"))
        assert client.get("/settings/messages").status_code == 403
