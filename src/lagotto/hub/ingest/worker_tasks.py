"""What a worker process does for a hub: inspect a model, and run it over the probes.

Entries are named in `jobs.base.Task`; payloads and answers are JSON, responses go to a file.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from lagotto.core.errors import HubError, ModelError
from lagotto.core.files import writing
from lagotto.core.types import JsonObject, JsonValue, ModelSource, ModelSpec
from lagotto.hub.ingest.input_record import (
    infer_input,
    input_to_json,
    with_record,
)
from lagotto.hub.probes.pixel_cache import ProbeCache, spec_to_json
from lagotto.hub.store.responses import (
    Responses,
    ResponsesHeader,
    SeenProbes,
    read_responses,
    write_responses,
)
from lagotto.models.base import Model
from lagotto.models.registry import load_model

_CHUNK = 256
_MODELS_KEPT = 4
_kept: dict[str, Model] = {}


def source_to_json(source: ModelSource) -> JsonObject:
    """A model source as a task carries it."""
    return {
        "name": source.name,
        "file": str(source.file),
        "description": source.description,
    }


def _load(payload: JsonObject) -> Model:
    source = payload["model"]
    match source:
        case {"name": str(name), "file": str(file), "description": dict(description)}:
            return load_model(ModelSource(name, Path(file), description))
        case _:
            raise ModelError(f"task without a model: {source!r}")


def _fed(payload: JsonObject) -> Model:
    """The model, fed as its record says where its input was found by trying."""
    model = _load(payload)
    if payload.get("settled") is None:
        return model
    return with_record(model, payload["settled"])


def inspect_model(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Loads a model and tells how it is run: {"pixels": PixelSpec, "record": as the catalogue's}.

    What neither model.json nor its file tells of its input is found by trying some of the probes
    in `payload["probes"]`.
    """
    spec = infer_input(_load(payload), Path(str(payload["probes"]))).spec
    return {"pixels": spec_to_json(spec.input.pixels), "record": spec_to_record(spec)}


def probe_model(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Runs a model over cached probes and writes its raw responses to `payload["out"]`.

    `payload["seen"]` lists the probes that it shall have seen in the end, null: all of them; those
    in the responses file `payload["known"]`, if that is not null, are taken from there and not run
    again. `payload["settled"]` is the record of a model whose input was found by trying, else null.
    Gives the resolved spec as {"spec": ...}, or {"unwritable": reason} where the file cannot be
    written, which is no fault of the model. `progress` counts pictures. Raises ModelError if no
    response is finite or the number of outputs changes between pictures.
    """
    model = _fed(payload)
    spec = model.spec
    cache = ProbeCache(Path(str(payload["probes"])), Path(str(payload["cache"])))
    pixels = cache.open(spec.input.pixels)
    seen = _seen(payload.get("seen"), len(pixels))
    known = payload.get("known")
    earlier = None if known is None else read_responses(Path(str(known)))
    fresh = seen if earlier is None else np.setdiff1d(seen, earlier.seen)
    values = _answers(model, pixels, fresh, progress)
    if earlier is not None:
        values = _joined(earlier, fresh, values, seen)
    if not np.isfinite(values).any():
        raise ModelError("every response is NaN or infinite; the model is broken or its input is")
    header = ResponsesHeader(
        behaviour_digest=str(payload["digest"]),
        probe_digest=str(payload["probe_digest"]),
        framework=spec.framework,
        logits_source=spec.logits_source,
    )
    try:
        write_responses(Path(str(payload["out"])), values, header, SeenProbes(seen, len(pixels)))
    except HubError as error:
        return {"unwritable": str(error)}
    return {"spec": spec_to_record(spec)}


def _seen(listed: JsonValue, probes: int) -> Int64[np.ndarray, " seen"]:
    if isinstance(listed, list):
        return np.unique(np.array(listed, dtype=np.int64))
    return np.arange(probes, dtype=np.int64)


def _answers(
    model: Model,
    pixels: UInt8[np.ndarray, "probes height width channels"],
    chosen: Int64[np.ndarray, " chosen"],
    progress: Callable[[int], None],
) -> Float32[np.ndarray, "chosen logits"]:
    """Raw logits on the chosen probes, a few hundred at a time."""
    values = np.empty((len(chosen), model.spec.outputs), dtype=np.float32)
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        whole = part[-1] - part[0] == len(part) - 1
        picked = pixels[part[0] : part[-1] + 1] if whole else pixels[part]
        block = model.logits(np.asarray(picked))
        if block.shape[1:] != values.shape[1:]:
            raise ModelError(f"gave {block.shape[1]} outputs after {values.shape[1]} were declared")
        values[start : start + _CHUNK] = block
        progress(len(block))
    return values


def _joined(
    earlier: Responses,
    fresh: Int64[np.ndarray, " fresh"],
    values: Float32[np.ndarray, "fresh logits"],
    seen: Int64[np.ndarray, " seen"],
) -> Float32[np.ndarray, "seen logits"]:
    """What was known and what is new, in the order of the probes."""
    if earlier.values.shape[1] != values.shape[1]:
        raise ModelError(
            f"gave {values.shape[1]} outputs, and {earlier.values.shape[1]} when probed before"
        )
    joined = np.empty((len(seen), values.shape[1]), dtype=np.float32)
    old = np.isin(seen, earlier.seen)
    joined[old] = earlier.values[np.isin(earlier.seen, seen)]
    joined[~old] = values
    return joined


def spec_to_record(spec: ModelSpec) -> JsonObject:
    """A resolved model as the catalogue keeps it."""
    return {
        "framework": spec.framework,
        "outputs": spec.outputs,
        "output": spec.output,
        "logits_source": spec.logits_source,
        "labels": list(spec.labels) if spec.labels is not None else None,
        "notes": list(spec.notes),
        "input": input_to_json(spec),
    }


def answer_pictures(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Runs a model over rows of pictures in a file, and writes its logits to "out" (.npy).

    `payload["pixels"]` names the file, plain uint8 of `payload["shape"]`, of which the rows from
    "start" to "stop" are run. `payload["settled"]` is as in probe_model. A worker keeps the last
    models that it loaded, so that a stream of pictures loads each once.
    Gives {"unwritable": reason} where the file cannot be written. `progress` counts pictures.
    """
    model = _kept_model(payload)
    match payload:
        case {
            "pixels": str(file),
            "shape": [int(pictures), int(height), int(width), int(channels)],
            "start": int(start),
            "stop": int(stop),
        }:
            shape = (pictures, height, width, channels)
        case _:
            raise ModelError(f"task without pictures: {payload!r}")
    pixels = np.memmap(file, np.uint8, "r", shape=shape)
    parts = []
    for first in range(start, stop, _CHUNK):
        parts.append(model.logits(np.asarray(pixels[first : min(first + _CHUNK, stop)])))
        progress(len(parts[-1]))
    out = Path(str(payload["out"]))
    try:
        with writing(out):  # read at once and then removed: it need not survive a power cut
            np.save(out, np.concatenate(parts), allow_pickle=False)
    except HubError as error:
        return {"unwritable": str(error)}
    return {"pictures": stop - start}


def keep_model(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Loads a model for the tasks to come, as `answer_pictures` would."""
    _kept_model(payload)
    return {}


def _kept_model(payload: JsonObject) -> Model:
    key = str(payload["digest"])
    model = _kept.pop(key, None) or _fed(payload)
    _kept[key] = model  # the last one used is the last one to go
    while len(_kept) > _MODELS_KEPT:
        del _kept[next(iter(_kept))]
    return model
