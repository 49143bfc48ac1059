"""Questions about the hub as a whole come in; its state, and events while it changes, go out."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from starlette.responses import Response, StreamingResponse

from lagotto.hub.reader.status import HubStatus
from lagotto.web.api.answer import documented, json_answer
from lagotto.web.live.event_stream import EVENT_STREAM, HEARTBEAT, event_text
from lagotto.web.problems import clean_json
from lagotto.web.state import ServerState

_POLL_S = 1.0
_HEARTBEAT_POLLS = 15


def hub_routes(state: ServerState) -> APIRouter:
    """The routes of the hub's state."""
    routes = APIRouter(tags=["hub"])

    @routes.get("/hub", responses=documented(HubStatus))
    async def hub_status() -> Response:
        """Models, outputs, probes and failures, as `lagotto hub status` says."""
        status = await state.gate.run(lambda: state.slow_hub.status())
        return json_answer({**status.as_json(), "hub": state.name})

    @routes.get(
        "/status", response_class=StreamingResponse, responses=documented(content=EVENT_STREAM)
    )
    async def status_events(
        last_event_id: Annotated[str, Header(max_length=100)] = "",
    ) -> StreamingResponse:
        """Events while models are added: each is the state of the hub as it is then."""
        stream = state.streams.open()
        return StreamingResponse(
            stream.closing(_changes(state, last_event_id)), media_type=EVENT_STREAM
        )

    return routes


async def _changes(state: ServerState, last_seen: str) -> AsyncIterator[str]:
    """The state of the hub's models, first as it is and then whenever it has changed."""
    polls = 0
    while True:
        progress = await asyncio.to_thread(state.progress)
        if progress.mark != last_seen:
            last_seen, polls = progress.mark, 0
            content = json.dumps(clean_json(progress.as_json()))
            yield event_text(progress.mark, "status", content)
        elif polls % _HEARTBEAT_POLLS == 0:
            yield HEARTBEAT
        polls += 1
        await asyncio.sleep(_POLL_S)
