"""The mapping file: a TOML document that says which columns of somebody's file are what; read and checked as a whole.

Its format is told in docs/imports.md. customers.mapping applies a mapping to a file.
"""

from __future__ import annotations

import codecs
import re
import tomllib
from collections import abc
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, Final, TypeVar

from core.money import UnknownCurrency, exponent
from core.working_time import local_moment
from customers.records import Missing, State
from customers.scales import BadScore, Metric, metric_of
from customers.tables import FileFormat, Unreadable

T = TypeVar("T", bound=StrEnum)


class Kind(StrEnum):
    INTERACTIONS = "interactions"
    RESPONSES = "responses"
    COMPLAINTS = "complaints"


class Unlisted(StrEnum):
    """What a value that is not in the field's map becomes."""

    REFUSE = "refuse"
    KEEP = "keep"
    BLANK = "blank"


class BadMapping(Unreadable):
    """A mapping file that is malformed; `path` says where ("responses.score.map")."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}" if path else reason)
        self.path = path
        self.reason = reason


@dataclass(frozen=True)
class Source:
    """Where one field's text comes from: columns, joined or the first that is not blank, or a constant."""

    path: str
    columns: tuple[str, ...] = ()
    constant: str | None = None
    join: str = " "
    first: bool = False
    optional: bool = False
    values: abc.Mapping[str, str] = field(default_factory=dict)
    unlisted: Unlisted = Unlisted.REFUSE
    missing: abc.Mapping[str, Missing] = field(default_factory=dict)
    default: str | None = None
    formats: tuple[str, ...] = ("iso",)
    zone: str | None = None
    base: date | None = None


@dataclass(frozen=True)
class Mapping:
    """A checked mapping for one kind; `table` is what it was read from, as JSON can keep it."""

    kind: Kind
    layout: FileFormat
    aliases: abc.Mapping[str, tuple[str, ...]]
    key: tuple[Source, ...]
    fields: abc.Mapping[str, Source]
    customer: abc.Mapping[str, Source]
    attributes: abc.Mapping[str, Source]
    survey: str | None = None
    metric: Metric | None = None
    question: str | None = None
    minor_units: bool = False
    decimal_mark: str = "."
    table: abc.Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def sources(self) -> tuple[Source, ...]:
        return (*self.key, *self.fields.values(), *self.customer.values(), *self.attributes.values())


@dataclass(frozen=True)
class _Shape:
    """Which fields a kind has, and which of them every row must fill."""

    fields: frozenset[str]
    needed: frozenset[str]
    moments: frozenset[str]
    settings: frozenset[str] = frozenset()


_SHAPES: Final = {
    Kind.INTERACTIONS: _Shape(
        fields=frozenset({"reference", "occurred_at", "touchpoint", "channel", "staff", "status"}),
        needed=frozenset({"reference", "occurred_at", "touchpoint"}),
        moments=frozenset({"occurred_at"}),
        settings=frozenset({"value"}),
    ),
    Kind.RESPONSES: _Shape(
        fields=frozenset({"score", "answered_at", "comment", "touchpoint", "reference", "channel", "language"}),
        needed=frozenset({"score", "answered_at"}),
        moments=frozenset({"answered_at"}),
        settings=frozenset({"survey", "metric", "question"}),
    ),
    Kind.COMPLAINTS: _Shape(
        fields=frozenset(
            {
                "received_at",
                "text",
                "category",
                "product",
                "touchpoint",
                "reference",
                "channel",
                "language",
                "state",
                "reopened",
                "resolved_at",
            }
        ),
        needed=frozenset({"received_at", "text"}),
        moments=frozenset({"received_at", "resolved_at"}),
    ),
}
_CUSTOMER: Final = frozenset({"external_id", "name", "email", "phone", "language", "tier"})
_OPTIONS: Final = frozenset(
    "column columns value join first optional map unlisted missing default formats zone base".split()  # noqa: SIM905
)
ALLOWED: Final = {
    "state": frozenset(State),
    "status": frozenset({"completed", "started"}),
    "reopened": frozenset({"yes", "no"}),
}
"""Fields with a fixed list of values, which a map must lead to."""


# Reading a mapping


def load(source: str | bytes, *, kind: Kind | str) -> Mapping:
    """Return the mapping for `kind` in a TOML text (bytes are UTF-8); raises BadMapping with the place of the fault."""
    try:
        text = source.decode("utf-8-sig") if isinstance(source, bytes) else source
        table = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadMapping("", f"This is not a TOML file: {error}.") from None
    return from_table(table, kind=kind)


