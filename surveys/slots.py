"""Pages made once and filled for each reader: a template is rendered with marks where readers differ, and cut there."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping

from markupsafe import Markup

Slot = Callable[[str], Markup]  # the name of what stands there -> its place


def cut(render: Callable[[Slot], str]) -> tuple[str, ...]:
    """Return a page in pieces: text, name of a slot, text, name, … text."""
    mark = secrets.token_hex(12)  # nobody's text can hold it
    html = render(lambda name: Markup("[{} {}]").format(mark, name))
    return tuple(re.split(rf"\[{mark} ([^\]]+)\]", _squeezed(html)))


def fill(pieces: tuple[str, ...], values: Mapping[str, str]) -> str:
    """Return the page with its slots filled; `values` are HTML. A slot without a value stays empty."""
    return "".join([piece if index % 2 == 0 else values.get(piece, "") for index, piece in enumerate(pieces)])


def _squeezed(html: str) -> str:
    """Drop the indentation; typed words come only into slots, so nothing that counts is touched."""
    return re.sub(r"\n\s*", "\n", html)
