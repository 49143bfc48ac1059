"""An evaluation of search comes in; its results, with the method, go out as JSON."""

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
    """The data and settings of an evaluation of search.

    `truth` is the sha256 of the truth file, or "labels". `left_out` counts queries of the truth
    without a right logit in these models. `query_table` has the logits that served as queries, if
    they are of other models.
    """

    table: LogitTable
    encoder: EncoderInfo | None
    truth: str
    left_out: int
    k: int
    seed: int
    behaviour_only: bool = False
    query_table: LogitTable | None = None

    def as_json(self) -> JsonObject:
        """The data, models and settings that the numbers depend on; no paths."""
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
            "asking_digest": None if self.query_table is None else self.query_table.digest,
            "k": self.k,
            "behaviour_only": self.behaviour_only,
            "seed": self.seed,
            "interval": {"kind": "percentile bootstrap", "level": LEVEL, "resamples": RESAMPLES},
            "versions": versions(),
        }


def retrieval_results(evaluation: RetrievalEvaluation, method: RetrievalMethod) -> JsonObject:
    """The results as JSON; top1, top5 and ci95 (of top1) are the default rule's over all queries.

    The same models, probes, encoder and seed give the same object: no times, no paths.
    """
    main = evaluation.row(DEFAULT_RULE, evaluation.main_kind)
    return {
        "queries": main.queries,
        "top1": rounded(main.top1.value),
        "top5": rounded(main.top5.value),
        "ci95": interval(main.top1),
        "method": method.as_json(),
        "rows": [_row(row) for row in evaluation.rows],
    }


def retrieval_details(evaluation: RetrievalEvaluation, table: LogitTable) -> list[JsonValue]:
    """One record a query: the rank of its best right logit by each rule, and the default rule's
    first five hits. The rank is None if a rule scores no right logit."""
    records: list[JsonValue] = []
    for position, queries in enumerate(evaluation.queries):
        ranks = {rule: kinds[position] for rule, kinds in evaluation.rankings.items()}
        main = ranks[DEFAULT_RULE]
        for number, name in enumerate(queries.names):
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
                    "kind": queries.kind,
                    "query": name,
                    "answers": len(queries.correct[number]),
                    "ranks": by_rule,
                    "hits": hits,
                }
            )
    return records


def interval(estimate: Estimate) -> list[JsonValue]:
    """[low, high], rounded."""
    return [rounded(estimate.low), rounded(estimate.high)]


def _row(row: RetrievalScores) -> JsonObject:
    measured = {
        "top1": row.top1,
        "top5": row.top5,
        "precision5": row.precision5,
        "mrr": row.mrr,
        "model_recall": row.model_recall,
    }
    values: JsonObject = {name: rounded(estimate.value) for name, estimate in measured.items()}
    return {
        "rule": row.rule,
        "kind": row.kind,
        "queries": row.queries,
        **values,
        "ci95": {name: interval(estimate) for name, estimate in measured.items()},
        "difference_to_paper": {
            "top1": rounded(row.to_paper.value),
            "ci95": interval(row.to_paper),
        },
    }


def _hit(table: LogitTable, column: int, right: bool) -> JsonObject:
    model, logit = table.name(column)
    return {"model": model, "logit": logit, "label": table.labels[column], "right": right}


def rounded(value: float) -> float:
    """The value with the number of digits in results files."""
    return round(float(value), _DIGITS)