def from_table(table: abc.Mapping[str, Any], *, kind: Kind | str) -> Mapping:
    """Return the mapping for `kind` in a TOML document as parsed, or in a Mapping's own `table`; raises BadMapping."""
    kind = Kind(kind)
    _only(table, {"title", "zone", "file", "columns", *Kind}, "")
    if kind not in table:
        offered = ", ".join(name for name in Kind if name in table) or "none"
        raise BadMapping(str(kind), f"this mapping has no table for {kind}; those it has: {offered}")
    return _Reader(kind, _table(table[kind], kind), zone=_zone(table.get("zone"), "zone")).mapping(table)


class _Reader:
    """Reads the table of one kind."""

    def __init__(self, kind: Kind, table: abc.Mapping[str, Any], *, zone: str | None) -> None:
        self.kind, self.table, self.zone, self.shape = kind, table, zone, _SHAPES[kind]

    def mapping(self, whole: abc.Mapping[str, Any]) -> Mapping:
        _only(self.table, {*self.shape.fields, *self.shape.settings, "key", "customer", "attributes"}, self.kind)
        fields = {name: self.source(self.table[name], name) for name in self.shape.fields if name in self.table}
        for name in sorted(self.shape.needed - fields.keys()):
            raise BadMapping(f"{self.kind}.{name}", f"{self.kind} need this field")
        _check_allowed(fields)
        return Mapping(
            kind=self.kind,
            layout=_layout(whole.get("file", {})),
            aliases=_aliases(whole.get("columns", {})),
            key=self.key(fields),
            fields=fields | self.money(),
            customer=self.customer(),
            attributes=self.attributes(),
            table=_plain(whole),
            **self.survey(),
            **self.money_format(),
        )

    def key(self, fields: abc.Mapping[str, Source]) -> tuple[Source, ...]:
        """Return what tells rows apart: `key`, else the reference; an interaction's touchpoint belongs to it."""
        if "key" not in self.table:
            if "reference" not in fields:
                raise BadMapping(
                    f"{self.kind}.key", "rows are told apart by a key or a reference, and there is neither"
                )
            touchpoint = [fields["touchpoint"]] if self.kind is Kind.INTERACTIONS else []
            return (*touchpoint, fields["reference"])
        parts = self.table["key"]
        if not isinstance(parts, list) or not parts:
            raise BadMapping(f"{self.kind}.key", "a key is a list of columns")
        return tuple(self.source(part, f"key[{number}]") for number, part in enumerate(parts))

    def customer(self) -> dict[str, Source]:
        table = _table(self.table.get("customer", {}), f"{self.kind}.customer")
        _only(table, _CUSTOMER, f"{self.kind}.customer")
        return {name: self.source(value, f"customer.{name}") for name, value in table.items()}

    def attributes(self) -> dict[str, Source]:
        """Return the attributes: a table of sources, or a list of columns that keep their names."""
        given = self.table.get("attributes", {})
        if isinstance(given, list):
            given = {_text(column, f"{self.kind}.attributes"): column for column in given}
        table = _table(given, f"{self.kind}.attributes")
        return {name: self.source(value, f"attributes.{name}") for name, value in table.items()}

    def survey(self) -> dict[str, Any]:
        """Return the settings of responses: which survey, which metric, which question."""
        if self.kind is not Kind.RESPONSES:
            return {}
        try:
            metric = metric_of(_text(self.table.get("metric"), "responses.metric"))
        except BadScore as error:
            raise BadMapping("responses.metric", str(error)) from None
        question = self.table.get("question")
        return {
            "survey": _text(self.table.get("survey"), "responses.survey"),
            "metric": metric,
            "question": None if question is None else _text(question, "responses.question"),
        }

    def money(self) -> dict[str, Source]:
        """Return where an interaction's amount and currency come from."""
        if "value" not in self.table:
            return {}
        table = _table(self.table["value"], "interactions.value")
        _only(table, {"amount", "currency", "unit", "decimal"}, "interactions.value")
        if not {"amount", "currency"} <= table.keys():
            raise BadMapping("interactions.value", "money is an amount and a currency, always together")
        found = {name: self.source(table[name], f"value.{name}") for name in ("amount", "currency")}
        _check_currency(found["currency"])
        return found

    def money_format(self) -> dict[str, Any]:
        table = _table(self.table.get("value", {}), "interactions.value")
        unit, mark = table.get("unit", "major"), table.get("decimal", ".")
        if unit not in ("major", "minor"):
            raise BadMapping("interactions.value.unit", "an amount is in major or in minor units")
        if mark not in (".", ","):
            raise BadMapping("interactions.value.decimal", 'the decimal mark is "." or ","')
        return {"minor_units": unit == "minor", "decimal_mark": mark}

    def source(self, given: object, name: str) -> Source:
        """Return one field's source; a bare text names a column."""
        path = f"{self.kind}.{name}"
        if isinstance(given, str):
            given = {"column": given}
        table = _table(given, path)
        _only(table, _OPTIONS, path)
        source = Source(
            path=path,
            columns=_columns(table, path),
            constant=_optional_text(table, "value", path),
            join=_optional_text(table, "join", path) or " ",
            first=_flag(table, "first", path),
            optional=_flag(table, "optional", path),
            values=_value_map(table, path),
            unlisted=_choice(Unlisted, table.get("unlisted", "refuse"), f"{path}.unlisted"),
            missing=_missing(table, path),
            default=_optional_text(table, "default", path),
            formats=_formats(table, path),
            zone=_zone(table.get("zone"), f"{path}.zone") or self.zone,
            base=_base(table, path),
        )
        if name in self.shape.moments:
            _check_formats(source)
        return source


