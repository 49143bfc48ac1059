"""A model comes in; its input as JSON goes out, with the origin of each part, and back.

Tasks and the catalogue hold the input of a model in this form.
"""

from dataclasses import asdict
from pathlib import Path
from typing import cast, get_args

import numpy as np
from jaxtyping import UInt8

from lagotto.core.errors import ModelError
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.types import (
    Channels,
    Decision,
    InputDtype,
    InputField,
    InputSpec,
    JsonObject,
    JsonValue,
    Layout,
    ModelSpec,
    PixelSpec,
    Scale,
)
from lagotto.hub.probes.pixel_cache import spec_from_json, spec_to_json
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.hub.store.records import GPU_NAME, RAN_ON, RECOGNIZED
from lagotto.models.base import Model
from lagotto.models.classifier import ModelClassifier
from lagotto.models.preprocessing.infer import (
    TRIAL_PICTURES,
    infer_preprocessing,
    missing_fields,
)
from lagotto.models.preprocessing.variants import as_network, choose_network, may_be_another


def infer_input(model: Model, probes: Path) -> Model:
    """Infers what a model's input lacks, and which of several networks it is, on a few probes.

    Args:
        model: The model; fields that model.json or its file declare stay.
        probes: The folder of a probe set; it is opened only if a field is missing.

    Returns:
        The model with a complete input, and a decision for each inferred field.
    """
    if not isinstance(model, ModelClassifier):
        return model
    if not missing_fields(model) and not may_be_another(model):
        return model
    probe_set = ProbeSet.open(probes)
    count = len(probe_set.probes)
    trials = min(TRIAL_PICTURES, count)
    indices = [number * count // trials for number in range(trials)]
    decoded = [decode_picture(probe_set.picture(index)) for index in indices]

    def pictures(spec: PixelSpec) -> UInt8[np.ndarray, "pictures height width channels"]:
        return np.stack([to_pixels(picture, spec) for picture in decoded])

    return choose_network(infer_preprocessing(model, pictures), pictures)


def input_to_json(spec: ModelSpec) -> JsonObject:
    """The resolved input and its decisions as JSON."""
    described = asdict(spec.input)
    described["pixels"] = spec_to_json(spec.input.pixels)
    described["decisions"] = [asdict(decision) for decision in spec.decisions]
    return described


def with_recognized(described: JsonObject, architecture: str, kind: str) -> JsonObject:
    """A recorded input with what its model was recognized as, unless that is the usual.

    The record of a classifier that holds its own graph stays as older versions write it.
    """
    if not architecture and kind == "classifier":
        return described
    return {**described, RECOGNIZED: {"architecture": architecture, "kind": kind}}


def with_device(described: JsonObject, record: JsonValue) -> JsonObject:
    """A recorded input with the device that its model ran on, unless that is the CPU, as ever.

    `record` is what a worker says of the model; one that names no device ran on the CPU.
    """
    device = record.get(RAN_ON) if isinstance(record, dict) else None
    if not isinstance(device, str) or not GPU_NAME.fullmatch(device):
        return described
    return {**described, RAN_ON: device}


def is_inferred(record: JsonObject) -> bool:
    """True if a part of the input was inferred by trying candidates."""
    described = record.get("input")
    return isinstance(described, dict) and any(
        decision.runner_up is not None for decision in decisions_from_json(described)
    )


def apply_record(model: Model, record: JsonValue) -> Model:
    """The model with the input and the notes of a record; raises ModelError for anything else."""
    match record:
        case {"input": dict(described), "notes": list(notes)} if isinstance(model, ModelClassifier):
            decisions = decisions_from_json(described)
            return as_network(model, decisions).with_input(
                _input(described), decisions, tuple(str(note) for note in notes)
            )
    raise ModelError("the task carries no record of how its model is fed")


def decisions_from_json(described: JsonObject) -> tuple[Decision, ...]:
    """The decisions of a recorded input; an older record has none."""
    decisions = described.get("decisions")
    return tuple(map(_decision, decisions)) if isinstance(decisions, list) else ()


def _decision(value: JsonValue) -> Decision:
    match value:
        case {
            "field": str(field),
            "value": str(text),
            "origin": str(origin),
            "margin": None | float() | int() as margin,
            "runner_up": None | str() as runner_up,
            "reason": str(reason),
        } if field in get_args(InputField):
            return Decision(cast(InputField, field), text, origin, margin, runner_up, reason)
    raise ModelError(f"not a decision about a model's input: {value!r}")


def _input(value: JsonObject) -> InputSpec:
    match value:
        case {
            "layout": str(layout),
            "channels": str(channels),
            "dtype": str(dtype),
            "scale": str(scale),
            "mean": list(mean),
            "std": list(std),
            "pixels": pixels,
        } if all(isinstance(number, float | int) for number in (*mean, *std)):
            return InputSpec(
                pixels=spec_from_json(pixels),
                layout=cast(Layout, layout),
                channels=cast(Channels, channels),
                dtype=cast(InputDtype, dtype),
                scale=cast(Scale, scale),
                mean=tuple(float(cast(float, number)) for number in mean),
                std=tuple(float(cast(float, number)) for number in std),
            )
    raise ModelError(f"not a model's input: {value!r}")
