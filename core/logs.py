"""Logs as JSON lines, each with its request's id; they hold ids and codes, never names, addresses, texts or tokens."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import MutableMapping
from typing import Any

import structlog
from flask import Flask, Response, g, request

from core.db import new_public_id

_ADDRESS = re.compile(r"[^\s@\"'<>]+@[^\s@\"'<>]+")
_TOKEN = re.compile(r"/(s|c|t|u|p)/[A-Za-z0-9_-]{20,}")


def without_personal_data(_logger: Any, _name: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what slipped into a log line: addresses and the tokens of private links."""
    for key, value in entry.items():
        if isinstance(value, str):
            entry[key] = _TOKEN.sub(r"/\1/…", _ADDRESS.sub("…@…", value))
    return entry


def without_values(_logger: Any, _name: str, entry: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Cut the parameters that database errors quote: they hold what people wrote."""
    if isinstance(text := entry.get("exception"), str):
        entry["exception"] = re.sub(r"(?s)(\[parameters: |DETAIL: ).*?(?=\n\S|\Z)", r"\1…", text)
    return entry


def configure(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            without_values,
            without_personal_data,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper(), logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=False,
    )


def init_app(app: Flask, level: str) -> None:
    configure(level)
    log = structlog.get_logger("web")
    tells_each = level.upper() == "DEBUG"

    @app.before_request
    def start() -> None:
        g.started = time.perf_counter()
        g.request_id = new_public_id()

    @app.after_request
    def finish(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.get("request_id", "")
        if not tells_each:
            return response
        took_ms = round((time.perf_counter() - g.get("started", time.perf_counter())) * 1000, 1)
        log.debug(
            "answered",
            endpoint=request.endpoint,
            status=response.status_code,
            took_ms=took_ms,
            request_id=g.get("request_id"),
        )
        return response