def _columns(table: abc.Mapping[str, Any], path: str) -> tuple[str, ...]:
    ways = {"column", "columns", "value"} & table.keys()
    if len(ways) != 1:
        raise BadMapping(path, "a field comes from a column, from columns, or is a value that never changes")
    given = table.get("columns", [table["column"]] if "column" in table else [])
    if not isinstance(given, list) or not all(isinstance(name, str) and name.strip() for name in given):
        raise BadMapping(path, "columns are named by their headers")
    if "columns" in table and not given:
        raise BadMapping(f"{path}.columns", "at least one column is needed")
    return tuple(given)


def _value_map(table: abc.Mapping[str, Any], path: str) -> dict[str, str]:
    """Return the map from what the file says, without regard to case, to what we say."""
    given = _table(table.get("map", {}), f"{path}.map")
    values = {folded(name): _scalar(value, f"{path}.map.{name}") for name, value in given.items()}
    if len(values) != len(given):
        raise BadMapping(f"{path}.map", "two values differ only in case or blanks")
    return values


def _missing(table: abc.Mapping[str, Any], path: str) -> dict[str, Missing]:
    """Return the codes that stand for no value, each with what it means; a list means blank."""
    given = table.get("missing", [])
    if isinstance(given, list):
        given = {_scalar(code, f"{path}.missing"): Missing.BLANK for code in given}
    codes = _table(given, f"{path}.missing")
    return {folded(code): _choice(Missing, why, f"{path}.missing.{code}") for code, why in codes.items()}


def _formats(table: abc.Mapping[str, Any], path: str) -> tuple[str, ...]:
    given = table.get("formats", ["iso"])
    if not isinstance(given, list) or not given or not all(isinstance(each, str) and each for each in given):
        raise BadMapping(f"{path}.formats", 'formats are a list such as ["iso", "%d.%m.%Y"]')
    return tuple(given)


def _base(table: abc.Mapping[str, Any], path: str) -> date | None:
    """Return the date that lends its year, month or day to formats that lack one; a text is from a kept mapping."""
    given = table.get("base")
    if isinstance(given, str):
        try:
            given = date.fromisoformat(given)
        except ValueError:
            given = 0
    if given is not None and (not isinstance(given, date) or isinstance(given, datetime)):
        raise BadMapping(f"{path}.base", "the base is a date such as 2017-05-01")
    return given


def _check_formats(source: Source) -> None:
    """Refuse formats that could never give a moment."""
    for each in source.formats:
        if each == "iso":
            continue
        if "%z" not in each and source.zone is None:
            raise BadMapping(source.path, f"{each!r} has no zone: name the zone of these times, such as Europe/Berlin")
        if lacking(each) and source.base is None:
            raise BadMapping(source.path, f"{each!r} lacks {', '.join(lacking(each))}: give a base such as 2017-05-01")
        try:
            datetime.strptime(datetime(2016, 1, 15, tzinfo=UTC).strftime(each), each)  # noqa: DTZ007 -- only tried
        except ValueError as error:
            raise BadMapping(f"{source.path}.formats", f"{each!r} is not a format: {error}") from None


