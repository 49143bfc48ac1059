"""An input with unknown scale or channel order comes in; the inputs to try go out."""

from dataclasses import dataclass, replace

from lagotto.core.types import Channels, InputField, InputSpec, Scale


@dataclass(frozen=True, slots=True)
class Normalization:
    """How pixels become numbers: a scale, then minus `mean`, over `std` (red, green, blue)."""

    scale: Scale
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def apply_to(self, spec: InputSpec, channels: Channels) -> InputSpec:
        """The spec with this normalization and that channel order."""
        mean, std = self.mean, self.std
        if channels == "BGR":
            mean, std = mean[::-1], std[::-1]
        elif channels == "L" and len(mean) == 3:  # green carries most of the luminance
            mean, std = mean[1:2], std[1:2]
        return replace(spec, channels=channels, scale=self.scale, mean=mean, std=std)


COMMON_NORMALIZATIONS = (
    Normalization("0..1"),
    Normalization("-1..1"),
    Normalization("0..255"),
    # Mean and standard deviation of ImageNet, as torchvision applies them, then as Caffe does.
    Normalization("0..1", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    Normalization("0..255", (123.675, 116.28, 103.53), (1.0, 1.0, 1.0)),
)
"""Those that published classifiers use."""

_ORDERS: tuple[Channels, ...] = ("RGB", "BGR")


def candidate_specs(
    spec: InputSpec, missing: frozenset[InputField], usual: Normalization | None = None
) -> tuple[InputSpec, ...]:
    """The inputs to try, each once; `spec` alone if neither scale nor channels is missing.

    A mean or std that `spec` already has is tried with every scale; unless it is `usual`, the
    normalization of its architecture, which is one of the candidates.
    """
    orders = _ORDERS if "channels" in missing and spec.channels != "L" else (spec.channels,)
    if "scale" not in missing:
        return tuple(replace(spec, channels=order) for order in orders)
    if usual is None and (spec.mean or spec.std):
        scales = [item.scale for item in COMMON_NORMALIZATIONS if not item.mean]
        return tuple(replace(spec, channels=o, scale=scale) for scale in scales for o in orders)
    tried = COMMON_NORMALIZATIONS if usual is None else (usual, *COMMON_NORMALIZATIONS)
    specs = (item.apply_to(spec, order) for item in tried for order in orders)
    return tuple(dict.fromkeys(specs))


def normalization_of(spec: InputSpec) -> Normalization:
    """The normalization of a spec, in RGB order whatever the channel order of the spec."""
    is_bgr = spec.channels == "BGR"
    mean, std = (values[::-1] if is_bgr else values for values in (spec.mean, spec.std))
    return Normalization(spec.scale, mean, std)
