"""Tables as CSV and XLSX files, in which no cell that somebody typed is taken for a formula."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from flask import Response
from xlsxwriter import Workbook

CSV, XLSX = "csv", "xlsx"
TYPES: Final = {
    CSV: "text/csv; charset=utf-8",
    XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
MOST_CHARACTERS: Final = 32_767  # of a cell in XLSX
WIDEST: Final = 60
_SIGNS: Final = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # East Asian spreadsheets take the full-width ones as well
_CONTROLS: Final = ("\t", "\r", "\n")
_UNSEEN: Final = " \u00a0\u200b\u200c\u200d\u2060\ufeff\t\r\n\v\f"
_CUT: Final = re.compile(f'([;|\t\r\n]["{_UNSEEN}]*)(?=[{re.escape("".join(_SIGNS))}])')


def is_formula(cell: object) -> bool:
    """Whether a spreadsheet might calculate a text; blanks before the sign are passed over, as some programs do."""
    if not isinstance(cell, str):
        return False
    return cell.startswith(_CONTROLS) or cell.lstrip(_UNSEEN).startswith(_SIGNS)


def harmless(cell: Any) -> Any:
    """Return a cell of a CSV file that stays the text it is: an apostrophe before it says so to every spreadsheet.

    Also where a program cuts it at another delimiter than ours: quotes do not hold there, since that program has closed
    them with the cell before.
    """
    if not isinstance(cell, str):
        return cell
    cell = _CUT.sub(r"\1'", cell)
    return f"'{cell}" if is_formula(cell) else cell


def to_csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table as CSV; every text is quoted, and none becomes a formula, whatever delimiter it is read with."""
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(head)
    writer.writerows([harmless(_plain(cell)) for cell in row] for row in rows)
    return file.getvalue()


def to_xlsx(head: Sequence[str], rows: Iterable[Sequence[Any]], *, sheet: str) -> bytes:
    """Return a table as an XLSX file of one sheet: numbers are numbers, everything else is text and never a formula."""
    file = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    with Workbook(file, options) as book:
        page = book.add_worksheet(sheet[:31])
        bold, text = book.add_format({"bold": True}), book.add_format({"quote_prefix": True})
        widths = [len(name) for name in head]
        page.write_row(0, 0, head, bold)
        for line, row in enumerate(rows, start=1):
            for column, cell in enumerate(map(_plain, row)):
                _write(page, line, column, cell, text)
                widths[column] = max(widths[column], min(len(str(cell)), WIDEST))
        page.freeze_panes(1, 0)
        for column, width in enumerate(widths):
            page.set_column(column, column, width + 2)
    return file.getvalue()


def _write(page: Any, line: int, column: int, cell: Any, text: Any) -> None:
    if isinstance(cell, (int, float)):
        page.write_number(line, column, cell)
    elif cell != "":
        page.write_string(line, column, cell[:MOST_CHARACTERS], text if is_formula(cell) else None)


def _plain(cell: Any) -> Any:
    """Return a cell as a number or a text; a moment is ISO 8601, None is blank."""
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="seconds")
    return cell if isinstance(cell, (int, float)) and not isinstance(cell, bool) else str(cell)


def answer(head: Sequence[str], rows: Iterable[Sequence[Any]], *, name: str, form: str) -> Response:
    """Answer with a table as a file to save; `name` lacks the ending, `form` is CSV or XLSX."""
    # The mark at the front of a CSV file tells spreadsheets that it is UTF-8.
    content = to_xlsx(head, rows, sheet=name) if form == XLSX else ("\ufeff" + to_csv(head, rows)).encode()
    response = Response(content, content_type=TYPES[form])
    response.headers.set("Content-Disposition", "attachment", filename=f"{name}.{form}")
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
