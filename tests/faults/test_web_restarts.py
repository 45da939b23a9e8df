"""The web starts its workers anew under load, as after a new version: behind a socket and a proxy no request fails."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from flask import Flask

from tests.amounts import few_or_many
from tests.faults import history
from tests.faults.crowd import Crowd, forms
from tests.faults.processes import Web, free_port, wait_until
from tests.faults.shop import Shop, invite, open_shop

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]
BETWEEN = 60  # answers after each restart
FORMS = 100


@pytest.mark.parametrize(("workers", "restarts"), few_or_many((1, 1), many=(2, 3), full=(2, 6)))
def test_no_request_fails_while_the_web_behind_a_proxy_restarts(
    app: Flask, environment: dict[str, str], tmp_path: Path, workers: int, restarts: int
) -> None:
    web = Web(environment, log=tmp_path / "web.log", workers=workers, uds=tmp_path / "web.sock")

    crowd = answer_while_restarting(web, workers=workers, restarts=restarts)

    # granian closes a connection that it accepted in the moment of stopping and had read nothing of
    assert crowd.repeated <= restarts * workers
    assert crowd.outcomes().keys() == {303}
    assert history.faults_of_answers(crowd.attempts, history.responses_by_invitation()) == []
    slowest = max(attempt.seconds for attempt in crowd.attempts)
    print(
        f"\n{len(crowd.attempts)} requests in {restarts} restarts of {workers}, slowest {slowest:.2f} s, "
        f"{crowd.repeated} sent twice, none failed"
    )


@pytest.mark.slow
def test_behind_a_port_what_was_acknowledged_is_kept_though_connections_are_refused(
    app: Flask, environment: dict[str, str], tmp_path: Path
) -> None:
    """Each worker listens by itself there, and a new one is not waited for: docs/running.md."""
    web = Web(environment, log=tmp_path / "web.log", workers=2, port=free_port())

    crowd = answer_while_restarting(web, workers=2, restarts=2)

    assert crowd.outcomes().keys() <= {303, None}
    assert history.faults_of_answers(crowd.attempts, history.responses_by_invitation()) == []
    print(f"\n2 restarts behind a port: {dict(crowd.outcomes())}")


def has_replaced(web: Web, workers: int) -> bool:
    return web.replaced() >= workers


def answer_while_restarting(web: Web, *, workers: int, restarts: int) -> Crowd:
    """Let customers answer from before the first restart until after the last."""
    shop = open_shop(rewards=10_000)
    try:
        web.ready()
        with Crowd(web, [], size=6, rest=0.05, proxy=True, goes_on=True) as crowd:
            for number in range(1, restarts + 1):
                wait_until(web.is_whole)  # a worker that is asked to end before it began hears nothing of it
                web.hang_up()
                wait_while_customers_come(shop, crowd, partial(has_replaced, web, number * workers))
                wait_while_customers_come(shop, crowd, partial(crowd.has_sent, len(crowd.attempts) + BETWEEN))
            crowd.stop()
        wait_until(web.is_whole)
    finally:
        web.end()
    return crowd


def wait_while_customers_come(shop: Shop, crowd: Crowd, holds: Callable[[], bool]) -> None:
    """Wait until something holds, and see that there are forms to send all the while."""

    def more_come() -> bool:
        if crowd.left < FORMS:
            crowd.add(forms(invite(shop, FORMS)))
        return holds()

    wait_until(more_come)
