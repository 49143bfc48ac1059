"""How predictions are printed: one JSON object, lines of CSV, tables; and written as pages."""

import csv
import io
import time
from collections.abc import Iterator
from contextlib import ExitStack
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

    from lagotto.core.types import JsonObject, JsonValue, SetAside
    from lagotto.specialists.classifier import Classifier
    from lagotto.specialists.fusion import Specialist
    from lagotto.zeroshot.types import ModelVote, Prediction

_TABLE_ROWS = 64
"""Rows that are aligned together; more are printed in further tables, as they come."""

_COLUMNS = ("path", "label", "probability", "image_only", "image", "captions")


class Rows:
    """The classifier's rows, once; counts the unreadable and writes the pages as they pass."""

    def __init__(self, classifier: "Classifier", files: list[Path], explain: Path | None) -> None:
        self._classifier = classifier
        self._files = files
        self._explain = explain
        self.unreadable = 0

    def __iter__(self) -> "Iterator[Prediction | SetAside]":
        from lagotto.core.types import SetAside
        from lagotto.zeroshot.html_report import ExplainPages

        names = [label.name for label in self._classifier.labels]
        with ExitStack() as stack:
            pages = None
            if self._explain is not None:
                pages = stack.enter_context(ExplainPages(self._explain, names))
            for row in self._classifier.predict(self._files):
                self.unreadable += isinstance(row, SetAside)
                if pages is not None:
                    pages.add(row, {each.model: each.why for each in self._classifier.specialists})
                yield row


def print_rows_json(classifier: "Classifier", rows: Rows, started: float) -> None:
    """Everything in one object; `specialists` only where a hub was asked."""
    images = [_as_json(classifier, row) for row in rows]
    asked: JsonObject = {}
    if "hub" in classifier.voices:
        asked["specialists"] = [_asked(classifier, each) for each in classifier.specialists]
    print_json(
        {
            "labels": [label.name for label in classifier.labels],
            "encoder": classifier.encoder.info.name,
            "mode": classifier.mode,
            "images": list(images),
            **asked,
            "elapsed_s": round(time.perf_counter() - started, 6),
        }
    )


def _as_json(classifier: "Classifier", row: "Prediction | SetAside") -> "JsonObject":
    from lagotto.core.types import SetAside

    if isinstance(row, SetAside):
        return {"path": row.source, "error": row.reason}
    weights: JsonObject = {
        "image": round(row.weights[0], 6),
        "captions": round(row.weights[1], 6),
    }
    heard: JsonObject = {}
    if "hub" in classifier.voices:
        weights["hub"] = round(row.hub_weight, 6)
        heard["voices"] = [_vote(classifier, vote) for vote in row.votes]
    answer: JsonObject = {
        "path": row.path,
        "label": _best(classifier, row.probabilities),
        "probabilities": [round(float(p), 6) for p in row.probabilities],
        "image_only": {
            "label": _best(classifier, row.image_only),
            "probabilities": [round(float(p), 6) for p in row.image_only],
        },
        "weights": weights,
        "captions": [
            {"text": each.text, "similarity": round(each.similarity, 6)} for each in row.captions
        ],
        **heard,
    }
    return answer | ({"declined": row.declined} if row.declined else {})


def _vote(classifier: "Classifier", vote: "ModelVote") -> "JsonObject":
    why = {each.model: each.why for each in classifier.specialists}
    return {
        "model": vote.model,
        "why": why[vote.model],
        "weight": round(vote.weight, 6),
        "probabilities": [round(float(p), 6) for p in vote.probabilities],
        "rest": round(vote.rest, 6),
    }


def _asked(classifier: "Classifier", each: "Specialist") -> "JsonObject":
    """A model that was asked: its facts, and one row for each label that it knows."""
    columns = zip(
        each.labels,
        each.outputs,
        each.published,
        each.agreement,
        each.probe_correlation,
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
        "model": each.model,
        "why": each.why,
        "weight": round(each.weight, 6),
        "explains": round(each.explained_information, 6),
        "named": each.named_count,
        "names_agree": round(each.name_agreement, 6)
        if each.name_agreement == each.name_agreement
        else None,
        "knows": knows,
    }


def print_rows_tables(classifier: "Classifier", rows: Rows) -> None:
    """Aligned tables of _TABLE_ROWS rows, as they come."""
    waiting: list[list[str]] = []
    for row in rows:
        waiting.append(_cells(classifier, row))
        if len(waiting) == _TABLE_ROWS:
            _print_table(classifier, waiting)
            waiting = []
    if waiting:
        _print_table(classifier, waiting)


def print_rows_csv(classifier: "Classifier", rows: Rows) -> None:
    """A line a picture, after the names of the columns."""
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


def _cells(classifier: "Classifier", row: "Prediction | SetAside") -> list[str]:
    from lagotto.core.types import SetAside

    if isinstance(row, SetAside):
        return [row.source, *[""] * (len(_columns(classifier)) - 2), row.reason]
    best = int(row.probabilities.argmax())
    hub = []
    if "hub" in classifier.voices:
        said = [f"{vote.model}: {_said(classifier, vote)}" for vote in row.votes]
        hub = [f"{row.hub_weight:.2f}", "; ".join(said)]
    return [
        row.path,
        _best(classifier, row.probabilities),
        f"{row.probabilities[best]:.3f}",
        _best(classifier, row.image_only),
        f"{row.weights[0]:.2f}",
        f"{row.weights[1]:.2f}",
        *hub,
        row.declined,
    ]


def _said(classifier: "Classifier", vote: "ModelVote") -> str:
    """The label that a model would give, or that it knows none that fits."""
    if vote.rest > float(vote.probabilities.max()):
        return f"none of its labels {vote.rest:.2f}"
    return f"{_best(classifier, vote.probabilities)} {float(vote.probabilities.max()):.2f}"


def _best(classifier: "Classifier", probabilities: "np.ndarray") -> str:
    return classifier.labels[int(probabilities.argmax())].name
