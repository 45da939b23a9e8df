"""SendGrid's v3 mail/send over one kept connection.

The vendor's own client is not used: it has no time-out, opens a connection per send, loads every CA certificate each
time and reverses personalizations. What matters here is to know, for each message, whether it left: an error before the
request was whole means no, a reply says, and silence after a whole request means "uncertain".

Facts about the vendor: 1 to 1,000 personalizations a call; substitutions up to 10,000 bytes for each; `reply_to`
belongs to the call, headers and custom_args to a personalization; one X-Message-Id a call; errors name their field.
"""

import json
import os
import re
import select
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from notifications.substitution import filled, one_line, substitutions, tags_in
from notifications.transport import Batch, Envelope, Failed, Handed, Outcome, TransportError

MESSAGE_ARGUMENT = "amends_message"  # the custom argument that the vendor's events carry back to us

MOST_PER_CALL = 1_000
MOST_CALLS_PER_BATCH = 200  # bisecting a wholly bad batch must not outlive its lease; the rest waits for the next drain
MOST_SUBSTITUTION_BYTES = 9_000  # the vendor's limit is 10,000, and how it counts is not documented
MOST_REPLY_BYTES = 65_536
MOST_IDLE_SECONDS = 30.0  # an older connection may be closed under way, which would read as "uncertain"
SHORTEST_WAIT, LONGEST_WAIT, USUAL_WAIT = timedelta(seconds=1), timedelta(hours=1), timedelta(minutes=1)

_ADDRESS = re.compile(r'[^\s@<>()\[\],;:"\\\x00-\x20\x7f-\x9f]{1,64}@[^\s@<>()\[\],;:"\\\x00-\x20\x7f-\x9f]{1,190}')
_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,1000}")
_RESERVED_HEADERS = frozenset(
    ["x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"]
) | {"to", "from", "subject", "reply-to", "cc", "bcc"}
_NAMED_RECIPIENT = re.compile(r"personalizations\.(\d+)")


@dataclass(frozen=True)
class _Post:
    message_public_id: str
    personalization: Mapping[str, Any]


@dataclass(frozen=True)
class _Call:
    frame: Mapping[str, Any]
    posts: tuple[_Post, ...]

    @property
    def body(self) -> bytes:
        payload = {"personalizations": [post.personalization for post in self.posts], **self.frame}
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()

    def part(self, posts: Iterable[_Post]) -> "_Call":
        return _Call(self.frame, tuple(posts))


