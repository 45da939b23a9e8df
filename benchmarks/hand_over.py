"""From the commit of an interaction to the hand-over of its invitation, at a steady rate through the API."""

from __future__ import annotations

import json
import threading
import time
from datetime import timedelta
from itertools import count

from sqlalchemy import text

from accounts import api_keys
from benchmarks import load, visits
from benchmarks.figures import Figure
from benchmarks.ground import Ground, Process, Size
from benchmarks.stub import Stub
from core import clock
from core.db import db

DATABASE = "bench_hand_over"
RATE = 100
LINES = 10
LATE_SECONDS = 1.0  # calls that leave later than this were not sent at the rate
PATIENCE_SECONDS = 120
COMMANDS = (("worker", "messages"), ("worker", "reactions"), ("worker", "rewards"), ("clock",))
WAITED = text("""
    SELECT count(*), count(m.handed_over_at),
           percentile_cont(ARRAY[0.5, 0.99, 1]) WITHIN GROUP
               (ORDER BY extract(epoch FROM m.handed_over_at - n.received_at))
    FROM interaction n LEFT JOIN invitation i ON i.interaction_id = n.id LEFT JOIN message m ON m.id = i.message_id
    WHERE n.reference LIKE 'paced-%'
""")


def run(ground: Ground, size: Size) -> list[Figure]:
    """All processes of the Procfile but reports run on the same machine; the house's own reward is advertised."""
    visits.prepare(ground, DATABASE)
    with Stub(ground.logs / "no-bodies") as stub, ground.inside(DATABASE, **stub.settings):
        _key, secret = api_keys.create("Bench", ["interactions:write"], by=None, now=clock.now())
        db.session.commit()
        web = ground.product(DATABASE, **stub.settings)
        others = [ground.command(DATABASE, *command, **stub.settings) for command in COMMANDS]
        try:
            time.sleep(5)
            late = _pace(web, secret, size.hand_over_seconds)
            found = _waited(size.hand_over_seconds * RATE)
        finally:
            for process in (web, *others):
                process.stop()
    median, p99, longest = found
    return [
        Figure(
            "commit_to_hand_over_p99_s",
            f"commit of an interaction to hand-over, {RATE} a second for {size.hand_over_seconds} s, p99"
            + ("" if late < LATE_SECONDS else " (that rate was not held)"),
            round(p99, 2),
            size.hand_over_seconds * RATE,
            aim=10 if late < LATE_SECONDS else None,  # at a lower rate it would say nothing
            lower_is_better=True,
            unit=" s",
            measured=f"median {median:.2f} s, longest {longest:.2f} s; calls left at most {late:.2f} s late",
        )
    ]


def _pace(web: Process, secret: str, seconds: int) -> float:
    """Tell of one interaction every hundredth of a second; return by how much the latest call was late."""
    begun, numbers, late = time.monotonic() + 0.2, count(), [0.0]
    faults: list[int] = []

    def tell() -> None:
        line = load._Line(web.port)
        while (number := next(numbers)) < seconds * RATE:
            at = begun + number / RATE
            time.sleep(max(0.0, at - time.monotonic()))
            late.append(time.monotonic() - at)
            line.begin([_call(number, secret)])
            while (status := line.read()) is None:
                pass
            if status != 201:
                faults.append(status)

    threads = [threading.Thread(target=tell) for _ in range(LINES)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults, f"unexpected statuses: {faults[:5]}; see {web.log}"
    return max(late)


def _call(number: int, secret: str) -> bytes:
    body = {
        "reference": f"paced-{number}",
        "occurred_at": (clock.now() - timedelta(minutes=5)).isoformat(),
        "touchpoint": "call-centre",
        "channel": "phone",
        "customer": {
            "external_id": f"bench-{number}",
            "name": f"Hanna Keller {number}",
            "email": f"hanna.{number}@customers.example",
            "language": "en",
        },
    }
    head = f"Authorization: Bearer {secret}\r\n"
    return load.sent("/api/v1/interactions", json.dumps(body).encode(), "application/json", head)


def _waited(wanted: int) -> tuple[float, float, float]:
    """Return median, 99th percentile and longest wait in seconds, once every message was handed over."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        made, handed, waits = db.session.execute(WAITED).one()
        db.session.rollback()
        if made == handed == wanted:
            return float(waits[0]), float(waits[1]), float(waits[2])
        if time.monotonic() > deadline:
            raise RuntimeError(f"{handed} of {wanted} messages were handed over within {PATIENCE_SECONDS} s.")
        time.sleep(0.5)
