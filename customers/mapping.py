"""How rows of somebody's file become interactions, responses or complaints; pure, nothing is looked up or written.

`load` reads a mapping (docs/imports.md tells its format), `read` matches it with a CSV file's header, refuses it there
if a column is lacking, and streams typed records and the problems of the rows that are none. For tables that are no CSV
file, `bind` does the matching and `Binding.record` one row.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from collections.abc import Mapping as Table
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import BinaryIO, Final, NamedTuple

from babel.numbers import get_currency_symbol

from core.money import BadAmount, Money, UnknownCurrency, exponent, from_decimal
from core.working_time import local_moment
from customers.mapping_format import (
    ALLOWED,
    BadMapping,
    Kind,
    Mapping,
    Source,
    Unlisted,
    folded,
    from_table,
    lacking,
    load,
)
from customers.records import (
    ComplaintRecord,
    CustomerFields,
    InteractionRecord,
    Missing,
    Record,
    ResponseRecord,
    State,
)
from customers.scales import BadScore, Metric, check
from customers.tables import BadFile, BadRow, Unreadable, open_table

__all__ = [
    "AmbiguousColumn",
    "BadFile",
    "BadMapping",
    "Binding",
    "ComplaintRecord",
    "CustomerFields",
    "InteractionRecord",
    "Kind",
    "Mapping",
    "Missing",
    "MissingColumn",
    "Record",
    "ResponseRecord",
    "RowProblem",
    "State",
    "Unreadable",
    "bind",
    "from_table",
    "load",
    "read",
]

LONGEST: Final = 500
"""Keys and references are indexed, and an entry of a PostgreSQL index ends at about 2,700 bytes."""

_ISO_DAY: Final = re.compile(r"\d{4}-\d\d-\d\d(?:$|[T ]\d)")
_WHOLE: Final = re.compile(r"([+-]?\d{1,9})(?:\.0*)?")
_AMOUNTS: Final = {
    ".": re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"),
    ",": re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?"),
}


class MissingColumn(Unreadable):
    """The mapping names a `column` that the file lacks; `headers` are those it has."""

    def __init__(self, column: str, headers: Sequence[str]) -> None:
        found = ", ".join(map(repr, headers))
        super().__init__(f"The mapping names the column {column!r}, which the file lacks. The file's columns: {found}.")
        self.column = column
        self.headers = tuple(headers)


class AmbiguousColumn(Unreadable):
    """The mapping names a `column` that the file has more than once."""

    def __init__(self, column: str, headers: Sequence[str]) -> None:
        super().__init__(f"The mapping names the column {column!r}, and the file has several: {', '.join(headers)}.")
        self.column = column


class RowProblem(NamedTuple):
    """Why the row that begins on the physical line `line` is refused; `column` as the mapping names it, or None."""

    line: int
    column: str | None
    reason: str


def read(file: BinaryIO, mapping: Mapping) -> Iterator[Record | RowProblem]:
    """Return the file's records and the problems of rows that are none, in the file's order, read as they are asked.

    `file` is open for bytes, seekable, and stays open. A row has either its record or one or more problems. Raises
    Unreadable at once, before any row: MissingColumn, AmbiguousColumn, or BadFile (empty, other encoding).
    """
    headers, rows = open_table(file, mapping.layout)
    binding = bind(mapping, headers)
    return _records(binding, rows)


def bind(mapping: Mapping, headers: Sequence[str]) -> Binding:
    """Return the mapping matched with a table's headers; raises MissingColumn or AmbiguousColumn.

    A header is matched as it stands, else without regard to case and blanks, else by its letters and digits alone
    ("*RESPNUM" is RESPNUM, "AIRLINE CODE" is AIRLINE_CODE); the column's other names are tried after its own.
    """
    positions = {}
    for source in mapping.sources:
        for column in source.columns:
            position = _position(column, mapping.aliases.get(column, ()), headers)
            if position is None and not source.optional:
                raise MissingColumn(column, headers)
            positions[column] = position
    return Binding(mapping, positions)


class Binding:
    """A mapping matched with the headers of one table."""

    def __init__(self, mapping: Mapping, positions: Table[str, int | None]) -> None:
        self.mapping = mapping
        self.positions = positions

    def record(self, line: int, cells: Sequence[str]) -> Record | list[RowProblem]:
        """Return the record in these cells, which are as many as the headers, or every problem of the row."""
        row = _Row(self, line, cells)
        record = _BUILD[self.mapping.kind](row)
        return row.problems or record


def _records(binding: Binding, rows: Iterator[tuple[int, list[str]] | BadRow]) -> Iterator[Record | RowProblem]:
    for row in rows:
        if isinstance(row, BadRow):
            yield RowProblem(row.line, None, row.reason)
            continue
        found = binding.record(*row)
        if isinstance(found, list):
            yield from found
        else:
            yield found


class _Refused(ValueError):
    """One field's text cannot be what the field is."""


