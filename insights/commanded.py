"""Imports by the command: the file lies on somebody's disk, so whoever erases a customer leaves word for the process.

A file under way has a row by its fingerprint (ImportAtWork). Erasing notes in it what the file is to be looked through
for, as with files that were uploaded; the process reads that before it commits a batch, and looks first. The row goes
when the import ends well: a file that named somebody, or whose import was killed, is known when it is tried again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import BinaryIO, Final

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from core.db import db
from customers import tables, workbooks
from customers.tables import FileFormat, Unreadable
from insights import named
from insights.models import ImportAtWork

KEPT: Final = timedelta(days=7)  # after this an import that did not end well is nobody's any more


class NamesErased(Unreadable):
    """The file names somebody whose record was erased while it was imported."""


def begin(file_sha256: str, *, now: datetime) -> None:
    """Note that a file is being imported; what it is sought for since an earlier attempt stays. The caller commits."""
    statement = insert(ImportAtWork).values(file_sha256=file_sha256, begun_at=now, sought=[])
    taken_up = statement.on_conflict_do_update(index_elements=["file_sha256"], set_={"begun_at": now})
    db.session.execute(taken_up)


def seek(hashes: Sequence[str]) -> None:
    """Have every file under way looked through for these; waits for batches that are being committed at this moment."""
    under_way = select(ImportAtWork.file_sha256).order_by(ImportAtWork.file_sha256)
    named.leave_word(ImportAtWork, ImportAtWork.file_sha256, under_way, hashes)


def is_sought(file_sha256: str) -> bool:
    """Whether somebody was erased for whom the file is to be looked through first; holds the row until commit."""
    return bool(_sought(file_sha256))


def look_through(file_sha256: str, file: BinaryIO, layout: FileFormat) -> None:
    """Look a file through for those it is sought for; commits. Raises NamesErased if it names one of them."""
    sought = _sought(file_sha256)
    if not sought:
        return
    encoding = None if workbooks.is_workbook(file) else tables.encoding_of(file, layout)
    if named.is_named(file, {"encoding": encoding}, sought):
        raise NamesErased(
            "The file names a customer whose record was erased meanwhile, so nothing more of it is taken in. Take that"
            " customer's rows out and import it again: rows that were taken in are known."
        )
    under_way = db.session.get_one(ImportAtWork, file_sha256)
    under_way.sought = [each for each in under_way.sought if each not in sought]
    db.session.commit()


def end(file_sha256: str) -> None:
    """Note that an import has ended well. The caller commits."""
    db.session.execute(delete(ImportAtWork).where(ImportAtWork.file_sha256 == file_sha256))


def forget(*, now: datetime) -> int:
    """Delete what imports have left that did not end well; return how many."""
    old = delete(ImportAtWork).where(ImportAtWork.begun_at < now - KEPT).returning(ImportAtWork.file_sha256)
    return len(db.session.scalars(old).all())


def _sought(file_sha256: str) -> list[str]:
    query = select(ImportAtWork).where(ImportAtWork.file_sha256 == file_sha256).with_for_update()
    under_way = db.session.scalar(query, execution_options={"populate_existing": True})
    return list(under_way.sought) if under_way is not None else []
