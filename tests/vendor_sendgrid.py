"""SendGrid as a local HTTP server: what it accepts, what it refuses, how it fails, and what it signs.

It fakes only the vendor. It replaces tags one after the other (the worst reading of "substitutions"), so a test that
compares with our own filling shows that the two agree.

    with Vendor() as vendor:
        transport = SendGrid(vendor.url, vendor.api_key)
        vendor.script(Answer(429, headers={"Retry-After": "7"}), Fault.DROP_REPLY)
"""

import base64
import json
import random
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MOST_BYTES = 30 * 1024 * 1024
TOP_LEVEL = {
    "personalizations", "from", "reply_to", "subject", "content", "attachments", "template_id", "headers", "categories",
    "custom_args", "send_at", "batch_id", "asm", "ip_pool_name", "mail_settings", "tracking_settings", "reply_to_list",
}  # fmt: skip
PER_RECIPIENT = {"to", "cc", "bcc", "from", "subject", "headers", "substitutions", "custom_args", "send_at"}
RESERVED_HEADERS = {
    "x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding", "to", "from",
    "subject", "reply-to", "cc", "bcc",
}  # fmt: skip
ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class Fault(StrEnum):
    REFUSE_CONNECTION = "closes before it has read anything"
    DROP_REPLY = "takes the mail, closes without a reply"
    HANG = "takes the mail, never replies"
    HANG_UNTAKEN = "takes nothing, never replies"
    HALF_OPEN = "takes the mail, sends half a status line, then nothing"
    REPEAT = "takes the mail twice, replies once"
    GOODBYE = "takes the mail, replies, then closes the kept connection unasked"


@dataclass(frozen=True)
class Answer:
    """A reply without taking the mail. errors: as the vendor's, [{"message", "field"}]."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: Sequence[Mapping[str, str | None]] = ({"message": "told to", "field": None},)


@dataclass(frozen=True)
class Delay:
    seconds: float


Behaviour = Fault | Answer | Delay


@dataclass(frozen=True)
class Mail:
    """What one recipient finds in their inbox."""

    to: str
    name: str
    subject: str
    text: str
    html: str
    headers: Mapping[str, str]
    custom_args: Mapping[str, str]
    reply_to: str | None
    sender: Mapping[str, str]
    provider_id: str


@dataclass(frozen=True)
class SignedPost:
    """An event webhook as it arrives: raw body and headers."""

    body: bytes
    headers: Mapping[str, str]


class Vendor:
    """Start with `with`. `calls`: accepted payloads, `mails`: what was delivered, `connections`: how many TCP ones."""

    def __init__(self, *, api_key: str = "SG.a-test-key", keep: bool = True, names_fields: bool = True) -> None:
        self.api_key, self.keep, self.names_fields = api_key, keep, names_fields
        self.calls: list[dict[str, Any]] = []
        self.mails: list[Mail] = []
        self.connections = 0
        self.requests = 0
        self.accepted = 0  # recipients
        self.bad_addresses: set[str] = set()
        self.released = threading.Event()
        self._script: deque[Behaviour] = deque()
        self._share, self._faults, self._random = 0.0, (), random.Random(0)
        self._lock = threading.Lock()
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._sockets: set[socket.socket] = set()

    def __enter__(self) -> "Vendor":
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.vendor = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self.hang_up()

    # -- being told how to behave

    def script(self, *behaviours: Behaviour) -> None:
        """The next requests meet these, one each; afterwards the vendor is well again."""
        self._script.extend(behaviours)

    def misbehave(self, *faults: Behaviour, share: float, seed: int = 0) -> None:
        """From now on `share` of the requests (0 to 1) meet one of `faults`."""
        self._share, self._faults, self._random = share, faults, random.Random(seed)

    def recover(self) -> None:
        """Be well again and forget everything that was sent."""
        self._script.clear()
        self._share = 0.0
        with self._lock:
            self.calls, self.mails, self.accepted = [], [], 0
        self.released.set()  # whoever hangs may go
        self.released = threading.Event()

    def hang_up(self) -> None:
        """Close every kept connection, as an idle time-out does."""
        for each in list(self._sockets):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def next_behaviour(self) -> Behaviour | None:
        with self._lock:
            if self._script:
                return self._script.popleft()
            if self._faults and self._random.random() < self._share:
                return self._random.choice(self._faults)
        return None

    # -- taking mail

    def accept(self, payload: dict[str, Any]) -> str:
        provider_id = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        with self._lock:
            self.accepted += len(payload["personalizations"])
            if self.keep:
                self.calls.append(payload)
                self.mails += [_mail(payload, each, provider_id) for each in payload["personalizations"]]
        return provider_id

    def refusals(self, payload: Any) -> list[dict[str, str | None]]:
        return list(_refusals(payload, self.bad_addresses))

    # -- events

    @property
    def public_key(self) -> str:
        """Base64 of DER, as the vendor's settings page shows it."""
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    def event(self, mail: Mail, kind: str, *, at: int, **more: Any) -> dict[str, Any]:
        """One event about one mail; `kind`: processed, delivered, deferred, bounce, dropped, spamreport…"""
        return {
            "email": mail.to, "timestamp": at, "event": kind, "category": ["test"], **mail.custom_args,
            "sg_event_id": base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("="),
            "sg_message_id": f"{mail.provider_id}.recvd-5f9c-1-65F1-1.0",
            "smtp-id": f"<{mail.provider_id}@geopod-ismtpd-1>", **more,
        }  # fmt: skip

    def signed(self, events: Sequence[Mapping[str, Any]], *, at: int) -> SignedPost:
        body = json.dumps(events, separators=(",", ":")).encode() + b"\r\n"
        return self.signed_body(body, at=at)

    def signed_body(self, body: bytes, *, at: int) -> SignedPost:
        return SignedPost(body, _signed_headers(self._key, body, at))

    def forged(self, events: Sequence[Mapping[str, Any]], *, at: int) -> SignedPost:
        """Well-formed in everything, but signed with somebody else's key."""
        body = json.dumps(events, separators=(",", ":")).encode() + b"\r\n"
        return SignedPost(body, _signed_headers(ec.generate_private_key(ec.SECP256R1()), body, at))


