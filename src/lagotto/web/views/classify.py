"""Predictions come in; what the page of a classification shows of them goes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lagotto.core.text.clean import shown
from lagotto.core.types import Skipped
from lagotto.web.from_json import read_predictions
from lagotto.web.problems import without_paths
from lagotto.web.views.addresses import SearchAddress, model_href, upload_image
from lagotto.zeroshot.types import Prediction, Suggestion

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
    captions_weight: float = 0.0
    declined: str = ""
    none: float = 0.0
    none_remark: str = ""
    suggestions: tuple[Suggestion, ...] = ()
    search: str = ""


@dataclass(frozen=True, slots=True)
class ClassifyPage:
    """All pictures, and what is worth knowing of the answer."""

    pictures: tuple[ClassifiedPicture, ...]
    notes: tuple[str, ...]


def classify_page(answer: Mapping[str, Any]) -> ClassifyPage:
    """The page of a classification, from the answer that scripts get as JSON."""
    labels = [shown(label, 60) for label in answer["labels"]]
    rows = zip(answer["images"], answer["digests"], read_predictions(answer), strict=True)
    return ClassifyPage(
        tuple(_picture(row, digest, prediction, labels) for row, digest, prediction in rows),
        tuple(dict.fromkeys(shown(without_paths(note)) for note in answer["notes"])),
    )


def _picture(
    row: Mapping[str, Any], digest: str, prediction: Prediction | Skipped, labels: Sequence[str]
) -> ClassifiedPicture:
    image = upload_image(digest, _EDGE)
    if isinstance(prediction, Skipped):
        return ClassifiedPicture(image, shown(without_paths(prediction.reason)))
    together, alone = row["probabilities"], row["image_only"]["probabilities"]
    order = sorted(range(len(labels)), key=lambda place: -max(together[place], alone[place]))
    order = sorted(order[:_BARS], key=lambda place: (-together[place], place))

    def bars(probabilities: Sequence[float]) -> tuple[VoiceBar, ...]:
        return tuple(VoiceBar(labels[place], probabilities[place]) for place in order)

    charts = [
        VoiceChart("Together", None, None, bars(together)),
        VoiceChart("Image alone", None, row["weights"]["image"], bars(alone)),
    ]
    for vote in row.get("voices", ()):
        remark = f"It {vote['why']}. Leaves {vote['rest']:.2f} for labels that it does not know."
        open_model = model_href(vote["model"])
        chart = VoiceChart(
            vote["model"], open_model, vote["weight"], bars(vote["probabilities"]), shown(remark)
        )
        charts.append(chart)
    return ClassifiedPicture(
        image=image,
        refused="",
        label=shown(row["label"], 80),
        probability=prediction.none if prediction.rejected else max(together),
        charts=tuple(charts),
        captions=tuple((each["similarity"], shown(each["text"], 200)) for each in row["captions"]),
        captions_weight=row["weights"]["captions"],
        declined=prediction.declined,
        none=prediction.none,
        none_remark=shown(prediction.none_remark[:1].upper() + prediction.none_remark[1:]),
        suggestions=prediction.suggestions,
        search=SearchAddress(pictures=(digest,)).href(),
    )
