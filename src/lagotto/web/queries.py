"""What a client asks for comes in, by names and numbers; the answers of the hub go out.

Pages and the API both ask here. Every model is checked against the catalogue, every probe and every
output against their numbers, and every picture is named by its digest: no path comes from a client.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.types import Hits, Query
from lagotto.hub.query.types import AnyQuery, ImageQuery, LogitQuery, TextQuery
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.search.options import SearchOptions
from lagotto.web.problems import Problem, without_paths
from lagotto.web.state import ServerState

_WHAT_TO_ASK = (
    "nothing to search for; give words (q), an output (like=MODEL:NUMBER), a probe (probe) or "
    "pictures (img)"
)


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A search as a client writes it, in an address or in a form.

    Attributes:
        q: Words, joined by AND, OR, NOT and parentheses.
        like: An output of the hub, MODEL:NUMBER.
        probe: The number of a probe, as an example picture.
        img: Digests of uploaded pictures, as sha256:...
        options: How to search.
    """

    q: str = ""
    like: str = ""
    probe: int | None = None
    img: tuple[str, ...] = ()
    options: SearchOptions = field(default_factory=SearchOptions)


@dataclass(frozen=True, slots=True)
class OutputProbe:
    """A probe of one output: its number, its source, and the output's response to it.

    `value` is in standard deviations over the probes; `rank` counts from 1, strongest first.
    """

    probe: int
    source: str
    rank: int
    value: float


@dataclass(frozen=True, slots=True)
class ProbeOutput:
    """An output that responds to one probe, in standard deviations over the probes."""

    model: str
    logit: int
    label: str | None
    value: float


def search(state: ServerState, request: SearchRequest) -> Hits:
    """The hits of a search; what is said of the hub and of pictures names no place of a file.

    Raises:
        Problem: 404 for a model, an output, a probe or a picture that there is not.
        UsageError: For a query that the hub cannot answer.
    """
    query, shown = _query(state, request)
    found = state.hub.search(query, request.options)
    said = found.query if shown is None else Query(found.query.kind, shown)
    notes = tuple(without_paths(note) for note in found.notes)
    return replace(found, query=said, hub=state.name, notes=notes, probe_pictures=None)


def _query(
    state: ServerState, request: SearchRequest
) -> tuple[AnyQuery, str | tuple[str, ...] | None]:
    """The query of a request, and what it is called if its own value would be a path."""
    examples = [state.upload(address) for address in request.img]
    names = list(request.img)
    if request.probe is not None:
        examples.append(_probe_file(state, request.probe))
        names.append(f"probe:{request.probe}")
    if request.like:
        if request.q.strip() or examples:
            raise Problem(400, "like stands alone; give it without q, probe and img")
        query = LogitQuery.parse(request.like)
        state.output(query.model, query.index)
        return query, None
    if request.q.strip():
        return TextQuery(request.q, pictures=tuple(examples)), None
    if examples:
        return ImageQuery(tuple(examples)), tuple(names)
    raise Problem(400, _WHAT_TO_ASK)


def _probe_file(state: ServerState, number: int) -> Path:
    """The picture file of a probe: one of the hub, found by its number."""
    state.probe(number)
    return state.hub.read(lambda reader: reader.probe_set.picture_file(number))


def output_probes(
    state: ServerState, model: str, output: int, *, top: int = 20, lowest: bool = False
) -> tuple[OutputProbe, ...]:
    """The probes to which an output responds most, or least.

    Args:
        state: The server.
        model: A name in the hub.
        output: The number of the output.
        top: How many probes, at most.
        lowest: The weakest responses in place of the strongest.
    """
    state.output(model, output)
    values, probes = state.hub.read(lambda hub: (hub.descriptor(model, output), hub.probes))
    order = np.argsort(-values, kind="stable")
    order = order[np.isfinite(values[order])]
    ranked = list(enumerate(order.tolist(), start=1))
    picked = ranked[-top:][::-1] if lowest else ranked[:top]
    return tuple(
        OutputProbe(number, probes[number].source, rank, round(float(values[number]), 4))
        for rank, number in picked
    )


def probe_outputs(
    state: ServerState, number: int, *, top: int = 20, by_model: bool = False
) -> tuple[ProbeOutput, ...]:
    """The outputs of the whole hub that respond most to one probe.

    Args:
        state: The server.
        number: The probe.
        top: How many outputs, at most.
        by_model: Only the strongest output of each model.
    """
    state.probe(number)
    return state.hub.read(lambda hub: _strongest(hub, number, top, by_model))


def _strongest(hub: HubReader, number: int, top: int, by_model: bool) -> tuple[ProbeOutput, ...]:
    index = hub.logit_index()
    rows: list[Float32[np.ndarray, " logits"]] = [
        values[number].astype(np.float32) * steps for values, steps in index.tables
    ]
    if not rows:
        return ()
    row = np.concatenate(rows)
    found: list[ProbeOutput] = []
    models: set[int] = set()
    for column in np.argsort(-row, kind="stable").tolist():
        if len(found) == top:
            break
        owner = int(index.owners(np.array([column]))[0])
        if index.steps[column] == 0 or (by_model and owner in models):
            continue
        models.add(owner)
        digest = index.digests[owner]
        logit = column - int(index.firsts[owner])
        label = index.labels(digest)[logit]
        value = round(float(row[column]), 4)
        found.append(ProbeOutput(index.names[digest], logit, label, value))
    return tuple(found)


def neighbours(state: ServerState, model: str, output: int, options: SearchOptions) -> Hits:
    """The outputs that behave most like one output of the hub."""
    return search(state, SearchRequest(like=f"{model}:{output}", options=options))
