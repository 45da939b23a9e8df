"""What tests of settings share: the fields of a page's form as a browser would send them back."""

from __future__ import annotations

import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

from tests.client import Client


class _Fields(HTMLParser):
    """Collects what the form with `action` (or the last form) would post."""

    def __init__(self, action: str) -> None:
        super().__init__()
        self.action, self.inside, self.found = action, False, {}
        self.select, self.first, self.area = "", True, ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.inside = given.get("action") == self.action
        if not self.inside:
            return
        if tag == "input" and "name" in given:
            if given.get("type") in ("checkbox", "radio") and "checked" not in given:
                return
            self.add(given["name"], given.get("value", "on" if given.get("type") == "checkbox" else ""))
        elif tag == "select":
            self.select, self.first = given.get("name", ""), True
        elif tag == "option" and self.select and (self.first or "selected" in given):
            self.found[self.select], self.first = [given.get("value", "")], False
        elif tag == "textarea":
            self.area = given.get("name", "")
            self.found[self.area] = [""]

    def handle_data(self, data: str) -> None:
        if self.area:
            self.found[self.area] = [self.found[self.area][0] + data]

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self.select = ""
        elif tag == "textarea":
            self.area = ""
        elif tag == "form":
            self.inside = False

    def add(self, name: str, value: str) -> None:
        self.found.setdefault(name, []).append(value)


def fields(client: Client, page: str, action: str | None = None) -> dict[str, Any]:
    """Open a page and return the fields of its form to `action` (default: the page itself) as they stand."""
    reader = _Fields(action or page)
    reader.feed(client.get(page).text)
    assert reader.found, f"{page} has no form to {action or page}"
    return {name: values for name, values in reader.found.items() if name != "csrf_token"}


def words(text: str) -> str:
    """Return a page's text without its tags."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", text)))
