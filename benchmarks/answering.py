"""Survey page, submit and complete flow, each against the yardstick's."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks import visits
from benchmarks.figures import Figure, Pairs, interleave
from benchmarks.ground import Ground, Process, Size
from benchmarks.visits import Counted

DATABASE = "bench_answering"


class Bench:
    """Product and yardstick side by side, each with its rows counted."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.app = visits.prepare(ground, DATABASE)
        self.web = ground.product(DATABASE)
        self.floor = ground.floor()
        visits.send(self.floor, visits.floor_submits(200), expected={200})  # warm, and its table is there
        visits.send(self.floor, visits.floor_flows(100), expected={200})
        visits.send(self.web, visits.flows(visits.links_for(self.app, 200)), expected={200, 303})
        self.kept = Counted(ground, DATABASE, "response")
        self.cases = Counted(ground, DATABASE, '"case"')
        self.floor_kept = Counted(ground, "bench_floor", "floor_response")

    def stop(self) -> None:
        for each in (self.kept, self.cases, self.floor_kept):
            each.connection.close()
        self.web.stop()
        self.floor.stop()

    def links(self, wanted: int) -> list[str]:
        found = visits.links_for(self.app, wanted)
        visits.settle(self.ground, DATABASE)
        return found

    def check(self, wanted: int) -> None:
        """Every acknowledged answer is one row, every unhappy one has one case."""
        self.kept.check(wanted)
        self.cases.check(sum(said.is_unhappy for said in visits.answers(wanted)))


def run(ground: Ground, size: Size, work: Callable[[Bench, Size], list[Figure]]) -> list[Figure]:
    bench = Bench(ground)
    try:
        return work(bench, size)
    finally:
        bench.stop()


def submit(bench: Bench, size: Size) -> list[Figure]:
    """One answer, with all that must be safe before the customer sees the thank-you page."""
    pairs = _submit_pairs(bench, size)
    words = "{ours:.0f} against {theirs:.0f} answers a second"
    return [
        pairs.figure(
            "submit", "submit / floor `POST /insert`", n=size.visits * size.pairs * 2, aim=0.60, words=words
        )
    ]


def submit_with_worker(bench: Bench, size: Size) -> list[Figure]:
    """The same while a worker does what follows an answer, on the same cores."""
    with bench.ground.command(DATABASE, "worker", "reactions"):
        pairs = _submit_pairs(bench, size)
    words = "{ours:.0f} against {theirs:.0f} answers a second"
    return [
        pairs.figure(
            "submit_with_worker",
            "submit with the reactions done beside it / floor `POST /insert`",
            n=size.visits * size.pairs * 2,
            aim=None,
            words=words,
        )
    ]


def _submit_pairs(bench: Bench, size: Size) -> Pairs:
    def ours() -> float:
        links = bench.links(size.visits)
        found = visits.send(bench.web, visits.submits(links), expected={303})
        bench.check(size.visits)
        return found.rate

    def theirs() -> float:
        found = visits.send(bench.floor, visits.floor_submits(size.visits), expected={200})
        bench.floor_kept.check(size.visits)
        return found.rate

    return interleave(ours, theirs, pairs=size.pairs)


def page(bench: Bench, size: Size) -> list[Figure]:
    links = bench.links(min(size.visits, 1000))
    wanted = size.visits * 2
    visited = (visits.pages(links) * (wanted // len(links) + 1))[:wanted]
    pairs = interleave(
        lambda: visits.send(bench.web, visited, expected={200}).rate,
        lambda: visits.send(bench.floor, visits.floor_pages(wanted), expected={200}).rate,
        pairs=size.pairs,
    )
    words = "{ours:.0f} against {theirs:.0f} pages a second"
    return [pairs.figure("page", "survey page / floor `GET /hello`", n=wanted * size.pairs * 2, aim=0.70, words=words)]


def flow(bench: Bench, size: Size) -> list[Figure]:
    """Page, answer and thank-you page: three requests of the product against the yardstick's two."""
    words = "{ours:.0f} against {theirs:.0f} customers a second"
    n = size.visits // 2 * size.pairs * 2
    whole = _flow_pairs(bench, size, thanks=True)
    without = _flow_pairs(bench, size, thanks=False)
    return [
        whole.figure(
            "flow",
            "complete flow (page, answer, thank-you page) / floor `GET /page` + `POST /flow`",
            n=n,
            aim=0.50,
            words=words,
        ),
        without.figure(
            "flow_without_thanks",
            "page and answer, without following to the thank-you page / the same",
            n=n,
            aim=None,
            words=words,
        ),
    ]


def _flow_pairs(bench: Bench, size: Size, *, thanks: bool) -> Pairs:
    wanted = size.visits // 2

    def ours() -> float:
        found = visits.send(bench.web, visits.flows(bench.links(wanted), thanks=thanks), expected={200, 303})
        bench.check(wanted)
        return found.rate

    def theirs() -> float:
        found = visits.send(bench.floor, visits.floor_flows(wanted), expected={200})
        bench.floor_kept.check(wanted)
        return found.rate

    return interleave(ours, theirs, pairs=size.pairs)


def all_of(ground: Ground, size: Size) -> list[Figure]:
    def works(bench: Bench, size: Size) -> list[Figure]:
        return [figure for work in (submit, submit_with_worker, page, flow) for figure in work(bench, size)]

    return run(ground, size, works)


