"""A model of a hub and a picture come in; its logits on the picture, highest first, go out."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from lagotto.core.errors import ModelError
from lagotto.core.text.clean import shown
from lagotto.hub.hub import Hub
from lagotto.jobs.worker_limits import Limits
from lagotto.specialists.model_runs import ModelRuns, find_runnable
from lagotto.specialists.pictures.pixel_batches import PixelStage
from lagotto.web.problems import without_paths
from lagotto.web.views.addresses import SearchAddress, output_href, upload_image

_SHOWN = 12
_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class PictureLogit:
    """An output's logit on a picture, and its share by a softmax over all outputs."""

    logit: int
    label: str | None
    value: float
    share: float
    open: str


@dataclass(frozen=True, slots=True)
class PictureLogits:
    """The highest logits of a model on a picture; `refused` says why there are none."""

    image: str
    search: str
    refused: str
    logits: tuple[PictureLogit, ...]


def picture_logits(hub: Hub, model: str, digest: str, read: Callable[[], bytes]) -> PictureLogits:
    """Runs a model on one picture in the workers that also probe models.

    Args:
        hub: The hub.
        model: A name in the hub.
        digest: The picture, by the digest of its upload.
        read: Gives its plain pixels as a file.
    """
    image, search = upload_image(digest, 480), SearchAddress(pictures=(digest,)).href()
    record = hub.read(lambda reader: next(each for each in reader.records() if each.name == model))
    try:
        runnable = find_runnable(record)
        with ModelRuns(Limits(workers=1, timeout_s=_SECONDS)) as runs:
            stage = PixelStage(runs.folder, [read], runnable.pixels)
            batch = stage.load([0], [runnable.pixels])
            if batch.unreadable:
                raise ModelError(batch.unreadable[0])
            found = runs.logits([runnable], [batch.pixels])
            if model not in found:
                raise ModelError(runs.failures.get(model, "it gave no answer"))
    except ModelError as error:
        return PictureLogits(image, search, shown(without_paths(str(error))), ())
    values = found[model][0]
    shares = np.exp(values - values.max())
    shares /= shares.sum()
    labels = hub.labels(model)
    best = np.argsort(-values, kind="stable")[:_SHOWN].tolist()
    return PictureLogits(
        image,
        search,
        "",
        tuple(
            PictureLogit(
                logit,
                None if labels[logit] is None else shown(str(labels[logit]), 80),
                float(values[logit]),
                float(shares[logit]),
                output_href(model, logit),
            )
            for logit in best
        ),
    )
