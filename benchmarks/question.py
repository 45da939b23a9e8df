"""What one more question costs in a submit: the same survey with ten further ones that are answered, and without."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks import load, visits
from benchmarks.figures import Figure
from benchmarks.ground import Ground, Process, Size
from core import clock
from core.db import db
from customers.models import Brand
from surveys import library, versions

DATABASE = "bench_question"
FURTHER = 10


def run(ground: Ground, size: Size) -> list[Figure]:
    app = visits.prepare(ground, DATABASE)
    with app.app_context():
        plain, longer = _survey("bench_plain", 0), _survey("bench_longer", FURTHER)
        db.session.commit()
        with ground.product(DATABASE) as web:
            wanted = size.visits // 6
            _median(web, plain, 0, 50), _median(web, longer, FURTHER, 50)
            more = [
                (_median(web, longer, FURTHER, wanted) - _median(web, plain, 0, wanted)) / FURTHER * 1e6
                for _ in range(size.pairs)
            ]
        db.session.remove()
        db.engine.dispose()
    return [
        Figure(
            "question_us",
            f"one more question in a submit ({FURTHER} further texts, answered)",
            round(statistics.median(more)),
            wanted * size.pairs * 2,
            low=round(min(more)),
            high=round(max(more)),
            lower_is_better=True,
            unit=" us",
            measured="of the median answer's time, one customer at a time",
        )
    ]


def _survey(key: str, further: int) -> tuple[int, int]:
    data: dict[str, Any] = library.survey("nps_after_contact").to_json()
    data |= {"key": key, "questions": [data["questions"][0], *(_text(place) for place in range(further))]}
    now = clock.now()
    survey = versions.create(data, brand=db.session.query(Brand).one(), by="system", now=now)
    return survey.id, versions.publish(survey, by="system", now=now).id


def _text(place: int) -> dict[str, Any]:
    return {"key": f"more_{place}", "kind": "text", "text": dict.fromkeys(("en", "de", "ar"), f"And {place}?")}


def _median(web: Process, survey: tuple[int, int], further: int, wanted: int) -> float:
    links = visits.make_links(wanted, survey_id=survey[0], version_id=survey[1])
    fields = [("nps", "9"), *((f"more_{place}", "All was well, thank you.") for place in range(further))]
    run = load.run(web.port, [[load.post(f"/s/{link}", fields)] for link in links], processes=1, connections=1)
    assert set(run.statuses) == {303}, f"unexpected statuses: {dict(run.statuses)}; see {web.log}"
    return run.percentile(50)
