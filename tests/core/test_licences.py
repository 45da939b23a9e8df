"""What Amends is built on: its licences are known, and none came in that we may not take."""

from __future__ import annotations

import pytest

from core import licences
from core.licences import Package


def test_the_page_says_what_the_lock_says() -> None:
    assert licences.PAGE.read_text("utf-8") == licences.page(licences.packages())


def test_every_library_has_a_licence_that_we_take() -> None:
    assert [each for each in licences.packages() if not each.is_taken] == []


@pytest.mark.parametrize(
    ("name", "licence", "is_taken"),
    [
        ("some", "MIT", True),
        ("some", "GPL-3.0-only OR MIT", True),
        ("some", "Apache-2.0 AND BSD-2-Clause", True),
        ("some", "Apache-2.0 AND GPL-2.0-only", False),
        ("some", "GPL-3.0-only", False),
        ("some", "AGPL-3.0-or-later", False),
        ("some", "LGPL-3.0-only", False),
        ("psycopg", "LGPL-3.0-only", True),
        ("some", "unknown: it says nothing", False),
    ],
)
def test_a_licence_that_would_bind_the_product_is_refused(name: str, licence: str, is_taken: bool) -> None:
    assert Package(name, "1", licence).is_taken is is_taken
