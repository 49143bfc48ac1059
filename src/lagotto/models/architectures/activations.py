"""An activation layer of torch comes in; the operators of ONNX that compute it go out."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from lagotto.core.errors import ModelError
from lagotto.models.checkpoints.checkpoint import PlainLayer

BEFORE, SOURCE = "before", "source"
"""Inputs of a step: the result of the step before it, and what the activation is applied to."""


@dataclass(frozen=True, slots=True)
class Step:
    """An operator of ONNX; its inputs are BEFORE, SOURCE, or constants."""

    operator: str
    inputs: tuple[str | float, ...] = (SOURCE,)
    attributes: tuple[tuple[str, float], ...] = ()


Steps: TypeAlias = tuple[Step, ...]


def _plain(operator: str) -> Callable[[PlainLayer], Steps]:
    return lambda layer: (Step(operator),)


def _with_alpha(operator: str, setting: str) -> Callable[[PlainLayer], Steps]:
    return lambda layer: (Step(operator, attributes=(("alpha", _number(layer, setting)),)),)


def _sigmoid_times(layer: PlainLayer) -> Steps:
    return Step("Sigmoid"), Step("Mul", (BEFORE, SOURCE))


def _gelu(layer: PlainLayer) -> Steps:
    approximate = layer.settings.get("approximate")
    if approximate is None and layer.is_script:
        raise _unknown(layer, "approximate")
    if approximate == "tanh":
        return (
            Step("Mul", (SOURCE, SOURCE)),
            Step("Mul", (BEFORE, 0.044715)),
            Step("Add", (BEFORE, 1.0)),
            Step("Mul", (BEFORE, SOURCE)),
            Step("Mul", (BEFORE, math.sqrt(2 / math.pi))),
            Step("Tanh", (BEFORE,)),
            *_HALF_OF_ONE_MORE,
        )
    if approximate not in (None, "none"):  # torch before 1.12 knew no other
        raise _unknown(layer, "approximate")
    return Step("Div", (SOURCE, math.sqrt(2))), Step("Erf", (BEFORE,)), *_HALF_OF_ONE_MORE


_HALF_OF_ONE_MORE = (
    Step("Add", (BEFORE, 1.0)),
    Step("Mul", (BEFORE, SOURCE)),
    Step("Mul", (BEFORE, 0.5)),
)


def _mish(layer: PlainLayer) -> Steps:
    return Step("Softplus"), Step("Tanh", (BEFORE,)), Step("Mul", (BEFORE, SOURCE))


def _clipped(layer: PlainLayer) -> Steps:
    low, high = (0.0, 6.0) if layer.kind == "ReLU6" else _bounds(layer)
    return Step("Max", (SOURCE, low)), Step("Min", (BEFORE, high))


def _bounds(layer: PlainLayer) -> tuple[float, float]:
    return _number(layer, "min_val"), _number(layer, "max_val")


def _softplus(layer: PlainLayer) -> Steps:
    if layer.settings.get("beta", 1) != 1 or layer.settings.get("threshold", 20) != 20:
        raise _unknown(layer, "beta")
    return (Step("Softplus"),)


ACTIVATIONS: dict[str, Callable[[PlainLayer], Steps]] = {
    "ReLU": _plain("Relu"),
    "ReLU6": _clipped,
    "LeakyReLU": _with_alpha("LeakyRelu", "negative_slope"),
    "ELU": _with_alpha("Elu", "alpha"),
    "CELU": _with_alpha("Celu", "alpha"),
    "SELU": _plain("Selu"),
    "GELU": _gelu,
    "SiLU": _sigmoid_times,
    "Mish": _mish,
    "Hardtanh": _clipped,
    "Sigmoid": _plain("Sigmoid"),
    "Tanh": _plain("Tanh"),
    "Hardswish": _plain("HardSwish"),
    "Softplus": _softplus,
    "Softsign": _plain("Softsign"),
}
"""By the names of their classes in torch."""

RELU = PlainLayer("torch.nn.modules.activation.ReLU")


def activation_steps(layer: PlainLayer) -> Steps:
    """The operators of an activation, one after another.

    Args:
        layer: One of a class in `ACTIVATIONS`.

    Raises:
        ModelError: One of its settings is not in the file, or not computed here.
    """
    return ACTIVATIONS[layer.kind](layer)


def _number(layer: PlainLayer, setting: str) -> float:
    value = layer.settings.get(setting)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _unknown(layer, setting)
    return float(value)


def _unknown(layer: PlainLayer, setting: str) -> ModelError:
    value = layer.settings.get(setting)
    said = "does not say" if value is None else f"says {ascii(value)[:40]} for"
    return ModelError(f"its classifier has a {layer.kind}, and the file {said} its {setting}")
