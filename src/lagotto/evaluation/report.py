"""An evaluation comes in; its results file goes out, with CLIP_benchmark's keys and the method."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from platform import python_version

from lagotto.core.errors import UsageError
from lagotto.core.files import write_atomically
from lagotto.core.types import EncoderInfo, JsonObject, JsonValue
from lagotto.evaluation.classification.classification import Evaluation, Scores
from lagotto.evaluation.classification.voices import VoicesEvaluation
from lagotto.evaluation.intervals import LEVEL, RESAMPLES, Estimate
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.prompts.labels import Label

TASK = "zeroshot_classification"
_PACKAGES = ("lagotto", "numpy", "onnxruntime", "pillow", "tokenizers")
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Method:
    """The encoder, the templates and the caption store of an evaluation."""

    encoder: EncoderInfo
    templates: tuple[str, ...]
    store: CaptionStore | None = None


def results(evaluation: Evaluation, method: Method) -> JsonObject:
    """The results as JSON.

    CLIP_benchmark's keys describe the first requested setting. `method` says how the results were
    made, `rows` has every setting, image-only first, and `per_class` every label. The same data,
    encoder, store and seed give the same object: it contains no times and no paths.
    """
    main, encoder = evaluation.main, method.encoder
    store: JsonValue = None
    if method.store is not None:
        store = {
            "digest": method.store.digest,
            "pictures": method.store.pictures,
            "captions": method.store.captions,
        }
    return {
        "dataset": evaluation.data.name,
        "model": encoder.name,
        "pretrained": encoder.fingerprint,
        "task": TASK,
        "metrics": _metrics(main),
        "language": "en",
        "method": {
            **{key: value for key, value in _row(main).items() if key != "metrics"},
            "templates": list(method.templates),
            "seed": evaluation.seed,
            "samples": len(evaluation.data),
            "unreadable": evaluation.unreadable,
            "unreadable_count_as": "wrong",
            "interval": {"kind": "percentile bootstrap", "level": LEVEL, "resamples": RESAMPLES},
            "store": store,
            "data_digest": evaluation.data_digest,
            "versions": versions(),
        },
        "rows": [_row(scores) for scores in evaluation.scores],
        "per_class": _per_class(evaluation),
        "set_aside": [
            {"source": item.source, "reason": item.reason} for item in evaluation.skipped
        ],
        "source_count": evaluation.source_count.as_json(),
        "notes": list(evaluation.notes),
    }


def voices_as_json(evaluation: VoicesEvaluation, labels: Sequence[Label]) -> JsonObject:
    """The scores by voices, and the selected models with their labels and reasons, as JSON."""
    names = _distinct_names(labels)
    rows: list[JsonValue] = [
        {
            "voices": item.voices,
            "acc1": _rounded(item.acc1.value),
            "ci95": _interval(item.acc1),
            "difference_to_image_only": {
                "acc1": _rounded(item.gain.value),
                "ci95": _interval(item.gain),
            },
        }
        for item in evaluation.scores
    ]
    specialists: list[JsonValue] = [
        {
            "model": item.model,
            "why": item.why,
            "weight": _rounded(item.weight),
            "outputs": {
                names[label]: output
                for label, output in zip(item.labels, item.outputs, strict=True)
            },
        }
        for item in evaluation.specialists
    ]
    return {"rows": rows, "specialists": specialists, "notes": list(evaluation.notes)}


def _distinct_names(labels: Sequence[Label]) -> list[str]:
    """The names of the labels; a name that stands twice is followed by its place in the list."""
    counts = Counter(label.name for label in labels)
    return [
        label.name if counts[label.name] == 1 else f"{label.name} [{position}]"
        for position, label in enumerate(labels)
    ]


def check_new(path: Path) -> None:
    """Raises UsageError if a results file exists or cannot be made; called before the work."""
    if path.exists() or path.is_symlink():
        raise UsageError(
            f"results file {path} exists already and is never overwritten; "
            "give another name, or move it away"
        )
    if not path.parent.is_dir():
        raise UsageError(f"results file {path}: no folder {path.parent}; make it first")


def write_results(path: Path, content: JsonObject) -> None:
    """Writes the file atomically; UsageError if it exists by now."""
    check_new(path)
    write_atomically(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def versions() -> JsonObject:
    """The versions of the packages that a result depends on, and of Python."""
    packages: JsonObject = {name: version(name) for name in _PACKAGES}
    return packages | {"python": python_version()}


def _metrics(scores: Scores) -> JsonObject:
    return {
        "acc1": _rounded(scores.acc1.value),
        "acc5": _rounded(scores.acc5.value),
        "mean_per_class_recall": _rounded(scores.mean_per_class_recall.value),
    }


def _row(scores: Scores) -> JsonObject:
    return {
        "mode": scores.setting.mode,
        "k": scores.setting.k,
        "metrics": _metrics(scores),
        "ci95": {
            "acc1": _interval(scores.acc1),
            "acc5": _interval(scores.acc5),
            "mean_per_class_recall": _interval(scores.mean_per_class_recall),
        },
        "difference_to_image_only": {
            "acc1": _rounded(scores.gain.value),
            "ci95": _interval(scores.gain),
        },
        "declined": scores.declined,
    }


def _per_class(evaluation: Evaluation) -> list[JsonValue]:
    """Each label with its pictures and its recall, in the first setting and by image-only."""
    main, image_only = evaluation.main.recalls, evaluation.image_only.recalls
    rows: list[JsonValue] = []
    for number, label in enumerate(evaluation.data.labels):
        known = number < len(main) and not math.isnan(main[number])
        rows.append(
            {
                "label": label.name,
                "samples": evaluation.data.counts[number],
                "recall": _rounded(main[number]) if known else None,
                "image_only": _rounded(image_only[number]) if known else None,
            }
        )
    return rows


def _interval(estimate: Estimate) -> list[JsonValue]:
    return [_rounded(estimate.low), _rounded(estimate.high)]


def _rounded(value: float) -> float:
    return round(float(value), _DIGITS)
