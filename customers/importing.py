"""Importing: a file's records taken in batches, each row once, whatever is killed, repeated or run twice at once.

`take` is the loop that all kinds share, with its bookkeeping (ImportRun, ImportRefusal); what a record becomes is its
kind's Importer: interactions here, complaints in feedback.importing, responses in surveys.importing. Nothing that is
imported sends, rewards or escalates.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, BinaryIO, Final, Generic, TypeVar

from sqlalchemy import insert, literal, select, text
from sqlalchemy.dialects.postgresql import JSONB

from core.db import db
from core.inserting import among_texts
from customers import customers, interactions
from customers.contacts import MAX_PHONE, written_email, written_phone
from customers.customers import CustomerData
from customers.interactions import InteractionData
from customers.mapping import InteractionRecord, Mapping, Record, RowProblem, read
from customers.models import Customer, ImportRefusal, ImportRun, Interaction, Touchpoint
from customers.places import Places

BATCH: Final = 1000
"""Rows a transaction: what a kill loses, and for how long others wait for a row that they import too."""

UNKNOWN_CHANNEL: Final = "unknown"
FUTURE: Final = timedelta(days=1)  # a clock may be off; what happens next week is no history
CHUNK: Final = 1 << 20
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8}){0,3}")
_LONGEST: Final = {"external_id": 200, "name": 200, "email": 254, "phone": MAX_PHONE, "tier": 80, "channel": 40}

R = TypeVar("R", bound=Record)
Item = Record | RowProblem


@dataclass(frozen=True)
class Job:
    """One import as it was asked for. `brand_id` only where the brand was named; `by` is an actor."""

    mapping: Mapping
    file_name: str
    file_sha256: str
    brand_id: int | None
    by: str


@dataclass
class Tally:
    """What became of the rows so far; those taken up before an interruption are in it."""

    rows: int = 0
    created: int = 0
    known: int = 0  # here already, from an earlier import or another system
    doubled: int = 0  # told again in the same file
    refused: int = 0
    next_line: int = 1


@dataclass
class Progress:
    """What the loop tells after each batch; `problems` are those of this batch alone."""

    tally: Tally
    problems: list[RowProblem]
    resumed_at: int | None = None
    run_id: int | None = None


class Importer(ABC, Generic[R]):
    """What records of one kind become. Made for one run; `beside` counts what else is to be told, by its name."""

    def __init__(self, mapping: Mapping, places: Places) -> None:
        self.mapping, self.places = mapping, places
        self.beside: Counter[str] = Counter()

    def prepare(self) -> None:
        """Look up what the whole mapping names; raises Unreadable where it contradicts what is here."""

    @abstractmethod
    def identity(self, record: R) -> Hashable:
        """Return what makes two rows one."""

    @abstractmethod
    def moments(self, record: R) -> dict[str, datetime | None]:
        """Return the record's moments by the names of their fields."""

    @abstractmethod
    def known(self, records: Sequence[R]) -> Collection[Hashable]:
        """Return the identities of those that are here already."""

    @abstractmethod
    def keep(self, records: Sequence[R], *, run_id: int, now: datetime) -> int:
        """Keep new records, which do not repeat each other; return how many were still new when they were written."""

    def foresee(self, records: Sequence[R]) -> None:
        """Note what keeping these would bring beside them; writes nothing."""
        self.places.foresee({record.touchpoint for record in records if record.touchpoint})

    def faults(self, record: R, *, now: datetime) -> list[RowProblem]:
        """Return why the record cannot be kept, by column: what the mapping alone could not see."""
        found = [*self._wrong_moments(record, now), *_wrong_codes(record), *_wrong_customer(record)]
        if record.touchpoint and (fault := self.places.fault(record.touchpoint)):
            found.append(("touchpoint", fault))
        return [RowProblem(record.line, self._column(name), reason) for name, reason in found]

    def _wrong_moments(self, record: R, now: datetime) -> Iterator[tuple[str, str]]:
        for name, moment in self.moments(record).items():
            if moment is not None and moment > now + FUTURE:
                yield name, f"{moment:%Y-%m-%d %H:%M} UTC has not happened yet."

    def _column(self, name: str) -> str | None:
        table = self.mapping.customer if name.startswith("customer.") else self.mapping.fields
        source = table.get(name.removeprefix("customer."))
        return ", ".join(source.columns) or None if source else None


