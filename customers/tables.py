"""Tables in CSV and XLSX files: their encoding, delimiter and physical line numbers, read as a stream.

What is wrong with the whole file is an Unreadable, raised before the first row; what is wrong with one row is a BadRow
among the rows, and the rows after it are read on.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

from customers import workbooks

CHUNK: Final = 1 << 20


class Unreadable(ValueError):
    """A file or a mapping that cannot be used at all, with a sentence that says why and what to do."""


class BadFile(Unreadable):
    """A file that is empty, or not in the encoding that was declared."""


@dataclass(frozen=True)
class FileFormat:
    """How a file is written. `fallback_encoding` is used for the whole file if it is not valid in `encoding`."""

    encoding: str = "utf-8-sig"
    fallback_encoding: str | None = None
    delimiter: str = ","


class Row(NamedTuple):
    """One row's cells as text, and the physical line on which it begins: the header is line 1."""

    line: int
    cells: list[str]


class BadRow(NamedTuple):
    """A row that is not one, beginning on `line`, and why."""

    line: int
    reason: str


def open_table(file: BinaryIO, layout: FileFormat) -> tuple[list[str], Iterator[Row | BadRow]]:
    """Return the header as written and the rows below it, read lazily from `file`, which must be seekable.

    Blank lines are passed over. Raises BadFile if the file is empty, its header is broken or its encoding another one.
    An XLSX file is known by its content, whatever `layout` says; its lines are the rows of its first sheet.
    """
    rows = _sheet(file) if workbooks.is_workbook(file) else _rows(file, layout, encoding_of(file, layout))
    header = next(rows, None)
    if header is None:
        raise BadFile("The file is empty.")
    if isinstance(header, BadRow):
        raise BadFile(f"The header cannot be read: {header.reason}")
    return [name.removeprefix("\ufeff") for name in header.cells], _checked(rows, len(header.cells))


def _rows(file: BinaryIO, layout: FileFormat, encoding: str) -> Iterator[Row | BadRow]:
    """Yield every row that is not blank; strict, because a stray quote would swallow the rows behind it in silence."""
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        reader = csv.reader(text, delimiter=layout.delimiter, strict=True)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield BadRow(line, _told(error, line, reader.line_num))
                continue
            if any(cells):
                yield Row(line, cells)
    finally:
        if not file.closed:
            text.detach()  # the file is the caller's to close, also while this generator still waits to be collected


def _sheet(file: BinaryIO) -> Iterator[Row | BadRow]:
    try:
        return (Row(*row) for row in workbooks.rows_of(file))
    except workbooks.NotAWorkbook as error:
        raise BadFile(str(error)) from None


def _checked(rows: Iterator[Row | BadRow], width: int) -> Iterator[Row | BadRow]:
    """Turn rows that do not fit the header into bad ones: a row with a cell too many or too few has shifted."""
    for row in rows:
        if isinstance(row, BadRow):
            yield row
        elif len(row.cells) < width or any(row.cells[width:]):
            yield BadRow(row.line, f"This row has {len(row.cells)} cells, and the header has {width}.")
        elif any("\0" in cell for cell in row.cells):
            yield BadRow(row.line, "This row holds a NUL character, which no text has.")
        else:
            yield row


def _told(error: csv.Error, first: int, last: int) -> str:
    where = f" (lines {first} to {last})" if last > first else ""
    return f"This row is not valid CSV{where}: {error}. A quote inside of a quoted text is written twice."


def encoding_of(file: BinaryIO, layout: FileFormat) -> str:
    """Return the encoding in which the whole file is valid; decided before the first row, never in the middle."""
    try:
        _decode(file, layout.encoding)
    except UnicodeError as error:
        if layout.fallback_encoding is None:
            raise BadFile(
                f"The file is not valid {layout.encoding}: line {_first_bad_line(file, layout.encoding)} is the first"
                " that is not. Save it as UTF-8, or name its encoding in the mapping."
            ) from error
        return _fallback(file, layout)
    file.seek(0)
    return layout.encoding


def _fallback(file: BinaryIO, layout: FileFormat) -> str:
    encoding = layout.fallback_encoding or layout.encoding
    try:
        _decode(file, encoding)
    except UnicodeError:
        raise BadFile(f"The file is valid neither in {layout.encoding} nor in {encoding}.") from None
    file.seek(0)
    return encoding


def _decode(file: BinaryIO, encoding: str) -> None:
    """Read the whole file in pieces; raises UnicodeError."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    while chunk := file.read(CHUNK):
        decoder.decode(chunk)
    decoder.decode(b"", final=True)


def _first_bad_line(file: BinaryIO, encoding: str) -> int:
    file.seek(0)
    for line, content in enumerate(file, start=1):
        try:
            content.decode(encoding)
        except UnicodeError:
            return line
    return 1
