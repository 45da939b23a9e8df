"""What customers and staff attach to a case: checked by content, kept with it, handed out as downloads only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask_babel import gettext as _
from sqlalchemy import insert, select
from werkzeug.datastructures import FileStorage

from core import file_kinds, files, formats
from core.db import db, is_public_id
from core.errors import NotFound, Refusal
from core.files import File
from feedback.models import Attachment, Case

MOST_FILES: Final = 5
MOST_MEGABYTES: Final = 20  # of one file
MOST_MEGABYTES_TOGETHER: Final = 40
MEGABYTE: Final = 1024 * 1024
MOST_BODY_BYTES: Final = 110 * MEGABYTE  # of a form: more than we take, so that it can be refused at the field


class BadFile(Refusal):
    """A file we do not take; the sentence names it and the way out."""

    code = "bad-file"


@dataclass(frozen=True)
class Upload:
    """A file that was checked: its content, a safe name, the type its content shows."""

    content: bytes
    name: str
    content_type: str


def checked(sent: Sequence[FileStorage]) -> list[Upload]:
    """Return what was sent, by its content, or raise BadFile for the first that we do not take."""
    try:
        return _all_checked([each for each in sent if each.filename])  # browsers send an empty part for no file
    finally:
        for each in sent:
            each.close()  # large ones lie in a file on disk until then


def _all_checked(chosen: Sequence[FileStorage]) -> list[Upload]:
    if len(chosen) > MOST_FILES:
        raise BadFile(
            _(
                "These are %(count)s files. Choose the %(most)s that show it best; a person asks you for the others.",
                count=formats.digits(len(chosen)),
                most=formats.digits(MOST_FILES),
            ),
            field="file",
        )
    if sum(map(_size, chosen)) > MOST_MEGABYTES_TOGETHER * MEGABYTE and all(map(_fits, chosen)):
        raise BadFile(
            _(
                "Together these files are larger than %(size)s MB. Choose fewer or smaller ones.",
                size=formats.digits(MOST_MEGABYTES_TOGETHER),
            ),
            field="file",
        )
    return [_checked(each) for each in chosen]


def _size(file: FileStorage) -> int:
    file.stream.seek(0, 2)
    size = file.stream.tell()
    file.stream.seek(0)
    return size


def _fits(file: FileStorage) -> bool:
    return _size(file) <= MOST_MEGABYTES * MEGABYTE


def _checked(file: FileStorage) -> Upload:
    shown = formats.isolated(" ".join((file.filename or "").split())[:80])
    if not _fits(file):  # before it is read
        raise BadFile(
            _(
                "%(name)s is larger than %(size)s MB. Choose a photo instead of a film, or a shorter film.",
                name=shown,
                size=formats.digits(MOST_MEGABYTES),
            ),
            field="file",
        )
    content = file.stream.read()
    if not content:
        raise BadFile(_("%(name)s is empty. Choose it again, or leave it out.", name=shown), field="file")
    kind = file_kinds.recognise(content)
    if kind is None:
        raise BadFile(
            _(
                "%(name)s can’t be taken: it is no photo, PDF or film, or it holds something else too. "
                "A photo of it, or a PDF printed anew, works.",
                name=shown,
            ),
            field="file",
        )
    return Upload(content, file_kinds.written_name(file.filename or "", kind), kind.content_type)


def attach(case_id: int, uploads: Sequence[Upload], *, entry_id: int | None = None, now: datetime) -> None:
    """Keep files with a case, or with one entry of it; again for the same entry adds nothing."""
    if not uploads or (entry_id is not None and _has_files(entry_id)):
        return
    kept = [files.keep(each.content, name=each.name, content_type=each.content_type, now=now) for each in uploads]
    rows = [{"case_id": case_id, "entry_id": entry_id, "file_id": file.id} for file in kept]
    db.session.execute(insert(Attachment), rows)


def _has_files(entry_id: int) -> bool:
    return db.session.scalar(select(Attachment.id).where(Attachment.entry_id == entry_id).limit(1)) is not None


def of_case(case_id: int) -> Mapping[int | None, list[File]]:
    """Return a case's files by the entry they came with; None: with the complaint itself. Their content stays."""
    query = (
        select(Attachment.entry_id, File)
        .join(File, File.id == Attachment.file_id)
        .where(Attachment.case_id == case_id, File.erased_at.is_(None))
        .order_by(Attachment.id)
    )
    found: dict[int | None, list[File]] = defaultdict(list)
    for entry_id, file in db.session.execute(query):
        found[entry_id].append(file)
    return found


def find(case: Case, public_id: str) -> File:
    """Return a file of this case, or raise NotFound."""
    query = (
        select(File)
        .join(Attachment, Attachment.file_id == File.id)
        .where(File.public_id == public_id, Attachment.case_id == case.id, File.erased_at.is_(None))
    )
    file = db.session.scalar(query) if is_public_id(public_id) else None
    if file is None:
        raise NotFound
    return file
