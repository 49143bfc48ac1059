"""Outputs and probes come in; the pictures that show what an output answers to go out."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from lagotto.core.text.clean import shown
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.reader.reader import HubReader
from lagotto.web.views.addresses import probe_href, probe_image

STRIP = 8
"""Pictures in one strip."""

_ALT_LENGTH = 120


@dataclass(frozen=True, slots=True)
class ProbeTile:
    """One probe in a strip.

    Attributes:
        probe: Its number.
        image: The address of its small picture; None in a hub that was published without them.
        href: The address of its page.
        alt: What it shows, in words.
        value: The output's standardized response to it, in standard deviations; None for none.
        decided: Whether it is one of the probes that decided a search.
    """

    probe: int
    image: str | None
    href: str
    alt: str
    value: float | None = None
    decided: bool = False


def probe_tile(
    hub: HubReader, probe: int, value: float | None = None, *, decided: bool = False
) -> ProbeTile:
    """The tile of one probe."""
    captions = hub.probes[probe].captions
    alt = shown(captions[0], _ALT_LENGTH) if captions else f"probe {probe}"
    return ProbeTile(
        probe,
        probe_image(probe, probe_digest=hub.probe_digest) if hub.has_pictures else None,
        probe_href(probe),
        alt,
        value,
        decided,
    )


def output_values(
    hub: HubReader, outputs: Sequence[tuple[str, int]]
) -> list[Float32[np.ndarray, " probes"]]:
    """The standardized responses of outputs, each given as (model, logit).

    They are rounded as the hub's blocks hold them: a hundred times as quick as from the responses.
    An output that no block holds, or that is searched on some probes only, is read from its
    responses; a probe that it did not see is NaN.
    """
    index = hub.logit_index()
    columns = [index.column(model, logit) for model, logit in outputs]
    for place, column in enumerate(columns):
        if column is not None and _is_partial(index, column):
            columns[place] = None
    known = [column for column in columns if column is not None]
    quick = iter(index.descriptors(np.array(known, dtype=np.int64)).T if known else ())
    return [
        hub.descriptor(model, logit) if column is None else next(quick)
        for (model, logit), column in zip(outputs, columns, strict=True)
    ]


def highest_probes(values: Float32[np.ndarray, " probes"], count: int = STRIP) -> list[int]:
    """The probes of the highest values, best first; those that were not seen are left out."""
    known = int(np.isfinite(values).sum())
    order = np.argsort(-values, kind="stable")[: min(count, known)]
    return [int(probe) for probe in order]


def strip_tiles(
    hub: HubReader,
    values: Float32[np.ndarray, " probes"],
    deciding: Collection[int] = (),
    count: int = STRIP,
) -> tuple[ProbeTile, ...]:
    """The probes that an output answers to most, those that decided a search marked."""
    return tuple(
        probe_tile(hub, probe, float(values[probe]), decided=probe in deciding)
        for probe in highest_probes(values, count)
    )


def _is_partial(index: LogitIndex, column: int) -> bool:
    """Whether the output of a column is compared on the probes that its model saw."""
    return any(model.first <= column < model.first + model.logits for model in index.partial_models)
