"""Programs that open every link of a mail to look for harm change nothing: no answer, no unsubscribing, no mark."""

from __future__ import annotations

from urllib.request import HTTPRedirectHandler, Request, build_opener

import pytest

from core import clock
from feedback import assignments, entries, resolutions
from tests.journeys.northwind import Shop, hanna, tell_of_a_call
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
    links = {link for mail in mails for link in mail["links"]} | {
        address.strip("<>")
        for mail in mails
        for address in mail["headers"].get("List-Unsubscribe", "").split(", ")
        if address.startswith("<http")
    }
    ours = sorted(link for link in links if link.startswith(live_server))
    before = rows_by_table()

    answers = {link: [status(link, method) for method in ("HEAD", "GET")] for link in ours}

    assert rows_by_table() == before
    assert {part for link in ours for part in ("/s/", "/c/", "/u/") if part in link} == {"/s/", "/c/", "/u/"}
    assert [link for link, found in answers.items() if found != [200, 200]] == []


def status(link: str, method: str) -> int:
    """Open a link as a program does that has no cookies and follows redirects."""
    opener = build_opener(HTTPRedirectHandler())
    with opener.open(Request(link, method=method), timeout=10) as answer:
        return int(answer.status)