def _signed_headers(key: ec.EllipticCurvePrivateKey, body: bytes, at: int) -> dict[str, str]:
    signature = key.sign(str(at).encode() + body, ec.ECDSA(SHA256()))
    return {
        "Content-Type": "application/json",
        "X-Twilio-Email-Event-Webhook-Signature": base64.b64encode(signature).decode(),
        "X-Twilio-Email-Event-Webhook-Timestamp": str(at),
    }


def _mail(payload: Mapping[str, Any], one: Mapping[str, Any], provider_id: str) -> Mail:
    def put_in(template: str) -> str:
        for tag, value in one.get("substitutions", {}).items():
            template = template.replace(tag, value)
        return template

    content = {each["type"]: put_in(each["value"]) for each in payload["content"]}
    to = one["to"][0]
    return Mail(
        to=to["email"], name=to.get("name", ""), subject=put_in(one.get("subject") or payload["subject"]),
        text=content.get("text/plain", ""), html=content.get("text/html", ""), headers=one.get("headers", {}),
        custom_args=one.get("custom_args", {}), reply_to=payload.get("reply_to", {}).get("email"),
        sender=payload["from"], provider_id=provider_id,
    )  # fmt: skip


# --- the vendor's rules -------------------------------------------------------------------------------------------


def _refusals(payload: Any, bad_addresses: set[str]) -> Any:
    if not isinstance(payload, dict):
        yield _error("Bad Request", None)
        return
    yield from (_error("Invalid replacement field.", key) for key in payload.keys() - TOP_LEVEL)
    yield from _address_refusals(payload.get("from"), "from")
    if "reply_to" in payload:
        yield from _address_refusals(payload["reply_to"], "reply_to")
    yield from _content_refusals(payload.get("content"))
    people = payload.get("personalizations")
    if not isinstance(people, list) or not 1 <= len(people) <= 1000:
        yield _error("The personalizations field must have between 1 and 1000 entries.", "personalizations")
        return
    for place, one in enumerate(people):
        yield from _recipient_refusals(one, f"personalizations.{place}", payload.get("subject"), bad_addresses)
    categories = payload.get("categories", [])
    if len(categories) > 10 or len(set(categories)) < len(categories):
        yield _error("The categories are too many or not unique.", "categories")


def _recipient_refusals(one: Any, path: str, subject: Any, bad_addresses: set[str]) -> Any:
    if not isinstance(one, dict):
        yield _error("Bad Request", path)
        return
    yield from (_error("Invalid field.", f"{path}.{key}") for key in one.keys() - PER_RECIPIENT)
    to = one.get("to") or []
    if not 1 <= len(to) <= 1000 or len({each.get("email") for each in to}) < len(to):
        yield _error("The to array is required, and its addresses must be unique.", f"{path}.to")
    for place, each in enumerate(to):
        yield from _address_refusals(each, f"{path}.to.{place}", bad_addresses)
    yield from _subject_refusals(one.get("subject", subject), path)
    yield from _map_refusals(one.get("substitutions", {}), f"{path}.substitutions")
    yield from _map_refusals(one.get("custom_args", {}), f"{path}.custom_args")
    for name, value in one.get("headers", {}).items():
        if name.lower() in RESERVED_HEADERS or not name.isascii() or not re.fullmatch(r"[\x20-\x7e]*", str(value)):
            yield _error("The header is reserved or not ASCII.", f"{path}.headers.{name}")


