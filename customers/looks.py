"""A first look at somebody's file: how it is written, its columns, what stands in them, and how their dates read."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, BinaryIO, Final

from customers import workbooks
from customers.mapping_format import folded
from customers.tables import BadFile, BadRow, FileFormat, open_table

SAMPLES: Final = 4
LONGEST_SAMPLE: Final = 80
MOST_VALUES: Final = 30  # a column with more different ones is no list of codes
LOOKED_AT: Final = 500  # rows from which a date's format is found
HEAD: Final = 1 << 16  # bytes
MOST_COLUMNS: Final = 400
DELIMITERS: Final = (",", ";", "\t", "|")
_DAYS: Final = (
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d.%m.%y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%Y/%m/%d",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
)
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
FORMATS: Final = ("iso", *(day + time for day in _DAYS for time in _TIMES))
"""The formats that are recognised, in the order in which they are offered; strptime's codes, or ISO 8601."""

_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d(?:$|[T ]\d)")


@dataclass
class Column:
    """One column: samples of it, all its values if they are few, the date formats that its samples are in."""

    name: str
    samples: list[str] = field(default_factory=list)
    values: list[str] | None = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    is_unique: bool = True


@dataclass(frozen=True)
class Look:
    """`layout` is what a mapping's table `file` says; `rows` counts those that can be read, without the header."""

    layout: dict[str, str]
    rows: int
    columns: list[Column]

    @property
    def headers(self) -> list[str]:
        """The headers that a mapping can name, each once."""
        return list(dict.fromkeys(column.name for column in self.columns if column.name.strip()))

    def column(self, name: str) -> Column | None:
        """Return the column that a mapping means by this name."""
        if not (wanted := folded(name)):
            return None
        return next((each for each in self.columns if each.name == name), None) or next(
            (each for each in self.columns if folded(each.name) == wanted), None
        )

    def kept(self) -> dict[str, Any]:
        """Return the look as JSON can keep it; `of` reads it."""
        return asdict(self)

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> Look:
        columns = [Column(**column) for column in kept["columns"]]
        return cls(dict(kept["layout"]), kept["rows"], columns)


def look(file: BinaryIO) -> Look:
    """Return what a file of bytes holds; raises BadFile, with the way out, if it is no table of two columns or more."""
    layout = _layout(file)
    headers, rows = open_table(file, FileFormat(**layout))
    if len([name for name in headers if name.strip()]) < 2:
        raise BadFile("Only one column was found: the first row holds the names of the columns, divided by commas.")
    if len(headers) > MOST_COLUMNS:
        raise BadFile(f"The file has {len(headers):,} columns; up to {MOST_COLUMNS} can be read.")
    columns, count = [_Watched(name) for name in headers], 0
    for row in rows:
        if isinstance(row, BadRow):
            continue
        count += 1
        for column, cell in zip(columns, row.cells, strict=False):
            column.see(cell.strip(), is_early=count <= LOOKED_AT)
    if not count:
        raise BadFile("The file has a header and no row below it.")
    return Look(layout, count, [column.seen() for column in columns])


def fitting(samples: Sequence[str]) -> list[str]:
    """Return the known formats in which most of these are dates, and at least nine in ten: a row may hold a slip."""
    fits = {each: sum(_fits(sample, each) for sample in samples) for each in FORMATS}
    most = max(fits.values())
    return [each for each, count in fits.items() if count == most] if most and 10 * most >= 9 * len(samples) else []


class _Watched:
    """A column while its cells go by. What it has seen once is kept only as long as nothing came twice."""

    def __init__(self, name: str) -> None:
        self.column = Column(name)
        self.once: set[str] | None = set()
        self.early: dict[str, None] = {}

    def see(self, cell: str, *, is_early: bool) -> None:
        self._see_whether_unique(cell)
        if not cell:
            return
        column = self.column
        if len(column.samples) < SAMPLES and cell[:LONGEST_SAMPLE] not in column.samples:
            column.samples.append(cell[:LONGEST_SAMPLE])
        if column.values is not None and cell not in column.values:
            column.values.append(cell)
            if len(column.values) > MOST_VALUES or len(cell) > LONGEST_SAMPLE:
                column.values = None
        if is_early:
            self.early[cell] = None

    def _see_whether_unique(self, cell: str) -> None:
        if self.once is None:
            return
        if not cell or cell in self.once:
            self.once = None
        else:
            self.once.add(cell)

    def seen(self) -> Column:
        self.column.is_unique = self.once is not None
        self.column.formats = fitting(list(self.early))
        return self.column


def _fits(text: str, format_: str) -> bool:
    try:
        if format_ == "iso":
            return bool(_ISO.match(text)) and bool(datetime.fromisoformat(text))
        return bool(datetime.strptime(text, format_))  # noqa: DTZ007 -- only tried
    except ValueError:
        return False


def _layout(file: BinaryIO) -> dict[str, str]:
    """Return how the file is written where that is not the usual: its encoding and its delimiter."""
    if workbooks.is_workbook(file):
        return {}
    file.seek(0)
    head = file.read(HEAD)
    encoding = _encoding(file, head)
    found = {} if encoding == "utf-8-sig" else {"encoding": encoding}
    delimiter = _delimiter(head.decode(encoding, errors="ignore"))
    return found if delimiter == "," else found | {"delimiter": delimiter}


def _encoding(file: BinaryIO, head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if head.startswith(b"\xd0\xcf\x11\xe0"):
        raise BadFile("This is a workbook of an older kind (.xls) or one with a password: save it as XLSX or CSV.")
    if b"\0" in head or head.startswith(b"%PDF"):
        raise BadFile("This is neither a CSV nor an XLSX file: save the table as one of these.")
    file.seek(0)
    content = file.read()
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return "latin-1"


def _delimiter(head: str) -> str:
    """Return the character that cuts the header into most columns."""
    return max(DELIMITERS, key=lambda each: _width(head, each))


def _width(head: str, delimiter: str) -> int:
    try:
        return len(next(csv.reader(io.StringIO(head, newline=""), delimiter=delimiter), []))
    except csv.Error:
        return 0
