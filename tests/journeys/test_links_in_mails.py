"""Programs that open every link of a mail to look for harm change nothing: no answer, no unsubscribing, no mark."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest
from playwright.sync_api import Page
from sqlalchemy import func, select

from core import clock
from core.db import db
from feedback import assignments, entries, resolutions
from notifications.models import Suppression
from surveys.models import Invitation, InvitationState, Response
from tests.amounts import few_or_many
from tests.journeys.northwind import Shop, hanna, tell_of_a_call, work
from tests.test_access import rows_by_table

pytestmark = pytest.mark.journey


def test_a_scanner_that_opens_every_link_changes_no_row(shop: Shop, live_server: str) -> None:
    customer = hanna(name="Eilidh Murray")
    invited = tell_of_a_call(shop)
    case = shop.unhappy(customer=customer)
    ana, now = shop.staff("agent", "Ana Silva"), clock.now()
    assignments.claim(case, ana, now)
    entries.reply(case, body="The poles leave our store today.", last_seen=10**9, by=ana, now=now)
    resolutions.resolve(case, by=ana, cause=shop.cause, words=None, now=now)
    mails = [*shop.mails(invited), *shop.mails(customer.email)]
    links = sorted({link for mail in mails for link in ours(mail, live_server)})
    before = rows_by_table()

    answers = {link: [status(link, method) for method in ("HEAD", "GET")] for link in links}

    assert rows_by_table() == before
    assert {part for link in links for part in ("/s/", "/c/", "/u/") if part in link} == {"/s/", "/c/", "/u/"}
    assert [link for link, found in answers.items() if found != [200, 200]] == []


@pytest.mark.parametrize("how_many", few_or_many(3, many=50, full=200))
def test_scanned_invitations_are_still_the_customers_to_answer(
    shop: Shop, live_server: str, desk: Page, moved_clock: Callable[[timedelta], None], how_many: int
) -> None:
    """HEAD and GET of every link, a browser that clicks nothing, and all of it again two days later."""
    mails = invited(shop, how_many)
    links = [link for mail in mails for link in ours(mail, live_server)]
    surveys = [next(link for link in ours(mail, live_server) if "/s/" in link) for mail in mails]
    before = rows_by_table()

    opened = [status(link, method) for link in links for method in ("HEAD", "GET")]
    for link in surveys:
        desk.goto(link.removeprefix(live_server))
    moved_clock(timedelta(days=2))
    opened += [status(link, "GET") for link in links]

    assert set(opened) == {200}
    assert len(links) >= 5 * how_many
    assert rows_by_table() == before
    assert [count(model) for model in (Response, Suppression)] == [0, 0]
    assert set(db.session.scalars(select(Invitation.state))) == {InvitationState.SENT}

    answers = [shop.client.post(link.removeprefix(live_server), data={"nps": "9"}).status_code for link in surveys]
    stopped = [mail["headers"]["List-Unsubscribe"].strip("<>").removeprefix(live_server) for mail in mails]
    stops = [shop.client.post(link, data={"List-Unsubscribe": "One-Click"}).status_code for link in stopped]

    assert set(answers) == {303}
    assert set(stops) == {200}
    assert (count(Response), count(Suppression)) == (how_many, how_many)


def invited(shop: Shop, how_many: int) -> list[dict[str, Any]]:
    """Tell of as many calls at once; return the mails that invite."""
    calls = [
        {
            "reference": f"CALL-{number}",
            "occurred_at": clock.now().isoformat(),
            "touchpoint": shop.touchpoint.key,
            "channel": "phone",
            "customer": {"external_id": f"C-{number}", "name": "Hanna Keller", "email": f"c{number}@customer.example"},
        }
        for number in range(how_many)
    ]
    shop.client.post("/api/v1/interactions", json=calls, headers={"Authorization": f"Bearer {shop.key}"})
    work()
    return [shop.mails(call["customer"]["email"])[0] for call in calls]


def ours(mail: dict[str, Any], live_server: str) -> list[str]:
    """Return every link of a mail that leads here, those of its headers too."""
    headers = [each.strip("<>") for each in mail["headers"].get("List-Unsubscribe", "").split(", ")]
    return sorted({link for link in [*mail["links"], *headers] if link.startswith(live_server)})


def count(model: Any) -> int:
    return db.session.scalar(select(func.count()).select_from(model)) or 0


def status(link: str, method: str) -> int:
    """Open a link as a program does that has no cookies and follows redirects."""
    opener = build_opener(HTTPRedirectHandler())
    with opener.open(Request(link, method=method)) as answer:
        return int(answer.status)
