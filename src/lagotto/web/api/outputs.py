"""Numbers of outputs come in; their labels, probes and neighbours go out."""

from dataclasses import asdict

from fastapi import APIRouter
from starlette.responses import Response

from lagotto.core.types import JsonObject
from lagotto.web.api.answer import documented, hits_json, json_answer
from lagotto.web.api.parameters import ModelName, Options, Output, Top
from lagotto.web.api.schemas.answers import (
    OutputAnswer,
    OutputListAnswer,
    OutputProbesAnswer,
    SearchAnswer,
)
from lagotto.web.queries import neighbours, output_probes
from lagotto.web.state import ServerState


def output_routes(state: ServerState) -> APIRouter:
    """The routes of outputs; the longest addresses come first: a name may have slashes."""
    routes = APIRouter(tags=["outputs"])

    @routes.get(
        "/models/{name:path}/outputs/{output}/probes", responses=documented(OutputProbesAnswer)
    )
    async def probes_of_output(name: ModelName, output: Output, top: Top = 20) -> Response:
        """The probes to which an output responds most, and least."""

        def ask() -> JsonObject:
            strongest = output_probes(state, name, output, top=top)
            weakest = output_probes(state, name, output, top=top, lowest=True)
            return {
                "strongest": [asdict(probe) for probe in strongest],
                "weakest": [asdict(probe) for probe in weakest],
            }

        found = await state.gate.run(ask)
        return json_answer({"hub": state.name, "model": name, "logit": output, **found})

    @routes.get(
        "/models/{name:path}/outputs/{output}/neighbours", responses=documented(SearchAnswer)
    )
    async def neighbours_of_output(name: ModelName, output: Output, options: Options) -> Response:
        """The outputs that behave most like an output."""
        return json_answer(
            hits_json(await state.gate.run(lambda: neighbours(state, name, output, options)))
        )

    @routes.get("/models/{name:path}/outputs/{output}", responses=documented(OutputAnswer))
    def one_output(name: ModelName, output: Output) -> Response:
        """An output: its published label, and whether it is searched."""
        state.output(name, output)
        label = state.hub.labels(name)[output]
        column = state.hub.read(lambda hub: hub.logit_index().column(name, output))
        return json_answer(
            {
                "hub": state.name,
                "model": name,
                "logit": output,
                "label": label,
                "is_searched": column is not None,
            }
        )

    @routes.get("/models/{name:path}/outputs", responses=documented(OutputListAnswer))
    def outputs_of_model(name: ModelName) -> Response:
        """All outputs of a model with their published labels."""
        labels = state.hub.labels(state.model(name))
        return json_answer(
            {
                "hub": state.name,
                "model": name,
                "outputs": [
                    {"logit": number, "label": label} for number, label in enumerate(labels)
                ],
            }
        )

    return routes
