"""Words, outputs, probes and pictures come in; hits go out."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, File, UploadFile
from starlette.responses import Response

from lagotto.web.api.answer import documented, hits_json, json_answer
from lagotto.web.api.parameters import (
    Edge,
    ExampleProbe,
    Like,
    Options,
    UploadDigests,
    Words,
)
from lagotto.web.api.schemas.answers import KeptPictures, PictureSearchAnswer, SearchAnswer
from lagotto.web.problems import Problem
from lagotto.web.queries import SearchRequest, search
from lagotto.web.state import ServerState
from lagotto.web.uploads.store import Upload

_Files = Annotated[
    list[UploadFile], File(description="1 to 16 picture files of at most 8 MiB each.")
]


def search_routes(state: ServerState) -> APIRouter:
    """The routes of searches and of the pictures that they take."""
    routes = APIRouter(tags=["search"])

    @routes.get("/search", responses=documented(SearchAnswer))
    async def search_get(
        options: Options,
        img: UploadDigests,
        q: Words = "",
        like: Like = "",
        probe: ExampleProbe = None,
    ) -> Response:
        """The outputs that recognise words, pictures, or what another output recognises."""
        request = SearchRequest(q, like, probe, tuple(img), options)
        hits = await state.gate.run(lambda: search(state, request))
        return json_answer(hits_json(hits))

    @routes.post("/search", responses=documented(PictureSearchAnswer))
    async def search_post(options: Options, pictures: _Files, q: Words = "") -> Response:
        """The outputs that recognise what 1 to 16 pictures show, and words if there are any."""
        uploads = await keep_all(state, pictures)
        digests = tuple(upload.address for upload in uploads)
        request = SearchRequest(q=q, img=digests, options=options)
        hits = await state.gate.run(lambda: search(state, request))
        return json_answer(
            {**hits_json(hits), "pictures": [upload.as_json() for upload in uploads]}
        )

    @routes.post("/pictures", responses=documented(KeptPictures))
    async def upload_pictures(pictures: _Files) -> Response:
        """Keeps 1 to 16 pictures for a day, and gives the digests by which searches name them."""
        uploads = await keep_all(state, pictures)
        return json_answer({"pictures": [upload.as_json() for upload in uploads]})

    @routes.get(
        "/pictures/{digest}.webp",
        response_class=Response,
        responses=documented(content="image/webp"),
    )
    def uploaded_picture(digest: str, edge: Edge = 160) -> Response:
        """An uploaded picture, small."""
        data = state.small_upload(digest, edge)
        headers = {"Cache-Control": "private, max-age=86400, immutable"}
        return Response(data, headers=headers, media_type="image/webp")

    return routes


async def keep_all(state: ServerState, files: list[UploadFile]) -> list[Upload]:
    """Keeps the pictures of a request, decoded by a worker.

    Raises:
        Problem: 400 for none, too many, or one that is no picture; the message names it.
    """
    most = state.limits.pictures
    if not 1 <= len(files) <= most:
        raise Problem(400, f"{len(files)} pictures given; give 1 to {most}")
    uploads = []
    for number, file in enumerate(files):
        if file.size is None or file.size > state.limits.picture_bytes:
            raise Problem(
                413,
                f"picture {number} is over {state.limits.picture_bytes // 2**20} MiB; make it "
                "smaller",
            )
        keep = partial(state.keep, await file.read(), file.filename or "")
        uploads.append(await state.gate.run(keep))
    return uploads
