"""A hub and an output or two come in; what the pages of an output and of a pair show goes out."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from lagotto.core.text.clean import shown
from lagotto.core.types import Hit
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import LogitQuery
from lagotto.hub.reader.reader import HubReader
from lagotto.web.views.addresses import (
    SearchAddress,
    command_line_of,
    compare_href,
    like_href,
    model_href,
    output_href,
    python_of,
)
from lagotto.web.views.marks import LabelMark, label_mark
from lagotto.web.views.strips import (
    ProbeTile,
    highest_probes,
    output_values,
    probe_tile,
    strip_tiles,
)

_SHOWN_HIGH = 24
_SHOWN_LOW = 12
_NEAREST = 10
_CURVE = 240
_MOST_POINTS = 2000
_DIFFERENT = 12
_FIRES = 1.0
"""Standard deviations from which an output is said to fire on a probe."""
_SIDE = 480
_MARGIN = 24


@dataclass(frozen=True, slots=True)
class OutputName:
    """An output by its name, its label with the audit's mark, and its page."""

    model: str
    logit: int
    label: str | None
    mark: LabelMark | None

    @property
    def text(self) -> str:
        """MODEL:INDEX."""
        return f"{self.model}:{self.logit}"

    @property
    def title(self) -> str:
        """The label, or the name where there is none."""
        return self.label or self.text

    @property
    def open(self) -> str:
        """The output's page."""
        return output_href(self.model, self.logit)

    @property
    def model_open(self) -> str:
        """The page of its model."""
        return model_href(self.model)


@dataclass(frozen=True, slots=True)
class NearOutput:
    """One of the nearest outputs, and the page that compares it."""

    hit: Hit
    label: str | None
    open: str
    compare: str
    tiles: tuple[ProbeTile, ...]


@dataclass(frozen=True, slots=True)
class OutputPage:
    """An output: the probes it fires on, those it is lowest on, the outputs most like it."""

    output: OutputName
    invalid: str
    curve: str
    high: tuple[ProbeTile, ...]
    low: tuple[ProbeTile, ...]
    nearest: tuple[NearOutput, ...]
    like: str
    command: str
    python: str
    json: str
    previous: str | None
    next: str | None


def output_name(hub: Hub, model: str, logit: int) -> OutputName:
    """How a page calls an output."""
    label = hub.reader.labels(model)[logit]
    mark = label_mark(hub.label_trust, model, logit, label)
    return OutputName(model, logit, None if label is None else shown(label, 120), mark)


def output_page(hub: Hub, model: str, logit: int, hub_name: str) -> OutputPage:
    """The page of an output.

    Args:
        hub: The hub.
        model: A name in the hub.
        logit: The number of one of its outputs.
        hub_name: The hub as a command names it.
    """
    reader = hub.reader
    values = reader.descriptor(model, logit)
    outputs = len(reader.labels(model))
    is_constant = not np.nan_to_num(values).any()
    nearest: tuple[NearOutput, ...] = ()
    if not is_constant:
        hits = hub.search(LogitQuery(model, logit), top=_NEAREST)
        columns = output_values(reader, [(hit.model, hit.logit) for hit in hits])
        own = frozenset(int(probe) for probe in np.argsort(-values, kind="stable")[:_SHOWN_HIGH])
        nearest = tuple(
            NearOutput(
                hit,
                None if hit.label is None else shown(hit.label, 120),
                output_href(hit.model, hit.logit),
                compare_href((model, logit), (hit.model, hit.logit)),
                strip_tiles(reader, column, own, 5),
            )
            for hit, column in zip(hits, columns, strict=True)
        )
    address = SearchAddress(like=f"{model}:{logit}")
    return OutputPage(
        output=output_name(hub, model, logit),
        invalid="It answers all probes alike, so it cannot be searched." if is_constant else "",
        curve=_curve(values),
        high=() if is_constant else strip_tiles(reader, values, count=_SHOWN_HIGH),
        low=() if is_constant else _lowest(reader, values),
        nearest=nearest,
        like=like_href(model, logit),
        command=command_line_of(hub_name, address),
        python=python_of(hub_name, address),
        json=address.api_href(),
        previous=output_href(model, logit - 1) if logit else None,
        next=output_href(model, logit + 1) if logit + 1 < outputs else None,
    )


