"""bin/bench [--quick] [WORK…]: measure the product against the yardstick, write RESULTS.md and results.json."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from benchmarks import answering, desk, figures, hand_over, imports, insights, invitations, question, start
from benchmarks.figures import Figure
from benchmarks.ground import ROOT, THREADS, WORKERS, Ground, Size

Work = Callable[[Ground, Size], list[Figure]]
WORKS: dict[str, Work] = {
    "submit": partial(answering.run, work=answering.submit),
    "submit-with-worker": partial(answering.run, work=answering.submit_with_worker),
    "page": partial(answering.run, work=answering.page),
    "flow": partial(answering.run, work=answering.flow),
    "invitations": invitations.run,
    "hand-over": hand_over.run,
    "desk": desk.run,
    "insights": insights.run,
    "import": imports.run,
    "question": question.run,
    "start": start.run,
}
CONDITIONS = (
    f"""Product and yardstick under the same command: granian (WSGI), {WORKERS} workers with {THREADS} threads each, no
access log; the same load generator, 2 processes with 8 kept connections each, on the same machine.""",
    """PostgreSQL with fsync and synchronous_commit=on, otherwise its defaults (shared_buffers 128 MB); Valkey
with its
append-only file; both through Unix sockets.""",
    """15 % of the answers are unhappy: each opens a case with two clocks, most with a promise. After each run
the rows
are counted: one response for each acknowledged answer, one case for each unhappy one.""",
)

REASONS = {
    "submit": """An answer is two statements, with its case too. Two thirds of its time are the web's: a quarter of that
is psycopg and the pool, a tenth the form, most of the rest Flask's request. PostgreSQL's third is five times the
yardstick's: it finds the link with what its page needs through eight tables, spends it, and writes response and outbox;
a third of that statement checks response's ten foreign keys, of which the yardstick's table has none.""",
    "page": """The page asks the database whether its link still stands, `/hello` asks nobody: `SELECT 1` alone costs
0.13 ms of CPU in the client and 0.1 in the server, about as much as a whole `/hello`. The rest is Flask's request with
two contexts, and filling the page.""",
    "flow": """The sum of the two above and of the thank-you page, which sends one query and is filled like the survey;
the yardstick's flow has no third request.""",
    "invitations": """The bare loop posts bytes that lie ready to a stub that reads nothing of them: it
measures memory.
Each invitation is judged again, stored as a message, claimed, posted and noted, in about twenty statements a batch.""",
    "commit_to_hand_over_p99_s": """Web, three workers and the clock share two cores with whoever sends; each
interaction is a call of its own, of eleven statements.""",
}


def main() -> None:
    options = _options()
    size, begun, found = Size.of(quick=options.quick), time.monotonic(), []
    ground = Ground(ROOT / "var" / "bench")
    try:
        for name in options.work or WORKS:
            started = time.monotonic()
            for figure in WORKS[name](ground, size):
                found.append(replace(figure, why=REASONS.get(figure.name, "").replace("\n", " ")))
                print(f"{figure.name:28} {figure.ratio:g}{figure.unit}  ({figure.measured})", flush=True)
            print(f"    {name}: {time.monotonic() - started:.0f} s", flush=True)
            # After each work: a run that is ended half way has not measured for nothing.
            figures.write(found, quick=size.quick, seconds=time.monotonic() - begun, conditions=CONDITIONS)
    finally:
        ground.stop()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bin/bench", description="Measure the product against the yardstick.")
    parser.add_argument("--quick", action="store_true", help="small sizes, about three minutes (full: about thirty)")
    parser.add_argument("work", nargs="*", choices=[*WORKS, []], metavar="WORK", help=f"of {', '.join(WORKS)}")
    return parser.parse_args()


if __name__ == "__main__":
    main()
