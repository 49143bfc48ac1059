"""A model's input as tasks and the catalogue carry it, with where each part of it is from."""

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
    Origin,
    PixelSpec,
    Scale,
)
from lagotto.hub.probes.pixel_cache import spec_from_json, spec_to_json
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.models.base import Model
from lagotto.models.classifier import ModelClassifier
from lagotto.models.preprocessing.infer import (
    TRIAL_PICTURES,
    missing_fields,
    settle_input,
)


def infer_input(model: Model, probes: Path) -> Model:
    """The model with what neither model.json nor its file tells found by trying some probes.

    `probes` is the folder of a probe set; it is opened only if something is missing.
    """
    if not isinstance(model, ModelClassifier) or not missing_fields(model):
        return model
    probe_set = ProbeSet.open(probes)
    count = len(probe_set.probes)
    wanted = min(TRIAL_PICTURES, count)
    places = [place * count // wanted for place in range(wanted)]
    decoded = [decode_picture(probe_set.picture(place)) for place in places]

    def pictures(spec: PixelSpec) -> UInt8[np.ndarray, "pictures height width channels"]:
        return np.stack([to_pixels(picture, spec) for picture in decoded])

    return settle_input(model, pictures)


def input_to_json(spec: ModelSpec) -> JsonObject:
    """The resolved input and its decisions."""
    described = asdict(spec.input)
    described["pixels"] = spec_to_json(spec.input.pixels)
    described["decisions"] = [asdict(decision) for decision in spec.decisions]
    return described


def is_inferred(record: JsonObject) -> bool:
    """Whether candidates were tried for a model of this record."""
    described = record.get("input")
    return isinstance(described, dict) and any(
        decision.runner_up is not None for decision in decisions_from_json(described)
    )


def with_record(model: Model, record: JsonValue) -> Model:
    """The model fed as its record says, with the record's notes; ModelError for anything else."""
    match record:
        case {"input": dict(described), "notes": list(notes)} if isinstance(model, ModelClassifier):
            decisions = decisions_from_json(described)
            return model.fed(_input(described), decisions, tuple(str(note) for note in notes))
    raise ModelError("the task carries no record of how its model is fed")


def decisions_from_json(described: JsonObject) -> tuple[Decision, ...]:
    """Where the parts of a recorded input are from; none in an older record."""
    kept = described.get("decisions")
    return tuple(_decision(each) for each in kept) if isinstance(kept, list) else ()


def _decision(value: JsonValue) -> Decision:
    match value:
        case {
            "field": str(field),
            "value": str(said),
            "origin": str(origin),
            "margin": None | float() | int() as margin,
            "runner_up": None | str() as runner_up,
            "reason": str(reason),
        } if field in get_args(InputField) and origin in get_args(Origin):
            return Decision(
                cast(InputField, field), said, cast(Origin, origin), margin, runner_up, reason
            )
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
