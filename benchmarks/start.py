"""From starting the web server to its first survey page, and what web and worker take of memory."""

from __future__ import annotations

import statistics
import time

from benchmarks import load, visits
from benchmarks.figures import Figure
from benchmarks.ground import WORKERS, Ground, Size, wait_for_page

DATABASE = "bench_start"
STARTS = 3


def run(ground: Ground, size: Size) -> list[Figure]:
    app = visits.prepare(ground, DATABASE)
    links = visits.links_for(app, 500)
    took = []
    for _ in range(STARTS):
        begun = time.monotonic()
        web = ground.product(DATABASE)
        wait_for_page(web, f"/s/{links[0]}")
        took.append(time.monotonic() - begun)
        if len(took) < STARTS:
            web.stop()
    load.run(web.port, visits.flows(links))
    worker = ground.command(DATABASE, "worker", "reactions")
    deadline = time.monotonic() + 60
    with ground.connect(DATABASE) as connection:
        waiting = "SELECT count(*) FROM outbox WHERE queue = 'reactions' AND done_at IS NULL"
        while connection.execute(waiting).fetchone() != (0,) and time.monotonic() < deadline:
            time.sleep(0.2)
    memory_web, memory_worker = web.memory_mb(), worker.memory_mb()
    worker.stop()
    web.stop()
    return [
        Figure(
            "start_s",
            "start of the web server to its first survey page",
            round(statistics.median(took), 2),
            STARTS,
            low=round(min(took), 2),
            high=round(max(took), 2),
            lower_is_better=True,
            unit=" s",
        ),
        Figure(
            "memory_web_mb",
            f"memory of the web server, {WORKERS} workers, after {len(links)} customers (PSS)",
            round(memory_web),
            1,
            lower_is_better=True,
            unit=" MB",
        ),
        Figure(
            "memory_worker_mb",
            "memory of one worker after their reactions (PSS)",
            round(memory_worker),
            1,
            lower_is_better=True,
            unit=" MB",
        ),
    ]
