"""The import of a file of complaints, each with its case and history, against COPY of the same rows into one table."""

from __future__ import annotations

import csv
import os
import time
from itertools import islice
from pathlib import Path

from benchmarks import visits
from benchmarks.figures import Figure, interleave
from benchmarks.ground import ROOT, Ground, Size

DATABASE = "bench_import"
FILE = Path("complaints") / "cfpb_2015_jan_feb.csv"
MAPPING = ROOT / "tests" / "data" / "mappings" / "cfpb.toml"


def run(ground: Ground, size: Size) -> list[Figure]:
    folder = os.environ.get("AMENDS_TEST_DATA")
    if not folder or not (Path(folder) / FILE).exists():
        print("    import-over-copy: skipped, AMENDS_TEST_DATA names no folder of real data")
        return []
    file = ground.logs / "complaints.csv"
    with (Path(folder) / FILE).open(newline="") as lines:
        rows = list(islice(csv.reader(lines), size.imported + 1 if size.imported else None))
    with file.open("w", newline="") as copy:
        csv.writer(copy).writerows(rows)
    wanted = len(rows) - 1
    found = interleave(
        lambda: _imported(ground, file, wanted), lambda: _copied(ground, rows), pairs=1 if size.quick else 3
    )
    return [
        found.figure(
            "import_over_copy",
            f"import of {wanted:,} complaints / COPY of the same rows",
            n=wanted * len(found.ours),
            aim=None,
            words="{ours:,.0f} against {theirs:,.0f} rows a second",
        )
    ]


def _imported(ground: Ground, file: Path, wanted: int) -> float:
    """Return rows a second of the command, its start and the fold at its end included."""
    visits.prepare(ground, DATABASE)
    begun = time.monotonic()
    process = ground.command(DATABASE, "import", "complaints", str(file), "--mapping", str(MAPPING), "--quiet")
    assert process.handle.wait() in (0, 3), f"the import failed; see {process.log}"
    took = time.monotonic() - begun
    with ground.connect(DATABASE) as connection:
        row = connection.execute("SELECT count(*) FROM complaint").fetchone()
    assert row is not None
    assert row[0] >= wanted * 0.99, f"{row} of {wanted} rows are there"
    return wanted / took


def _copied(ground: Ground, rows: list[list[str]]) -> float:
    with ground.connect(DATABASE) as connection:
        columns = ", ".join(f"c{place} text" for place in range(len(rows[0])))
        connection.execute(f"CREATE TABLE bare ({columns})")
        begun = time.monotonic()
        with connection.cursor() as cursor, cursor.copy("COPY bare FROM STDIN") as copy:
            for row in rows[1:]:
                copy.write_row(row)
        took = time.monotonic() - begun
        connection.execute("DROP TABLE bare")
    return (len(rows) - 1) / took
