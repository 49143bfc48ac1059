"""Query vector × logit index → Hits: the logits that behave like a concept, by a named rule."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float64, Int64

from lagotto.core.errors import UsageError
from lagotto.core.registry import suggest
from lagotto.core.types import Hit, Hits
from lagotto.hub.confidence.calibrator import CONFIDENCE_POOL
from lagotto.hub.confidence.judge import Judge, Judgement
from lagotto.hub.index.logit_index import LogitIndex
from lagotto.hub.index.low_rank import LowRankIndex
from lagotto.hub.index.scoring import (
    DEFAULT_K,
    RULE_NAMES,
    RuleName,
    noise_threshold,
)
from lagotto.hub.query.boolean import SINGLE
from lagotto.hub.query.types import QueryVector
from lagotto.hub.query.vectors import surest_probes
from lagotto.hub.search.approximate import (
    approximate_by_distance,
    approximate_by_evidence,
    usable_index,
)
from lagotto.hub.search.rerank import (
    HitRequest,
    Ranked,
    rank_by_distance,
    rank_by_evidence,
)


def find_logits(
    logit_index: LogitIndex,
    vector: QueryVector,
    *,
    rule: RuleName = "default",
    top: int,
    k: int | None,
    by_model: bool,
    judge: Judge | None = None,
) -> Hits:
    """The `top` best logits, or the best logit of each of the `top` best models.

    `k` is the number of probes that decide; None: DEFAULT_K, or all probes of a smaller hub, of the
    rule "full-query", and of a known logit by the default rule. A known logit is compared by the
    paper's distance, whatever the rule: the rule only decides on how many probes. Raises UsageError
    for a k that the hub cannot have, top below 1, or a hub without searchable logits.

    Where there is a judge, it says what to believe of the hits of a single concept in words.
    """
    if top < 1:
        raise UsageError(f"top {top} was asked for; give 1 or more")
    if not logit_index.blocks:
        raise UsageError("this hub has no model yet; add some with: lagotto hub add HUB MODELS")
    probes = surest_probes(vector.values, _probes_used(vector, rule, k))
    left_out = None if vector.itself is None else logit_index.column(*vector.itself)
    asked = vector.concepts if _is_weighed(vector, rule) else ()
    index, through = usable_index(logit_index, asked, len(probes))
    ranked, kept = _ranked(
        logit_index, vector, rule, probes, HitRequest(top, left_out, by_model), index
    )
    columns, scores = ranked.columns[kept], ranked.scores[kept]
    if _is_weighed(vector, rule):
        distances = logit_index.shown_distances(columns, probes, vector.values)
        shown = shown_scores(scores, logit_index.usable)
    else:
        distances, shown = -scores, 1.0 / (1.0 - scores / math.sqrt(len(probes)))
    judgement = _judged(judge, vector, rule, len(probes), ranked, kept)
    if judgement is None:
        chance = _confidence(ranked.chance, logit_index.usable)
        confidence, quality = [chance(score) for score in scores.tolist()], [None] * len(scores)
    else:
        confidence, quality = judgement.confidence.tolist(), judgement.quality.tolist()
    owners = logit_index.owners(columns)
    hits = []
    for place, (column, owner) in enumerate(zip(columns.tolist(), owners.tolist(), strict=True)):
        digest = logit_index.digests[owner]
        logit = column - int(logit_index.firsts[owner])
        hits.append(
            Hit(
                rank=place + 1,
                model=logit_index.names[digest],
                logit=logit,
                label=logit_index.labels(digest)[logit],
                distance=float(distances[place]),
                score=float(shown[place]),
                confidence=confidence[place],
                quality=quality[place],
            )
        )
    notes = (*vector.notes, *logit_index.notes, *through)
    if judgement is not None and not (ranked.told[kept] > 0).any():
        notes = (*judgement.notes(str(vector.query.value)), *notes)
    return Hits(
        vector.query,
        len(probes),
        tuple(hits),
        tuple(probes.tolist()),
        notes,
        None if judgement is None else judgement.presence,
        None if judgement is None else judgement.coverage,
        index is not None,
    )


def is_judged(vector: QueryVector, rule: RuleName) -> bool:
    """Whether hits can be judged: those of a single concept in words, by the default rule."""
    single = len(vector.concepts) == 1 and vector.expression == SINGLE
    return rule == "default" and single and vector.query.kind == "text"


def shown_scores(scores: Float64[np.ndarray, " hits"], logits: int) -> Float64[np.ndarray, " hits"]:
    """Scores of the default rule as shown, 0 to 1: 1/2 is what the best of so many logits reaches
    by accident (rules.noise_threshold)."""
    positive = np.maximum(scores, 0.0)
    return np.asarray(positive / (positive + noise_threshold(logits)))


def checked_rule(name: str) -> RuleName:
    """A rule by its name; raises UsageError, with a suggestion, for another one."""
    for rule in RULE_NAMES:
        if rule == name:
            return rule
    raise UsageError(
        f"no rule {name!r}; choose one of {', '.join(RULE_NAMES)}.{suggest(name, RULE_NAMES)}"
    )


def _is_weighed(vector: QueryVector, rule: RuleName) -> bool:
    """Whether the evidence is weighed, rather than a distance measured."""
    return rule == "default" and bool(vector.concepts)


def _probes_used(vector: QueryVector, rule: RuleName, k: int | None) -> int:
    if rule == "full-query" or (rule == "default" and k is None and not vector.concepts):
        return len(vector.values)
    return min(DEFAULT_K, len(vector.values)) if k is None else k


def _ranked(
    logit_index: LogitIndex,
    vector: QueryVector,
    rule: RuleName,
    probes: Int64[np.ndarray, " k"],
    wanted: HitRequest,
    index: LowRankIndex | None,
) -> tuple[Ranked, Int64[np.ndarray, " kept"]]:
    """Enough ranked logits, and the places of those to be shown."""
    weighed, top = _is_weighed(vector, rule), wanted.top
    while True:
        if weighed:
            asked = (vector.concepts, vector.expression, len(probes), wanted)
            if index is None:
                ranked = rank_by_evidence(logit_index, *asked)
            else:
                ranked = approximate_by_evidence(index, logit_index, *asked)
        elif index is None:
            ranked = rank_by_distance(logit_index, probes, vector.values, wanted)
        else:
            ranked = approximate_by_distance(index, logit_index, probes, vector.values, wanted)
        owners = logit_index.owners(ranked.columns)
        kept = _first_of_each(owners) if wanted.by_model else np.arange(len(owners))
        if weighed or len(kept) >= top or len(owners) < wanted.top:
            return ranked, kept[:top]
        wanted = replace(wanted, top=4 * wanted.top)


def _judged(
    judge: Judge | None,
    vector: QueryVector,
    rule: RuleName,
    k: int,
    ranked: Ranked,
    kept: Int64[np.ndarray, " kept"],
) -> Judgement | None:
    if judge is None or not is_judged(vector, rule) or not len(kept):
        return None
    usual = ranked.usual if k == min(DEFAULT_K, len(vector.values)) else None
    return judge.judge(
        vector.concepts[0], ranked.columns[:CONFIDENCE_POOL], ranked.columns[kept], usual
    )


def _first_of_each(owners: Int64[np.ndarray, " columns"]) -> Int64[np.ndarray, " models"]:
    """Places of the first (best) column of each model, best first."""
    _, places = np.unique(owners, return_index=True)
    return np.sort(places).astype(np.int64)


def _confidence(scores: Float64[np.ndarray, " sample"], logits: int) -> Callable[[float], float]:
    """How sure it is that a score is no accident of a hub of this size; not a precision.

    The scores of most logits, which do not know the concept, are summarised by their median and
    median absolute deviation; a normal tail gives the chance that one of so many is as high by
    accident, and the confidence is one minus the chance that any is (Šidák).
    """
    finite = scores[np.isfinite(scores)]
    centre = float(np.median(finite)) if finite.size else 0.0
    spread = 1.4826 * float(np.median(np.abs(finite - centre))) if finite.size else 0.0

    def confidence(score: float) -> float:
        if spread <= 0.0:
            return 0.0
        chance = 0.5 * math.erfc((score - centre) / spread / math.sqrt(2.0))
        return float(math.exp(logits * math.log1p(-min(chance, 1.0 - 1e-16))))

    return confidence
