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

from web_server import ADDRESS, Served

pytestmark = pytest.mark.workers

STREAMS = ("/api/v1/status", "/api/v1/jobs/{job_id}/events")
"""These answer for as long as the client listens; test_jobs.py reads them."""

SLOW = ("/api/v1/audit",)
EXAMPLES = 3


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
            assert {"400", "404", "413", "421", "422", "429", "503"} <= operation[
                "responses"
            ].keys()
    assert "/tmp/" not in json.dumps(schema)


def send(site: Served, case: schemathesis.Case) -> httpx.Response:
    """A generated request, as its bytes would go over the wire."""
    made = requests.Request(**case.as_transport_kwargs(base_url=ADDRESS)).prepare()
    body = made.body.encode() if isinstance(made.body, str) else made.body
    headers = {**{k: v for k, v in made.headers.items() if v.isascii()}, "Origin": ADDRESS}
    return site.client.request(str(made.method), str(made.url), content=body, headers=headers)


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

            with suppress(Unsatisfiable):  # nothing wrong can be sent to an address without input
                check()
    assert statuses[200] > 5, statuses
    assert statuses.total() > 100, statuses
