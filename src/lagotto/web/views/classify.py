"""Predictions come in; what the page of a classification shows of them goes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from lagotto.core.text.clean import shown
from lagotto.core.types import Skipped
from lagotto.specialists.fusion import Specialist
from lagotto.web.problems import without_paths
from lagotto.web.views.addresses import SearchAddress, model_href, upload_image
from lagotto.zeroshot.types import Prediction

_BARS = 8
_EDGE = 480


@dataclass(frozen=True, slots=True)
class VoiceBar:
    """A label and its probability by one voice."""

    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class VoiceChart:
    """One voice: its name, its weight, its probabilities in the order of all charts, remarks."""

    name: str
    open: str | None
    weight: float | None
    bars: tuple[VoiceBar, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class ClassifiedPicture:
    """One picture as the page shows it; `refused` says why there is no prediction."""

    image: str
    refused: str
    label: str = ""
    probability: float = 0.0
    charts: tuple[VoiceChart, ...] = ()
    captions: tuple[tuple[float, str], ...] = ()
    declined: str = ""
    search: str = ""


@dataclass(frozen=True, slots=True)
class ClassifyPage:
    """All pictures, the models that were asked, and what is worth knowing."""

    pictures: tuple[ClassifiedPicture, ...]
    voices: tuple[str, ...]
    specialists: tuple[tuple[str, str, str, float], ...]
    notes: tuple[str, ...]


def classify_page(
    rows: Sequence[Prediction | Skipped],
    digests: Sequence[str],
    specialists: Sequence[Specialist],
    voices: Sequence[str],
    notes: Sequence[str],
) -> ClassifyPage:
    """The page of a classification.

    Args:
        rows: One row a picture.
        digests: The pictures, by the digests of their uploads.
        specialists: The models that voted, with the reasons.
        voices: Who voted.
        notes: Facts worth showing.
    """
    why = {model.model: model.why for model in specialists}
    return ClassifyPage(
        tuple(_picture(row, digest, why) for row, digest in zip(rows, digests, strict=True)),
        tuple(voices),
        tuple(
            (model.model, model_href(model.model), shown(model.why), model.weight)
            for model in specialists
        ),
        tuple(dict.fromkeys(shown(without_paths(note)) for note in notes)),
    )


def _picture(row: Prediction | Skipped, digest: str, why: Mapping[str, str]) -> ClassifiedPicture:
    image = upload_image(digest, _EDGE)
    if isinstance(row, Skipped):
        return ClassifiedPicture(image, shown(without_paths(row.reason)))
    order = np.argsort(-np.maximum(row.probabilities, row.image_only), kind="stable")
    first = order[:_BARS].tolist()

    def bars(probabilities: Float64[np.ndarray, " labels"]) -> tuple[VoiceBar, ...]:
        return tuple(
            VoiceBar(shown(row.labels[place], 60), float(probabilities[place])) for place in first
        )

    charts = [
        VoiceChart("Together", None, None, bars(row.probabilities)),
        VoiceChart("Image alone", None, row.weights[0], bars(row.image_only)),
    ]
    for vote in row.votes:
        remark = f"Leaves {vote.rest:.2f} for labels that it does not know."
        if vote.model in why:
            remark = f"It {why[vote.model]}. {remark}"
        charts.append(
            VoiceChart(
                vote.model, model_href(vote.model), vote.weight, bars(vote.probabilities), remark
            )
        )
    return ClassifiedPicture(
        image=image,
        refused="",
        label=shown(row.label, 80),
        probability=float(row.probabilities.max()),
        charts=tuple(charts),
        captions=tuple((each.similarity, shown(each.text, 200)) for each in row.captions),
        declined=row.declined,
        search=SearchAddress(pictures=(digest,)).href(),
    )
