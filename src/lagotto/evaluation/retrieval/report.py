"""Layer 3: an evaluation of search → its results as JSON, and how they were made."""

from dataclasses import dataclass

from lagotto.core.types import EncoderInfo, JsonObject, JsonValue
from lagotto.evaluation.intervals import LEVEL, RESAMPLES, Estimate
from lagotto.evaluation.report import versions
from lagotto.evaluation.retrieval.logit_table import LogitTable
from lagotto.evaluation.retrieval.rules import DEFAULT_RULE
from lagotto.evaluation.retrieval.scores import RetrievalEvaluation, RetrievalScores

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class RetrievalMethod:
    """What an evaluation of search was made with; `truth` is the sha256 of its file, or "labels".

    `left_out` counts queries of the truth that name no logit of these models. `asking` are the
    models whose logits asked, where they are not these.
    """

    table: LogitTable
    encoder: EncoderInfo | None
    truth: str
    left_out: int
    k: int
    seed: int
    behaviour_only: bool = False
    asking: LogitTable | None = None

    def as_json(self) -> JsonObject:
        """Of data, models and settings what is needed to make the same numbers: no paths."""
        encoder: JsonValue = None
        if self.encoder is not None:
            encoder = {"name": self.encoder.name, "fingerprint": self.encoder.fingerprint}
        return {
            "encoder": encoder,
            "models": len(self.table.models),
            "logits": len(self.table.labels),
            "set_aside_logits": int((~self.table.usable).sum()),
            "probes": len(self.table.embeddings),
            "data_digest": self.table.digest,
            "truth": self.truth,
            "left_out": self.left_out,
            "asking_digest": None if self.asking is None else self.asking.digest,
            "k": self.k,
            "behaviour_only": self.behaviour_only,
            "seed": self.seed,
            "interval": {"kind": "percentile bootstrap", "level": LEVEL, "resamples": RESAMPLES},
            "versions": versions(),
        }


def retrieval_results(found: RetrievalEvaluation, method: RetrievalMethod) -> JsonObject:
    """The results as JSON: top1, top5 and ci95 (of top1) are the default rule's over all queries.

    The same models, probes, encoder and seed give the same object: no clock, no paths.
    """
    main = found.row(DEFAULT_RULE, found.whole)
    return {
        "queries": main.queries,
        "top1": rounded(main.top1.value),
        "top5": rounded(main.top5.value),
        "ci95": interval(main.top1),
        "method": method.as_json(),
        "rows": [_row(row) for row in found.rows],
    }


def retrieval_details(found: RetrievalEvaluation, table: LogitTable) -> list[JsonValue]:
    """One record a query: the rank of its best right logit by each rule (None where a rule reaches
    none), and the default rule's first five."""
    records: list[JsonValue] = []
    for place, asked in enumerate(found.questions):
        ranks = {rule: kinds[place] for rule, kinds in found.rankings.items()}
        main = ranks[DEFAULT_RULE]
        for number, name in enumerate(asked.names):
            by_rule: JsonObject = {
                rule: int(ranking.first[number]) or None
                for rule, ranking in ranks.items()
                if ranking is not None
            }
            hits: list[JsonValue] = []
            if main is not None:
                for column, right in zip(main.hits[number], main.right[number], strict=True):
                    if column >= 0:
                        hits.append(_hit(table, int(column), bool(right)))
            records.append(
                {
                    "kind": asked.kind,
                    "query": name,
                    "answers": len(asked.correct[number]),
                    "ranks": by_rule,
                    "hits": hits,
                }
            )
    return records


def interval(estimate: Estimate) -> list[JsonValue]:
    """[low, high], rounded as results are."""
    return [rounded(estimate.low), rounded(estimate.high)]


def _row(row: RetrievalScores) -> JsonObject:
    measured = {
        "top1": row.top1,
        "top5": row.top5,
        "precision5": row.precision5,
        "mrr": row.mrr,
        "model_recall": row.model_recall,
    }
    values: JsonObject = {name: rounded(each.value) for name, each in measured.items()}
    return {
        "rule": row.rule,
        "kind": row.kind,
        "queries": row.queries,
        **values,
        "ci95": {name: interval(each) for name, each in measured.items()},
        "difference_to_paper": {
            "top1": rounded(row.to_paper.value),
            "ci95": interval(row.to_paper),
        },
    }


def _hit(table: LogitTable, column: int, right: bool) -> JsonObject:
    model, logit = table.name(column)
    return {"model": model, "logit": logit, "label": table.labels[column], "right": right}


def rounded(value: float) -> float:
    """As many digits as results have."""
    return round(float(value), _DIGITS)
