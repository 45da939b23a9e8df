"""Visitors with a browser of their own. A page that logs an error (a script's, or of the CSP) fails the test."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from feedback import policies
from tests.client import Client
from tests.conftest import BROWSER_MS
from tests.journeys.northwind import Shop, Visit, open_shop
from tests.test_access import arguments as arguments  # one row of each thing that has a page

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def shop(client: Client) -> Shop:
    policies.forget()
    return open_shop(client)


@pytest.fixture
def complaints() -> list[str]:
    """What browsers complained of."""
    return []


@pytest.fixture
def visit(browser: Browser, live_server: str, complaints: list[str]) -> Iterator[Visit]:
    """Return a function that opens a page in a browser context of its own; its arguments are the context's options."""
    contexts = []

    def open_page(**options: Any) -> Page:
        context = browser.new_context(base_url=live_server, **options)
        context.set_default_timeout(BROWSER_MS)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: _note(message, complaints))
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def phone(visit: Visit) -> Page:
    return visit(**PHONE)


@pytest.fixture
def desk(visit: Visit) -> Page:
    """A page on a desk's screen."""
    return visit(viewport={"width": 1440, "height": 1000})


def _note(message: ConsoleMessage, complaints: list[str]) -> None:
    where = message.location["url"]
    is_refused = message.text.startswith("Failed to load resource") and "/static/" not in where  # a page that is a 422
    is_ours = bool(where)  # what a test runs in the page, such as axe, has no address
    # A busy browser lets the movement between two pages be; the page itself is there all the same.
    is_skipped = re.search(r"[Tt]ransition was (skipped|aborted)", message.text) is not None
    if message.type in {"error", "warning"} and is_ours and not is_refused and not is_skipped:
        complaints.append(f"{where}: {message.text}")
