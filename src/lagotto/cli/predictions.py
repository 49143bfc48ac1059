"""Predictions come in; one JSON object, lines of CSV or tables go to stdout, and pages to files."""

import csv
import io
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from lagotto.cli.output import (
    print_json,
    print_line,
    print_table,
    printable,
    spreadsheet_safe,
)

if TYPE_CHECKING:
    import numpy as np

    from lagotto.core.sources.count import SourceCount
    from lagotto.core.types import JsonObject, JsonValue, Skipped
    from lagotto.specialists.classifier import Classifier
    from lagotto.specialists.fusion import Specialist
    from lagotto.zeroshot.images import PictureFiles
    from lagotto.zeroshot.types import ModelVote, Prediction, Suggestion

_TABLE_ROWS = 64
"""Rows in one aligned table; further rows are printed in further tables."""

_COLUMNS = ("path", "label", "probability", "image_only", "image", "captions")


class Rows:
    """The classifier's rows, once; counts unreadable pictures and writes HTML pages.

    Pictures that are not read at all come last, with the reason.
    """

    def __init__(
        self, classifier: "Classifier", pictures: "PictureFiles", explain: Path | None
    ) -> None:
        self._classifier = classifier
        self._pictures = pictures
        self._explain = explain
        self._unreadable = 0

    @property
    def count(self) -> "SourceCount":
        """What became of each file so far."""
        return self._pictures.count(self._unreadable)

    def __iter__(self) -> "Iterator[Prediction | Skipped]":
        from lagotto.core.types import Skipped
        from lagotto.zeroshot.html_report import ExplainPages

        names = [label.name for label in self._classifier.labels]
        with ExitStack() as stack:
            pages = None
            if self._explain is not None:
                pages = stack.enter_context(ExplainPages(self._explain, names))
            rows = chain(self._classifier.predict(self._pictures.files), self._pictures.skipped)
            for number, row in enumerate(rows):
                is_given = number < len(self._pictures.files)
                self._unreadable += isinstance(row, Skipped) and is_given
                if pages is not None:
                    pages.add(
                        row, {model.model: model.why for model in self._classifier.specialists}
                    )
                yield row


def print_rows_json(classifier: "Classifier", rows: Rows, started: float) -> None:
    """Prints one JSON object with all rows; `specialists` only with a hub."""
    images = [_as_json(classifier, row) for row in rows]
    specialists: JsonObject = {}
    if "hub" in classifier.voices:
        specialists["specialists"] = [
            _specialist_as_json(classifier, specialist) for specialist in classifier.specialists
        ]
    print_json(
        {
            "labels": [label.name for label in classifier.labels],
            "encoder": classifier.encoder.info.name,
            "mode": classifier.mode,
            "images": list(images),
            "source_count": rows.count.as_json(),
            **specialists,
            "elapsed_s": round(time.perf_counter() - started, 6),
        }
    )


def _as_json(classifier: "Classifier", row: "Prediction | Skipped") -> "JsonObject":
    from lagotto.core.types import Skipped

    if isinstance(row, Skipped):
        return {"path": row.source, "error": row.reason}
    weights: JsonObject = {
        "image": round(row.weights[0], 6),
        "captions": round(row.weights[1], 6),
    }
    voices: JsonObject = {}
    if "hub" in classifier.voices:
        weights["hub"] = round(row.hub_weight, 6)
        voices["voices"] = [_vote(classifier, vote) for vote in row.votes]
    answer: JsonObject = {
        "path": row.path,
        "label": _label(classifier, row),
        "probabilities": [round(float(p), 6) for p in row.probabilities],
        "image_only": {
            "label": _best(classifier, row.image_only),
            "probabilities": [round(float(p), 6) for p in row.image_only],
        },
        "weights": weights,
        "captions": [
            {"text": each.text, "similarity": round(each.similarity, 6)} for each in row.captions
        ],
        **voices,
        "none": round(row.none, 6),
        "suggestions": [_suggestion(each) for each in row.suggestions],
    }
    return answer | ({"declined": row.declined} if row.declined else {})


def _suggestion(suggestion: "Suggestion") -> "JsonObject":
    return {
        "name": suggestion.name,
        "probability": round(suggestion.probability, 6),
        "captions": suggestion.captions,
        "model": suggestion.model or None,
    }