@dataclass(frozen=True)
class _Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def errors(self) -> list[Mapping[str, Any]]:
        try:
            errors = json.loads(self.body)["errors"]
        except (ValueError, KeyError, TypeError):
            return []
        return [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []

    @property
    def reason(self) -> str:
        """The vendor's words, short and with addresses taken out, for they are stored and logged."""
        words = "; ".join(str(each.get("message", "")) for each in self.errors[:3])
        return re.sub(r"\S*@\S*", "(address)", one_line(words))[:300] or f"status {self.status}"


class SendGrid:
    """A transport. One instance a process; safe after fork and between threads (calls queue for the one connection).

    host: base URL, such as https://api.sendgrid.com. Time-outs in seconds: to connect, and for each wait on a reply.
    """

    def __init__(self, host: str, api_key: str, *, connect_seconds: float = 5.0, reply_seconds: float = 30.0) -> None:
        self._line = _Line(host, connect_seconds=connect_seconds, reply_seconds=reply_seconds)
        self._headers = {
            "Authorization": f"Bearer {api_key}",
            "Content-Type": "application/json",
            "User-Agent": "amends",
        }

    def send(self, batch: Batch) -> list[Outcome]:
        outcomes: dict[str, Outcome] = {}
        waiting = deque(_calls(batch, outcomes))
        made = 0
        while waiting:
            made += 1
            call = waiting.popleft()
            parts, halted_by = self._make(call, outcomes)
            waiting.extendleft(reversed(parts))
            if made >= MOST_CALLS_PER_BATCH and waiting and halted_by is None:
                halted_by = TransportError("Too many refusals in one batch; the rest is tried later.")
            if halted_by is not None:
                _fail((post for each in waiting for post in each.posts), halted_by, outcomes)
                break
        return [outcomes[envelope.message_public_id] for envelope in batch.envelopes]

    def close(self) -> None:
        """Let go of the kept connection; the next send opens a new one."""
        self._line.close()

    def _make(self, call: _Call, outcomes: dict[str, Outcome]) -> tuple[list[_Call], TransportError | None]:
        """Make one call; return the smaller calls to make in its place, and the error that ends this batch, if any."""
        try:
            reply = self._line.post("/v3/mail/send", call.body, self._headers)
            if reply.status in (400, 413):
                return _smaller(call, reply, outcomes), None
            _raise_unless_accepted(reply)
        except TransportError as error:
            _fail(call.posts, error, outcomes)
            return [], _not_tried(error)
        provider_id = reply.headers.get("x-message-id", "")
        outcomes.update({post.message_public_id: Handed(post.message_public_id, provider_id) for post in call.posts})
        return [], None


# --- what is said to the vendor -----------------------------------------------------------------------------------


def _calls(batch: Batch, outcomes: dict[str, Outcome]) -> Iterable[_Call]:
    """Envelopes that share everything but their values, up to 1,000 together; those too long for that, singly."""
    tags = tags_in(batch.subject_template, batch.html_template, batch.text_template)
    together: dict[str | None, list[_Post]] = {}
    single: list[_Call] = []
    for envelope in batch.envelopes:
        try:
            personalization = _personalization(envelope)
            ready = substitutions(tags, envelope.values)
        except (ValueError, KeyError) as error:
            outcomes[envelope.message_public_id] = _unsendable(envelope, error)
            continue
        post = _Post(envelope.message_public_id, personalization)
        if _is_short(ready):
            personalization["substitutions"] = ready
            together.setdefault(envelope.reply_to, []).append(post)
        else:
            single.append(_Call(_frame(batch, envelope.reply_to, ready), (post,)))
    for reply_to, posts in together.items():
        frame, rest = _frame(batch, reply_to), iter(posts)
        while some := tuple(islice(rest, MOST_PER_CALL)):
            yield _Call(frame, some)
    yield from single


def _frame(batch: Batch, reply_to: str | None, ready: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Everything of a call but its recipients; with `ready`, the values are put in here and not by the vendor."""
    subject, text, html = batch.subject_template, batch.text_template, batch.html_template
    if ready is not None:
        subject, text, html = (filled(template, ready) for template in (subject, text, html))
    frame: dict[str, Any] = {
        "from": {"email": batch.sender.email, "name": one_line(batch.sender.name)},
        "subject": one_line(subject),
        "content": [{"type": "text/plain", "value": text}, {"type": "text/html", "value": html}],
        "categories": [batch.category],
        "tracking_settings": {
            "click_tracking": {"enable": False, "enable_text": False},
            "open_tracking": {"enable": False},
            "subscription_tracking": {"enable": False},
        },
    }
    if reply_to:
        frame["reply_to"] = {"email": _address(reply_to)}
    return frame


def _personalization(envelope: Envelope) -> dict[str, Any]:
    """Raises ValueError for an address or header that must not be said."""
    to = {"email": _address(envelope.to_address)}
    if name := one_line(envelope.to_name)[:200]:
        to["name"] = name
    if envelope.reply_to:
        _address(envelope.reply_to)
    personalization: dict[str, Any] = {"to": [to], "custom_args": {MESSAGE_ARGUMENT: envelope.message_public_id}}
    if envelope.headers:
        personalization["headers"] = {name: _header(name, value) for name, value in envelope.headers.items()}
    return personalization


def _address(address: str) -> str:
    if not _ADDRESS.fullmatch(address):
        raise ValueError("The address is not one that mail can be sent to.")
    return address


def _header(name: str, value: str) -> str:
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED_HEADERS or not _HEADER_VALUE.fullmatch(value):
        raise ValueError("A header is not allowed or holds a line end.")
    return value


def _is_short(ready: Mapping[str, str]) -> bool:
    characters = sum(map(len, ready)) + sum(map(len, ready.values()))
    if characters * 4 <= MOST_SUBSTITUTION_BYTES:
        return True
    return sum(len(key.encode()) + len(value.encode()) for key, value in ready.items()) <= MOST_SUBSTITUTION_BYTES


def _unsendable(envelope: Envelope, error: Exception) -> Failed:
    words = f"The value {error} is missing." if isinstance(error, KeyError) else str(error)
    return Failed(envelope.message_public_id, TransportError(words, permanent=True))


# --- what the vendor says -----------------------------------------------------------------------------------------


def _smaller(call: _Call, reply: _Reply, outcomes: dict[str, Outcome]) -> list[_Call]:
    """Split a refused call until the offenders are alone; alone, a refusal is permanent."""
    if reply.status == 400 and _blames_the_frame(reply):
        error = TransportError(f"The vendor refused the message itself: {reply.reason}", configuration=True)
        _fail(call.posts, error, outcomes)
        return []
    if len(call.posts) == 1:
        _fail(call.posts, TransportError(f"The vendor refused it: {reply.reason}", permanent=True), outcomes)
        return []
    named = _named(reply) & set(range(len(call.posts)))
    if not named or len(named) == len(call.posts):
        named = set(range(len(call.posts) // 2))
    ours = [post for place, post in enumerate(call.posts) if place in named]
    others = [post for place, post in enumerate(call.posts) if place not in named]
    return [call.part(others), call.part(ours)]


def _blames_the_frame(reply: _Reply) -> bool:
    """True if every error names a field, and none of them a recipient's."""
    fields = [str(each.get("field") or "") for each in reply.errors]
    return bool(fields) and all(field and not field.startswith("personalizations") for field in fields)


def _named(reply: _Reply) -> set[int]:
    """The places of the recipients that a 400 names. A hint only: those named are tried again, apart from the rest."""
    matches = (_NAMED_RECIPIENT.match(str(each.get("field") or "")) for each in reply.errors)
    return {int(match[1]) for match in matches if match}


def _raise_unless_accepted(reply: _Reply) -> None:
    if reply.status in (200, 202):
        return
    if reply.status == 429:
        raise TransportError("The vendor asks us to slow down.", retry_after=_asked_wait(reply) or USUAL_WAIT)
    if reply.status >= 500 or reply.status in (408, 425):
        raise TransportError(f"The vendor is out of order: {reply.reason}", retry_after=_asked_wait(reply))
    raise TransportError(f"The vendor refuses us ({reply.status}): {reply.reason}", configuration=True)


def _asked_wait(reply: _Reply) -> timedelta | None:
    """Retry-After in seconds or as a date, else X-RateLimit-Reset (a Unix time), against the vendor's own clock."""
    after, reset = reply.headers.get("retry-after", ""), reply.headers.get("x-ratelimit-reset", "")
    if _is_count(after):
        return _bounded(timedelta(seconds=int(after)))
    vendor_now = _moment(reply.headers.get("date", ""))
    until = _moment(after) or (datetime.fromtimestamp(int(reset), UTC) if _is_count(reset) else None)
    return _bounded(until - vendor_now) if until and vendor_now else None


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _bounded(wait: timedelta) -> timedelta:
    return min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)


def _not_tried(error: TransportError) -> TransportError:
    """What the calls behind a failed one get: they were never made, so they are certain even if it was not."""
    if not error.uncertain:
        return error
    return TransportError("Not tried: the vendor had stopped answering.")


def _fail(posts: Iterable[_Post], error: TransportError, outcomes: dict[str, Outcome]) -> None:
    outcomes.update({post.message_public_id: Failed(post.message_public_id, error) for post in posts})


# --- the kept connection ------------------------------------------------------------------------------------------


class _Line:
    """One connection a process, opened when needed, reopened after a fork, an idle spell or any error."""

    def __init__(self, host: str, *, connect_seconds: float, reply_seconds: float) -> None:
        parts = urlsplit(host)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("The mail vendor's host must be a URL, for example https://api.sendgrid.com")
        self._parts = parts
        self._connect_seconds, self._reply_seconds = connect_seconds, reply_seconds
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None  # 37 ms, so once
        self._connection: HTTPConnection | None = None
        self._used_at = 0.0
        self._lock, self._pid = threading.Lock(), os.getpid()

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> _Reply:
        """Raises TransportError: certain if the request was not whole, uncertain if only the reply is missing."""
        if self._pid != os.getpid():  # the parent's socket is the parent's, and its lock may be held for ever
            self._lock, self._pid = threading.Lock(), os.getpid()
            self.close()
        with self._lock:
            try:
                return self._exchange(self._open(), self._parts.path.rstrip("/") + path, body, headers)
            except TransportError:
                self.close()
                raise

    def _open(self) -> HTTPConnection:
        if self._connection is not None and self._is_usable(self._connection):
            return self._connection
        self.close()
        connection = self._new()
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise TransportError(f"The vendor can't be reached ({type(error).__name__}).") from error
        connection.sock.settimeout(self._reply_seconds)
        self._connection = connection
        return connection

    def _new(self) -> HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        if self._tls is not None:
            return HTTPSConnection(host, port, timeout=self._connect_seconds, context=self._tls)
        return HTTPConnection(host, port, timeout=self._connect_seconds)

    def _is_usable(self, connection: HTTPConnection) -> bool:
        """Between calls nothing may be readable: if something is, it is the vendor's goodbye."""
        if connection.sock is None or time.monotonic() - self._used_at > MOST_IDLE_SECONDS:
            return False
        poll = select.poll()
        poll.register(connection.sock, select.POLLIN)
        return not poll.poll(0)

    def _exchange(self, connection: HTTPConnection, path: str, body: bytes, headers: Mapping[str, str]) -> _Reply:
        try:
            connection.request("POST", path, body, dict(headers))
        except (BrokenPipeError, ConnectionResetError) as error:
            return self._early_reply(connection, error)
        except (OSError, HTTPException) as error:
            raise TransportError(f"The request could not be sent whole ({type(error).__name__}).") from error
        try:
            response = connection.getresponse()
        except (OSError, HTTPException) as error:
            words = f"No reply to a whole request ({type(error).__name__}); it may have been taken."
            raise TransportError(words, uncertain=True) from error
        return self._read(response)

    def _early_reply(self, connection: HTTPConnection, error: OSError) -> _Reply:
        """A vendor may refuse (413) and hang up before it has read all; the refusal is then still there to be read."""
        try:
            response = HTTPResponse(connection.sock, method="POST")
            response.begin()
        except (OSError, HTTPException, AttributeError):
            raise TransportError(f"The request could not be sent whole ({type(error).__name__}).") from error
        reply = self._read(response)
        self.close()
        return reply

    def _read(self, response: HTTPResponse) -> _Reply:
        """The status line decides; a body that breaks off afterwards loses us words, and the connection."""
        try:
            body = response.read(MOST_REPLY_BYTES)
            is_whole = response.isclosed()
        except (OSError, HTTPException):
            body, is_whole = b"", False
        if not is_whole or response.will_close:
            self.close()
        self._used_at = time.monotonic()
        return _Reply(response.status, {name.lower(): value for name, value in response.getheaders()}, body)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
