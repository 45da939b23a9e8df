"""Files people attach: kept in PostgreSQL, because web and worker share no disk, and never served inline."""

from __future__ import annotations

import hashlib
from datetime import datetime

from flask import Response
from sqlalchemy import ColumnElement, LargeBinary, select, update
from sqlalchemy.orm import Mapped, deferred, mapped_column

from core.db import Id, Model, PublicId, db


class File(Model):
    __tablename__ = "file"
    id: Mapped[Id]
    public_id: Mapped[PublicId]
    name: Mapped[str]  # as the sender called it; shown escaped, never used as a path
    content_type: Mapped[str]  # as found by looking at the content, not as claimed
    size_bytes: Mapped[int]
    sha256: Mapped[str]
    created_at: Mapped[datetime]
    erased_at: Mapped[datetime | None]
    content: Mapped[bytes] = deferred(mapped_column(LargeBinary))


def keep(content: bytes, *, name: str, content_type: str, now: datetime) -> File:
    """Store one file in the caller's transaction; the caller has checked size and type."""
    digest = hashlib.sha256(content).hexdigest()
    file = File(
        name=name[:200],
        content_type=content_type,
        size_bytes=len(content),
        sha256=digest,
        created_at=now,
        content=content,
    )
    db.session.add(file)
    db.session.flush()
    return file


def empty(which: ColumnElement[bool], *, now: datetime) -> None:
    """Forget what files held and how they were called; the rows stay, and no page offers them any more."""
    db.session.execute(
        update(File)
        .where(which, File.erased_at.is_(None))
        .values(content=b"", name="", sha256="", size_bytes=0, erased_at=now)
        .execution_options(synchronize_session="fetch")
    )


def download(file: File) -> Response:
    """Answer with the file as a download that no browser opens in our name."""
    content = db.session.scalar(select(File.content).where(File.id == file.id))
    response = Response(content, content_type="application/octet-stream")
    response.headers.set("Content-Disposition", "attachment", filename=file.name)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
