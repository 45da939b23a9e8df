"""Survey page, submit and complete flow, each against the yardstick's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from benchmarks import visits
from benchmarks.figures import Figure, interleave
from benchmarks.ground import Ground, Process, Size
from benchmarks.load import Visit
from benchmarks.visits import Counted

DATABASE = "bench_answering"


@dataclass
class Cost:
    """The processor's time of web and database over some runs: it says more than rates while others use the machine."""

    seconds: float = 0.0
    visits: int = 0

    @property
    def ms(self) -> float:
        return self.seconds / self.visits * 1000 if self.visits else 0.0


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

    def send(self, process: Process, visited: list[Visit], *, expected: set[int], cost: Cost) -> float:
        """Return visits a second; what they cost is added to `cost`."""
        before = process.cpu_seconds() + self.ground.cpu_seconds()
        found = visits.send(process, visited, expected=expected)
        cost.seconds += process.cpu_seconds() + self.ground.cpu_seconds() - before
        cost.visits += len(visited)
        return found.rate

    def links(self, wanted: int) -> list[str]:
        found = visits.links_for(self.app, wanted)
        visits.settle(self.ground, DATABASE)
        return found

    def check(self, wanted: int) -> None:
        """Every acknowledged answer is one row, every unhappy one has one case."""
        self.kept.check(wanted)
        self.cases.check(sum(said.is_unhappy for said in visits.answers(wanted)))


@cache
def bench_of(ground: Ground) -> Bench:
    """Return what the works share; it goes with the ground."""
    return Bench(ground)


def run(ground: Ground, size: Size, work: Callable[[Bench, Size], list[Figure]]) -> list[Figure]:
    return work(bench_of(ground), size)


def submit(bench: Bench, size: Size) -> list[Figure]:
    """One answer, with all that must be safe before the customer sees the thank-you page."""
    return [_submit(bench, size, "submit", "submit / floor `POST /insert`", aim=0.60)]


def submit_with_worker(bench: Bench, size: Size) -> list[Figure]:
    """The same while a worker does what follows an answer, on the same cores."""
    with bench.ground.command(DATABASE, "worker", "reactions"):
        words = "submit with the reactions done beside it / floor `POST /insert`"
        return [_submit(bench, size, "submit_with_worker", words, aim=None)]


def _submit(bench: Bench, size: Size, name: str, work: str, *, aim: float | None) -> Figure:
    ours, theirs = Cost(), Cost()

    def product() -> float:
        visited = visits.submits(bench.links(size.visits))
        rate = bench.send(bench.web, visited, expected={303}, cost=ours)
        bench.check(size.visits)
        return rate

    def floor() -> float:
        rate = bench.send(bench.floor, visits.floor_submits(size.visits), expected={200}, cost=theirs)
        bench.floor_kept.check(size.visits)
        return rate

    pairs = interleave(product, floor, pairs=size.pairs)
    n = size.visits * size.pairs * 2
    return pairs.figure(name, work, n=n, aim=aim, words=_words("answers", ours, theirs))


def _words(what: str, ours: Cost, theirs: Cost) -> str:
    cost = f"; web and database {ours.ms:.2f} against {theirs.ms:.2f} ms of CPU each"
    return "{ours:.0f} against {theirs:.0f} " + what + " a second" + cost


def page(bench: Bench, size: Size) -> list[Figure]:
    links = bench.links(min(size.visits, 1000))
    wanted = size.visits * 2
    visited = (visits.pages(links) * (wanted // len(links) + 1))[:wanted]
    ours, theirs = Cost(), Cost()
    pairs = interleave(
        lambda: bench.send(bench.web, visited, expected={200}, cost=ours),
        lambda: bench.send(bench.floor, visits.floor_pages(wanted), expected={200}, cost=theirs),
        pairs=size.pairs,
    )
    words = _words("pages", ours, theirs)
    return [pairs.figure("page", "survey page / floor `GET /hello`", n=wanted * size.pairs * 2, aim=0.70, words=words)]


def flow(bench: Bench, size: Size) -> list[Figure]:
    """Page, answer and thank-you page: three requests of the product against the yardstick's two."""
    whole = "complete flow (page, answer, thank-you page) / floor `GET /page` + `POST /flow`"
    less = "page and answer, without following to the thank-you page / the same"
    return [
        _flow(bench, size, "flow", whole, aim=0.50, thanks=True),
        _flow(bench, size, "flow_without_thanks", less, aim=None, thanks=False),
    ]


def _flow(bench: Bench, size: Size, name: str, work: str, *, aim: float | None, thanks: bool) -> Figure:
    wanted = size.visits // 2
    ours, theirs = Cost(), Cost()

    def product() -> float:
        visited = visits.flows(bench.links(wanted), thanks=thanks)
        rate = bench.send(bench.web, visited, expected={200, 303}, cost=ours)
        bench.check(wanted)
        return rate

    def floor() -> float:
        rate = bench.send(bench.floor, visits.floor_flows(wanted), expected={200}, cost=theirs)
        bench.floor_kept.check(wanted)
        return rate

    pairs = interleave(product, floor, pairs=size.pairs)
    n = wanted * size.pairs * 2
    return pairs.figure(name, work, n=n, aim=aim, words=_words("customers", ours, theirs))
