"""The state of a server comes in; what all its pages share goes out."""

from collections.abc import Hashable, Mapping
from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from lagotto.hub.labels.duplicates import DuplicateReport
from lagotto.web.pages.kept import KeptAnswers, hub_version
from lagotto.web.pages.rendering import PageWriter
from lagotto.web.problems import Problem
from lagotto.web.state import ServerState
from lagotto.web.views.picture import PictureLogits, picture_logits


class Site:
    """The pages of one server: how they are written, and answers that are kept.

    Attributes:
        state: What all requests share.
        kept: Answers that take seconds.
        hub_argument: The hub as a command names it: where the server found it if that is a relative
            path, else its name.
    """

    def __init__(self, state: ServerState) -> None:
        self.state = state
        self.kept = KeptAnswers()
        relative = not state.folder.is_absolute() and ".." not in state.folder.parts
        self.hub_argument = str(state.folder) if relative else state.name
        self._writer = PageWriter(state.name)

    @property
    def version(self) -> Hashable:
        """Another value after every change of the hub's models."""
        return hub_version(self.state.hub)

    def page(
        self, template: str, current: str, context: Mapping[str, Any], status: int = 200
    ) -> HTMLResponse:
        """A page; `current` is the address in the menu that it belongs to."""
        return self._writer.page(template, current, context, status)

    def text(self, template: str, context: Mapping[str, Any]) -> str:
        """A part of a page."""
        return self._writer.text(template, context)

    def error_page(self, request: Request, problem: Problem) -> Response:
        """The page that says a problem in one line, with a way on."""
        context = {"problem": problem}
        answer = self.page("error.html", "", context, problem.status)
        answer.headers.update(problem.headers)
        return answer

    def duplicates(self) -> DuplicateReport:
        """The models that are nearly the same, found once for the hub as it is."""
        hub = self.state.hub
        return self.kept.get(hub, "duplicates", hub.duplicates)

    def picture_logits(self, model: str, digest: str) -> PictureLogits:
        """The logits of a model on an uploaded picture, computed in the sandbox."""
        path = self.state.upload(digest)
        hub = self.state.hub

        def compute() -> PictureLogits:
            return picture_logits(hub, model, digest, path.read_bytes)

        return self.kept.get(hub, ("logits", model, digest), compute)
