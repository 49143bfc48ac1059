"""A hub and the number of a probe come in; what the page of the probe shows goes out."""

from dataclasses import dataclass

import numpy as np

from lagotto.core.text.clean import shown
from lagotto.core.vectors import top_k
from lagotto.hub.hub import Hub
from lagotto.web.views.addresses import SearchAddress, output_href, probe_href, probe_image
from lagotto.web.views.strips import ProbeTile, probe_tile

_FIRING = 40
_EDGE = 640


@dataclass(frozen=True, slots=True)
class FiringOutput:
    """An output that fires on a probe: how many standard deviations above its mean."""

    model: str
    logit: int
    label: str | None
    value: float
    share: float
    open: str


@dataclass(frozen=True, slots=True)
class ProbePage:
    """A probe: its picture and captions, and the outputs of the whole hub that fire on it."""

    number: int
    image: str | None
    source: str
    captions: tuple[str, ...]
    firing: tuple[FiringOutput, ...]
    outputs: int
    search: str | None
    json: str
    previous: str | None
    next: str | None
    near: tuple[ProbeTile, ...]


def probe_page(hub: Hub, number: int) -> ProbePage:
    """The page of a probe, given by its number."""
    reader = hub.reader
    probe, index = reader.probes[number], reader.logit_index()
    values = np.concatenate(
        [
            np.zeros(0, np.float32),
            *(block.values[number].astype(np.float32) * block.steps for block in index.blocks),
        ]
    )
    for model in index.partial_models:  # a block holds 0 where a model did not see the probe
        if number not in model.seen:
            values[model.columns] = -np.inf
    best = top_k(values[None], _FIRING)[0]
    owners = index.owners(best)
    highest = max(float(values[best[0]]), 1e-9) if len(best) else 1.0
    firing = []
    for column, owner in zip(best.tolist(), owners.tolist(), strict=True):
        if not values[column] > 0:
            continue
        digest = index.digests[owner]
        logit = column - int(index.firsts[owner])
        label = index.labels(digest)[logit]
        firing.append(
            FiringOutput(
                model=index.names[digest],
                logit=logit,
                label=None if label is None else shown(label, 120),
                value=float(values[column]),
                share=float(values[column]) / highest,
                open=output_href(index.names[digest], logit),
            )
        )
    address = SearchAddress(probe=number)
    likeness = reader.probe_embeddings @ reader.probe_embeddings[number]
    likeness[number] = -np.inf
    return ProbePage(
        number=number,
        image=probe_image(number, _EDGE, reader.probe_digest) if reader.has_pictures else None,
        source=shown(probe.source.replace("\\", "/").rpartition("/")[2] or probe.source),
        captions=tuple(shown(caption) for caption in probe.captions),
        firing=tuple(firing),
        outputs=len(values),
        search=address.href() if reader.has_pictures else None,
        json=address.api_href(),
        previous=probe_href(number - 1) if number else None,
        next=probe_href(number + 1) if number + 1 < reader.probe_count else None,
        near=tuple(probe_tile(reader, int(other)) for other in top_k(likeness[None], 8)[0]),
    )
