"""Figures and their report: interleaved runs, the ratio of each pair, RESULTS.md and results.json."""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

HERE = Path(__file__).parent
KNOWN = re.compile(r"^model name\s*:\s*(.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Figure:
    """One line of the report. `ratio` is what is held against the aim; without an aim it is only reported."""

    name: str
    work: str
    ratio: float
    n: int
    aim: float | None = None
    lower_is_better: bool = False
    low: float | None = None  # of the pairs
    high: float | None = None
    measured: str = ""  # the absolute figures behind it
    unit: str = ""  # of `ratio`, where it is none
    why: str = ""  # what it falls short by, and the reason

    @property
    def is_reached(self) -> bool:
        if self.aim is None:
            return True
        return self.ratio <= self.aim if self.lower_is_better else self.ratio >= self.aim


@dataclass(frozen=True)
class Pairs:
    """Pairs of interleaved runs: the product's figure, the yardstick's, and the ratio of each pair."""

    ours: Sequence[float]
    theirs: Sequence[float]

    @property
    def ratios(self) -> list[float]:
        return [a / b for a, b in zip(self.ours, self.theirs, strict=True)]

    def figure(
        self, name: str, work: str, *, n: int, aim: float | None, words: str, lower_is_better: bool = False
    ) -> Figure:
        """Return the median ratio with its range; `words` takes the medians of both as {ours} and {theirs}."""
        ratios = self.ratios
        return Figure(
            name,
            work,
            round(statistics.median(ratios), 3),
            n,
            aim=aim,
            lower_is_better=lower_is_better,
            low=round(min(ratios), 3),
            high=round(max(ratios), 3),
            measured=words.format(ours=statistics.median(self.ours), theirs=statistics.median(self.theirs)),
        )


def interleave(ours: Callable[[], float], theirs: Callable[[], float], *, pairs: int) -> Pairs:
    """Run A B A B …: whatever else the machine does meanwhile falls on both."""
    found = [(ours(), theirs()) for _ in range(pairs)]
    return Pairs([a for a, _ in found], [b for _, b in found])


def write(figures: Sequence[Figure], *, quick: bool, seconds: float, conditions: Sequence[str]) -> None:
    """Write both reports; figures of works that did not run this time are kept as they stand."""
    kept = _kept()
    kept |= {figure.name: asdict(figure) | {"quick": quick, "measured_on": _today()} for figure in figures}
    order = [name for name in _order() if name in kept] + sorted(kept.keys() - set(_order()))
    rows = [kept[name] for name in order]
    short = {row["name"]: {key: row[key] for key in ("ratio", "aim", "lower_is_better", "n")} for row in rows}
    (HERE / "results.json").write_text(json.dumps(short, indent=1) + "\n")
    output = HERE / "output"
    output.mkdir(exist_ok=True)
    (output / "figures.json").write_text(json.dumps(kept, indent=1))
    (HERE / "RESULTS.md").write_text(_report(rows, seconds=seconds, quick=quick, conditions=conditions))


def _kept() -> dict[str, dict[str, object]]:
    path = HERE / "output" / "figures.json"
    return dict(json.loads(path.read_text())) if path.exists() else {}


def _order() -> list[str]:
    return [
        "submit", "submit_with_worker", "reactions", "page", "flow", "flow_without_thanks", "invitations",
        "invitations_seconds", "hand_over_alone", "commit_to_hand_over_p99_s", "desk", "desk_deep", "insights", "fold",
        "import_over_copy", "question_us", "start_s", "memory_web_mb", "memory_worker_mb",
    ]  # fmt: skip


def _report(rows: Sequence[dict[str, object]], *, seconds: float, quick: bool, conditions: Sequence[str]) -> str:
    short = [Figure(**{key: row[key] for key in Figure.__dataclass_fields__}) for row in rows]  # type: ignore[arg-type]
    lines = [
        "# What was measured",
        "",
        f"Written by `bin/bench{' --quick' if quick else ''}` on {_today()} in {seconds:.0f} s.",
        "",
        "## Machine and conditions",
        "",
        *("- " + line.replace("\n", " ") for line in (*machine(), *conditions)),
        "",
        "## Figures",
        "",
        "Ratio: the median of the interleaved pairs, with the lowest and the highest pair. n: what was counted.",
        "",
        "| work | ratio | pairs | aim | | n | measured | run |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_row(figure, row) for figure, row in zip(short, rows, strict=True)),
        "",
        "## What falls short",
        "",
        *(_shortfall(figure) for figure in short if not figure.is_reached),
    ]
    if all(figure.is_reached for figure in short):
        lines.append("Nothing of what ran.")
    return "\n".join(lines) + "\n"


def _row(figure: Figure, row: dict[str, object]) -> str:
    aim = "" if figure.aim is None else f"{'≤' if figure.lower_is_better else '≥'} {figure.aim:g}{figure.unit}"
    verdict = "" if figure.aim is None else "reached" if figure.is_reached else "**short**"
    pairs = "" if figure.low is None else f"{figure.low:g} to {figure.high:g}"
    run = f"{'quick' if row['quick'] else 'full'}, {row['measured_on']}"
    ratio = f"{figure.ratio:g}{figure.unit}"
    return f"| {figure.work} | {ratio} | {pairs} | {aim} | {verdict} | {figure.n:,} | {figure.measured} | {run} |"


def _shortfall(figure: Figure) -> str:
    return f"- **{figure.work}**: {figure.ratio:g}{figure.unit} of {figure.aim:g}. {figure.why}".rstrip()


def machine() -> list[str]:
    """Return what the figures depend on: processor, memory, kernel, Python."""
    model = KNOWN.search(Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    processor = model[1] if model else platform.machine()
    gib = int(memory[1]) // 1024**2 if memory else 0
    return [
        f"{os.cpu_count()} cores ({processor}), {gib} GiB, {platform.platform()}, {platform.python_version()}.",
        f"Load at the end, over 1, 5 and 15 minutes: {load}. Above 4, others worked on the machine at the same time.",
    ]


def _today() -> str:
    done = subprocess.run(["date", "-u", "+%Y-%m-%d"], capture_output=True, text=True, check=True)
    return done.stdout.strip()