def _address_refusals(address: Any, path: str, bad: set[str] = frozenset()) -> Any:  # type: ignore[assignment]
    email = address.get("email") if isinstance(address, dict) else None
    if not isinstance(email, str) or not ADDRESS.fullmatch(email) or email in bad:
        yield _error("Does not contain a valid address.", f"{path}.email")
    elif re.search(r"[\r\n]", str(address.get("name", ""))):
        yield _error("The name must not hold a line end.", f"{path}.name")


def _subject_refusals(subject: Any, path: str) -> Any:
    if not isinstance(subject, str) or not subject:
        yield _error("The subject is required.", "subject")
    elif re.search(r"[\r\n]", subject):
        yield _error("The subject must not hold a line end.", "subject")


def _content_refusals(content: Any) -> Any:
    if not isinstance(content, list) or not content:
        yield _error("The content is required.", "content")
        return
    for place, each in enumerate(content):
        if not isinstance(each.get("value"), str) or not each["value"]:
            yield _error("The content value must be a string of at least one character.", f"content.{place}.value")
    types = [each.get("type") for each in content]
    if types != sorted(types, key=["text/plain", "text/html"].index):
        yield _error("If present, text/plain must be first, then text/html.", "content")


def _map_refusals(pairs: Any, path: str) -> Any:
    if not isinstance(pairs, dict) or not all(isinstance(value, str) for value in pairs.values()):
        yield _error("All values must be strings.", path)
    elif sum(len(key.encode()) + len(value.encode("utf-8", "replace")) for key, value in pairs.items()) > 10_000:
        yield _error("The total size must not exceed 10000 bytes.", path)


def _error(message: str, place: str | None) -> dict[str, str | None]:
    return {
        "message": message,
        "field": place,
        "help": "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html",
    }


# --- HTTP ---------------------------------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    vendor: Vendor

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is this server's daily bread."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.vendor = self.server.vendor
        with self.vendor._lock:
            self.vendor.connections += 1
            self.vendor._sockets.add(self.connection)

    def finish(self) -> None:
        self.vendor._sockets.discard(self.connection)
        super().finish()

    def do_POST(self) -> None:
        self.vendor.requests += 1
        behaviour = self.vendor.next_behaviour()
        if behaviour is Fault.REFUSE_CONNECTION:
            self._hang_up()
            return
        body = self._body()
        if isinstance(behaviour, Answer):
            self._reply(behaviour.status, {"errors": list(behaviour.errors)}, behaviour.headers)
            return
        if behaviour is Fault.HANG_UNTAKEN:
            self.vendor.released.wait(60)
            self._hang_up()
            return
        if isinstance(behaviour, Delay):
            time.sleep(behaviour.seconds)
        self._judge(body, behaviour)

    def _judge(self, body: bytes | None, behaviour: Behaviour | None) -> None:
        if self.path != "/v3/mail/send":
            self._reply(404, {"errors": [{"message": "not found", "field": None}]})
        elif self.headers.get("Authorization") != f"Bearer {self.vendor.api_key}":
            errors = [{"message": "The provided authorization grant is invalid, expired, or revoked", "field": None}]
            self._reply(401, {"errors": errors})
        elif body is None:
            self._reply(413, {"errors": [{"message": "Payload too large", "field": None}]})
        else:
            self._take(body, behaviour)

    def _take(self, body: bytes, behaviour: Behaviour | None) -> None:
        try:
            payload = json.loads(body)
        except ValueError:
            self._reply(400, {"errors": [{"message": "Bad Request", "field": None}]})
            return
        if errors := self.vendor.refusals(payload):
            shown = errors if self.vendor.names_fields else [{"message": "Bad Request", "field": None}]
            self._reply(400, {"errors": shown})
            return
        provider_id = self.vendor.accept(payload)
        if behaviour is Fault.REPEAT:
            self.vendor.accept(payload)
        self._answer_accepted(provider_id, behaviour)

    def _answer_accepted(self, provider_id: str, behaviour: Behaviour | None) -> None:
        if behaviour in (Fault.HANG, Fault.HALF_OPEN):
            if behaviour is Fault.HALF_OPEN:
                self.wfile.write(b"HTTP/1.1 20")
                self.wfile.flush()
            self.vendor.released.wait(60)
        if behaviour in (Fault.HANG, Fault.HALF_OPEN, Fault.DROP_REPLY):
            self._hang_up()
            return
        self._reply(202, None, {"X-Message-Id": provider_id})
        if behaviour is Fault.GOODBYE:
            self.wfile.flush()
            self._hang_up()

    def _body(self) -> bytes | None:
        """None if it is too large; then it is read no further, as the vendor does."""
        length = int(self.headers.get("Content-Length", 0))
        if length > MOST_BYTES:
            self.close_connection = True
            return None
        return self.rfile.read(length)

    def _reply(self, status: int, content: Any, headers: Mapping[str, str] | None = None) -> None:
        body = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _hang_up(self) -> None:
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def log_message(self, format: str, *args: Any) -> None:
        """Silent: what it was sent holds addresses."""
