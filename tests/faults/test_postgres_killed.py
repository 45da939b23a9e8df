"""PostgreSQL dies while customers answer: what was acknowledged is kept once, all else once or not at all."""

from __future__ import annotations

from functools import partial

import pytest
from flask import Flask

from tests.amounts import few_or_many
from tests.faults import history
from tests.faults.crowd import Crowd, forms
from tests.faults.processes import Ground, Web, wait_until
from tests.faults.shop import invite, open_shop

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]
KILLS = 5


@pytest.mark.parametrize("how_many", few_or_many(200, many=600, full=2000))
def test_each_acknowledged_answer_is_kept_once_though_postgresql_dies_five_times(
    app: Flask, web: Web, ground: Ground, how_many: int
) -> None:
    sent = forms(invite(open_shop(rewards=5 * how_many), 5 * how_many))  # a form is lost a second while it is away

    with Crowd(web, sent, size=8, rest=0.05) as crowd:
        for kill in range(1, KILLS + 1):
            wait_until(partial(crowd.has_kept, how_many * kill // (KILLS + 1)), every=0.01)
            ground.kill_postgres()
            ground.start()
        wait_until(partial(crowd.has_kept, how_many))
        crowd.stop()

    kept = history.responses_by_invitation()
    assert history.faults_of_answers(crowd.attempts, kept) == []
    outcomes = crowd.outcomes()
    assert outcomes[303] >= how_many, outcomes
    assert outcomes.keys() <= {303, 503, None}, outcomes  # "try again later", never "we are broken"
    assert sum(outcomes.values()) - outcomes[303] >= KILLS, outcomes  # each kill was felt

    history.work_off()
    assert history.left_undone() == []
    assert history.faults_of_reactions() == []
    print(f"\n{how_many} answers, {KILLS} kills: {dict(outcomes)}, kept {kept.total()}")
