"""The OpenAPI document against the service: what it promises is what comes."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tilewise.serving.prediction_api.app import Service, create_app
from tilewise.serving.prediction_api.config import ServiceConfig
from tilewise.serving.prediction_api.schemas import ErrorBody

pytestmark = [pytest.mark.enable_socket, pytest.mark.shared_cache]

_CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, unsupported_method,
]  # fmt: skip
_HOW = settings(
    derandomize=True, deadline=None, database=None, phases=(Phase.generate,), suppress_health_check=list(HealthCheck)
)  # fmt: skip
_ROUTES = [
    ("POST", "/v1/predict"), ("POST", "/v1/predict/batch"), ("GET", "/v1/maps/{name}"), ("GET", "/v1/model"),
    ("GET", "/"), ("GET", "/healthz"), ("GET", "/readyz"), ("GET", "/metrics"),
]  # fmt: skip


def check(server, method, path, num_examples):
    schema = schemathesis.openapi.from_url(f"{server.address}/openapi.json")
    operation = schema[path][method]

    @settings(_HOW, max_examples=num_examples)
    @given(case=operation.as_strategy())
    def ask(case):
        case.call_and_validate(base_url=server.address, checks=_CHECKS, timeout=600)  # machines may be busy

    ask()


@pytest.mark.parametrize(("method", "path"), _ROUTES)
def test_answers_are_as_documented(server, method, path):
    check(server, method, path, 15)


@pytest.mark.soak
@pytest.mark.parametrize(("method", "path"), _ROUTES)
def test_many_answers_are_as_documented(server, method, path):
    check(server, method, path, 500)


@pytest.mark.parametrize("needs_token", [False, True])
def test_every_address_documents_its_errors_in_one_schema(needs_token):
    service = Service(ServiceConfig(), None, None, None, None, None)
    document = create_app(service, needs_token=needs_token).openapi()
    assert {(method.upper(), path) for path, own in document["paths"].items() for method in own} == set(_ROUTES)
    for operations in document["paths"].values():
        for operation in operations.values():
            errors = {status: one for status, one in operation["responses"].items() if status >= "400"}
            assert errors.keys() >= {"401", "403", "405"}
            for answer in errors.values():
                schema = answer["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ErrorBody"}
    kinds = document["components"]["schemas"]["Prediction"]["properties"]["map"]["anyOf"]
    assert kinds == [{"$ref": "#/components/schemas/MapLink"}, {"type": "null"}]
    predict = document["paths"]["/v1/predict"]["post"]
    assert predict["responses"].keys() >= {"200", "400", "408", "413", "415", "422", "500", "503", "504"}
    assert (predict.get("security"), "securitySchemes" in document["components"]) == (
        ([{"token": []}], True) if needs_token else (None, False)
    )
    assert document["components"]["schemas"]["ErrorBody"]["required"] == list(ErrorBody.model_fields)


def test_the_root_names_the_model_and_addresses_that_answer(server):
    with server.client() as client:
        root, document = client.get("/").json(), client.get("/openapi.json").json()
        assert root["model"] == client.get(root["model_card"]).json()["name"]
        assert root["classes"] == ["A", "B"]
        assert root["version"] == document["info"]["version"]
        assert client.get(root["openapi"]).status_code == 200
    for name in ("predict", "predict_batch"):
        assert "post" in document["paths"][root[name]]