class _Row:
    """One row's cells, read field by field; what is wrong with a field is noted and the reading goes on."""

    def __init__(self, binding: Binding, line: int, cells: Sequence[str]) -> None:
        self.mapping, self.positions = binding.mapping, binding.positions
        self.line, self.cells = line, cells
        self.problems: list[RowProblem] = []

    def refuse(self, source: Source | None, reason: str) -> None:
        column = ", ".join(source.columns) if source and source.columns else None
        self.problems.append(RowProblem(self.line, column, reason))

    def cell(self, column: str) -> str:
        position = self.positions[column]
        return "" if position is None else self.cells[position].strip()

    def text(self, source: Source) -> str:
        """Return the source's text after missing codes, map and default; "" is blank. Raises _Refused if unlisted."""
        if source.constant is not None:
            return source.constant
        parts = [cell for cell in map(self.cell, source.columns) if cell and folded(cell) not in source.missing]
        text = (parts[0] if parts else "") if source.first else source.join.join(parts)
        if text and source.values:
            text = _mapped(text, source)
        return text or source.default or ""

    def field(self, name: str) -> str | None:
        """Return a field's text, or None where it is blank or not mapped; notes an unlisted value."""
        source = self.mapping.fields.get(name)
        return None if source is None else self.of(source)

    def of(self, source: Source) -> str | None:
        try:
            return self.text(source) or None
        except _Refused as refused:
            self.refuse(source, str(refused))
            return None

    def needed(self, name: str) -> str:
        """Return a field's text, noting a problem if it is blank."""
        source, noted = self.mapping.fields[name], len(self.problems)
        text = self.of(source)
        if text is None and len(self.problems) == noted:
            self.refuse(source, f"{name} is blank.")
        return text or ""

    def moment(self, name: str, text: str | None) -> datetime:
        """Return the moment that a field's text means, in UTC; notes a problem and returns the first moment of all."""
        if text:
            try:
                return _moment(text, self.mapping.fields[name])
            except _Refused as refused:
                self.refuse(self.mapping.fields[name], str(refused))
        return datetime.min.replace(tzinfo=UTC)

    def reference(self) -> str | None:
        return self.short("reference", self.field("reference"))

    def short(self, name: str, text: str | None) -> str | None:
        if text and len(text) > LONGEST:
            self.refuse(self.mapping.fields.get(name), f"{name} has more than {LONGEST} characters.")
        return text

    def chosen(self, name: str) -> str | None:
        """Return a field's text if it is one of those that the field may have."""
        text, allowed = self.field(name), ALLOWED[name]
        if text is not None and text not in allowed:
            self.refuse(self.mapping.fields[name], f"{text!r} is not one of {', '.join(sorted(allowed))}.")
            return None
        return text

    def key(self) -> str:
        """Return the key's parts in one text, which no other parts give; a bar or backslash in a part is escaped."""
        parts = [self.of(source) or "" for source in self.mapping.key]
        if not any(parts):
            self.refuse(None, "The key is blank.")
        key = "|".join(part.replace("\\", r"\\").replace("|", r"\|") for part in parts)
        if len(key) > LONGEST:
            self.refuse(None, f"The key has more than {LONGEST} characters.")
        return key

    def customer(self) -> CustomerFields | None:
        fields = {name: self.of(source) for name, source in self.mapping.customer.items()}
        return CustomerFields(**fields) if any(fields.values()) else None

    def attributes(self) -> dict[str, str]:
        found = {name: self.of(source) for name, source in self.mapping.attributes.items()}
        return {name: text for name, text in found.items() if text}

    def money(self) -> Money | None:
        """Return the interaction's value, or None where the amount is blank."""
        if "amount" not in self.mapping.fields:
            return None
        amount, currency = self.field("amount"), self.field("currency")
        if amount is None:
            return None
        try:
            return _money(amount, currency or "", minor=self.mapping.minor_units, mark=self.mapping.decimal_mark)
        except UnknownCurrency as refused:
            self.refuse(self.mapping.fields["currency"], str(refused))
        except (BadAmount, _Refused) as refused:
            self.refuse(self.mapping.fields["amount"], str(refused))
        return None

    def score(self) -> tuple[int | None, Missing | None]:
        """Return the score, or why there is none: a missing code says so itself, no text at all means blank."""
        source = self.mapping.fields["score"]
        raw = " ".join(filter(None, map(self.cell, source.columns)))
        why = source.missing.get(folded(raw)) or source.missing.get(folded(_whole(raw)))
        if why is not None:
            return None, why
        noted = len(self.problems)
        text = self.of(source)
        if text is None:
            return None, None if len(self.problems) > noted else Missing.BLANK
        try:
            return _score(text, self.mapping.metric or Metric.NPS), None
        except BadScore as refused:
            self.refuse(source, str(refused))
            return None, None


