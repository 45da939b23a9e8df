"""How the columns of a file are matched with our fields on a page: the fields of each kind, and the way from what was
typed to a mapping's table and back. Pure.

What is typed is flat: "<field>__<part>", with a field's dot as a single underscore.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask_babel import LazyString
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from customers.looks import Column, Look
from customers.mapping_format import BadMapping, Kind
from customers.mapping_format import Mapping as Checked
from customers.tables import Unreadable

AUTO: Final = "auto"
PARTS: Final = ("column", "second", "value", "format", "other", "map", "unlisted", "missing", "default")
_PART_OF: Final = {"formats": "format", "base": "format"}
_JOIN: Final = ": "
_BETWEEN: Final = " | "  # formats that are tried one after the other


@dataclass(frozen=True)
class Slot:
    """One field that a column may go to. `parts` are what can be said of it beside the column."""

    name: str
    label: LazyString
    words: tuple[str, ...]  # what its header usually is, likeliest first: letters and digits alone
    parts: frozenset[str] = frozenset()
    needed: bool = False
    hint: LazyString | str = ""

    @property
    def slug(self) -> str:
        return self.name.replace(".", "_")

    @property
    def is_moment(self) -> bool:
        return "format" in self.parts


def _slot(name: str, label: LazyString, words: str, parts: str = "", *, needed: bool = False, hint: Any = "") -> Slot:
    return Slot(name, label, tuple(words.split()), frozenset(parts.split()), needed, hint)


_MOMENT: Final = "format other"
_CODES: Final = "value map unlisted"
_TOUCHPOINT: Final = _slot("touchpoint", _l("Touchpoint"), "touchpoint contactpoint", "value")
_CHANNEL: Final = _slot("channel", _l("Channel"), "channel submittedvia source medium", _CODES)
_LANGUAGE: Final = _slot("language", _l("Language"), "language lang locale", _CODES)
_ORDER: Final = "ordernumber orderid orderno order ticketnumber ticketid ticket reference caseid"

SLOTS: Final[dict[Kind, tuple[Slot, ...]]] = {
    Kind.INTERACTIONS: (
        _slot(
            "reference",
            _l("Reference"),
            f"{_ORDER} interactionid number id",
            needed=True,
            hint=_l("The order, ticket or call; one interaction each."),
        ),
        _slot(
            "occurred_at",
            _l("When"),
            "occurredat occurred purchasetimestamp purchasedat placedat orderdate placed createdat timestamp when date "
            "time",
            _MOMENT,
            needed=True,
        ),
        _slot("touchpoint", _l("Touchpoint"), "touchpoint contactpoint", "value", needed=True),
        _CHANNEL,
        _slot(
            "value.amount", _l("Money at stake"), "amount total productsvalue ordervalue grandtotal price value revenue"
        ),
        _slot("value.currency", _l("Its currency"), "currency currencycode", "value"),
        _slot("staff", _l("Staff member"), "agent staff employee handledby"),
        _slot(
            "status",
            _l("Completed or only started"),
            "interactionstatus",
            _CODES,
            hint=_l("Each value becomes completed or started."),
        ),
    ),
    Kind.RESPONSES: (
        _slot(
            "score",
            _l("Score"),
            "score npsscore nps netpro csat ces rating stars reviewscore recommend satisfaction overall grade",
            "map unlisted missing",
            needed=True,
        ),
        _slot(
            "answered_at",
            _l("When answered"),
            "answeredat answered answertimestamp submittedat responsedate submitted enddate reviewdate date timestamp",
            _MOMENT,
            needed=True,
        ),
        _slot(
            "comment",
            _l("Comment"),
            "commentmessage comment comments verbatim feedback reviewtext review words text message",
            "second",
        ),
        _TOUCHPOINT,
        _slot(
            "reference",
            _l("About which order or ticket"),
            _ORDER,
            hint=_l("With the touchpoint it finds the interaction, which is imported first."),
        ),
        _CHANNEL,
        _LANGUAGE,
    ),
    Kind.COMPLAINTS: (
        _slot(
            "received_at",
            _l("When received"),
            "datereceived receivedat receiveddate received createdat opened date timestamp",
            _MOMENT,
            needed=True,
        ),
        _slot(
            "text",
            _l("What happened"),
            "narrative complainttext consumercomplaintnarrative description complaint issue subject text words message",
            "second default",
            needed=True,
        ),
        _slot("category", _l("Category"), "category reason issue topic"),
        _slot("product", _l("Product"), "product productname item"),
        _TOUCHPOINT,
        _slot("reference", _l("Number of it"), f"complaintid complaintnumber {_ORDER} id"),
        _CHANNEL,
        _LANGUAGE,
        _slot(
            "state",
            _l("Open or resolved"),
            "companyresponse state status resolution outcome",
            "map unlisted",
            hint=_l("Each value becomes open or resolved."),
        ),
        _slot(
            "reopened",
            _l("Disputed by the customer"),
            "consumerdisputed disputed reopened",
            "map unlisted",
            hint=_l("Each value becomes yes or no; yes is a case that is open again."),
        ),
        _slot("resolved_at", _l("When resolved"), "resolvedat dateresolved closedat dateclosed closed", _MOMENT),
    ),
}
CUSTOMER: Final = (
    _slot(
        "customer.external_id", _l("Customer number"), "customerid customernumber customerno clientid userid customer"
    ),
    _slot("customer.name", _l("Name"), "customername fullname contactname name"),
    _slot("customer.email", _l("E-mail address"), "email emailaddress mail customeremail"),
    _slot("customer.phone", _l("Phone number"), "phone phonenumber mobile telephone"),
    _slot("customer.language", _l("Language"), "customerlanguage", "value"),
    _slot("customer.tier", _l("Tier"), "tier customertier segment loyaltytier", "value"),
)
SETTINGS: Final = ("zone", "encoding", "delimiter", "survey", "metric", "unit", "decimal", "key", "attributes")


def slots_of(kind: Kind) -> tuple[Slot, ...]:
    return (*SLOTS[kind], *CUSTOMER)


# From what was typed to a mapping's table


def table_of(kind: Kind, typed: Mapping[str, Any], look: Look | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the mapping's table and what cannot be: sentences by the name of the input that they belong to."""
    faults: dict[str, str] = {}
    inner = _settings(kind, typed)
    for slot in slots_of(kind):
        source = _source(slot, typed, look, faults)
        if source is not None:
            _put(inner, slot.name, source)
        elif slot.needed:
            faults[f"{slot.slug}__column"] = _("Choose the column of “%(field)s”.", field=slot.label)
    _put_value(kind, inner, typed, faults)
    key = [name for name in typed.get("key") or () if name]
    if key:
        inner["key"] = key
    elif kind is not Kind.INTERACTIONS and "reference" not in inner:
        faults["key"] = _("Choose the columns that tell one row from another, such as its number.")
    if attributes := [name for name in typed.get("attributes") or () if name]:
        inner["attributes"] = attributes
    return {**_whole(typed), str(kind): inner}, faults


