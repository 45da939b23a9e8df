"""Who may: every route declares it, and one that doesn't is refused. Also where cross-site request forgery is checked.

@access.needs("cases.work")      a member of staff whose role includes it
@access.signed_in                any member of staff
@access.api("interactions:write")  a Bearer key with that scope
@access.link                     whoever holds the signed link or form token; no session cookie is used
@access.public                   anybody
@access.mailbox                  anybody, only where mail stays here (demo, tests)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeVar

from flask import Flask, abort, current_app, redirect, request, url_for
from flask_login import current_user
from flask_wtf.csrf import CSRFProtect
from werkzeug.wrappers import Response

from core.errors import Forbidden, wants_json

csrf = CSRFProtect()
View = TypeVar("View", bound=Callable[..., Any] | type)


class Kind(StrEnum):
    NEEDS = "needs"
    SIGNED_IN = "signed_in"
    API = "api"
    LINK = "link"
    PUBLIC = "public"
    MAILBOX = "mailbox"


@dataclass(frozen=True)
class Rule:
    kind: Kind
    permission: str = ""


_by_endpoint: dict[str, Rule] = {}


def declare(endpoint: str, rule: Rule) -> None:
    """Declare for a route of a library, whose view we cannot mark."""
    _by_endpoint[endpoint] = rule


def _mark(rule: Rule) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.__access__ = rule  # type: ignore[union-attr]  # functions and classes take attributes
        return view

    return mark


def needs(permission: str) -> Callable[[View], View]:
    return _mark(Rule(Kind.NEEDS, permission))


def api(scope: str) -> Callable[[View], View]:
    return _mark(Rule(Kind.API, scope))


signed_in = _mark(Rule(Kind.SIGNED_IN))
link = _mark(Rule(Kind.LINK))
public = _mark(Rule(Kind.PUBLIC))
mailbox = _mark(Rule(Kind.MAILBOX))


def rule_for(app: Flask, endpoint: str) -> Rule | None:
    """Return what a route declares, or None when nobody declared anything."""
    if endpoint in _by_endpoint:
        return _by_endpoint[endpoint]
    view = app.view_functions.get(endpoint)
    marked = getattr(view, "__access__", None) or getattr(getattr(view, "view_class", None), "__access__", None)
    return marked if isinstance(marked, Rule) else None


def init_app(app: Flask, *, authenticate: Callable[[str], None]) -> None:
    """Enforce the declarations; `authenticate(scope)` checks the Bearer key of an API call or raises a Refusal."""
    app.config["WTF_CSRF_CHECK_DEFAULT"] = False
    app.config["WTF_CSRF_TIME_LIMIT"] = None  # the session's end is the limit; a form may stay open all day at the desk
    csrf.init_app(app)
    app.extensions["authenticate"] = authenticate
    app.before_request(enforce)


def spare_links(app: Flask) -> None:
    """Let the hooks of libraries run only where somebody may be signed in; for the end of putting the app together.

    A page behind a signed link knows no session, so what they look up for each of its requests is nobody's.
    """
    links = {each for each in app.view_functions if (rule := rule_for(app, each)) and rule.kind is Kind.LINK}
    before = _of_libraries(app.before_request_funcs)
    after = _of_libraries(app.after_request_funcs)
    teardown = _of_libraries(app.teardown_request_funcs)

    def prepare() -> Any:
        if request.endpoint not in links:
            return next((answer for hook in before if (answer := hook()) is not None), None)
        return None

    def finish(response: Response) -> Response:
        if request.endpoint not in links:
            for hook in reversed(after):
                response = hook(response)
        return response

    def end(error: BaseException | None) -> None:
        if request.endpoint not in links:
            for hook in reversed(teardown):
                hook(error)

    app.before_request(prepare)
    app.after_request(finish)
    app.teardown_request(end)


def _of_libraries(hooks: dict[Any, list[Any]]) -> list[Any]:
    """Take the hooks that are not ours out of those that run for every request, and return them."""
    ours = ("core.", "accounts.")
    theirs = [hook for hook in hooks.get(None, ()) if not getattr(hook, "__module__", "").startswith(ours)]
    hooks[None] = [hook for hook in hooks.get(None, ()) if hook not in theirs]
    return theirs


def enforce() -> Response | None:
    if "\x00" in request.path:  # no address of ours has one, and PostgreSQL stores none
        abort(404)
    if request.endpoint is None:  # no such route: routing answers 404 or 405
        return None
    rule = rule_for(current_app, request.endpoint)
    if rule is None:
        raise Forbidden
    if rule.kind is Kind.API:
        current_app.extensions["authenticate"](rule.permission)
        return None
    _refuse_json()
    if rule.kind is Kind.MAILBOX and not current_app.extensions["config"].shows_mailbox:
        abort(404)
    if rule.kind in {Kind.NEEDS, Kind.SIGNED_IN}:
        if not current_user.is_authenticated:
            return _to_sign_in()
        if rule.kind is Kind.NEEDS and not current_user.may(rule.permission):
            raise Forbidden
    if rule.kind is not Kind.LINK:
        _refuse_nameless()
        csrf.protect()
    return None


def _refuse_json() -> None:
    """Refuse JSON where a page stands: forms would read it too, and stumble over what is no object."""
    if request.is_json and not wants_json():
        abort(415)


def _refuse_nameless() -> None:
    """Refuse a form with a part that has no name: the check of the token would stumble over it."""
    if request.method != "GET" and None in request.form:
        abort(400)


def _to_sign_in() -> Response:
    if wants_json():
        abort(401)
    wanted = request.full_path.rstrip("?") if request.method == "GET" else None
    return redirect(url_for("security.login", next=wanted))
