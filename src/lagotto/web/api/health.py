"""Questions of watchmen come in; whether the server is ready, and its counters, go out."""

from fastapi import APIRouter
from starlette.responses import PlainTextResponse, Response

from lagotto.web.api.answer import documented, json_answer
from lagotto.web.api.schemas.answers import HealthAnswer
from lagotto.web.live.metrics import Gauge
from lagotto.web.state import ServerState

_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def health_routes(state: ServerState) -> APIRouter:
    """The routes of health and metrics."""
    routes = APIRouter(tags=["server"])

    @routes.get("/healthz", responses=documented(HealthAnswer))
    async def health() -> Response:
        """200 once the server is warm, 503 before."""
        if state.is_ready:
            return json_answer({"status": "ready"})
        return json_answer({"status": "warming up"}, 503, {"Retry-After": "1"})

    @routes.get(
        "/metrics", response_class=PlainTextResponse, responses=documented(content="text/plain")
    )
    async def metrics() -> Response:
        """Counters and gauges in the text form of Prometheus."""
        gate = state.gate
        gauges = (
            Gauge("ready", "gauge", "1 once the server is warm.", int(state.is_ready)),
            Gauge("heavy_requests", "gauge", "Requests that compute or wait.", gate.present),
            Gauge("refused_total", "counter", "Heavy requests refused with 429.", gate.refused),
            Gauge("late_total", "counter", "Heavy requests that took too long.", gate.late),
            Gauge("streams", "gauge", "Open streams of events.", state.streams.open_now),
        )
        return PlainTextResponse(state.metrics.text(gauges), media_type=_PROMETHEUS)

    return routes