def _wrong_codes(record: Record) -> Iterator[tuple[str, str]]:
    """Yield what is no code: channels and languages are what figures are grouped by."""
    if record.channel and len(record.channel) > _LONGEST["channel"]:
        yield "channel", f"A channel has up to {_LONGEST['channel']} characters."
    language = getattr(record, "language", None)
    if language and not _LANGUAGE.fullmatch(language):
        yield "language", f"{language[:40]!r} is not a code of a language such as en or pt-BR."


def _wrong_customer(record: Record) -> Iterator[tuple[str, str]]:
    if record.customer is None:
        return
    given = asdict(record.customer)
    for name, longest in _LONGEST.items():
        if len(given.get(name) or "") > longest:
            yield f"customer.{name}", f"{name} has more than {longest} characters."
    if given["email"] and written_email(given["email"]) is None:
        yield "customer.email", f"{given['email'][:80]!r} is not an e-mail address."
    if given["language"] and not _LANGUAGE.fullmatch(given["language"]):
        yield "customer.language", f"{given['language'][:40]!r} is not a code of a language such as en or pt-BR."


# The loop


def take(
    file: BinaryIO, importer: Importer[Any], job: Job, *, now: datetime, size: int = BATCH, dry: bool = False
) -> Iterator[Progress]:
    """Take a file's rows in, `size` at a time, yielding after each batch; the caller commits, then asks for the next.

    An import of the same file, mapping and brand that was interrupted is taken up at its next line. One that was
    finished is repeated, and leaves no trace unless something is new. `dry` only reads. Raises Unreadable before the
    first batch.
    """
    items = read(file, job.mapping)
    importer.prepare()
    journal = _Journal.open(job, now=now, dry=dry)
    seen: set[Hashable] = set()
    yield journal.progress([])
    for batch in _batches(items, size):
        fresh = [item for item in batch if item.line >= journal.begins_at]
        seen.update(_identities(batch[: len(batch) - len(fresh)], importer))
        if fresh:
            yield journal.progress(_take_batch(fresh, importer, journal, seen, now))
    journal.finish(now)
    yield journal.progress([])


def _take_batch(
    batch: Sequence[Item], importer: Importer[Any], journal: _Journal, seen: set[Hashable], now: datetime
) -> list[RowProblem]:
    """Take one batch, write its bookkeeping, return its problems."""
    problems: list[RowProblem] = []
    first: dict[Hashable, Any] = {}
    doubled = 0
    importer.places.learn({item.touchpoint for item in batch if not isinstance(item, RowProblem) and item.touchpoint})
    for item in batch:
        faults = [item] if isinstance(item, RowProblem) else importer.faults(item, now=now)
        if faults or isinstance(item, RowProblem):
            problems += faults
            continue
        identity = importer.identity(item)
        doubled += identity in seen
        if identity not in seen:
            seen.add(identity)
            first[identity] = item
    known = importer.known(list(first.values())) if first else ()
    new = [item for identity, item in first.items() if identity not in known]
    created = journal.keep(importer, new, now=now)
    rows, refused = len({item.line for item in batch}), len({problem.line for problem in problems})
    journal.count(
        Tally(rows, created, len(first) - created, doubled, refused, batch[-1].line + 1), problems=problems, now=now
    )
    return problems


def _batches(items: Iterator[Item], size: int) -> Iterator[list[Item]]:
    """Yield the items by `size` rows; the problems of one row stay together."""
    batch: list[Item] = []
    rows, line = 0, 0
    for item in items:
        if item.line != line:
            if rows == size:
                yield batch
                batch, rows = [], 0
            rows, line = rows + 1, item.line
        batch.append(item)
    if batch:
        yield batch


