"""JSON answers of a server come in; the results that the library itself returns go out."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from lagotto.core.errors import SourceError
from lagotto.core.results.through import Through
from lagotto.core.types import Hit, Hits, Query, Skipped
from lagotto.hub.labels.audit import LabelFinding, ModelAudit
from lagotto.hub.labels.concepts import ConceptGroup, ConceptOutput
from lagotto.hub.labels.coverage import CoveredLabel, ModelCoverage
from lagotto.hub.labels.describe import ModelDescription, NamedLogit, Proposal
from lagotto.hub.labels.duplicates import DuplicateReport, ModelPair
from lagotto.zeroshot.types import (
    NONE_OF_THESE,
    ModelVote,
    Prediction,
    RetrievedCaption,
    Suggestion,
)

Answer = Mapping[str, Any]
_Result = TypeVar("_Result")


def read_answer(read: Callable[[Answer], _Result], answer: Answer) -> _Result:
    """What a reader below makes of an answer; SourceError if the answer has another form."""
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(
            f"the server's answer is not of the form that this version reads ({error!r}); "
            "use the same version of lagotto on both sides"
        ) from error


def read_hits(answer: Answer) -> Hits:
    """The answer to a search."""
    value = answer["query"]["value"]
    said = tuple(value) if isinstance(value, list) else str(value)
    return Hits(
        query=Query(answer["query"]["kind"], said),
        k=answer["k"],
        hits=tuple(Hit(**{**hit, "through": _through(hit["through"])}) for hit in answer["hits"]),
        deciding_probes=tuple(answer["deciding_probes"]),
        notes=tuple(answer["notes"]),
        presence=answer["presence"],
        coverage=answer["coverage"],
        low_rank=answer["low_rank"],
        hub=answer["hub"],
        elapsed_s=answer["elapsed_s"],
    )


def read_description(answer: Answer) -> ModelDescription:
    """The proposed names of a model's outputs."""
    logits = tuple(
        NamedLogit(
            logit["logit"],
            logit["label"],
            tuple(
                Proposal(item["name"], item["fit"], item["confidence"], _through(item["through"]))
                for item in logit["proposals"]
            ),
            tuple(probe["index"] for probe in logit["probes"]),
        )
        for logit in answer["logits"]
    )
    return ModelDescription(answer["model"], answer["vocabulary"]["names"], logits)


def read_audits(answer: Answer) -> tuple[ModelAudit, ...]:
    """The verdicts on the labels of models."""
    return tuple(
        ModelAudit(
            **{
                **model,
                "proposed": None if model["proposed"] is None else tuple(model["proposed"]),
                "findings": tuple(LabelFinding(**finding) for finding in model["findings"]),
            }
        )
        for model in answer["models"]
    )


def read_coverage(answer: Answer) -> tuple[ModelCoverage, ...]:
    """The models that cover a set of labels."""
    return tuple(
        ModelCoverage(
            rank=model["rank"],
            model=model["model"],
            label_coverage=model["coverage"],
            mean_fit=model["mean_fit"],
            mean_margin=model["mean_lead"],
            weakest=model["weakest"],
            spare=model["spare"],
            labels=tuple(CoveredLabel(**pair) for pair in model["labels"]),
        )
        for model in answer["models"]
    )


def read_duplicates(answer: Answer) -> DuplicateReport:
    """Models that are nearly the same, or related."""
    return DuplicateReport(
        duplicate_groups=tuple(tuple(group) for group in answer["twins"]),
        related_groups=tuple(tuple(group) for group in answer["families"]),
        pairs=tuple(ModelPair(**pair) for pair in answer["pairs"]),
        copies=tuple((name, original) for name, original in answer["copies"]),
        concepts=tuple(
            ConceptGroup(
                group["name"], tuple(ConceptOutput(**output) for output in group["outputs"])
            )
            for group in answer["concepts"]
        ),
    )


def read_predictions(answer: Answer) -> tuple[Prediction | Skipped, ...]:
    """The rows of a classification; a caption's row in its store (`index`) is not said: -1."""
    labels = tuple(answer["labels"])
    return tuple(_prediction(row, labels) for row in answer["images"])


def _prediction(row: Answer, labels: tuple[str, ...]) -> Prediction | Skipped:
    if "error" in row:
        return Skipped(row["path"], row["error"])
    weights = row["weights"]
    return Prediction(
        path=row["path"],
        probabilities=np.array(row["probabilities"], dtype=np.float64),
        image_only=np.array(row["image_only"]["probabilities"], dtype=np.float64),
        weights=(weights["image"], weights["captions"]),
        captions=tuple(
            RetrievedCaption(-1, item["text"], item["similarity"]) for item in row["captions"]
        ),
        declined=row.get("declined", ""),
        hub_weight=weights.get("hub", 0.0),
        votes=tuple(
            ModelVote(
                vote["model"],
                np.array(vote["probabilities"], dtype=np.float64),
                vote["rest"],
                vote["weight"],
            )
            for vote in row.get("voices", ())
        ),
        labels=labels,
        none=row["none"],
        suggestions=tuple(
            Suggestion(item["name"], item["probability"], item["captions"], item["model"] or "")
            for item in row["suggestions"]
        ),
        rejected=row["label"] == NONE_OF_THESE and NONE_OF_THESE not in labels,
    )


def _through(value: Answer | None) -> Through | None:
    return None if value is None else Through(**value)
