"""`import interactions|responses|complaints FILE --mapping FILE.toml`: other people's tables, taken in once."""

from __future__ import annotations

import csv
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
from sqlalchemy import select

from core import clock, spreadsheets
from core.db import db
from customers import importing, mapping
from customers.importing import Importer, Job, Progress
from customers.mapping import Kind, Mapping, RowProblem
from customers.models import ImportRefusal
from customers.places import Places
from customers.tables import Unreadable
from insights import commanded, rollups
from insights.uploads import IMPORTERS

SHOWN: Final = 20
REFUSED: Final = 3
"""The exit code when everything is done and rows were refused; 1: nothing was taken, the file or mapping is wrong."""

EVERY: Final = 5.0
"""Seconds between two lines of progress where standard error is no terminal."""


@click.command("import")
@click.argument("kind", type=click.Choice([kind.value for kind in Kind]))
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mapping",
    "mapping_path",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The TOML file that says which columns are what (docs/imports.md).",
)
@click.option("--dry-run", "dry", is_flag=True, help="Only tell what would happen.")
@click.option("--brand", help="The key of the brand that the rows belong to; by default the first one.")
@click.option(
    "--refusals", type=click.Path(dir_okay=False, path_type=Path), help="Write every refused row to this CSV."
)
@click.option("--batch", type=click.IntRange(1, 20_000), default=importing.BATCH, help="Rows a transaction.")
@click.option("--quiet", is_flag=True, help="Show no progress.")
def import_(
    kind: str,
    path: Path,
    mapping_path: Path,
    dry: bool,
    brand: str | None,
    refusals: Path | None,
    batch: int,
    quiet: bool,
) -> None:
    """Take the rows of a CSV or XLSX file in, each once: run again it goes on where it stopped, or changes nothing.

    Nothing is sent, rewarded or escalated. Exit codes: 0 all rows are here, 3 some were refused, 1 the file or the
    mapping cannot be used.
    """
    try:
        with path.open("rb") as file:
            _import(file, mapping.load(mapping_path.read_bytes(), kind=kind), dry, brand, refusals, batch, quiet)
    except Unreadable as error:
        db.session.rollback()
        raise click.ClickException(str(error)) from error


def _import(
    file: BinaryIO, chosen: Mapping, dry: bool, brand: str | None, refusals: Path | None, batch: int, quiet: bool
) -> None:
    digest = importing.fingerprint(file)
    with importing.alone(digest, waiting=_tell_waiting), _under_way(digest, dry=dry):
        last: Progress | None = None
        beside = Counter[str]()
        while last is None:
            commanded.look_through(digest, file, chosen.layout)
            places = Places(brand, zone=chosen.table.get("zone") or "UTC").find()
            importer = IMPORTERS[chosen.kind](chosen, places)
            importer.beside += beside
            named = places.brand.id if brand and places.brand else None
            job = Job(chosen, Path(file.name).name, digest, named, by="system")
            problems = _Problems(refusals)
            last, beside = _run(file, importer, job, problems, dry=dry, batch=batch, quiet=quiet)
    if not dry:
        _fold()
    _report(importer, last, dry=dry)
    if problems.finish(last, dry=dry):
        sys.exit(REFUSED)


@contextmanager
def _under_way(digest: str, *, dry: bool) -> Iterator[None]:
    """Let whoever erases a customer know of the file, until it is taken in; a dry run takes nothing in."""
    if dry:
        yield
        return
    commanded.begin(digest, now=clock.now())
    db.session.commit()
    try:
        yield
    except commanded.NamesErased:
        raise  # and the row stays: the same file is not taken in by trying again
    except Unreadable:
        db.session.rollback()
        _end(digest)
        raise
    _end(digest)


def _end(digest: str) -> None:
    commanded.end(digest)
    db.session.commit()


def _run(
    file: BinaryIO, importer: Importer[Any], job: Job, problems: _Problems, *, dry: bool, batch: int, quiet: bool
) -> tuple[Progress | None, Counter[str]]:
    """Take the rows in; return how it ended, with what else is to be told of what was taken in.

    None: a customer was erased meanwhile, for whom the file is to be looked through before the rest is.
    """
    last: Progress | None = None
    beside = Counter(importer.beside)
    with _shown_progress(file, quiet=quiet) as show:
        for last in importing.take(file, importer, job, now=clock.now(), size=batch, dry=dry):
            if commanded.is_sought(job.file_sha256):
                db.session.rollback()
                return None, beside
            _end_transaction(dry)
            beside = Counter(importer.beside)
            problems.add(last.problems)
            show(last)
    return last, beside


