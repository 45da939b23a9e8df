"""The forms of a page, filled in as it shows them."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

TYPED = {"email": "m@shop.example", "date": "2031-05-05", "number": "5", "tel": "+494055504471", "time": "10:00"}
NO_VALUES = {"submit", "button", "file", "reset", "image"}


@dataclass
class Form:
    action: str
    method: str
    fields: dict[str, list[str]] = field(default_factory=dict)

    def fill(self, name: str, value: str) -> None:
        self.fields.setdefault(name, []).append(value)


class Forms(HTMLParser):
    """Reads the forms of a page: `found`. What is required and empty is typed in; of choices the first is taken."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._form: Form | None = None
        self._select: str | None = None
        self._options: list[tuple[str, bool]] = []
        self._area: str | None = None
        self._text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = {name: value or "" for name, value in attributes}
        if tag == "form":
            self._form = Form(known.get("action", ""), known.get("method", "get").lower())
            self.found.append(self._form)
        elif self._form is None:
            return
        elif tag == "input" and known.get("name"):
            self._input(self._form, known)
        elif tag == "button" and known.get("name"):
            self._form.fields.setdefault(known["name"], [known.get("value", "")])
        elif tag == "select":
            self._select, self._options = known.get("name"), []
        elif tag == "option":
            self._options.append((known.get("value", ""), "selected" in known))
        elif tag == "textarea":
            self._area, self._text = known.get("name"), ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None
        elif self._form is None:
            return
        elif tag == "select" and self._select:
            chosen = [value for value, is_chosen in self._options if is_chosen]
            filled = [value for value, _ in self._options if value]
            for value in chosen or filled[:1] or [""]:
                self._form.fill(self._select, value)
            self._select = None
        elif tag == "textarea" and self._area:
            self._form.fill(self._area, self._text.strip() or "Words that somebody typed.")
            self._area = None

    def _input(self, form: Form, known: dict[str, str]) -> None:
        kind, name, value = known.get("type", "text"), known["name"], known.get("value", "")
        if kind in NO_VALUES:
            return
        if kind == "radio":
            if "checked" in known or name not in form.fields:
                form.fields[name] = [value]
        elif kind == "checkbox":
            if "checked" in known:
                form.fill(name, value or "y")
        else:
            form.fill(name, value or TYPED.get(kind, "Typed" if "required" in known else ""))
