"""Refusals: each says what went wrong, where and how to go on; one place makes a page or problem+json of them."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, g, jsonify, render_template, request
from flask_babel import gettext as _
from sqlalchemy.exc import OperationalError
from werkzeug.exceptions import HTTPException, SecurityError

log = structlog.get_logger(__name__)


class Refusal(Exception):
    """Something we will not do, with a sentence a customer may read.

    `status` is the HTTP status, `code` a stable word for programs, `field` the input it belongs to (None: all of it),
    `more` further members of the problem document, `headers` what the answer carries beside it.
    """

    status: int = 422
    code: str = "refused"
    headers: Mapping[str, str] = {}

    def __init__(self, message: str = "", *, field: str | None = None, **more: Any) -> None:
        super().__init__(message or self.code)
        self.message = str(message) or self.sentence()
        self.field = field
        self.more = more

    def sentence(self) -> str:
        """Return the words for this refusal when none were given; subclasses override it."""
        return _("This could not be done.")

    def problem(self) -> dict[str, Any]:
        """Return the RFC 9457 problem document's members."""
        body = {
            "type": f"urn:amends:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
        }
        body |= {"detail": self.message, "code": self.code, **self.more}
        if self.field:
            body |= {"field": self.field}
        return body


class NotFound(Refusal):
    status, code = 404, "not-found"

    def sentence(self) -> str:
        return _("There is nothing here, or you may not see it.")


class Forbidden(Refusal):
    status, code = 403, "forbidden"

    def sentence(self) -> str:
        return _("Your role does not include this. An administrator can change it.")


class Conflict(Refusal):
    status, code = 409, "conflict"


class Gone(Refusal):
    status, code = 410, "gone"


class BadInput(Refusal):
    """Input of the wrong shape; `problems` lists every fault as {"field", "detail"}."""

    status, code = 422, "bad-input"

    def __init__(self, problems: list[dict[str, Any]]) -> None:
        first = problems[0]
        super().__init__(str(first["detail"]), field=first.get("field"), problems=problems)


def init_app(app: Flask) -> None:
    app.register_error_handler(Refusal, refused)
    app.register_error_handler(HTTPException, http_error)
    app.register_error_handler(OperationalError, database_away)
    app.register_error_handler(Exception, unexpected)


def refused(refusal: Refusal) -> Response:
    response = answer(refusal.status, refusal.problem())
    response.headers.update(refusal.headers)
    return response


def http_error(error: HTTPException) -> Response:
    status = error.code or 500
    if isinstance(error, SecurityError):
        return strange_host()
    if error.response is not None and status < 400:
        return error.response  # type: ignore[return-value]  # werkzeug's redirect carries a finished response
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.description,
    }
    response = answer(status, body)
    for name, value in error.get_headers():
        if name not in {"Content-Type", "Content-Length"}:
            response.headers[name] = value
    return response


def strange_host() -> Response:
    """Answer a request whose Host is none of ours: in plain words, for no page of ours can make its links then."""
    words = "This is no address of this server.\n"
    return Response(words, 400, mimetype="text/plain", headers={"Cache-Control": "no-store"})


def database_away(error: OperationalError) -> Response:
    log.error("database_away", error=type(error.orig).__name__)
    response = answer(
        503,
        {"type": "urn:amends:try-again", "title": "Service Unavailable", "status": 503},
    )
    response.headers["Retry-After"] = "10"
    return response


def unexpected(error: Exception) -> Response:
    log.error(
        "unexpected",
        error=type(error).__name__,
        endpoint=request.endpoint,
        exc_info=error,
    )
    return answer(500, {"type": "about:blank", "title": "Internal Server Error", "status": 500})


def wants_json() -> bool:
    return request.path.startswith(("/api/", "/hooks/")) or request.path.endswith(".json")


def answer(status: int, body: dict[str, Any]) -> Response:
    if wants_json():
        response = jsonify(body | {"request_id": g.get("request_id", "")})
        response.content_type = "application/problem+json"
    else:
        audience = "public" if is_public_page() else "staff"
        page = render_template(
            [f"errors/{audience}_{body.get('code', status)}.html", f"errors/{audience}.html"],
            status=status,
            problem=body,
        )
        response = Response(page)
    response.status_code = status
    response.headers["Cache-Control"] = "no-store"
    return response


def is_public_page() -> bool:
    """Whether a customer sees this page: they get the public frame with a person to turn to."""
    return request.path.startswith(("/s/", "/t/", "/c/", "/u/", "/complaints", "/p/"))
