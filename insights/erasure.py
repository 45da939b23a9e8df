"""What files that somebody imports hold of a customer who is erased: a file that names them is thrown away."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import String, cast, func, or_, select, update

from core.db import db
from core.files import File
from customers import workbooks
from customers.models import Customer, ImportRefusal
from customers.signals import Erasure, customer_erased
from insights import uploads
from insights.models import Upload, UploadState

SHORTEST: Final = 5  # letters of what is looked for: a shorter number stands in any file
ENCODINGS: Final = ("utf-8", "latin-1")
INSTEAD: Final = "What this said was erased with its customer."


@customer_erased.connect
def forget(_customer: Customer, *, erasure: Erasure) -> None:
    """Throw away files that wait to be imported and name the customer, and empty what refused rows said of them."""
    sought = [each.casefold() for each in erasure.identifiers if len(each) >= SHORTEST]
    if not sought:
        return
    for upload in _waiting():
        if _is_named(upload, sought):
            uploads.discard(upload)
    _empty_refusals(sought)


def _waiting() -> Iterable[Upload]:
    still = Upload.state.not_in([*uploads.UNDER_WAY, UploadState.DONE])
    query = select(Upload).where(still).order_by(Upload.id).with_for_update(of=Upload)
    return db.session.scalars(query, execution_options={"populate_existing": True}).all()


def _is_named(upload: Upload, sought: Iterable[str]) -> bool:
    content = db.session.scalars(select(File.content).where(File.id == upload.file_id)).one()
    texts = [*_texts(content), str(upload.look).casefold(), str(upload.told).casefold()]
    return any(each in text for text in texts for each in sought)


def _texts(content: bytes) -> Iterable[str]:
    file = io.BytesIO(content)
    if workbooks.is_workbook(file):
        return ["\n".join("\t".join(row) for _line, row in workbooks.rows_of(file)).casefold()]
    return [content.decode(encoding, "replace").casefold() for encoding in ENCODINGS]


def _empty_refusals(sought: Iterable[str]) -> None:
    """A refused row belongs to nobody; what was wrong with it may quote it."""
    quotes: Any = [func.strpos(func.lower(ImportRefusal.reason), each) > 0 for each in sought]
    db.session.execute(
        update(ImportRefusal).where(or_(*quotes)).values(reason=INSTEAD).execution_options(synchronize_session="fetch")
    )
    told = [func.strpos(func.lower(cast(Upload.told, String)), each) > 0 for each in sought]
    for upload in db.session.scalars(select(Upload).where(or_(*told)).with_for_update(of=Upload)):
        upload.told = upload.told | {"problems": [_emptied(each, sought) for each in upload.told.get("problems", ())]}
    db.session.flush()


def _emptied(problem: list[Any], sought: Iterable[str]) -> list[Any]:
    line, column, reason = problem
    return [line, column, INSTEAD if any(each in str(reason).casefold() for each in sought) else reason]
