"""The site of a hub comes in; the routes that take pictures, show and classify them go out."""

from functools import partial
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from lagotto.core.errors import LagottoError
from lagotto.web.classification import ClassifyRequest, classify
from lagotto.web.pages.fields import split_label_lines
from lagotto.web.pages.site import Site
from lagotto.web.problems import Problem, problem_of
from lagotto.web.views.addresses import model_href
from lagotto.web.views.classify import classify_page

_LONGEST = 20_000
_FIELDS = {"/": ("q", "by", "behaviour_only", "top"), "/classify": ("labels",)}
"""The pages that pictures can be sent to, and the fields of a form that stay in their address."""


def add_pictures(routes: APIRouter, site: Site) -> None:
    """Adds the routes."""
    state = site.state

    @routes.post("/pictures")
    async def take_pictures(request: Request) -> Response:
        limits = state.limits
        async with request.form(max_files=limits.pictures, max_fields=40) as form:
            sent = [
                item
                for item in form.getlist("picture")
                if isinstance(item, UploadFile) and item.filename
            ]
            kept = list(form.getlist("img"))
            target = _target(site, form)
            digests = [str(digest)[:80] for digest in kept if target[0] == "/classify"]
            for item in sent:
                keep = partial(state.keep, await item.read(), item.filename or "")
                upload = await state.gate.run(keep)
                digests.append(upload.address)
        if not digests and not target[1]:
            raise Problem(400, "no picture was sent; choose one, or drop one on the page")
        pairs = [*target[1], *(("img", digest) for digest in dict.fromkeys(digests))]
        return RedirectResponse(f"{target[0]}?{urlencode(pairs)}", 303)

    @routes.get("/classify")
    async def classify_route(request: Request) -> Response:
        text = request.query_params.get("labels", "").strip()
        digests = tuple(dict.fromkeys(request.query_params.getlist("img")))[: state.limits.pictures]
        return await state.gate.run(lambda: _classify(site, text, digests))


def _target(site: Site, form: FormData) -> tuple[str, list[tuple[str, str]]]:
    """The page that pictures were sent for, and what of the form stays in its address."""
    model = form.get("model")
    if isinstance(model, str) and model:
        return model_href(site.state.model(model)), []
    page = "/classify" if form.get("to") == "/classify" else "/"
    pairs = [(name, str(form.get(name) or "")[:_LONGEST]) for name in _FIELDS[page]]
    return page, [pair for pair in pairs if pair[1]]


def _classify(site: Site, text: str, digests: tuple[str, ...]) -> Response:
    state = site.state
    context: dict[str, Any] = {
        "text": text,
        "digests": digests,
        "page": None,
        "error": "",
        "has_captions": state.captions is not None,
    }
    if not text or not digests:
        return site.page("classify.html", "/classify", context)
    try:
        labels = split_label_lines(text, state.limits)
        uploads = [state.known_upload(digest) for digest in digests]
        answer = state.remember(
            ("page", "classify", labels, digests),
            lambda: classify(state, ClassifyRequest(labels), uploads),
        )
        context["page"] = classify_page(answer)
    except (LagottoError, Problem) as error:
        problem = problem_of(error)
        context["error"] = problem.detail
        return site.page("classify.html", "/classify", context, problem.status)
    return site.page("classify.html", "/classify", context)
