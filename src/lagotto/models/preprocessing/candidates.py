"""The ways of feeding pictures that are tried where neither model.json nor the file tells."""

from dataclasses import dataclass, replace

from lagotto.core.types import Channels, InputField, InputSpec, Scale


@dataclass(frozen=True, slots=True)
class Feed:
    """A scale with its normalisation; `mean` and `std` in the order red, green, blue."""

    scale: Scale
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def applied(self, spec: InputSpec, channels: Channels) -> InputSpec:
        """The spec with this feed in that order of channels."""
        mean, std = self.mean, self.std
        if channels == "BGR":
            mean, std = mean[::-1], std[::-1]
        elif channels == "L":  # green carries most of what is seen as light
            mean, std = mean[1:2], std[1:2]
        return replace(spec, channels=channels, scale=self.scale, mean=mean, std=std)


FEEDS = (
    Feed("0..1"),
    Feed("-1..1"),
    Feed("0..255"),
    Feed("0..1", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),  # of ImageNet, as torchvision
    Feed("0..255", (123.675, 116.28, 103.53), (1.0, 1.0, 1.0)),  # of ImageNet, as Caffe
)
"""The usual ones."""

_ORDERS: tuple[Channels, ...] = ("RGB", "BGR")


def candidate_specs(spec: InputSpec, missing: frozenset[InputField]) -> tuple[InputSpec, ...]:
    """Every spec that is to be tried, without doubles; `spec` itself if nothing is missing.

    A mean or std that is known is kept with every scale.
    """
    orders = _ORDERS if "channels" in missing and spec.channels != "L" else (spec.channels,)
    if "scale" not in missing:
        return tuple(replace(spec, channels=order) for order in orders)
    if spec.mean or spec.std:
        plain = (feed.scale for feed in FEEDS if not feed.mean)
        return tuple(replace(spec, channels=o, scale=scale) for scale in plain for o in orders)
    specs = (feed.applied(spec, order) for feed in FEEDS for order in orders)
    return tuple(dict.fromkeys(specs))


def feed_of(spec: InputSpec) -> Feed:
    """The feed of a spec, whatever its order of channels."""
    turned = spec.channels == "BGR"
    mean, std = (values[::-1] if turned else values for values in (spec.mean, spec.std))
    return Feed(spec.scale, mean, std)