def _vote(classifier: "Classifier", vote: "ModelVote") -> "JsonObject":
    reasons = {specialist.model: specialist.why for specialist in classifier.specialists}
    return {
        "model": vote.model,
        "why": reasons[vote.model],
        "weight": round(vote.weight, 6),
        "probabilities": [round(float(p), 6) for p in vote.probabilities],
        "rest": round(vote.rest, 6),
    }


def _specialist_as_json(classifier: "Classifier", specialist: "Specialist") -> "JsonObject":
    """A model that voted: its facts, and one row for each label that it knows."""
    columns = zip(
        specialist.labels,
        specialist.outputs,
        specialist.published,
        specialist.agreement,
        specialist.probe_correlation,
        strict=True,
    )
    knows: list[JsonValue] = [
        {
            "label": classifier.labels[label].name,
            "output": output,
            "published": published,
            "agreement": round(agreement, 6),
            "on_probes": round(on_probes, 6),
        }
        for label, output, published, agreement, on_probes in columns
    ]
    return {
        "model": specialist.model,
        "why": specialist.why,
        "weight": round(specialist.weight, 6),
        "explains": round(specialist.explained_information, 6),
        "named": specialist.named_count,
        "names_agree": _number_or_none(specialist.name_agreement),
        "knows": knows,
    }


def _number_or_none(value: float) -> float | None:
    """The value rounded; None for nan."""
    return None if math.isnan(value) else round(value, 6)


def print_rows_tables(classifier: "Classifier", rows: Rows) -> None:
    """Prints aligned tables of _TABLE_ROWS rows while the predictions arrive."""
    pending: list[list[str]] = []
    for row in rows:
        pending.append(_cells(classifier, row))
        if len(pending) == _TABLE_ROWS:
            _print_table(classifier, pending)
            pending = []
    if pending:
        _print_table(classifier, pending)


def print_rows_csv(classifier: "Classifier", rows: Rows) -> None:
    """Prints one line a picture, after the names of the columns."""
    print_line(",".join(_columns(classifier)))
    for row in rows:
        line = io.StringIO()
        cells = [spreadsheet_safe(printable(cell)) for cell in _cells(classifier, row)]
        csv.writer(line, lineterminator="").writerow(cells)
        print_line(line.getvalue())


def _print_table(classifier: "Classifier", cells: list[list[str]]) -> None:
    numeric = frozenset(["probability", "image", "captions", "hub"])
    print_table(_columns(classifier), cells, numeric)


def _columns(classifier: "Classifier") -> list[str]:
    hub = ["hub", "models"] if "hub" in classifier.voices else []
    return [*_COLUMNS, *hub, "remark"]


def _cells(classifier: "Classifier", row: "Prediction | Skipped") -> list[str]:
    from lagotto.core.types import Skipped

    if isinstance(row, Skipped):
        return [row.source, *[""] * (len(_columns(classifier)) - 2), row.reason]
    best = int(row.probabilities.argmax())
    hub = []
    if "hub" in classifier.voices:
        opinions = [f"{vote.model}: {_opinion(classifier, vote)}" for vote in row.votes]
        hub = [f"{row.hub_weight:.2f}", "; ".join(opinions)]
    return [
        row.path,
        _label(classifier, row),
        f"{row.none if row.rejected else row.probabilities[best]:.3f}",
        _best(classifier, row.image_only),
        f"{row.weights[0]:.2f}",
        f"{row.weights[1]:.2f}",
        *hub,
        row.remark,
    ]


def _opinion(classifier: "Classifier", vote: "ModelVote") -> str:
    """The label that a model votes for, or that none of its labels fits."""
    if vote.rest > float(vote.probabilities.max()):
        return f"none of its labels {vote.rest:.2f}"
    return f"{_best(classifier, vote.probabilities)} {float(vote.probabilities.max()):.2f}"


def _label(classifier: "Classifier", row: "Prediction") -> str:
    """The label of the highest probability, or that none fits."""
    from lagotto.zeroshot.types import NONE_OF_THESE

    return NONE_OF_THESE if row.rejected else _best(classifier, row.probabilities)


def _best(classifier: "Classifier", probabilities: "np.ndarray") -> str:
    return classifier.labels[int(probabilities.argmax())].name
