"""Jobs of clients come in; their events and results go out, and added models to the hub."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, File, Form, Header, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from lagotto.core.types import JsonObject
from lagotto.hub.hub import Hub
from lagotto.web.added_models import check_remote, store_model
from lagotto.web.api.answer import documented, json_answer
from lagotto.web.api.schemas.answers import JobAnswer, JobListAnswer
from lagotto.web.live.event_stream import EVENT_STREAM, HEARTBEAT, event_text
from lagotto.web.live.jobs import Job, JobProgress
from lagotto.web.problems import Problem
from lagotto.web.state import ServerState

_POLL_S = 0.25
_HEARTBEAT_POLLS = 60


class AddRequest(BaseModel):
    """Remote models to add to the hub."""

    model_config = ConfigDict(extra="forbid")

    models: list[Annotated[str, Field(min_length=1, max_length=500)]] = Field(
        min_length=1, max_length=16, examples=[["hf:ORG/NAME"]]
    )
    reference: bool = False


def job_routes(state: ServerState) -> APIRouter:
    """The routes of jobs; those that add models answer only where the server allows it."""
    routes = APIRouter(tags=["jobs"])

    @routes.get("/jobs", responses=documented(JobListAnswer))
    async def list_jobs() -> Response:
        """The jobs that are known, without their results."""
        known = state.jobs.all()
        return json_answer(
            {"jobs": [{"id": job.id, "kind": job.kind, "state": job.state} for job in known]}
        )

    @routes.post("/jobs", status_code=202, responses=documented(JobAnswer, status=202))
    async def add_remote(request: AddRequest) -> Response:
        """Adds models of the Hugging Face Hub or of timm; only with --allow-add."""
        _check_allowed(state)
        sources = [check_remote(source) for source in request.models]
        return _accepted(state, [*sources], request.reference)

    @routes.post("/jobs/upload", status_code=202, responses=documented(JobAnswer, status=202))
    async def add_upload(
        model: Annotated[UploadFile, File(description="One model file, such as model.onnx.")],
        reference: Annotated[bool, Form()] = False,
    ) -> Response:
        """Adds a model file that is sent; only with --allow-add."""
        _check_allowed(state)
        name = model.filename or ""
        stored = await asyncio.to_thread(store_model, state.folder, name, model.file)
        return _accepted(state, [stored], reference)

    @routes.get("/jobs/{job_id}", responses=documented(JobAnswer))
    async def one_job(job_id: str) -> Response:
        """A job: its state, and its result once it is done."""
        return json_answer(state.jobs.find(job_id).as_json())

    @routes.get(
        "/jobs/{job_id}/events",
        response_class=StreamingResponse,
        responses=documented(content=EVENT_STREAM),
    )
    async def job_events(
        job_id: str, last_event_id: Annotated[str, Header(max_length=20)] = ""
    ) -> StreamingResponse:
        """The events of a job until it is over, after the one that is named."""
        job = state.jobs.find(job_id)
        is_number = last_event_id.isascii() and last_event_id.isdecimal()
        last = int(last_event_id) if is_number else 0
        stream = state.streams.open()
        return StreamingResponse(stream.closing(_events(job, last)), media_type=EVENT_STREAM)

    return routes


async def _events(job: Job, last: int) -> AsyncIterator[str]:
    """The events after one, and those that come, until the job is over."""
    polls = 0
    while True:
        is_over = job.is_over  # asked first: the last event is there by then
        for event in job.events_after(last):
            last, polls = event.number, 0
            yield event_text(str(event.number), event.kind, json.dumps(event.content))
        if is_over:
            return
        polls += 1
        if polls % _HEARTBEAT_POLLS == 0:
            yield HEARTBEAT
        await asyncio.sleep(_POLL_S)


def _check_allowed(state: ServerState) -> None:
    if not state.options.allow_add:
        raise Problem(403, "this server adds no models; start it with --allow-add")


def _accepted(state: ServerState, sources: list[str | Path], reference: bool) -> Response:
    def work(job: Job) -> JsonObject:
        with Hub.open(state.folder, state.encoder) as hub:
            report = hub.add(sources, reference=reference, progress=JobProgress(job))
        return {"hub": state.name, **report.as_json()}

    job = state.jobs.start("add", work)
    return json_answer(job.as_json(), 202, {"Location": f"/api/v1/jobs/{job.id}"})