def _lowest(hub: HubReader, values: Float32[np.ndarray, " probes"]) -> tuple[ProbeTile, ...]:
    """The probes that an output answers to least, lowest first."""
    return tuple(
        probe_tile(hub, probe, float(values[probe]))
        for probe in highest_probes(-values, _SHOWN_LOW)
    )


def _curve(values: Float32[np.ndarray, " probes"]) -> str:
    """The responses from the highest to the lowest, as the points of an SVG line 100 by 40."""
    ordered = np.sort(values[np.isfinite(values)])[::-1]
    if len(ordered) < 2 or ordered[0] <= ordered[-1]:
        return ""
    places = np.unique(np.linspace(0, len(ordered) - 1, min(_CURVE, len(ordered))).astype(int))
    across = 100 * places / (len(ordered) - 1)
    down = 38 - 36 * (ordered[places] - ordered[-1]) / (ordered[0] - ordered[-1])
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(across, down, strict=True))


@dataclass(frozen=True, slots=True)
class ScatterPoint:
    """A probe in the plane of two outputs; `is_far` where they differ most."""

    x: float
    y: float
    is_far: bool


@dataclass(frozen=True, slots=True)
class ComparePage:
    """Two outputs over all probes: how alike they are, and the probes on which they differ."""

    first: OutputName
    second: OutputName
    correlation: float | None
    shared: int
    probes: int
    points: tuple[ScatterPoint, ...]
    zero: tuple[float, float]
    first_alone: tuple[ProbeTile, ...]
    second_alone: tuple[ProbeTile, ...]
    together: tuple[ProbeTile, ...]
    swapped: str


def compare_page(hub: Hub, first: tuple[str, int], second: tuple[str, int]) -> ComparePage:
    """The page that compares two outputs, each given as (model, logit)."""
    reader = hub.reader
    one, other = reader.descriptor(*first), reader.descriptor(*second)
    seen = np.flatnonzero(np.isfinite(one) & np.isfinite(other))
    x, y = one[seen], other[seen]
    correlation = None
    if len(seen) > 1 and x.std() > 0 and y.std() > 0:
        correlation = float(np.corrcoef(x, y)[0, 1])
    difference = x - y
    count = min(_DIFFERENT, len(seen) // 2)
    order = np.argsort(-difference, kind="stable")
    far = np.concatenate([order[:count], order[len(order) - count :]])
    both = np.argsort(-np.minimum(x, y), kind="stable")[:count]
    top = min(50, len(seen))
    shared = len(
        np.intersect1d(np.argsort(-x, kind="stable")[:top], np.argsort(-y, kind="stable")[:top])
    )
    drawn = np.unique(
        np.concatenate([np.linspace(0, max(len(seen) - 1, 0), _MOST_POINTS).astype(int), far])
    )
    both_values = np.concatenate([x, y, [0.0]])
    low, high = float(both_values.min()), float(both_values.max())
    scale = (_SIDE - 2 * _MARGIN) / max(high - low, 1e-9)
    marked = set(far.tolist())
    points = tuple(
        ScatterPoint(
            _MARGIN + scale * (float(x[i]) - low),
            _SIDE - _MARGIN - scale * (float(y[i]) - low),
            i in marked,
        )
        for i in (drawn.tolist() if len(seen) else [])
    )
    return ComparePage(
        first=output_name(hub, *first),
        second=output_name(hub, *second),
        correlation=correlation,
        shared=shared,
        probes=len(seen),
        points=tuple(sorted(points, key=lambda point: point.is_far)),
        zero=(_MARGIN - scale * low, _SIDE - _MARGIN + scale * low),
        first_alone=tuple(
            probe_tile(reader, int(seen[i]), float(x[i]))
            for i in order[:count].tolist()
            if x[i] >= _FIRES
        ),
        second_alone=tuple(
            probe_tile(reader, int(seen[i]), float(y[i]))
            for i in order[::-1][:count].tolist()
            if y[i] >= _FIRES
        ),
        together=tuple(
            probe_tile(reader, int(seen[i]), float(min(x[i], y[i])), decided=True)
            for i in both.tolist()
            if min(x[i], y[i]) >= _FIRES
        ),
        swapped=compare_href(second, first),
    )
