"""The document of the API: it says all that there is, and the API does what it says."""

from __future__ import annotations

import copy
import random
import re
from typing import Any

import pytest
import schemathesis
from flask import Flask
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from schemathesis.specs.openapi import checks

from api.document import document
from tests.amounts import few_or_many
from tests.client import Client
from tests.factories import make_api_key, make_rule
from tests.test_access import routes

PATH = "/api/v1/openapi.json"
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.missing_required_header,
    checks.unsupported_method,
]


def test_the_document_names_every_route_and_method_and_no_other(app: Flask, client: Client) -> None:
    document = client.get(PATH).json
    said = {(path, method.upper()) for path, item in document["paths"].items() for method in item}

    there = {
        (re.sub(r"<(?:path:)?([a-z_]+)>", r"{\1}", rule.rule), method)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/api/")
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert said == there


def test_each_operation_names_the_scope_that_its_route_asks_for(app: Flask, client: Client) -> None:
    document = client.get(PATH).json
    said = {
        operation["operationId"]: operation["security"]
        for item in document["paths"].values()
        for operation in item.values()
    }

    asked = {
        route.endpoint.replace(".", "_"): [{"key": [route.rule.permission]}] if route.rule.permission else []
        for route in routes(app)
        if route.path.startswith("/api/")
    }

    assert said == asked


def test_the_document_says_the_bounds_that_are_checked(client: Client) -> None:
    schemas = client.get(PATH).json["components"]["schemas"]

    assert schemas["Interaction"]["additionalProperties"] is False
    assert set(schemas["Interaction"]["required"]) == {"reference", "occurred_at", "touchpoint"}
    assert schemas["Interaction"]["properties"]["reference"]["maxLength"] == 200
    assert schemas["Value"]["properties"]["amount_minor"]["minimum"] == -(10**13)
    assert schemas["Complaint"]["properties"]["wish"]["enum"][:2] == ["replace", "refund"]


@pytest.mark.parametrize("examples", few_or_many(20, many=100, full=400))
def test_the_api_does_what_its_document_says(
    app: Flask, client: Client, monkeypatch: pytest.MonkeyPatch, chance: random.Random, examples: int
) -> None:
    """Calls made from the document, right and wrong ones: no 5xx, no status and no answer that it does not name."""
    rule = make_rule()
    monkeypatch.setitem(app.extensions, "openapi", with_known_words(document(app), touchpoint=rule.touchpoint.key))
    schema = schemathesis.openapi.from_wsgi(PATH, app)
    _key, secret = make_api_key()
    headers = {"Authorization": f"Bearer {secret}"}
    tried: dict[str, set[int]] = {}

    for found in schema.get_all_operations():
        assert isinstance(found, Ok), found
        operation = found.ok()
        for mode in GenerationMode:
            if mode.is_negative and not operation.definition.raw.get("parameters") and operation.path == PATH:
                continue  # it takes nothing that could be wrong

            @seed(chance.randrange(2**32))
            @settings(
                max_examples=examples,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: Case) -> None:
                answer = case.call_and_validate(session=client, headers=headers, checks=CHECKS)
                tried.setdefault(case.operation.label, set()).add(answer.status_code)

            check()

    assert {200, 422} <= tried["GET /api/v1/metrics/{name}"]
    assert 422 in tried["POST /api/v1/interactions"]
    assert tried["POST /api/v1/interactions"] & {200, 201}, "nothing was kept, neither one nor many"
    assert {201, 422} <= tried["POST /api/v1/complaints"]


def with_known_words(made: dict[str, Any], *, touchpoint: str) -> dict[str, Any]:
    """Return the document naming what is there and no key, so that calls made from it get beyond the first refusal."""
    made = copy.deepcopy(made)
    for item in made["paths"].values():
        for operation in item.values():
            del operation["security"]
    schemas = made["components"]["schemas"]
    schemas["Interaction"]["properties"]["touchpoint"] = {"type": "string", "enum": [touchpoint]}
    for unknown in ("brand", "category", "language"):
        del schemas["Complaint"]["properties"][unknown]
    return made
