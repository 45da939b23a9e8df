"""A mapping as a TOML text, such as the command line reads: what `tomllib` makes of it is the table it was made of."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES: Final = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}
_INLINE: Final = 3  # a source with more options than that gets lines of its own


def written(table: Mapping[str, Any]) -> str:
    """Return a table of texts, whole numbers, booleans, lists and tables as TOML; dates are kept as texts."""
    return "\n".join(_lines(table, ())).lstrip("\n") + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    """Return the lines of a table: its values first, then the tables below it."""
    below = {name: value for name, value in table.items() if _stands_alone(value, path)}
    lines = [f"{_name(name)} = {_value(value)}" for name, value in table.items() if name not in below]
    if path and (lines or not below):
        lines = ["", f"[{'.'.join(map(_name, path))}]", *lines]
    for name, value in below.items():
        lines += _lines(value, (*path, name))
    return lines


def _stands_alone(value: Any, path: tuple[str, ...]) -> bool:
    if not isinstance(value, Mapping):
        return False
    return not path or len(value) > _INLINE or any(isinstance(each, (Mapping, list)) for each in value.values())


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_name(name)} = {_value(each)}" for name, each in value.items())
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    return _text(str(value))


def _name(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    return '"' + "".join(_ESCAPES.get(each) or _escaped(each) for each in text) + '"'


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04X}" if code < 0x20 or code == 0x7F else character