def lacking(format_: str) -> tuple[str, ...]:
    """Return which of %Y, %m and %d a date format does not have in any form; a source's base lends them."""
    has = set(re.findall(r"%(.)", format_))
    whole = has & set("cxG")
    parts = {"%Y": set("Yy"), "%m": set("mbBj"), "%d": set("dj")}
    return () if whole else tuple(name for name, forms in parts.items() if not has & forms)


def _check_allowed(fields: abc.Mapping[str, Source]) -> None:
    for name, allowed in ALLOWED.items():
        if name in fields:
            source = fields[name]
            for value in (*source.values.values(), source.constant, source.default):
                if value is not None and value not in allowed:
                    raise BadMapping(source.path, f"{value!r} is not one of {', '.join(sorted(allowed))}")


def _check_currency(source: Source) -> None:
    for code in (*source.values.values(), source.constant, source.default):
        if code is not None:
            try:
                exponent(code)
            except UnknownCurrency as error:
                raise BadMapping(source.path, str(error)) from None


def _layout(given: object) -> FileFormat:
    table = _table(given, "file")
    _only(table, {"encoding", "fallback_encoding", "delimiter"}, "file")
    delimiter = table.get("delimiter", ",")
    if not isinstance(delimiter, str) or len(delimiter) != 1 or delimiter in '"\r\n\0':
        raise BadMapping("file.delimiter", 'the delimiter is one character such as ";" or "\\t"')
    fallback = table.get("fallback_encoding")
    return FileFormat(
        encoding=_encoding(table.get("encoding", "utf-8-sig"), "file.encoding"),
        fallback_encoding=None if fallback is None else _encoding(fallback, "file.fallback_encoding"),
        delimiter=delimiter,
    )


def _encoding(given: object, path: str) -> str:
    name = _text(given, path)
    try:
        "a".encode(name)  # unlike lookup() this refuses codecs between bytes, such as zlib
        codecs.getincrementaldecoder(name)
    except LookupError:
        raise BadMapping(path, f"{name!r} is not an encoding such as utf-8 or latin-1") from None
    return name


def _aliases(given: object) -> dict[str, tuple[str, ...]]:
    aliases = {}
    for column, others in _table(given, "columns").items():
        if not isinstance(others, list) or not all(isinstance(name, str) and name.strip() for name in others):
            raise BadMapping(f"columns.{column}", "a column's other headers are a list of texts")
        aliases[column] = tuple(others)
    return aliases


def _zone(given: object, path: str) -> str | None:
    if given is None:
        return None
    try:
        local_moment(date(2017, 1, 1), time(0), _text(given, path))
    except BadMapping:
        raise
    except ValueError as error:
        raise BadMapping(path, str(error)) from None
    return str(given)


def _table(given: object, path: str) -> abc.Mapping[str, Any]:
    if not isinstance(given, abc.Mapping):
        raise BadMapping(path, "this is a table of names and values")
    return given


def _only(table: abc.Mapping[str, Any], known: abc.Iterable[str], path: str) -> None:
    allowed = set(map(str, known))
    for name in table:
        if name not in allowed:
            raise BadMapping(f"{path}.{name}" if path else name, f"unknown; known here: {', '.join(sorted(allowed))}")


def folded(text: str) -> str:
    """Return how headers, codes and values of a file are compared: without regard to case and extra blanks."""
    return " ".join(text.split()).casefold()


def _text(given: object, path: str) -> str:
    if not isinstance(given, str) or not given.strip():
        raise BadMapping(path, "a text is needed here")
    return given


def _optional_text(table: abc.Mapping[str, Any], name: str, path: str) -> str | None:
    return None if name not in table else _scalar(table[name], f"{path}.{name}")


def _scalar(given: object, path: str) -> str:
    """Return a text or a whole number as text, as a cell would hold it."""
    if isinstance(given, bool) or not isinstance(given, (str, int)):
        raise BadMapping(path, "this is a text or a whole number")
    return str(given)


def _flag(table: abc.Mapping[str, Any], name: str, path: str) -> bool:
    given = table.get(name, False)
    if not isinstance(given, bool):
        raise BadMapping(f"{path}.{name}", "this is true or false")
    return given


def _choice(kind: type[T], given: object, path: str) -> T:
    try:
        return kind(str(given))
    except ValueError:
        raise BadMapping(path, f"{given!r} is not one of {', '.join(kind)}") from None


def _plain(given: Any) -> Any:
    """Return a TOML document as JSON can keep it."""
    if isinstance(given, abc.Mapping):
        return {name: _plain(value) for name, value in given.items()}
    if isinstance(given, list):
        return [_plain(value) for value in given]
    return given.isoformat() if isinstance(given, date) else given
