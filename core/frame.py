"""What surrounds every staff page: rooms add their entries to the navigation, core knows none of them by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from flask import Flask, current_app, request, url_for
from flask_babel import LazyString
from flask_login import current_user

Text: TypeAlias = "str | LazyString"


@dataclass(frozen=True)
class Entry:
    """One link of the main navigation; `count()` may return a small number or a text such as "99+", or None."""

    endpoint: str
    label: Text
    icon: str
    permission: str
    order: int
    count: Callable[[], int | str | None] | None = None


@dataclass(frozen=True)
class Link:
    """A ready link of the frame, as the templates show it."""

    href: str
    label: Text
    icon: str = ""
    count: int | str | None = None
    late: int = 0
    current: bool = False


@dataclass(frozen=True)
class Section:
    heading: Text
    items: list[Link]


@dataclass(frozen=True)
class Frame:
    user: Any
    organisation: str
    nav: list[Link]
    side: list[Section] = field(default_factory=list)


_entries: list[Entry] = []
_sides: dict[str, Callable[[], list[Section]]] = {}


def add(entry: Entry) -> None:
    """Add a link to the main navigation, once; called by rooms when their blueprint is registered."""
    if all(entry.endpoint != known.endpoint for known in _entries):
        _entries.append(entry)
        _entries.sort(key=lambda known: known.order)


def add_side(path: str, sections: Callable[[], list[Section]]) -> None:
    """Give every page below a path this side column, whichever room serves it; called as `add` is."""
    _sides[path] = sections


def build(*, side: list[Section] | None = None) -> Frame | None:
    """Return the frame for who is signed in, or None; a page with a side column of its own passes its sections."""
    if not current_user or not current_user.is_authenticated:
        return None
    nav = [
        Link(
            href=url_for(entry.endpoint),
            label=entry.label,
            icon=entry.icon,
            count=entry.count() if entry.count else None,
            current=_is_current(url_for(entry.endpoint)),
        )
        for entry in _entries
        if current_user.may(entry.permission)
    ]
    sections = _side_here() if side is None else side
    return Frame(current_user, current_app.extensions["config"].organisation, nav, sections)


def _side_here() -> list[Section]:
    return next((sections() for path, sections in _sides.items() if request.path.startswith(f"{path}/")), [])


def _is_current(href: str) -> bool:
    """Whether this page is the entry's own or lies below it."""
    return request.path == href or (href != "/" and request.path.startswith(f"{href}/"))


def init_app(app: Flask) -> None:
    @app.context_processor
    def provide() -> dict[str, Any]:
        return {"build_frame": build, "config_of": app.extensions["config"]}
