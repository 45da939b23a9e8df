"""A member of staff at the browser: signs in through the page, then asks for pages with the session's cookie."""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable
from urllib.parse import urlencode

from benchmarks import load
from benchmarks.figures import Figure, interleave
from benchmarks.ground import Process

LEAD = "lead@northwind.example"
PASSWORD = "northwind-bench"
FORM = {"User-Agent": "bench", "Content-Type": "application/x-www-form-urlencoded"}


def sign_in(web: Process) -> str:
    """Return the cookie of a lead's session."""
    line = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
    line.request("GET", "/login", headers={"User-Agent": "bench"})
    answer = line.getresponse()
    cookie, page = _cookie(answer), answer.read().decode()
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert token, f"no form at /login: {answer.status}"
    fields = {"email": LEAD, "password": PASSWORD, "csrf_token": token[1]}
    line.request("POST", "/login", body=urlencode(fields), headers=FORM | {"Cookie": cookie})
    answer = line.getresponse()
    answer.read()
    assert answer.status == 302, f"sign-in failed: {answer.status}; see {web.log}"
    return _cookie(answer)


def _cookie(answer: http.client.HTTPResponse) -> str:
    return (answer.getheader("Set-Cookie") or "").partition(";")[0]


def p95_of(web: Process, path: str, cookie: str, wanted: int) -> Callable[[], float]:
    """Return what measures the 95th percentile of a page in seconds; two people look at it at a time."""

    def measured() -> float:
        page = load.get(path, {"Cookie": cookie})
        run = load.run(web.port, [[page]] * wanted, processes=1, connections=2)
        assert set(run.statuses) == {200}, f"unexpected statuses: {dict(run.statuses)}; see {web.log}"
        return run.percentile(95)

    measured()
    return measured


def compare(
    name: str, work: str, large: Callable[[], float], small: Callable[[], float], *, pairs: int, views: int
) -> Figure:
    """Return how much slower a page is with many rows than with few, by its 95th percentile."""
    found = interleave(lambda: large() * 1000, lambda: small() * 1000, pairs=pairs)
    return found.figure(
        name, work, n=views * pairs * 2, aim=1.5, lower_is_better=True, words="{ours:.0f} ms against {theirs:.0f} ms"
    )
