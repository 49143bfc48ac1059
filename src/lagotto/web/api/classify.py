"""Pictures and labels come in; predictions, or a job that makes them, go out."""

from dataclasses import replace
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, File, Form, UploadFile
from starlette.responses import Response

from lagotto.core.types import JsonObject
from lagotto.web.api.answer import documented, json_answer
from lagotto.web.api.parameters import FormLabels, split_labels
from lagotto.web.api.schemas.votes import ClassificationAnswer
from lagotto.web.api.search import keep_all
from lagotto.web.classification import SYNCHRONOUS, ClassifyRequest, classify
from lagotto.web.live.jobs import Job, JobProgress
from lagotto.web.problems import Problem
from lagotto.web.state import ServerState
from lagotto.web.uploads.store import Upload

_Files = Annotated[
    list[UploadFile],
    File(default_factory=list, description="Picture files of at most 8 MiB each."),
]
_Digests = Annotated[
    list[str],
    Form(
        default_factory=list, max_length=64, description="Digests of uploaded pictures, sha256:..."
    ),
]
_Voice = Literal["image", "captions", "hub"]
_Mode = Literal["guarded", "paper", "paper-code", "captions-only", "image-only"]
_Templates = Literal["single", "plain", "simple", "broad"]


def votes_of(
    voices: Annotated[list[_Voice], Form(default_factory=list, max_length=3)],
    mode: Annotated[_Mode | None, Form()] = None,
    k: Annotated[int, Form(ge=1, le=1000)] = 16,
    templates: Annotated[_Templates, Form()] = "single",
    max_models: Annotated[int, Form(ge=1, le=16)] = 3,
    behaviour_only: Annotated[bool, Form()] = False,
    reject: Annotated[float | None, Form(ge=0, le=1)] = None,
) -> ClassifyRequest:
    """How to vote, from the fields of a form; the labels are still to come."""
    heard = tuple(voices) or None
    return ClassifyRequest((), heard, mode, k, templates, max_models, behaviour_only, reject)


def classify_routes(state: ServerState) -> APIRouter:
    """The route of classifications."""
    routes = APIRouter(tags=["classify"])

    @routes.post("/classify", responses=documented(ClassificationAnswer, 202))
    async def classify_pictures(
        labels: FormLabels,
        votes: Annotated[ClassifyRequest, Depends(votes_of)],
        pictures: _Files,
        img: _Digests,
        as_job: Annotated[bool, Form(description="Answer at once with a job.")] = False,
    ) -> Response:
        """Predictions for pictures, as `lagotto classify` makes them; over 8 become a job."""
        request = replace(votes, labels=tuple(split_labels(labels, state.limits)))
        uploads = [state.known_upload(digest) for digest in img]
        if pictures:
            uploads += await keep_all(state, pictures)
        if not uploads:
            raise Problem(400, "no pictures given; give files (pictures) or digests (img)")
        if len(uploads) <= SYNCHRONOUS and not as_job:
            return json_answer(await state.gate.run(lambda: classify(state, request, uploads)))
        job = state.jobs.start("classify", lambda job: _work(state, request, uploads, job))
        headers = {"Location": f"/api/v1/jobs/{job.id}"}
        return json_answer(job.as_json(), 202, headers)

    return routes


def _work(
    state: ServerState, request: ClassifyRequest, uploads: list[Upload], job: Job
) -> JsonObject:
    return classify(state, request, uploads, JobProgress(job))