def _end_transaction(dry: bool) -> None:
    if dry:
        db.session.rollback()
    else:
        db.session.commit()


def _fold() -> None:
    """Take the new responses into the roll-ups, so that the figures are there at once."""
    while rollups.fold(now=clock.now()):
        db.session.commit()
    db.session.commit()


def _tell_waiting() -> None:
    click.echo("Another import of this file is under way; this one waits for it.", err=True)


# What is shown


@contextmanager
def _shown_progress(file: BinaryIO, *, quiet: bool) -> Iterator[Any]:
    """Give a function that shows progress on standard error: one line that changes, or a line every few seconds."""
    is_terminal = sys.stderr.isatty()
    size = max(1, file.seek(0, 2))
    began = shown = time.monotonic()

    def show(progress: Progress) -> None:
        nonlocal shown
        now = time.monotonic()
        if quiet or not (is_terminal or now - shown > EVERY):
            return
        shown, tally = now, progress.tally
        done = min(100, 100 * file.tell() // size)
        line = f"{done:3d} %  {tally.rows:,} rows  {tally.refused:,} refused  {tally.rows / (now - began):,.0f} rows/s"
        click.echo(f"\r{line}  " if is_terminal else line, err=True, nl=not is_terminal)

    yield show
    if is_terminal and not quiet:
        click.echo(err=True)


def _report(importer: Importer[Any], last: Progress, *, dry: bool) -> None:
    tally, kind = last.tally, importer.mapping.kind
    if last.resumed_at:
        click.echo(f"Taken up where it was interrupted, at line {last.resumed_at:,}.")
    if importer.places.made:
        click.echo(f"{'Would make' if dry else 'Made'}: {', '.join(importer.places.made)}.")
    made = f"{tally.created:,} {kind} {'would be new' if dry else 'new'}"
    doubled = f", {tally.doubled:,} told again in this file" if tally.doubled else ""
    click.echo(f"{tally.rows:,} rows: {made}, {tally.known:,} known already{doubled}, {tally.refused:,} refused.")
    for what, count in importer.beside.items():
        if count:
            click.echo(f"{count:,} {_BESIDE.get(what, what)}.")
    if dry:
        click.echo("Nothing was changed: this was a dry run.")
    elif not tally.created:
        click.echo("Nothing was changed.")


_BESIDE: Final = {
    "cases": "cases, off the desk",
    "reopened": "of them open again, because the customer disputed how they ended",
    "without their interaction": "name an interaction that is not here; interactions are imported first",
}


class _Problems:
    """The refused rows: the first are shown, all are written to a file if one was asked for."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.found: list[RowProblem] = []

    def add(self, problems: list[RowProblem]) -> None:
        self.found += problems

    def finish(self, last: Progress, *, dry: bool) -> bool:
        """Show and write them, with those from before an interruption; return whether there are any."""
        if last.resumed_at and last.run_id and not dry:
            self.found = _kept(last.run_id)
        for problem in self.found[:SHOWN]:
            where = f"line {problem.line:,}" + (f", column {problem.column}" if problem.column else "")
            click.echo(f"  {where}: {problem.reason}", err=True)
        if len(self.found) > SHOWN:
            hint = "" if self.path else " (--refusals FILE.csv writes all)"
            click.echo(f"  and {len(self.found) - SHOWN:,} more{hint}", err=True)
        if self.path:
            self._write(self.path)
        return bool(self.found)

    def _write(self, path: Path) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["line", "column", "reason"])
            writer.writerows(map(spreadsheets.harmless, each) for each in self.found)


def _kept(run_id: int) -> list[RowProblem]:
    query = select(ImportRefusal.line, ImportRefusal.column, ImportRefusal.reason)
    rows = db.session.execute(query.where(ImportRefusal.import_id == run_id).order_by(ImportRefusal.id))
    return [RowProblem(*row) for row in rows]