def _whole(typed: Mapping[str, Any]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    if zone := _said(typed, "zone"):
        whole["zone"] = zone
    layout = {}
    if (encoding := _said(typed, "encoding")) and encoding != "utf-8-sig":
        layout["encoding"] = encoding
    if (delimiter := str(typed.get("delimiter") or ",")) != ",":
        layout["delimiter"] = delimiter
    return whole | ({"file": layout} if layout else {})


def _settings(kind: Kind, typed: Mapping[str, Any]) -> dict[str, Any]:
    if kind is not Kind.RESPONSES:
        return {}
    return {"survey": _said(typed, "survey"), "metric": _said(typed, "metric")}


def _put(inner: dict[str, Any], name: str, source: Any) -> None:
    table, _dot, field = name.rpartition(".")
    if table:
        inner.setdefault(table, {})[field] = source
    else:
        inner[field] = source


def _put_value(kind: Kind, inner: dict[str, Any], typed: Mapping[str, Any], faults: dict[str, str]) -> None:
    """Money is an amount and a currency, always together."""
    if kind is not Kind.INTERACTIONS or "value" not in inner:
        return
    value = inner["value"]
    if "amount" not in value:
        del inner["value"]
    elif "currency" not in value:
        faults["value_currency__column"] = _("Choose the column of the currency, or type its code, such as EUR.")
    else:
        value |= {
            name: typed[name]
            for name, usual in (("unit", "major"), ("decimal", "."))
            if typed.get(name, usual) != usual
        }


def _source(slot: Slot, typed: Mapping[str, Any], look: Look | None, faults: dict[str, str]) -> Any:
    """Return where one field comes from, None where nothing was chosen; a bare header if that is all."""
    column, constant = _said(typed, f"{slot.slug}__column"), _said(typed, f"{slot.slug}__value")
    if not column:
        return {"value": constant} if constant and "value" in slot.parts else None
    if constant and "value" in slot.parts:
        faults[f"{slot.slug}__value"] = _("Choose a column or a text that is the same in every row, not both.")
    second = _said(typed, f"{slot.slug}__second") if "second" in slot.parts else ""
    source: dict[str, Any] = {"columns": [column, second], "join": _JOIN} if second else {"column": column}
    if slot.is_moment:
        source |= _formats(slot, typed, look, faults)
    if "map" in slot.parts:
        source |= _map(slot, typed, faults)
    if "missing" in slot.parts and (codes := _codes(_said(typed, f"{slot.slug}__missing"))):
        source["missing"] = codes
    if "default" in slot.parts and (default := _said(typed, f"{slot.slug}__default")):
        source["default"] = default
    return column if source == {"column": column} else source


def _formats(slot: Slot, typed: Mapping[str, Any], look: Look | None, faults: dict[str, str]) -> dict[str, Any]:
    """Return the formats of a date: typed, chosen, or found in the file if there is only one way to read it."""
    if other := _said(typed, f"{slot.slug}__other"):
        chosen = [each.strip() for each in other.split("|") if each.strip()]
    else:
        chosen = [_said(typed, f"{slot.slug}__format") or AUTO]
    if chosen == [AUTO]:
        column = look.column(_said(typed, f"{slot.slug}__column")) if look else None
        found = column.formats if column else []
        if len(found) != 1 and column is not None:
            faults[f"{slot.slug}__format"] = _unclear(column)
        chosen = found[:1] or ["iso"]
    return {} if chosen == ["iso"] else {"formats": chosen}


def _unclear(column: Column) -> str:
    sample = column.samples[0] if column.samples else ""
    if column.formats:
        return _("“%(sample)s” can be read in several ways: choose one.", sample=sample)
    return _("“%(sample)s” is in none of the known formats: choose another column, or type the format.", sample=sample)


def _map(slot: Slot, typed: Mapping[str, Any], faults: dict[str, str]) -> dict[str, Any]:
    """Return a field's map from its lines "what the file says = what we say"."""
    values: dict[str, str] = {}
    for line in _said(typed, f"{slot.slug}__map").splitlines():
        name, equals, meant = line.rpartition("=")
        if line.strip() and not (equals and name.strip() and meant.strip()):
            faults[f"{slot.slug}__map"] = _(
                "“%(line)s” is not of the form: the file’s value = ours.", line=line.strip()
            )
        elif line.strip():
            values[name.strip()] = meant.strip()
    if not values:
        return {}
    unlisted = _said(typed, f"{slot.slug}__unlisted") or "refuse"
    return {"map": values} | ({} if unlisted == "refuse" else {"unlisted": unlisted})


def _codes(text: str) -> list[str]:
    return [code for each in re.split(r"[,\n]", text) if (code := each.strip())]


def _said(typed: Mapping[str, Any], name: str) -> str:
    return str(typed.get(name) or "").strip()


# And back


def typed_of(kind: Kind, table: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what would have to be typed for this table, None if a page of fields cannot say it."""
    inner = table.get(str(kind))
    if not isinstance(inner, Mapping):
        return None
    typed = _typed(kind, table, inner)
    again, faults = table_of(kind, typed, None)
    wanted = {name: table[name] for name in table if name not in ("title", *Kind)} | {str(kind): inner}
    return typed if not faults and _same(again) == _same(wanted) else None


def _typed(kind: Kind, table: Mapping[str, Any], inner: Mapping[str, Any]) -> dict[str, Any]:
    layout = table.get("file", {})
    value = inner.get("value", {})
    typed: dict[str, Any] = {
        "zone": table.get("zone", ""),
        "encoding": layout.get("encoding", ""),
        "delimiter": layout.get("delimiter", ","),
        "survey": inner.get("survey", ""),
        "metric": inner.get("metric", ""),
        "unit": value.get("unit", "major"),
        "decimal": value.get("decimal", "."),
        "key": [each for each in inner.get("key", []) if isinstance(each, str)],
        "attributes": list(inner.get("attributes", [])),
    }
    for slot in slots_of(kind):
        outer, _dot, name = slot.name.rpartition(".")
        source = (inner.get(outer, {}) if outer else inner).get(name)
        if source is not None:
            typed |= {f"{slot.slug}__{part}": said for part, said in _parts(source)}
    return typed


def _parts(source: Any) -> Iterable[tuple[str, str]]:
    """Yield what is typed for one source; what has no part is left out, and the table is then not the same."""
    table: Mapping[str, Any] = {"column": source} if isinstance(source, str) else source
    columns = table.get("columns", [table["column"]] if "column" in table else [])
    yield from zip(("column", "second"), columns, strict=False)
    for name in ("value", "unlisted", "default"):
        if name in table:
            yield name, str(table[name])
    if "formats" in table:
        formats = list(table["formats"])
        yield ("format", formats[0]) if len(formats) == 1 else ("other", _BETWEEN.join(formats))
    elif columns:
        yield "format", "iso"
    if "map" in table:
        yield "map", "\n".join(f"{name} = {meant}" for name, meant in table["map"].items())
    if "missing" in table:
        yield "missing", ", ".join(map(str, table["missing"]))


def _same(table: Any, name: str = "") -> Any:
    """Return a table in one of the ways in which it can be written."""
    if isinstance(table, Mapping):
        if name == "missing" and set(table.values()) <= {"blank"}:
            return [str(code) for code in table]
        if name == "attributes" and all(source == column for column, source in table.items()):
            return list(table)
        if set(table) == {"column"}:
            return table["column"]
        usual = {("unlisted", "refuse"), ("unit", "major"), ("decimal", ".")}
        return {
            key: _same(value, key)
            for key, value in table.items()
            if not (isinstance(value, str) and (key, value) in usual) and not (key == "formats" and value == ["iso"])
        }
    return [_same(each) for each in table] if isinstance(table, list) else str(table)


# Where a refusal belongs


def inputs_of(kind: Kind, error: Unreadable, mapping: Checked | None) -> list[str]:
    """Return the inputs that a refused mapping is to be corrected at; none: the whole of it."""
    if isinstance(error, BadMapping):
        return _input_of_path(kind, error.path.removeprefix(f"{kind}."))
    column = getattr(error, "column", None)
    if mapping is None or column is None:
        return []
    named = [slot.slug for slot in slots_of(kind) if _names(mapping, slot, column)]
    inputs = [f"{slug}__column" for slug in named]
    inputs += ["key"] if not inputs and any(column in source.columns for source in mapping.key) else []
    inputs += (
        ["attributes"] if column in {name for each in mapping.attributes.values() for name in each.columns} else []
    )
    return inputs


def _names(mapping: Checked, slot: Slot, column: str) -> bool:
    table, _dot, name = slot.name.rpartition(".")
    source = (mapping.customer if table == "customer" else mapping.fields).get(name)
    return source is not None and column in source.columns


def _input_of_path(kind: Kind, path: str) -> list[str]:
    if path.split(".")[0] in SETTINGS or path.startswith("key"):
        return [path.split(".")[0].split("[")[0]]
    if path.startswith("file."):
        return [path.removeprefix("file.")]
    for slot in slots_of(kind):
        if path == slot.name and slot.is_moment:
            return [f"{slot.slug}__format"]
        if path == slot.name or path.startswith(f"{slot.name}."):
            part = path.removeprefix(slot.name).lstrip(".").split(".")[0]
            return [f"{slot.slug}__{_PART_OF.get(part, part if part in PARTS else 'column')}"]
    return []
