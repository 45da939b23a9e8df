"""Malformed posts to all that takes posts without a session, made by chance and sent straight to the application."""

from __future__ import annotations

import io
import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from flask import Flask
from werkzeug.test import run_wsgi_app

from tests.client import count_queries

CONTENT_TYPES = (
    "application/x-www-form-urlencoded",
    "application/x-www-form-urlencoded; charset=utf-16",
    "multipart/form-data",
    "multipart/form-data; boundary=",
    "multipart/form-data; boundary=x",
    "multipart/form-data; boundary=" + "b" * 300,
    "application/json",
    "application/json; charset=utf-7",
    "application/problem+json",
    "text/plain",
    "text/html; charset=\x80",
    "a/b/c; ;=;",
    "",
)
COLUMNS = (
    "id",
    "public_id",
    "state",
    "customer_id",
    "brand_id",
    "roles",
    "is_admin",
    "erased_at",
    "csrf_token",
    "score",
)
HEADERS = ("Accept-Language", "Accept", "Cookie", "Referer", "Origin", "User-Agent", "X-Forwarded-For", "Range",
           "X-Forwarded-Host", "Content-Encoding", "Idempotency-Key", "If-None-Match", "X-Request-ID")  # fmt: skip
JSONS: tuple[Any, ...] = (None, True, 0, -1, 2**70, 1.5, "", [], {}, [[]], {"a": {"b": {}}}, [None] * 50)


@dataclass(frozen=True)
class Target:
    """Something that takes posts: `path()` is asked anew for each; `fields` are name -> an honest value.

    With `names_in_path` the last part of the path may be a word too. With `sample` the body is JSON like it;
    `sign` makes the headers of a body; `share` weighs how often it is chosen.
    """

    endpoint: str
    path: Callable[[], str]
    fields: Mapping[str, str] = field(default_factory=dict)
    sample: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    sign: Callable[[bytes], Mapping[str, str]] | None = None
    share: int = 10
    method: str = "POST"
    names_in_path: bool = False


@dataclass(frozen=True)
class Post:
    path: str
    query: str
    body: bytes
    headers: Mapping[str, str]
    length: str | None = None  # another Content-Length than the body's
    method: str = "POST"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes
    cpu_seconds: float
    statements: int


