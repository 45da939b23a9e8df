"""Whether a file that waits to be imported names somebody who was erased, of whom we keep nothing but keyed hashes.

Whole cells count, and addresses inside of a text. A name does not: one that many have would take everybody's files.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Final

from sqlalchemy import Select, literal, not_, update
from sqlalchemy.dialects.postgresql import JSONB

from core.db import db
from customers import workbooks
from customers.signals import SHORTEST, Erasure
from customers.sought import each_hashed, hashed

CELLS_A_BREATH: Final = 100_000
_BETWEEN_CELLS: Final = re.compile(r'[,;\t|"\r\n]')
_ADDRESS: Final = re.compile(r"""[^\s<>()\[\]{}"',;:|=]+@[^\s<>()\[\]{}"',;:|=]+""")
_PHONE: Final = re.compile(r"[+\d][\d\s()/.-]{5,}")


def hashes_of(erasure: Erasure) -> list[str]:
    """Return what a file is looked through for: the addresses, phones and numbers, each as a keyed hash."""
    forms = {form for known in (erasure.addresses | erasure.numbers) for form in _forms(known)}
    return sorted(hashed(form) for form in forms if len(form) >= SHORTEST)


def is_named(
    file: BinaryIO, layout: Mapping[str, Any], sought: Collection[str], *, alive: Callable[[], None] = lambda: None
) -> bool:
    """Whether any cell of any sheet is one of those; `layout` is how a CSV file is written.

    Twenty seconds or so for a file of 50 MB on a busy machine; `alive` is called every second or so of them.
    """
    wanted = frozenset(sought)
    for number, cell in enumerate(_cells(file, layout)):
        if number % CELLS_A_BREATH == 0:
            alive()
        for form in _forms(cell):
            if len(form) >= SHORTEST and not wanted.isdisjoint(each_hashed(form)):
                return True
    return False


def _cells(file: BinaryIO, layout: Mapping[str, Any]) -> Iterator[str]:
    if workbooks.is_workbook(file):
        yield from workbooks.cells_of_all_sheets(file)
        return
    text = io.TextIOWrapper(file, encoding=layout.get("encoding") or "utf-8", errors="replace")
    try:
        for line in text:
            yield from _BETWEEN_CELLS.split(line)
    finally:
        text.detach()  # the file is the caller's to close


def _forms(cell: str) -> Iterator[str]:
    """Yield a cell as it stands, the addresses in it, and its digits if it is a phone, each in one spelling."""
    plain = " ".join(cell.casefold().split())
    yield plain
    if "@" in plain:
        yield from (address.strip(".") for address in _ADDRESS.findall(plain))
    if _PHONE.fullmatch(plain):
        yield re.sub(r"\D", "", plain).removeprefix("00")


def leave_word(model: type[Any], key: Any, under_way: Select[Any], sought: Sequence[str]) -> Sequence[Any]:
    """Note in rows of files what they are to be looked through for; return the keys of all that `under_way` held.

    `model` has `sought`, a list of hashes. Whoever commits a batch of a file holds its row, and is waited for.
    """
    keys = db.session.scalars(under_way.with_for_update()).all()
    looked_for = literal(list(sought), JSONB)
    db.session.execute(
        update(model)
        .where(key.in_(keys), not_(model.sought.bool_op("@>")(looked_for)))
        .values(sought=model.sought.op("||")(looked_for))
        .execution_options(synchronize_session="fetch")
    )
    return keys
