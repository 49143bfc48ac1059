"""The payload of a task comes in at a worker; facts as JSON and files of responses go out.

A task (`jobs.base.Task`) names one of these functions as its entry.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, UInt8

from lagotto.core.devices.placement import CPU
from lagotto.core.errors import HubError, ModelError
from lagotto.core.files import writing
from lagotto.core.types import JsonObject, JsonValue, ModelSource, ModelSpec
from lagotto.hub.ingest.input_record import (
    apply_record,
    infer_input,
    input_to_json,
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
from lagotto.models.classifier import ModelClassifier
from lagotto.models.registry import load_model

_CHUNK = 256
_REPEATED = 8
_DIFFERENCE = 0.05
"""Share of the standard deviation of a logit over the probes."""

_LEAST_SPREAD = 1e-5
"""Of the largest response: a logit that varies less is told apart by rounding alone."""

_CACHED_MODELS = 4
_cache: dict[str, Model] = {}


def source_to_json(source: ModelSource) -> JsonObject:
    """A model source as the payload of a task holds it."""
    return {
        "name": source.name,
        "file": str(source.file),
        "description": source.description,
    }


def _load(payload: JsonObject) -> Model:
    source = payload["model"]
    match source:
        case {"name": str(name), "file": str(file), "description": dict(description)}:
            device = str(payload.get("device", CPU))
            return load_model(ModelSource(name, Path(file), description), device=device)
        case _:
            raise ModelError(f"task without a model: {source!r}")


def _load_with_input(payload: JsonObject) -> Model:
    """The model; with the input of its record, if the input was inferred."""
    model = _load(payload)
    if payload.get("inferred_input") is None:
        return model
    return apply_record(model, payload["inferred_input"])


def inspect_model(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Loads a model and finds out how it is run.

    Fields of its input that neither model.json nor its file declares are inferred on some probes.

    Args:
        payload: "model" is the source, "probes" the folder of the probe set; without one, these
            fields stay as they are assumed. "inferred_input" is the record of a model whose input
            was inferred before, if there is one.
        progress: Not used.

    Returns:
        {"pixels": the PixelSpec, "record": the model as the catalogue holds it, "picture_s":
        seconds that one picture takes}.
    """
    model, probes = _load_with_input(payload), payload.get("probes")
    is_known = probes is None or payload.get("inferred_input") is not None
    model = model if is_known else infer_input(model, Path(str(probes)))
    return {
        "pixels": spec_to_json(model.spec.input.pixels),
        "record": spec_to_record(model.spec),
        "picture_s": _time_picture(model),
    }


def _time_picture(model: Model) -> float:
    """Seconds that a picture takes in a model that has run before; its faults are found later."""
    batch = model.batch if isinstance(model, ModelClassifier) else 1
    black = np.zeros((batch, *model.spec.input.pixels.shape), np.uint8)
    started = time.perf_counter()
    with suppress(ModelError):
        model.logits(black)
    return (time.perf_counter() - started) / batch