class Maker:
    """Makes posts from a source of chance, which may be hypothesis's own: that one makes what fails small."""

    def __init__(self, chance: random.Random, words: Sequence[str]) -> None:
        self.chance, self.words = chance, words

    def post(self, target: Target) -> Post:
        chance = self.chance
        if chance.random() < 0.1:
            body, kind = self._rubbish(), chance.choice(CONTENT_TYPES)
        elif target.sample is not None:
            body, kind = self._json(target.sample), "application/json"
        elif chance.random() < 0.3:
            body, kind = self._multipart(target.fields)
        else:
            body, kind = self._urlencoded(target.fields), CONTENT_TYPES[0]
        if chance.random() < 0.15:
            body = self._damaged(body)
        signed = target.sign(body) if target.sign and chance.random() < 0.9 else {}
        length = chance.choice(["-1", "x", "", "0", "1", "99999999999"]) if chance.random() < 0.02 else None
        headers = {**self._headers(), **target.headers, **signed, "Content-Type": kind}
        return Post(self._path(target), self._query(), body, headers, length, target.method)

    def _path(self, target: Target) -> str:
        path = target.path()
        if not target.names_in_path or self.chance.random() < 0.5:
            return path
        written: str = f"{path.rpartition('/')[0]}/{self.word()[:2000]}"
        return written.encode("utf-8", "surrogatepass").decode("latin-1")  # as WSGI hands paths on

    def word(self) -> str:
        chance = self.chance
        kind = chance.random()
        if kind < 0.75:
            return chance.choice(self.words)
        if kind < 0.9:
            return "".join(chr(chance.choice([chance.randrange(0x300), chance.randrange(0x110000)])) for _ in range(8))
        if kind < 0.98:
            return chance.choice(self.words) + chance.choice(self.words)
        return chance.choice(self.words)[:50] * chance.choice([10, 300])

    def _pairs(self, fields: Mapping[str, str]) -> list[tuple[str, str]]:
        chance = self.chance
        pairs = []
        for name, honest in fields.items():
            kind = chance.random()
            if kind < 0.9:
                pairs.append((name, honest if kind < 0.5 else self.word()))
            if kind > 0.97:
                pairs.append((name, self.word()))
        if chance.random() < 0.2:
            pairs.append((chance.choice([*COLUMNS, self.word()]), self.word()))
        if chance.random() < 0.2:
            chance.shuffle(pairs)
        return pairs

    def _urlencoded(self, fields: Mapping[str, str]) -> bytes:
        joined = "&".join(
            f"{quote_plus(name, errors='surrogatepass')}={quote_plus(value, errors='surrogatepass')}"
            for name, value in self._pairs(fields)
        )
        return joined.encode()

    def _multipart(self, fields: Mapping[str, str]) -> tuple[bytes, str]:
        parts = []
        for name, value in self._pairs(fields):
            file = f'; filename="{self.word()}"' if self.chance.random() < 0.15 else ""
            head = f'--edge\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'
            parts.append(f"{head}{value}\r\n".encode("utf-8", "surrogatepass"))
        return b"".join(parts) + b"--edge--\r\n", "multipart/form-data; boundary=edge"

    def _json(self, sample: Any) -> bytes:
        chance = self.chance
        changed = self._changed(sample)
        if chance.random() < 0.1:
            changed = [changed, self._changed(sample), chance.choice(JSONS)]
        return json.dumps(changed, ensure_ascii=chance.random() < 0.9).encode("utf-8", "surrogatepass")

    def _changed(self, value: Any, depth: int = 0) -> Any:
        chance = self.chance
        if isinstance(value, dict):
            kept = {name: self._changed(each, depth + 1) for name, each in value.items() if chance.random() < 0.95}
            return kept | ({self.word()[:100]: self.word()} if chance.random() < 0.05 else {})
        if isinstance(value, list):
            return [self._changed(each, depth + 1) for each in value]
        kind = chance.random()
        if kind < 0.75:
            return value
        return self.word() if kind < 0.9 else chance.choice(JSONS)

    def _rubbish(self) -> bytes:
        if self.chance.random() < 0.5:
            return self.word().encode("utf-8", "surrogatepass")
        return bytes(self.chance.randrange(256) for _ in range(self.chance.randrange(40)))

    def _damaged(self, body: bytes) -> bytes:
        at, chance = self.chance.randrange(len(body) + 1), self.chance.random()
        if chance < 0.4:
            return body[:at]
        return body[:at] + bytes([self.chance.randrange(256)]) * (1 if chance < 0.9 else 3000) + body[at + 1 :]

    def _query(self) -> str:
        if self.chance.random() < 0.7:
            return ""
        names = ("lang", "score", "brand", "for", "said", "next", self.word())
        chosen = self.chance.sample(names, self.chance.randrange(1, 4))
        return "&".join(f"{quote_plus(each, errors='surrogatepass')}={self._quoted()}" for each in chosen)

    def _quoted(self) -> str:
        return quote_plus(self.word()[:300], errors="surrogatepass")

    def _headers(self) -> dict[str, str]:
        if self.chance.random() < 0.7:
            return {}
        # A server hands on neither line breaks nor NUL, and takes a few kilobytes at most.
        return {name: self._header() for name in self.chance.sample(HEADERS, 2)}

    def _header(self) -> str:
        kept = "".join(each for each in self.word()[:2000] if each not in "\r\n\x00")
        return kept.encode("utf-8", "surrogatepass").decode("latin-1")


def send(app: Flask, post: Post) -> Answer:
    """Give a post to the application as a server would; `cpu_seconds` is this thread's own work."""
    environ: dict[str, Any] = {
        "REQUEST_METHOD": post.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": post.path,
        "QUERY_STRING": post.query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_LENGTH": str(len(post.body)) if post.length is None else post.length,
        "CONTENT_TYPE": post.headers["Content-Type"],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(post.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    environ |= {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in post.headers.items()}
    del environ["HTTP_CONTENT_TYPE"]
    started = time.thread_time()
    with count_queries() as queries:
        parts, status, headers = run_wsgi_app(app.wsgi_app, environ, buffered=True)
        answer = b"".join(parts)
    return Answer(int(status.split()[0]), list(headers), answer, time.thread_time() - started, queries.count)
