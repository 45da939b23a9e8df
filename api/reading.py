"""Reading what callers send: strict JSON, and field types that refuse what a database or a page could not hold."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Final

from flask import current_app, request
from marshmallow import RAISE, Schema, ValidationError, fields

from core import clock
from core.errors import BadInput, Refusal

EARLIEST: Final = datetime(1990, 1, 1, tzinfo=UTC)
FUTURE: Final = timedelta(days=1)  # a clock may be off; an event of next week has not happened
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class NotJson(Refusal):
    status, code = 400, "not-json"


class TooLarge(Refusal):
    status, code = 413, "too-large"


class WrongType(Refusal):
    status, code = 415, "wrong-content-type"


def body() -> Any:
    """Return the request's JSON, or refuse: another content type 415, too large 413, no JSON 400."""
    if request.mimetype != "application/json":
        raise WrongType("Send the body as JSON, with the header Content-Type: application/json.")
    limit = current_app.extensions["config"].max_api_body_bytes
    if (request.content_length or 0) > limit:
        raise TooLarge(f"The body is larger than {limit} bytes. Send it in several calls.")
    try:
        return json.loads(request.get_data(cache=True), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise NotJson(f"The body is not valid JSON: {_reason(error)}.") from None


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is not a JSON number")


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at line {error.lineno}, column {error.colno}"
    return "it is nested too deeply" if isinstance(error, RecursionError) else "it cannot be read as UTF-8 JSON"


class Strict(Schema):
    """What is sent, with no other fields than those named; the document says so too."""

    class Meta:
        unknown = RAISE


class Words(fields.String):
    """Text of a bounded length, without control characters or half characters, which no page or database can show."""

    @property
    def says(self) -> dict[str, Any]:
        """Return what the document adds to the type: each own kind of field has this beside its check."""
        return {"minLength": self.shortest, "maxLength": self.longest}

    def __init__(self, *, longest: int, shortest: int = 1, **more: Any) -> None:
        super().__init__(**more)
        self.shortest, self.longest = shortest, longest

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> str:
        if not isinstance(value, str):
            raise ValidationError("It must be text in quotes.")
        if _CONTROL.search(value):
            raise ValidationError("It holds a control character or half of a character pair, which cannot be stored.")
        text = value.strip()
        if len(text) < self.shortest or len(value) > self.longest:  # in the document blanks around it count
            has = len(value) if len(value) > self.longest else len(text)
            raise ValidationError(f"It must have {self.shortest} to {self.longest} characters; it has {has}.")
        return text


class Whole(fields.Integer):
    """A whole number in a range; true, "1" and 1.0 are none."""

    @property
    def says(self) -> dict[str, Any]:
        return {"minimum": self.low, "maximum": self.high}

    def __init__(self, *, low: int, high: int, **more: Any) -> None:
        super().__init__(**more)
        self.low, self.high = low, high

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValidationError("It must be a whole number, without quotes.")
        if not self.low <= value <= self.high:
            raise ValidationError(f"It must be from {self.low} to {self.high}.")
        return value


class Past(fields.AwareDateTime):
    """An ISO 8601 moment with its zone, which has happened; returned in UTC."""

    says = {"examples": ["2026-03-01T14:05:00+01:00"], "description": "A moment with its zone that has happened."}

    default_error_messages = {
        "invalid": "It must be a moment as in 2026-03-01T14:05:00+01:00.",
        "invalid_awareness": "It needs a zone, as in 2026-03-01T14:05:00+01:00 or …Z.",
    }

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> datetime:
        if not isinstance(value, str):
            raise ValidationError("It must be a moment in quotes, as in 2026-03-01T14:05:00+01:00.")
        try:
            moment = super()._deserialize(value, attr, data, **more).astimezone(UTC)
        except OverflowError:
            raise ValidationError("It lies outside the calendar.") from None
        if not EARLIEST <= moment <= clock.now() + FUTURE:
            raise ValidationError(f"It must lie between {EARLIEST:%Y} and now.")
        return moment


class Day(fields.Date):
    """A day as in 2026-03-01; days before 1990 are refused, so that one may reckon back from any."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> date:
        try:
            day = date.fromisoformat(value if _DAY.fullmatch(value) else "")
        except ValueError:
            raise ValidationError("It must be a day as in 2026-03-01.") from None
        if day < EARLIEST.date():
            raise ValidationError(f"It must not lie before {EARLIEST:%Y}.")
        return day


class Attributes(fields.Dict):
    """Up to 50 further facts of an event: short names with text, numbers, true, false or null."""

    MOST, LONGEST_NAME, LONGEST_TEXT = 50, 60, 1000
    says = {
        "maxProperties": MOST,
        "propertyNames": {"minLength": 1, "maxLength": LONGEST_NAME},
        "additionalProperties": {"type": ["string", "number", "boolean", "null"], "maxLength": LONGEST_TEXT},
    }

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **more: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise ValidationError("It must be an object of names and values.")
        if len(value) > self.MOST:
            raise ValidationError(f"It may hold {self.MOST} names at most; it holds {len(value)}.")
        problems = {name: [fault] for name, item in value.items() if (fault := self._fault(name, item))}
        if problems:
            raise ValidationError(problems)
        return value

    def _fault(self, name: str, item: Any) -> str | None:
        if not name or len(name) > self.LONGEST_NAME or _CONTROL.search(name):
            return f"A name must have 1 to {self.LONGEST_NAME} printable characters."
        if isinstance(item, str) and (len(item) > self.LONGEST_TEXT or _CONTROL.search(item)):
            return f"It must have at most {self.LONGEST_TEXT} characters, and no control characters."
        if isinstance(item, int | float) and not abs(item) < 2**63:  # also true of what is no number and of infinity
            return "The number is too large."
        if not isinstance(item, str | int | float | None):
            return "It must be text, a number, true, false or null."
        return None


def load(schema: type[Schema], item: Any) -> dict[str, Any]:
    """Return an item's fields, or raise BadInput listing each fault with the path of its field."""
    if not isinstance(item, dict):
        raise BadInput([{"detail": "It must be a JSON object."}])
    try:
        loaded: dict[str, Any] = _made(schema).load(item)
    except ValidationError as error:
        raise BadInput(list(_problems(error.messages))) from None
    return loaded


@cache
def _made(schema: type[Schema]) -> Schema:
    """Return a schema's one instance: making it copies every field, and reading with it changes nothing."""
    return schema()


def _problems(messages: Any, path: str = "") -> Any:
    if isinstance(messages, dict):
        for name, inner in messages.items():
            shown = _CONTROL.sub("�", str(name))[:80]  # an answer is kept with its key, and the database takes no NUL
            yield from _problems(inner, path if name == "_schema" else f"{path}.{shown}" if path else shown)
    else:
        for message in messages if isinstance(messages, list) else [messages]:
            yield {"field": path, "detail": _sentence(str(message))}


def _sentence(message: str) -> str:
    known = {
        "Missing data for required field.": "It is missing.",
        "Unknown field.": "There is no such field.",
        "Field may not be null.": "It may not be null; leave it out instead.",
        "Invalid input type.": "It must be a JSON object.",
    }
    return known.get(message, message)
