"""The state of a server comes in; what all its pages share goes out."""

from collections.abc import Mapping
from typing import Any

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from lagotto.core.errors import LagottoError
from lagotto.hub.labels.duplicates import DuplicateReport
from lagotto.web.pages.rendering import PageWriter
from lagotto.web.problems import Problem
from lagotto.web.state import ServerState
from lagotto.web.views.addresses import SearchAddress
from lagotto.web.views.picture import PictureLogits, picture_logits
from lagotto.web.views.search import Chip, query_chips


class Site:
    """The pages of one server: how they are written, and answers that several of them show.

    Attributes:
        state: What all requests share.
        hub_argument: The hub as a command names it: where the server found it if that is a relative
            path, else its name.
    """

    def __init__(self, state: ServerState) -> None:
        self.state = state
        relative = not state.folder.is_absolute() and ".." not in state.folder.parts
        self.hub_argument = str(state.folder) if relative else state.name
        self._writer = PageWriter(state.name)

    def page(
        self, template: str, current: str, context: Mapping[str, Any], status: int = 200
    ) -> HTMLResponse:
        """A page; `current` is the address in the menu that it belongs to."""
        shared = {"has_pictures": self._has_pictures()}
        return self._writer.page(template, current, {**shared, **context}, status)

    def text(self, template: str, context: Mapping[str, Any]) -> str:
        """A part of a page."""
        return self._writer.text(template, context)

    def chips(self, address: SearchAddress) -> tuple[Chip, ...]:
        """The chips of a query."""
        return query_chips(address, has_pictures=self._has_pictures())

    def _has_pictures(self) -> bool:
        try:
            return self.state.hub.reader.has_pictures
        except LagottoError:  # the page says what is wrong with the hub
            return True

    def error_page(self, request: Request, problem: Problem) -> Response:
        """The page that says a problem in one line, with a way on."""
        context = {"problem": problem}
        answer = self.page("error.html", "", context, problem.status)
        answer.headers.update(problem.headers)
        return answer

    def duplicates(self) -> DuplicateReport:
        """The models that are nearly the same, found once for the hub as it is."""
        return self.state.remember(("duplicates",), lambda: self.state.slow_hub.duplicates())

    def picture_logits(self, model: str, digest: str) -> PictureLogits:
        """The logits of a model on an uploaded picture, computed in the sandbox."""
        state = self.state
        path = state.upload(digest)
        return state.remember(
            ("page", "logits", model, digest),
            lambda: picture_logits(state.slow_hub, model, digest, path.read_bytes),
        )
