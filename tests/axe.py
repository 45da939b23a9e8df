"""axe on a page as it stands: what would keep somebody from using it."""

from __future__ import annotations

from typing import Final

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Page

# Frames hold mails and surveys, which are looked at by themselves; of all other results axe would gather every element.
RUN: Final = """() => axe.run({resultTypes: ["violations"], iframes: false}).then(({violations}) =>
  violations.map(({id, nodes}) => [id, nodes.slice(0, 4).map(({html}) => html.slice(0, 160))]))"""


def violations(page: Page) -> list[tuple[str, list[str]]]:
    """Return each rule that is broken, with the first elements that break it."""
    page.evaluate(AXE_SCRIPT)
    return [(rule, elements) for rule, elements in page.evaluate(RUN)]
