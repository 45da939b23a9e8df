"""What people send to find out what breaks: the lists of real data, and some words that no list has."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from tempfile import gettempdir

TOUCHED = f"{gettempdir()}/amends-executed-{os.getpid()}"  # what the words that are commands would make
OURS = (  # the worst of what the lists hold, for a checkout without them
    "",
    " ",
    "\x00",
    "a\x00b",
    "\ud800",
    "\u202eevil",
    "\ufeff",
    "\u2028",
    "é" * 5_000,
    "x" * 10_001,
    "-1",
    "1e999",
    "NaN",
    "9" * 400,
    "٣",
    "2025-02-30",
    "'; DROP TABLE customer; --",
    "1; SELECT pg_sleep(5)--",
    "' OR '1'='1",
    "{{1337*7331}}",
    "${1337*7331}",
    "<%= 1337*7331 %>",
    "{% for i in range(10**9) %}a{% endfor %}",
    "{{''.__class__.__mro__[1].__subclasses__()}}",
    "%(words)s%s%n",
    "{0.__class__}",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "</textarea><svg onload=alert(1)>",
    "a@b.example\r\nBcc: everybody@shop.example",
    "%0d%0aSet-Cookie:%20stolen=1",
    "\r\nX-Injected: yes",
    "../../../../etc/passwd",
    "=cmd|' /C calc'!A0",
    f"$(touch {TOUCHED})",
    f"`touch {TOUCHED}`",
    "//evil.example/",
    "https://evil.example@127.0.0.1/",
)
CALCULATED = str(1337 * 7331)  # stands in an answer only if a template or an expression of ours was run


@cache
def words(data: Path | None) -> tuple[str, ...]:
    """Return every word once: ours, and those of the lists below `data` if there is one."""
    found = list(OURS)
    if data is not None:
        found += json.loads((data / "hostile" / "blns" / "blns.json").read_text("utf-8"))
        found += lines_of(data, "payloads", "csv_injection.txt")
    return tuple(dict.fromkeys(found))


def lines_of(data: Path, *names: str) -> list[str]:
    """Return the lines of files and folders of the lists."""
    found: list[str] = []
    for name in names:
        place = data / "hostile" / name
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_file() and path.name != "LICENSE":
                found += path.read_text("utf-8", "replace").splitlines()
    return list(filter(None, found))
