"""The test client: each request lives apart from the test, and a view that forgets to commit fails the test."""

import contextvars
import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, current_app
from flask.testing import FlaskClient
from flask_login.utils import _create_identifier
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import Engine, event
from werkzeug.exceptions import HTTPException
from werkzeug.routing import RequestRedirect
from werkzeug.test import TestResponse

from core import access
from core.db import db

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
WITHOUT_SESSION = {access.Kind.LINK, access.Kind.API}


class Client(FlaskClient):
    """Flask's test client, and:

    - what the test arranged is committed before the request, and read anew after it;
    - a request never sees the test's session, `g` or signed-in user;
    - forms of session pages carry a valid CSRF token, unless `sends_csrf` is switched off;
    - an answer below 400 that leaves changes uncommitted fails.
    """

    sends_csrf = True

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        if current_app:
            db.session.commit()
        if self.sends_csrf and self._needs_csrf(*args, **kwargs):
            kwargs["headers"] = {"X-CSRFToken": self._csrf_token(), **dict(kwargs.get("headers") or {})}
        left = self.application.extensions["left_uncommitted"] = []
        response: TestResponse = contextvars.Context().run(super().open, *args, **kwargs)
        if current_app:
            db.session.rollback()
            db.session.expire_all()
        if left and response.status_code < 400:
            raise AssertionError(f"{response.request.method} {response.request.path} left uncommitted: {left}")
        return response

    def sign_in(self, staff: Any) -> None:
        """Sign a member of staff in without the page; tests of the page itself post to it."""
        db.session.commit()
        with self.application.test_request_context(headers={"User-Agent": self.user_agent}):
            identifier = _create_identifier()
        with self.session_transaction() as session:
            session.update({"_user_id": staff.get_id(), "_fresh": True, "_id": identifier})

    @property
    def user_agent(self) -> str:
        agent: str = self.environ_base["HTTP_USER_AGENT"]
        return agent

    def _needs_csrf(self, *args: Any, **kwargs: Any) -> bool:
        if kwargs.get("method") not in UNSAFE or not args or not isinstance(args[0], str):
            return False
        path = args[0].removeprefix("http://localhost").partition("?")[0]
        try:
            endpoint, _ = self.application.url_map.bind("localhost").match(path, method=kwargs["method"])
        except (HTTPException, RequestRedirect):
            return False
        rule = access.rule_for(self.application, endpoint)
        return rule is not None and rule.kind not in WITHOUT_SESSION

    def _csrf_token(self) -> str:
        with self.session_transaction() as session:
            value = session.setdefault("csrf_token", hashlib.sha256(b"test").hexdigest())
        signer = URLSafeTimedSerializer(self.application.secret_key or "", salt="wtf-csrf-token")
        return str(signer.dumps(value))


def watch_for_uncommitted(app: Flask) -> None:
    """Note what a request leaves in its session; the client reads it."""
    app.extensions["left_uncommitted"] = []

    @app.teardown_request
    def note(error: BaseException | None) -> None:
        if error is None:
            app.extensions["left_uncommitted"] += uncommitted()


def uncommitted() -> list[object]:
    """Return what the session holds unwritten, or a word for what is written but not committed."""
    session = db.session()
    left: list[object] = [*session.new, *session.dirty, *session.deleted]
    if session.in_transaction():
        # On the driver's own cursor, so that tests which count queries do not count this one.
        with session.connection().connection.cursor() as cursor:
            cursor.execute("SELECT pg_current_xact_id_if_assigned()")
            if cursor.fetchone() != (None,):
                left.append("a transaction that wrote")
    return left


class Queries(list[str]):
    """The statements sent while counting, in order."""

    @property
    def count(self) -> int:
        return len(self)


def kept_plan(statement: str) -> str:
    """Return the plan by which PostgreSQL would run a statement for whatever parameters, indexes before everything.

    `statement` is one that was counted. It is the plan of a prepared statement, made before its values are known.
    """
    numbers: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        return f"${numbers.setdefault(match[1], len(numbers) + 1)}"

    numbered = re.sub(r"%\((\w+)\)s", number, statement).replace("%%", "%")
    values = f"({', '.join(['NULL'] * len(numbers))})" if numbers else ""
    with db.session.connection().connection.cursor() as cursor:
        cursor.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        for dear in ("enable_seqscan", "enable_sort"):  # else the statistics of the moment decide, over a few rows
            cursor.execute(f"SET LOCAL {dear} = off")
        cursor.execute(f"PREPARE kept AS {numbered}")
        cursor.execute(f"EXPLAIN EXECUTE kept{values}")
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("DEALLOCATE kept")
    return plan


@contextmanager
def count_queries() -> Iterator[Queries]:
    """Collect what SQLAlchemy sends, from any thread and engine: `with count_queries() as queries: …`."""
    queries = Queries()

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        queries.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield queries
    finally:
        event.remove(Engine, "before_cursor_execute", note)