def _interaction(row: _Row) -> InteractionRecord:
    reference = row.short("reference", row.needed("reference")) or ""
    return InteractionRecord(
        line=row.line,
        key=row.key(),
        attributes=row.attributes(),
        customer=row.customer(),
        reference=reference,
        occurred_at=row.moment("occurred_at", row.needed("occurred_at")),
        touchpoint=row.needed("touchpoint"),
        channel=row.field("channel"),
        value=row.money(),
        staff=row.field("staff"),
        status=row.chosen("status") or "completed",
    )


def _response(row: _Row) -> ResponseRecord:
    score, missing = row.score()
    return ResponseRecord(
        line=row.line,
        key=row.key(),
        attributes=row.attributes(),
        customer=row.customer(),
        survey=row.mapping.survey or "",
        metric=row.mapping.metric or Metric.NPS,
        question=row.mapping.question,
        score=score,
        missing=missing,
        answered_at=row.moment("answered_at", row.needed("answered_at")),
        comment=row.field("comment"),
        touchpoint=row.field("touchpoint"),
        reference=row.reference(),
        channel=row.field("channel"),
        language=row.field("language"),
    )


def _complaint(row: _Row) -> ComplaintRecord:
    resolved = row.field("resolved_at")
    return ComplaintRecord(
        line=row.line,
        key=row.key(),
        attributes=row.attributes(),
        customer=row.customer(),
        received_at=row.moment("received_at", row.needed("received_at")),
        text=row.needed("text"),
        category=row.field("category"),
        product=row.field("product"),
        touchpoint=row.field("touchpoint"),
        reference=row.reference(),
        channel=row.field("channel"),
        language=row.field("language"),
        state=State(row.chosen("state") or State.OPEN),
        reopened=row.chosen("reopened") == "yes",
        resolved_at=row.moment("resolved_at", resolved) if resolved else None,
    )


_BUILD: Final[Table[Kind, Callable[[_Row], Record]]] = {
    Kind.INTERACTIONS: _interaction,
    Kind.RESPONSES: _response,
    Kind.COMPLAINTS: _complaint,
}


def _mapped(text: str, source: Source) -> str:
    """Return what the field's map makes of `text`; whole numbers match however a spreadsheet wrote them (3, 3.0)."""
    found = source.values.get(folded(text), source.values.get(folded(_whole(text))))
    if found is not None:
        return found
    if source.unlisted is Unlisted.REFUSE:
        raise _Refused(f"{text!r} is not one of the values that the mapping lists.")
    return text if source.unlisted is Unlisted.KEEP else ""