def probe_model(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Runs a model over cached probes and writes its raw responses to a file.

    Args:
        payload: "model" is the source, "digest" its behaviour digest, "probes" and "cache" are the
            folders of the probe set and its pixels, "out" is the file to write. "seen" lists the
            probes that the model has seen in the end; null means all. "earlier" is a file with
            responses on some of them, which are copied, or null. "inferred_input" is the record of
            a model whose input was inferred, or null. "device" is where it runs, if not on the CPU.
        progress: Receives the pictures.

    Returns:
        {"spec": the resolved spec}, or {"unwritable": reason} if the file cannot be written, which
        is no fault of the model.

    Raises:
        ModelError: No response is finite, or the number of outputs changes between pictures.
    """
    model = _load_with_input(payload)
    spec = model.spec
    cache = ProbeCache(Path(str(payload["probes"])), Path(str(payload["cache"])))
    pixels = cache.open(spec.input.pixels)
    probes = _probe_indices(payload.get("seen"), len(pixels))
    file = payload.get("earlier")
    earlier = None if file is None else read_responses(Path(str(file)))
    new = probes if earlier is None else np.setdiff1d(probes, earlier.seen_probes)
    values = _run(model, pixels, new, progress)
    notes = (*spec.notes, *_differing_answers(model, pixels, new, values))
    notes = (*notes, *_device_notes(model, str(payload.get("device", CPU))))
    if earlier is not None:
        values = _merge(earlier, values, probes)
    if not np.isfinite(values).any():
        raise ModelError("every response is NaN or infinite; the model is broken or its input is")
    header = ResponsesHeader(
        behaviour_digest=str(payload["digest"]),
        probe_digest=str(payload["probe_digest"]),
        framework=spec.framework,
        logits_source=spec.logits_source,
    )
    try:
        write_responses(Path(str(payload["out"])), values, header, SeenProbes(probes, len(pixels)))
    except HubError as error:
        return {"unwritable": str(error)}
    return {"spec": {**spec_to_record(spec), "notes": [*notes], "device": model.spec.device}}


def _device_notes(model: Model, device: str) -> tuple[str, ...]:
    """What its runs took otherwise than the device that was asked for."""
    notes = model.device_notes if isinstance(model, ModelClassifier) else ()
    if device == CPU or notes or model.spec.device != CPU:
        return notes
    return (f"it ran on the CPU: {model.spec.framework} is run on no other device",)


def _differing_answers(
    model: Model,
    pixels: UInt8[np.ndarray, "probes height width channels"],
    indices: Int64[np.ndarray, " some"],
    values: Float32[np.ndarray, "some logits"],
) -> tuple[str, ...]:
    """A note on a model that answers otherwise to the first pictures when it sees them again.

    Rounding differs with the number of pictures, by far less than `_DIFFERENCE` of the spread.
    """
    count = min(_REPEATED, len(indices))
    if not count or len(indices) < 2:
        return ()
    again = _run(model, pixels, indices[:count], lambda _: None)
    first = values[:count].astype(np.float64)
    finite = np.isfinite(values).all(axis=0) & np.isfinite(again).all(axis=0)
    usable = values[:, finite].astype(np.float64)
    spread = usable.std(axis=0)
    change = np.abs(again[:, finite] - first[:, finite]).max(axis=0, initial=0.0)
    known = spread > _LEAST_SPREAD * np.abs(usable).max(axis=0, initial=0.0)
    largest = float((change[known] / spread[known]).max(initial=0.0))
    if largest <= _DIFFERENCE:
        return ()
    return (
        f"its answers to the same pictures differ, by up to {largest:.2g} of their spread: it "
        "draws at random, or what it says of a picture depends on the pictures beside it",
    )


def _probe_indices(indices: JsonValue, probe_count: int) -> Int64[np.ndarray, " seen"]:
    if isinstance(indices, list):
        return np.unique(np.array(indices, dtype=np.int64))
    return np.arange(probe_count, dtype=np.int64)


def _run(
    model: Model,
    pixels: UInt8[np.ndarray, "probes height width channels"],
    indices: Int64[np.ndarray, " some"],
    progress: Callable[[int], None],
) -> Float32[np.ndarray, "some logits"]:
    """Raw logits on some probes, run a few hundred at a time."""
    values = np.empty((len(indices), model.spec.outputs), dtype=np.float32)
    for start in range(0, len(indices), _CHUNK):
        chunk = indices[start : start + _CHUNK]
        is_range = chunk[-1] - chunk[0] == len(chunk) - 1
        pictures = pixels[chunk[0] : chunk[-1] + 1] if is_range else pixels[chunk]
        block = model.logits(np.asarray(pictures))
        if block.shape[1:] != values.shape[1:]:
            raise ModelError(f"gave {block.shape[1]} outputs after {values.shape[1]} were declared")
        values[start : start + _CHUNK] = block
        progress(len(block))
    return values


def _merge(
    earlier: Responses,
    values: Float32[np.ndarray, "new logits"],
    probes: Int64[np.ndarray, " seen"],
) -> Float32[np.ndarray, "seen logits"]:
    """The earlier and the new responses, in the order of the probes."""
    if earlier.values.shape[1] != values.shape[1]:
        raise ModelError(
            f"gave {values.shape[1]} outputs, and {earlier.values.shape[1]} when probed before"
        )
    merged = np.empty((len(probes), values.shape[1]), dtype=np.float32)
    mask = np.isin(probes, earlier.seen_probes)
    merged[mask] = earlier.values[np.isin(earlier.seen_probes, probes)]
    merged[~mask] = values
    return merged


def spec_to_record(spec: ModelSpec) -> JsonObject:
    """A resolved model as the catalogue holds it, and the origins of its output and labels."""
    return {
        "framework": spec.framework,
        "outputs": spec.outputs,
        "output": spec.output,
        "logits_source": spec.logits_source,
        "labels": list(spec.labels) if spec.labels is not None else None,
        "notes": list(spec.notes),
        "input": input_to_json(spec),
        "origins": {"output": spec.output_origin, "labels": spec.labels_origin},
        "architecture": spec.architecture,
        "kind": spec.kind,
    }


def answer_pictures(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Runs a model over rows of pictures in a file and writes its logits to another file.

    A worker caches the last models that it loaded, so that a stream of pictures loads each once.

    Args:
        payload: "pixels" is a file of plain uint8 of "shape", of which the rows from "start" to
            "stop" are run; "out" is the .npy file to write. "model", "digest" and "inferred_input"
            are as in `probe_model`.
        progress: Receives the pictures.

    Returns:
        {"pictures": their number}, or {"unwritable": reason} if the file cannot be written.
    """
    model = _cached_model(payload)
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
    blocks = []
    for first in range(start, stop, _CHUNK):
        blocks.append(model.logits(np.asarray(pixels[first : min(first + _CHUNK, stop)])))
        progress(len(blocks[-1]))
    out = Path(str(payload["out"]))
    try:
        with writing(out):  # read at once and then removed: it need not survive a power cut
            np.save(out, np.concatenate(blocks), allow_pickle=False)
    except HubError as error:
        return {"unwritable": str(error)}
    return {"pictures": stop - start}


def keep_model(payload: JsonObject, progress: Callable[[int], None]) -> JsonObject:
    """Loads a model into the cache of a worker, for the `answer_pictures` tasks to come."""
    _cached_model(payload)
    return {}


def _cached_model(payload: JsonObject) -> Model:
    key = str(payload["digest"])
    model = _cache.pop(key, None) or _load_with_input(payload)
    _cache[key] = model  # the least recently used model is deleted first
    while len(_cache) > _CACHED_MODELS:
        del _cache[next(iter(_cache))]
    return model
