"""GET /api/v1/openapi.json: what the API takes and answers, made from the schemas that read and from the routes.

A view says with `documented` what only it knows; its address, method and scope come from where they are enforced.
Source: docs/decisions/0005-the-document-of-the-api.md
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Flask, Response, current_app, jsonify
from marshmallow import INCLUDE, Schema, fields
from werkzeug.routing import Rule

from core import access

PREFIX: Final = "/api/"
ABOUT: Final = """Send a key of /settings/keys as `Authorization: Bearer amends_…`; each call names the scope it needs.
Text holds no control characters. What is refused is a problem document (RFC 9457)."""
REFUSALS: Final = {
    400: "The body is no JSON",
    401: "No valid key",
    403: "A key without the scope, which `detail` names",
    404: "There is nothing of this name",
    413: "The body is too large",
    415: "The body is not application/json",
    422: "A field is wrong: `problems` says which and why",
    503: "Try again in a moment; nothing was stored",
}
OF_ALL: Final = (503,)
OF_KEYS: Final = (401, 403)
OF_BODIES: Final = (400, 413, 415, 422)

View = TypeVar("View", bound=Callable[..., Any])
Shape = type[Schema] | dict[str, Any]
blueprint = Blueprint("document", __name__, url_prefix="/api/v1")


class Fault(Schema):
    field = fields.String()
    detail = fields.String(required=True)
    index = fields.Integer(metadata={"description": "In an array that was sent: the place of the item."})


class Problem(Schema):
    """A problem document (RFC 9457); refusals may add members of their own."""

    class Meta:
        unknown = INCLUDE

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(metadata={"description": "What is wrong, in words."})
    code = fields.String(metadata={"description": "What is wrong, for programs."})
    field = fields.String(metadata={"description": "Where the first fault is."})
    problems = fields.List(fields.Nested(Fault))
    request_id = fields.String(required=True)


@dataclass(frozen=True)
class Operation:
    """What a view knows of itself.

    `answers` are status -> (words, shape), `places` a part of the path -> the words it may be (none: any text);
    `is_repeatable` where it takes an Idempotency-Key, as every call with a body does.
    """

    summary: str
    answers: Mapping[int, tuple[str, Shape]]
    body: Shape | None = None
    query: type[Schema] | None = None
    places: Mapping[str, Sequence[str]] = field(default_factory=dict)
    is_repeatable: bool = False

    @property
    def takes_key(self) -> bool:
        return self.is_repeatable or self.body is not None


def documented(operation: Operation) -> Callable[[View], View]:
    def mark(view: View) -> View:
        view.__operation__ = operation  # type: ignore[attr-defined]  # functions take attributes
        return view

    return mark


@blueprint.get("/openapi.json")
@access.public
@documented(Operation("Read this document", answers={200: ("An OpenAPI 3.1 document", {"type": "object"})}))
def show() -> Response:
    """Answer the document; it is made once in each process."""
    known: dict[str, Any] = current_app.extensions
    if "openapi" not in known:
        known["openapi"] = document(current_app)
    return jsonify(known["openapi"])


def document(app: Flask) -> dict[str, Any]:
    """Return the OpenAPI document of every route below /api/."""
    plugin = MarshmallowPlugin(schema_name_resolver=_name)
    spec = APISpec(
        title=f"{app.extensions['config'].organisation}: the API of Amends",
        version="1",
        openapi_version="3.1.0",
        plugins=[plugin],
        info={"description": ABOUT},
        servers=[{"url": app.extensions["config"].base_url}],
    )
    plugin.converter.add_attribute_function(_own_words)  # type: ignore[union-attr]  # the line above made it
    spec.components.security_scheme("key", {"type": "http", "scheme": "bearer"})
    for status, words in REFUSALS.items():
        refusal = {"description": words, "content": {"application/problem+json": {"schema": Problem}}}
        spec.components.response(_refusal(status), refusal)
    for path, operations in _paths(app).items():
        spec.path(path=path, operations=operations)
    made: dict[str, Any] = spec.to_dict()
    return made


def _name(schema: Any) -> str:
    """Return a schema's name in the document: its class's, told apart where it is used without some of its fields."""
    kind = schema if isinstance(schema, type) else type(schema)
    return f"{kind.__name__.removesuffix('Schema')}{'Part' if getattr(schema, 'exclude', None) else ''}"


def _own_words(self: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """Return what a field of ours says beside its type (api.reading)."""
    says: dict[str, Any] = getattr(field, "says", {})
    return says


def _paths(app: Flask) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.rule.startswith(PREFIX):
            path = re.sub(r"<(?:[^:>]*:)?([^>]+)>", r"{\1}", rule.rule)
            found.setdefault(path, {}).update(dict(_operations(app, rule)))
    return found


def _operations(app: Flask, rule: Rule) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (method, its part of the document) for a route that says what it does."""
    operation = getattr(app.view_functions[rule.endpoint], "__operation__", None)
    declared = access.rule_for(app, rule.endpoint)
    if operation is None or declared is None:
        return
    scope = declared.permission if declared.kind is access.Kind.API else None
    for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
        yield method.lower(), _operation(rule, operation, scope)


def _operation(rule: Rule, operation: Operation, scope: str | None) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": rule.endpoint.replace(".", "_"),
        "summary": operation.summary,
        "parameters": _parameters(rule, operation),
        "responses": _responses(operation, scope),
        "security": [{"key": [scope]}] if scope else [],
    }
    if operation.body:
        said["requestBody"] = {"required": True, "content": {"application/json": {"schema": operation.body}}}
    return said


def _parameters(rule: Rule, operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "in": "path",
            "name": name,
            "required": True,
            "schema": {"type": "string"} | ({"enum": [*words]} if words else {}),
        }
        for name, words in operation.places.items()
    ]
    if operation.query:
        found.append({"in": "query", "schema": operation.query})
    if operation.takes_key:
        found.append(
            {
                "in": "header",
                "name": "Idempotency-Key",
                "description": "Within a day the same request under the same key gets the first one's answer.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
            }
        )
    return found


def _responses(operation: Operation, scope: str | None) -> dict[str, Any]:
    refused = {*OF_ALL, *(OF_KEYS if scope else ()), *(OF_BODIES if operation.body else ())}
    refused |= {422} if operation.query or operation.takes_key else set()
    refused |= {404} if operation.places else set()
    found: dict[str, Any] = {}
    for status, (words, shape) in operation.answers.items():
        found[str(status)] = {"description": words, "content": {"application/json": {"schema": shape}}}
        if operation.takes_key:
            replayed = {"description": "`true`: the answer of the first such call.", "schema": {"type": "string"}}
            found[str(status)]["headers"] = {"Idempotent-Replayed": replayed}
    return found | {str(status): _refusal(status) for status in sorted(refused)}


def _refusal(status: int) -> str:
    return HTTPStatus(status).phrase.replace(" ", "")