def _identities(items: Sequence[Item], importer: Importer[Any]) -> Iterator[Hashable]:
    """Yield what was taken before an interruption, so that rows told again are known as such."""
    return (importer.identity(item) for item in items if not isinstance(item, RowProblem))


@dataclass
class _Journal:
    """The bookkeeping of one run. `run` is None while nothing is written: in a dry run, or if all is known."""

    job: Job
    run: ImportRun | None
    dry: bool
    is_repeat: bool
    begins_at: int
    tally: Tally
    waiting: list[RowProblem] = field(default_factory=list)  # told before there was a run to keep them with

    @classmethod
    def open(cls, job: Job, *, now: datetime, dry: bool) -> _Journal:
        earlier = _earlier(job)
        if earlier is not None and earlier.finished_at is None and not dry:
            tally = Tally(earlier.rows, earlier.created, earlier.repeated, 0, earlier.refused, earlier.next_line)
            return cls(job, earlier, dry, False, earlier.next_line, tally)
        journal = cls(job, None, dry, earlier is not None, 1, Tally())
        if not (dry or journal.is_repeat):
            journal.begin(now)
        return journal

    def begin(self, now: datetime) -> ImportRun:
        """Return the run's row, made when there is something to keep with it."""
        if self.run is None:
            job = self.job
            self.run = ImportRun(
                kind=str(job.mapping.kind),
                file_name=job.file_name,
                file_sha256=job.file_sha256,
                mapping=dict(job.mapping.table),
                brand_id=job.brand_id,
                by=job.by,
                started_at=now,
            )
            db.session.add(self.run)
            db.session.flush()
        return self.run

    def keep(self, importer: Importer[Any], new: Sequence[Any], *, now: datetime) -> int:
        """Keep new records, or in a dry run note what would be kept; return how many."""
        if not new:
            return 0
        if self.dry:
            importer.foresee(new)
            return len(new)
        return importer.keep(new, run_id=self.begin(now).id, now=now)

    def count(self, batch: Tally, *, problems: list[RowProblem], now: datetime) -> None:
        """Add a batch to the tally and, in the same transaction as its rows, to the run."""
        for name in ("rows", "created", "known", "doubled", "refused"):
            setattr(self.tally, name, getattr(self.tally, name) + getattr(batch, name))
        self.tally.next_line = batch.next_line
        self.waiting += problems
        if self.run is not None and not self.dry:
            self._write()

    def _write(self) -> None:
        run, tally = self.run, self.tally
        assert run is not None  # noqa: S101  # asked by the caller
        run.rows, run.created, run.refused, run.next_line = tally.rows, tally.created, tally.refused, tally.next_line
        run.repeated = tally.known + tally.doubled
        if self.waiting:
            rows = [{"import_id": run.id, **problem._asdict()} for problem in self.waiting]
            db.session.execute(insert(ImportRefusal), rows)
            self.waiting = []
        db.session.flush()

    def finish(self, now: datetime) -> None:
        if self.run is not None and not self.dry:
            self.run.finished_at = now
            db.session.flush()

    def progress(self, problems: list[RowProblem]) -> Progress:
        resumed_at = self.begins_at if self.begins_at > 1 else None
        return Progress(self.tally, problems, resumed_at, self.run.id if self.run else None)


def _earlier(job: Job) -> ImportRun | None:
    """Return the run of the same file, mapping and brand that is unfinished, else the last one that is finished."""
    query = select(ImportRun).where(
        ImportRun.file_sha256 == job.file_sha256,
        ImportRun.kind == str(job.mapping.kind),
        ImportRun.mapping == literal(dict(job.mapping.table), JSONB),
        ImportRun.brand_id.is_not_distinct_from(job.brand_id),
    )
    return db.session.scalar(query.order_by(ImportRun.finished_at.is_not(None), ImportRun.id.desc()).limit(1))


