"""Tables in XLSX files: the first sheet that has rows, each cell as the text that a CSV file would hold.

The file is looked through before it is opened: a small one can be made that unpacks to more than the machine has.
"""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from datetime import date, datetime, time
from typing import Any, BinaryIO, Final

from python_calamine import CalamineError, CalamineWorkbook, PasswordError, SheetVisibleEnum

MAGIC: Final = b"PK\x03\x04"
MOST_UNPACKED: Final = 400 * 1024 * 1024  # bytes
MOST_CELLS: Final = 10_000_000  # of the rectangle from the first cell to the farthest: the reader keeps all of it
_PLACE: Final = re.compile(rb"""\br=["']([A-Z]{0,3})(\d{1,7})["']""")
_PIECE: Final = 1 << 20
_EXACT: Final = 10**15  # beyond it a spreadsheet's numbers are not whole numbers


class NotAWorkbook(ValueError):
    """This file cannot be read as a workbook, with a sentence that says why and what to do."""


def is_workbook(file: BinaryIO) -> bool:
    """Whether a file is an archive, as XLSX files are; leaves the file at its start."""
    file.seek(0)
    start = file.read(len(MAGIC))
    file.seek(0)
    return start == MAGIC


def rows_of(file: BinaryIO) -> Iterator[tuple[int, list[str]]]:
    """Return (row number, cells) of every row that is not blank; raises NotAWorkbook at once."""
    _check(file)
    try:
        book = CalamineWorkbook.from_filelike(file)
        sheets = [each.name for each in book.sheets_metadata if each.visible == SheetVisibleEnum.Visible]
        for name in sheets:
            sheet = book.get_sheet_by_name(name)
            if sheet.height:
                return _texts(sheet.iter_rows())
    except PasswordError:
        raise NotAWorkbook("The workbook has a password: save a copy without one.") from None
    except CalamineError as error:
        raise NotAWorkbook(f"The workbook is damaged ({error}): save it again, or save it as CSV.") from None
    except BaseException as error:
        # The reader's own failures derive from BaseException and have no class that could be named here.
        if type(error).__name__ != "PanicException":
            raise
        raise NotAWorkbook("The workbook is damaged: save it again, or save it as CSV.") from None
    raise NotAWorkbook("The workbook has no sheet with rows in it.")


def cells_of_all_sheets(file: BinaryIO) -> Iterator[str]:
    """Yield the cells of every sheet, hidden ones too; raises NotAWorkbook."""
    _check(file)
    book = CalamineWorkbook.from_filelike(file)
    for name in book.sheet_names:
        for row in book.get_sheet_by_name(name).iter_rows():
            yield from map(_text, row)


def _texts(rows: Iterator[list[Any]]) -> Iterator[tuple[int, list[str]]]:
    for number, row in enumerate(rows, start=1):
        cells = [_text(cell) for cell in row]
        if any(cells):
            yield number, cells


def _text(cell: Any) -> str:
    """Return a cell as text: whole numbers without a point, moments in ISO 8601."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "TRUE" if cell else "FALSE"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < _EXACT:
        return str(int(cell))
    if isinstance(cell, (datetime, date, time)):
        return cell.isoformat()
    return str(cell)


def _check(file: BinaryIO) -> None:
    """Unpack every part into nothing, counting what comes out; raises NotAWorkbook."""
    try:
        with zipfile.ZipFile(file) as archive:
            parts = archive.infolist()
        if all(part.filename != "xl/workbook.xml" for part in parts):
            raise NotAWorkbook("This is an archive and no XLSX workbook: save the table as XLSX or CSV.")
        left = MOST_UNPACKED
        for part in parts:
            left -= _unpacked(file, part, left)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError):  # the last: of a compression
        raise NotAWorkbook("The workbook is damaged: save it again, or save it as CSV.") from None
    file.seek(0)


def _unpacked(file: BinaryIO, part: zipfile.ZipInfo, most: int) -> int:
    """Return how many bytes a part really has, whatever the archive says of it."""
    file.seek(part.header_offset + 26)
    name, extra = struct.unpack("<HH", file.read(4))
    file.seek(part.header_offset + 30 + name + extra)
    is_sheet, total, tail, farthest = part.filename.startswith("xl/worksheets/"), 0, b"", (1, 1)
    for piece in _pieces(file, part):
        total += len(piece)
        if total > most:
            raise NotAWorkbook("The workbook unpacks to more than 400 MB: split it, or save it as CSV.")
        if is_sheet:
            farthest = _farthest(tail + piece, farthest)
            tail = piece[-16:]
    return total


def _pieces(file: BinaryIO, part: zipfile.ZipInfo) -> Iterator[bytes]:
    if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotAWorkbook("The workbook is packed in an unusual way: save it again, or save it as CSV.")
    unpack, left = zlib.decompressobj(-15), part.compress_size
    while left > 0 and (packed := file.read(min(left, 1 << 16))):
        left -= len(packed)
        if part.compress_type == zipfile.ZIP_STORED:
            yield packed
            continue
        while packed and not unpack.eof:
            yield unpack.decompress(packed, _PIECE)
            packed = unpack.unconsumed_tail


def _farthest(piece: bytes, farthest: tuple[int, int]) -> tuple[int, int]:
    """Return the farthest row and column that a piece of a sheet names, if the rectangle to it can be held."""
    row, column = farthest
    for letters, digits in _PLACE.findall(piece):
        row = max(row, int(digits))
        column = max(column, sum((byte - 64) * 26**at for at, byte in enumerate(reversed(letters))))
    if row * column > MOST_CELLS:
        raise NotAWorkbook(
            f"The sheet has a cell in row {row:,} and one in column {column:,}: delete the blank rows and columns"
            " around the table, or save it as CSV."
        )
    return row, column
