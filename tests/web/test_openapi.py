"""Whatever openapi.json allows, and what it does not, the server answers without a failure."""

import json
from collections import Counter
from contextlib import suppress
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from colour_world import World
from web_server import ADDRESS, Served

pytestmark = pytest.mark.workers

STREAMS = ("/api/v1/status", "/api/v1/jobs/{job_id}/events")
"""These answer for as long as the client listens; test_jobs.py reads them."""

SLOW = ("/api/v1/audit",)
EXAMPLES = 3
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


def operations(schema: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        (path, method)
        for path, methods in schema["paths"].items()
        for method in methods
        if path not in (*STREAMS, *SLOW)
    ]


def test_the_schema_names_every_operation_with_its_problems(site: Served) -> None:
    schema = site.client.get("/openapi.json").json()
    assert len(operations(schema)) > 20
    for path, methods in schema["paths"].items():
        for operation in methods.values():
            assert operation["description"], path
            responses = operation["responses"]
            assert {"400", "404", "413", "421", "422", "429", "503"} <= responses.keys()
            answers = [responses[status] for status in ("200", "202") if status in responses]
            for answer in answers:
                (content,) = answer["content"].items()
                assert content[0] != "application/json" or "$ref" in content[1]["schema"], path
    assert "/tmp/" not in json.dumps(schema)


def send(site: Served, case: schemathesis.Case) -> httpx.Response:
    """A generated request, as its bytes would go over the wire."""
    made = requests.Request(**case.as_transport_kwargs(base_url=ADDRESS)).prepare()
    body = made.body.encode() if isinstance(made.body, str) else made.body
    headers = {**{k: v for k, v in made.headers.items() if v.isascii()}, "Origin": ADDRESS}
    return site.client.request(str(made.method), str(made.url), content=body, headers=headers)


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore")
def test_no_operation_fails_whatever_is_sent(site: Served) -> None:
    schema = schemathesis.openapi.from_dict(site.client.get("/openapi.json").json())
    statuses: Counter[int] = Counter()
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.path in (*STREAMS, *SLOW):
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                database=None,
                derandomize=True,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def check(case: schemathesis.Case) -> None:
                answer = send(site, case)
                statuses[answer.status_code] += 1
                assert answer.status_code < 500, (case.method, case.path, answer.text)
                case.validate_response(answer, checks=CHECKS)

            with suppress(Unsatisfiable):  # nothing wrong can be sent to an address without input
                check()
    assert statuses[200] > 5, statuses
    assert statuses.total() > 100, statuses


def closed(schema: Any) -> Any:
    """A schema that allows no key but those that it names."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {name: closed(value) for name, value in schema.items()}
    return inner | ({"additionalProperties": False} if "properties" in schema else {})


def test_every_answer_has_the_keys_of_its_schema_and_no_other(site: Served, world: World) -> None:
    validators = pytest.importorskip("jsonschema_rs", reason="schemathesis has another")
    document = site.client.get("/openapi.json").json()
    components = closed(document["components"])
    model = next(name for name in site.state.hub.models if site.state.hub.labels(name)[0])
    picture = sorted(world.pictures.glob("*red*"))[0].read_bytes()
    form = {"pictures": ("a.png", picture)}
    labels = {"labels": ["red", "green"]}
    asked = [
        *((address, None, {}) for address in (
            "/hub", "/search?q=red", f"/search?like={model}:0", "/search?probe=1", "/models",
            "/models/{name:path}", "/models/{name:path}/outputs", "/models/{name:path}/describe",
            "/models/{name:path}/outputs/{output}", "/models/{name:path}/audit", "/audit",
            "/models/{name:path}/outputs/{output}/probes", "/duplicates", "/probes",
            "/models/{name:path}/outputs/{output}/neighbours", "/cover?labels=red,blue",
            "/probes/{number}", "/probes/{number}/outputs", "/jobs", "//healthz",
        )),
        ("/search", form, {}),
        ("/pictures", form, {}),
        ("/classify", form, labels),
        ("/classify", form, {**labels, "voices": "image"}),
        ("/classify", form, {**labels, "as_job": "true"}),
    ]  # fmt: skip
    seen = set()
    for address, files, data in asked:
        route, _, query = address.partition("?")
        route = route[1:] if route.startswith("//") else f"/api/v1{route}"
        place = route.replace("{name:path}", model).replace("{output}", "0")
        place = place.replace("{number}", "0") + (f"?{query}" if query else "")
        method = "get" if files is None else "post"
        answer = site.client.request(method, place, files=files, data=data)
        responses = document["paths"][route.replace(":path", "")][method]["responses"]
        schema = responses[str(answer.status_code)]["content"]["application/json"]["schema"]
        seen.add(schema["$ref"].rpartition("/")[2])
        checked = validators.validator_for({**schema, "components": components})
        problems = [f"{e.instance_path}: {e.message}" for e in checked.iter_errors(answer.json())]
        assert not problems, (address, problems[:3])
    made = {name for name in components["schemas"] if name.endswith(("Answer", "Status"))}
    assert made <= seen | {"IndexStatus", "SegmentsStatus", "ModelStatus"}
