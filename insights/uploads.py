"""Importing a file on a page: uploaded, matched, tried without writing, then taken in behind the request.

Each batch of rows commits together with the renewed lease of its work, so that a worker that is killed loses at most
one batch, and another one goes on at the run's next line. Nothing that is imported sends, rewards or escalates.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby, islice
from typing import Any, Final

from flask_babel import gettext as _
from sqlalchemy import delete, select
from sqlalchemy.orm import joinedload

from accounts import visibility
from accounts.models import Staff
from core import clock, events, files, outbox
from core.db import db
from core.errors import Conflict, NotFound, Refusal
from core.files import File
from core.outbox import Item, Waiting, Work
from customers import importing, looks, mapping
from customers.importing import Importer, InteractionImporter, Job, Progress
from customers.looks import Look
from customers.mapping import Kind, RowProblem
from customers.mapping import Mapping as Checked
from customers.models import Brand
from customers.places import Places
from customers.records import Record
from customers.tables import BadFile, Unreadable
from feedback.importing import ComplaintImporter
from insights import named, rollups
from insights.models import Upload, UploadState
from surveys.importing import ResponseImporter

IMPORTERS: Final[dict[Kind, type[Importer[Any]]]] = {
    Kind.INTERACTIONS: InteractionImporter,
    Kind.RESPONSES: ResponseImporter,
    Kind.COMPLAINTS: ComplaintImporter,
}
MOST_MEGABYTES: Final = 50
MEGABYTE: Final = 1024 * 1024
PREVIEWED: Final = 20
SHOWN: Final = 20  # refusals that the page shows; all are in the run's file of them
STEP: Final = timedelta(seconds=20)  # after which other work of the queue has its turn
AGAIN: Final = timedelta(seconds=5)  # until an import of the same file by somebody else is looked at again
KEPT: Final = timedelta(days=7)  # a file that was uploaded and never imported
UNDER_WAY: Final = (UploadState.TRYING, UploadState.RUNNING)
OVER: Final = (UploadState.DONE, UploadState.ERASED)  # nothing of the file is kept any more


class BadUpload(Refusal):
    """A file that cannot be imported; the sentence says why and what to do."""

    code = "bad-file"


class TooLate(Conflict):
    """What is asked for does not fit the state of the import, which somebody else may have changed."""

    code = "import-moved-on"

    def sentence(self) -> str:
        return _("This import has moved on; here is how it stands.")


# What the pages do


def keep(
    content: bytes, *, name: str, brand: Brand | None, like: Mapping[str, Any] | None, by: Staff, now: datetime
) -> Upload:
    """Keep an uploaded file with a first look at it; `like` is a mapping to begin with. Raises BadUpload."""
    if not content:
        raise BadUpload(_("The file is empty. Choose a CSV or XLSX file with a header and rows."), field="file")
    if len(content) > MOST_MEGABYTES * MEGABYTE:
        raise BadUpload(too_large(), field="file")
    try:
        look = looks.look(io.BytesIO(content))
    except BadFile as error:
        raise BadUpload(str(error), field="file") from error
    file = files.keep(content, name=name, content_type="application/octet-stream", now=now)
    upload = Upload(
        file=file,
        brand=brand,
        look=look.kept(),
        kind=None,
        mapping=dict(like or {}),
        told={},
        by=events.staff_actor(by.id),
        created_at=now,
    )
    db.session.add(upload)
    db.session.flush()
    return upload


def too_large() -> str:
    return _(
        "The file is larger than %(size)s MB. Divide it, or import it with the command bin/amends import.",
        size=MOST_MEGABYTES,
    )


def load(public_id: str, *, staff: Staff, for_change: bool = False) -> Upload:
    """Return an upload that this person may see, locked where it is to be changed; raises NotFound."""
    query = visibility.visible_to(staff, select(Upload).where(Upload.public_id == public_id), Upload.brand_id)
    upload = db.session.scalar(query.with_for_update() if for_change else query)
    if upload is None:
        raise NotFound
    return upload


def look_of(upload: Upload) -> Look:
    return Look.of(upload.look)


def match(upload: Upload, table: Mapping[str, Any], kind: Kind) -> None:
    """Keep a mapping for the file; raises TooLate, or Unreadable where it is no mapping or not one for this file."""
    if upload.state in (*UNDER_WAY, *OVER):
        raise TooLate
    check(upload, table, kind)
    upload.mapping, upload.kind = dict(table), str(kind)
    upload.state, upload.told, upload.wrong = UploadState.READY, {}, None


def check(upload: Upload, table: Mapping[str, Any], kind: Kind) -> None:
    """Raise Unreadable unless the mapping is one, names columns that the file has, and fits what is here."""
    checked = mapping.from_table(table, kind=kind)
    mapping.bind(checked, [column.name for column in look_of(upload).columns])
    _importer(upload, checked).prepare()


def begin(upload: Upload, *, dry: bool, now: datetime) -> None:
    """Have the whole file tried, or taken in, behind the request; raises TooLate."""
    if upload.state not in (UploadState.READY, UploadState.TRIED):
        raise TooLate
    upload.state = UploadState.TRYING if dry else UploadState.RUNNING
    upload.turn += 1
    upload.told, upload.begun_at, upload.finished_at = {}, now, None
    outbox.later("import.go", key=_work_key(upload), due_at=now, upload_id=upload.id)


def stop(upload: Upload) -> None:
    """End what is under way after its present batch; what was taken in stays, and starting again goes on from there."""
    if upload.state not in UNDER_WAY:
        raise TooLate
    upload.state = UploadState.READY


def discard(upload: Upload) -> None:
    """Forget a file that is not being imported."""
    if upload.state in UNDER_WAY:
        raise TooLate
    db.session.delete(upload)
    db.session.flush()
    db.session.execute(delete(File).where(File.id == upload.file_id))


def seek(hashes: Sequence[str], *, key: str, now: datetime) -> None:
    """Have every file looked through for these (insights.named) before anything more of it is taken in.

    In the caller's transaction; a batch that is being taken in at this moment is undone (`_take`).
    """
    waiting = select(Upload.id).where(Upload.state.not_in(OVER)).order_by(Upload.id)
    ids = named.leave_word(Upload, Upload.id, waiting, hashes)
    outbox.later_many("import.search", [(f"{each}:{key}", {"upload_id": each}) for each in ids], due_at=now)


def is_given_up(upload: Upload) -> bool:
    """Whether its work was tried too often; an administrator finds it among the work behind."""
    key = f"import.go:{_work_key(upload)}"
    query = select(Work.id).where(Work.dedupe_key == key, Work.dead_at.is_not(None))
    return upload.state in UNDER_WAY and db.session.scalar(query) is not None


def preview(upload: Upload, *, now: datetime) -> list[tuple[int, Record | list[RowProblem]]]:
    """Return the first rows as they would be kept, each with its line, or what is wrong with it."""
    checked = _checked(upload)
    importer = _importer(upload, checked)
    importer.prepare()
    rows = groupby(mapping.read(io.BytesIO(_content(upload)), checked), key=lambda each: each.line)
    first = [(line, list(items)) for line, items in islice(rows, PREVIEWED)]
    records = [each for _line, items in first for each in items if not isinstance(each, RowProblem)]
    importer.places.learn({record.touchpoint for record in records if record.touchpoint})
    return [(line, _previewed(items, importer, now)) for line, items in first]


def _previewed(
    items: Sequence[Record | RowProblem], importer: Importer[Any], now: datetime
) -> Record | list[RowProblem]:
    problems = [each for each in items if isinstance(each, RowProblem)]
    record = next((each for each in items if not isinstance(each, RowProblem)), None)
    if record is None:
        return problems
    return importer.faults(record, now=now) or record


# Behind the request


@outbox.handler("import.go", queue="reports", batch=2)
def go(items: list[Item], *, now: datetime) -> Waiting:
    """Try or take in a file, for at most `STEP` at a time; the rest waits behind other work of the queue."""
    found = {item.id: _go(int(item.ids["upload_id"]), items) for item in items}
    return {item_id: due_at for item_id, due_at in found.items() if due_at is not None}


def _go(upload_id: int, items: Sequence[Item]) -> datetime | None:
    """Go on with one file; return when it is to be gone on with, None if it came to an end."""
    outbox.renew(items, now=clock.now())  # what another file of the batch left is kept, whatever becomes of this one
    upload = db.session.get(Upload, upload_id, populate_existing=True)
    if upload is None or upload.state not in UNDER_WAY or _is_thrown_away(upload, items):
        return None
    try:
        with importing.alone(upload.file.sha256, waiting=_another_first):
            return _take(upload, items)
    except _Another:
        return clock.now() + AGAIN
    except Unreadable as error:
        db.session.rollback()
        upload = db.session.get_one(Upload, upload_id)
        upload.state, upload.wrong, upload.finished_at = UploadState.REFUSED, str(error), clock.now()
        return None


class _Another(Exception):
    """The same file is being imported by another process."""


def _another_first() -> None:
    raise _Another


def _take(upload: Upload, items: Sequence[Item]) -> datetime | None:
    dry, until = upload.state == UploadState.TRYING, clock.now() + STEP
    importer, before = _importer(upload, _checked(upload)), dict(upload.told)
    upload.told, first = {}, None
    for progress in importing.take(io.BytesIO(_content(upload)), importer, _job(upload), now=clock.now(), dry=dry):
        if _is_sought(upload):
            db.session.rollback()
            return clock.now()
        first = progress.tally.next_line if first is None else first
        _note(upload, progress, importer, before if progress.resumed_at else {})
        outbox.renew(items, now=clock.now())
        db.session.refresh(upload, ["state"])
        if upload.state not in UNDER_WAY:
            return None
        # Without a run there is no line to go on from: a repeated import, which writes nothing, ends in one go.
        has_moved = bool(progress.run_id) and not dry and progress.tally.next_line > first
        if outbox.stopping.is_set() or (has_moved and clock.now() > until):
            return clock.now()
    _end(upload, items, dry=dry)
    return None


def _is_sought(upload: Upload) -> bool:
    """Whether somebody was erased meanwhile for whom the file is to be looked through first; holds the row."""
    db.session.refresh(upload, ["state", "sought"], with_for_update=True)
    return bool(upload.sought) or upload.state == UploadState.ERASED


@outbox.handler("import.search", queue="reports", batch=2)
def search(items: list[Item], *, now: datetime) -> Waiting:
    """Look files through for customers who were erased, unless that was done already."""
    for item in items:
        upload = db.session.get(Upload, int(item.ids["upload_id"]), populate_existing=True)
        if upload is not None:
            _is_thrown_away(upload, items)
    return {}


def _is_thrown_away(upload: Upload, items: Sequence[Item]) -> bool:
    """Throw a file away if it names somebody who is sought; whoever uploaded it is told on its page."""
    sought = list(upload.sought)
    if not sought:
        return False
    file, layout = io.BytesIO(_content(upload)), look_of(upload).layout
    is_named = named.is_named(file, layout, sought, alive=lambda: outbox.renew(items, now=clock.now()))
    db.session.refresh(upload, with_for_update=True)
    upload.sought = [each for each in upload.sought if each not in sought]
    if is_named and upload.state not in OVER:
        upload.state, upload.finished_at = UploadState.ERASED, clock.now()
        upload.told, upload.wrong, upload.sought = {}, None, []
        _empty(upload, clock.now())
    db.session.flush()
    return upload.state == UploadState.ERASED


def _note(upload: Upload, progress: Progress, importer: Importer[Any], before: Mapping[str, Any]) -> None:
    """Note how far it is, for the page; `before` is what was told until an interruption."""
    tally, told = progress.tally, upload.told or before
    problems = [*told.get("problems", ()), *(list(each) for each in progress.problems)][:SHOWN]
    beside = Counter(before.get("beside", {})) + importer.beside
    upload.told = {
        "rows": tally.rows,
        "created": tally.created,
        "known": tally.known,
        "doubled": tally.doubled,
        "refused": tally.refused,
        "problems": problems,
        "made": list(dict.fromkeys([*before.get("made", ()), *importer.places.made])),
        "beside": dict(beside),
        "resumed_at": progress.resumed_at,
    }
    upload.run_id = progress.run_id or upload.run_id


def _end(upload: Upload, items: Sequence[Item], *, dry: bool) -> None:
    """Note that it is done; after an import the figures are brought up to date and the file is forgotten."""
    while not dry and rollups.fold(now=clock.now()):
        outbox.renew(items, now=clock.now())
    upload.state, upload.finished_at = (UploadState.TRIED if dry else UploadState.DONE), clock.now()
    if not dry:
        _empty(upload, clock.now())


def _empty(upload: Upload, now: datetime) -> None:
    """Forget what the file held: its rows are in our own tables by now."""
    upload.file.content, upload.file.erased_at = b"", now
    upload.look = {"layout": {}, "rows": upload.look["rows"], "columns": []}


def forget(*, now: datetime) -> int:
    """Delete files that were uploaded and never imported, some at a time; return how many."""
    old = select(Upload).where(Upload.created_at < now - KEPT, Upload.state.not_in([*UNDER_WAY, UploadState.DONE]))
    found = db.session.scalars(old.order_by(Upload.created_at).limit(20).with_for_update(skip_locked=True)).all()
    for upload in found:
        discard(upload)
    return len(found)


# Of one upload


def _content(upload: Upload) -> bytes:
    return db.session.scalars(select(File.content).where(File.id == upload.file_id)).one()


def _checked(upload: Upload) -> Checked:
    return mapping.from_table(upload.mapping, kind=Kind(str(upload.kind)))


def _importer(upload: Upload, checked: Checked) -> Importer[Any]:
    zone = checked.table.get("zone") or "UTC"
    places = Places(upload.brand.key if upload.brand else None, zone=zone).find()
    return IMPORTERS[checked.kind](checked, places)


def _job(upload: Upload) -> Job:
    return Job(_checked(upload), upload.file.name, upload.file.sha256, upload.brand_id, upload.by)


def _work_key(upload: Upload) -> str:
    return f"{upload.id}:{upload.turn}"


def under_way(staff: Staff) -> list[Upload]:
    """Return the uploads that are not done, newest first."""
    query = select(Upload).where(Upload.state != UploadState.DONE).options(joinedload(Upload.file))
    query = query.order_by(Upload.id.desc()).limit(50)
    return list(db.session.scalars(visibility.visible_to(staff, query, Upload.brand_id)))


def names_of(actors: Iterable[str]) -> dict[str, str]:
    """Return the names of staff behind actors such as "staff:12", in one statement."""
    ids = {int(actor.removeprefix("staff:")) for actor in actors if actor.startswith("staff:")}
    query = select(Staff.id, Staff.name).where(Staff.id.in_(ids))
    return {events.staff_actor(row.id): row.name for row in db.session.execute(query)} if ids else {}


def told_problems(upload: Upload) -> Iterator[RowProblem]:
    """Yield the first refusals of the last trial or import."""
    return (RowProblem(*each) for each in upload.told.get("problems", ()))