def fingerprint(file: BinaryIO) -> str:
    """Return the SHA-256 of a file, which is left at its start."""
    digest = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(CHUNK):
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()


@contextmanager
def alone(file_sha256: str, *, waiting: Callable[[], None]) -> Iterator[None]:
    """Let only one import of a file run at a time; calls `waiting` if another one is under way, and waits for it.

    Rows are never doubled without it; it is there so that the second one finds the first one's run finished. The lock
    ends with its connection, also when the process is killed.
    """
    key = {"key": int(file_sha256[:15], 16)}
    with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
            waiting()
            connection.execute(text("SELECT pg_advisory_lock(:key)"), key)
        try:
            yield
        finally:
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)


# For every kind


def customers_of(records: Sequence[Record], *, now: datetime) -> list[Customer | None]:
    """Return the records of the customers that the rows name, in order; blanks are filled, nothing is overwritten."""
    return customers.upsert_many([_customer_data(record) for record in records], now=now, only_fill=True)


def _customer_data(record: Record) -> CustomerData:
    if record.customer is None:
        return CustomerData()
    given = asdict(record.customer)
    given["email"] = written_email(given["email"]) if given["email"] else None
    given["phone"] = written_phone(given["phone"]) if given["phone"] else None
    return CustomerData(**given)


def interactions_of(records: Sequence[Any], places: Places) -> list[Any]:
    """Return (id, customer_id) of the interaction that each record names by touchpoint and reference, None for none."""
    named: dict[int, set[str]] = {}
    for record in records:
        if (touchpoint := places.touchpoint(record.touchpoint)) and record.reference:
            named.setdefault(touchpoint.id, set()).add(record.reference)
    found: dict[tuple[int, str], Any] = {}
    for touchpoint_id, references in named.items():
        query = select(Interaction.reference, Interaction.id, Interaction.customer_id, Interaction.status)
        query = query.where(
            Interaction.touchpoint_id == touchpoint_id, Interaction.reference == among_texts(references)
        )
        found |= {(touchpoint_id, row.reference): row for row in db.session.execute(query)}
    return [_found(record, places.touchpoint(record.touchpoint), found) for record in records]


def _found(record: Any, touchpoint: Touchpoint | None, found: dict[tuple[int, str], Any]) -> Any:
    return found.get((touchpoint.id, record.reference)) if touchpoint and record.reference else None


class InteractionImporter(Importer[InteractionRecord]):
    """Interactions, one for each touchpoint and reference; one that was left half-done is completed."""

    def identity(self, record: InteractionRecord) -> Hashable:
        return record.touchpoint, record.reference

    def moments(self, record: InteractionRecord) -> dict[str, datetime | None]:
        return {"occurred_at": record.occurred_at}

    def known(self, records: Sequence[InteractionRecord]) -> Collection[Hashable]:
        pairs = zip(records, interactions_of(records, self.places), strict=True)
        return {
            self.identity(record)
            for record, found in pairs
            if found and not (found.status == "started" and record.status == "completed")
        }

    def keep(self, records: Sequence[InteractionRecord], *, run_id: int, now: datetime) -> int:
        self.places.make({record.touchpoint for record in records})
        people = customers_of(records, now=now)
        many = [
            (_interaction(record), self._touchpoint(record).id, customer)
            for record, customer in zip(records, people, strict=True)
        ]
        return sum(is_new for _, is_new in interactions.record_many(many, now=now, import_id=run_id))

    def _touchpoint(self, record: InteractionRecord) -> Touchpoint:
        touchpoint = self.places.touchpoint(record.touchpoint)
        assert touchpoint is not None  # noqa: S101  # made above
        return touchpoint


def _interaction(record: InteractionRecord) -> InteractionData:
    return InteractionData(
        reference=record.reference,
        occurred_at=record.occurred_at,
        channel=record.channel or UNKNOWN_CHANNEL,
        value_minor=record.value.amount_minor if record.value else None,
        currency=record.value.currency if record.value else None,
        staff_name=record.staff,
        status=record.status,
        attributes=record.attributes,
    )