def _score(text: str, metric: Metric) -> int:
    written = _WHOLE.fullmatch(text)
    if written is None:
        raise BadScore(f"{text!r} is not a whole number.")
    score = int(written[1])
    check(metric, score)
    return score


def _whole(text: str) -> str:
    """Return a whole number without the ".0" that spreadsheets append; any other text as it is."""
    written = _WHOLE.fullmatch(text)
    return written[1] if written else text


def _money(text: str, currency: str, *, minor: bool, mark: str) -> Money:
    """Return the money in a cell, which may have the sign of its currency at either end, as spreadsheets add it."""
    exponent(currency)
    bare = text
    for sign in _signs(currency):
        bare = bare.removeprefix(sign).removesuffix(sign).strip()
    if not _AMOUNTS[mark].fullmatch(bare) or len(bare) > 30:
        raise _Refused(f"{text!r} is not an amount with {mark!r} before its decimals.")
    number = Decimal(bare.replace("." if mark == "," else ",", "").replace(mark, "."))
    return from_decimal(number.scaleb(-exponent(currency)) if minor else number, currency)


@lru_cache(maxsize=64)
def _signs(currency: str) -> tuple[str, str]:
    return currency, get_currency_symbol(currency, "en")


@lru_cache(maxsize=8192)
def _moment_as(text: str, format_: str, zone: str | None, base: str) -> datetime | None:
    """Return the moment that `text` means in one format, None if it is not in that format; raises _Refused."""
    written = _iso(text) if format_ == "iso" else _strptime(text, format_, base)
    if written is None:
        return None
    try:
        if written.utcoffset() is not None:
            return written.astimezone(UTC)
        if zone is None:
            raise _Refused(f"{text!r} has no zone, and the mapping declares none.")
        return local_moment(written.date(), written.time(), zone)
    except OverflowError:
        raise _Refused(f"{text!r} lies beyond all dates.") from None


_EXAMPLE: Final = datetime(2026, 2, 28, 14, 30, tzinfo=UTC)  # a day that no other part of the date is taken for


def _moment(text: str, source: Source) -> datetime:
    base = source.base.isoformat() if source.base else ""
    for format_ in source.formats:
        found = _moment_as(text, format_, source.zone, base)
        if found is not None:
            return found
    as_in = (
        _EXAMPLE.isoformat(timespec="minutes") if each == "iso" else _EXAMPLE.strftime(each) for each in source.formats
    )
    wanted = " or ".join(f"{example} ({each})" for example, each in zip(as_in, source.formats, strict=True))
    raise _Refused(f"{text!r} is not written as in {wanted}.")


def _iso(text: str) -> datetime | None:
    if not _ISO_DAY.match(text):  # fromisoformat also takes 20170501 and weeks, which other columns hold as numbers
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _strptime(text: str, format_: str, base: str) -> datetime | None:
    """Read `text`, with the parts of the date that the format lacks put before it from `base`."""
    lent = dict(zip(("%Y", "%m", "%d"), base.split("-"), strict=False))
    parts = lacking(format_)
    try:
        return datetime.strptime(  # noqa: DTZ007 -- the zone is declared beside the format
            " ".join([*(lent[part] for part in parts), text]), " ".join([*parts, format_])
        )
    except ValueError:
        return None


def _position(column: str, others: Sequence[str], headers: Sequence[str]) -> int | None:
    """Return where the column stands in the headers, None if it does not; raises AmbiguousColumn."""
    for name in (column, *others):
        for form in (str, folded, _bare):
            found = [at for at, header in enumerate(headers) if form(name) and form(header) == form(name)]
            if len(found) > 1:
                raise AmbiguousColumn(column, [headers[at] for at in found])
            if found:
                return found[0]
    return None


def _bare(name: str) -> str:
    """Return a header's letters and digits alone, whatever their case or width."""
    return "".join(each for each in unicodedata.normalize("NFKC", name).casefold() if each.isalnum())
