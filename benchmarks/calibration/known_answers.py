"""Models whose answers are known in, searches whose right hits are known, or absent, out.

Hubs are drawn from the models. Each concept is searched for in a hub that knows it and in one of as
many models that do not. The features of the hits are recorded, to fit or to judge what a search
says of them: confidence, the concept's probability, quality.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.core.zscore import zscore_by_sample
from lagotto.encoders.background.words import embed_background
from lagotto.encoders.base import Encoder
from lagotto.evaluation.retrieval.raw_responses import RawResponses
from lagotto.hub.confidence.calibrator import (
    CONFIDENCE_POOL,
    Features,
    hit_agreement,
)
from lagotto.hub.confidence.margin import (
    fitted_scores,
    hit_context,
    label_rival_scores,
)
from lagotto.hub.confidence.probe_coverage import coverage
from lagotto.hub.confidence.reference import (
    BackgroundStats,
    WordScores,
    background_from_scores,
    measure_names,
    score_words,
)
from lagotto.hub.descriptors.projection import project, projector
from lagotto.hub.descriptors.rank_blend import blend
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.index.scoring import (
    SEARCH_CONFIG,
    combine_scores,
    sample_columns,
)
from lagotto.hub.query.probe_weights import (
    ProbeSpace,
    text_weights,
    top_k_weights,
)

HIDDEN = -1
"""Instead of a number of models: all of them, without the outputs that answer the concept."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the logits of some models, and the names that it is told in.

    `answers` says which logits answer which name, `called` whose label says its very words.
    `concept` and `owner` have a logit's true label, as a place in `names`, and its model;
    `accuracy` is nan where unknown. `published` is the label that is published, as search believes
    it: the place of its name, or -1 where it is not believed or there is none.
    """

    names: tuple[str, ...]
    models: tuple[str, ...]
    owner: Int64[np.ndarray, " logits"]
    concept: Int64[np.ndarray, " logits"]
    answers: Bool[np.ndarray, "concepts logits"]
    called: Bool[np.ndarray, "concepts logits"]
    accuracy: Float64[np.ndarray, " logits"]
    published: Int64[np.ndarray, " logits"]

    @property
    def knows(self) -> Bool[np.ndarray, "models concepts"]:
        """Which model has a logit that answers which name."""
        known = np.zeros((len(self.models), len(self.names)), dtype=bool)
        concepts, logits = np.nonzero(self.answers)
        known[self.owner[logits], concepts] = True
        return known

    @property
    def groups(self) -> Int64[np.ndarray, " concepts"]:
        """Names that the same logits answer, synonyms, share a number."""
        rows = [row.tobytes() for row in np.packbits(self.answers, axis=1)]
        number = {row: place for place, row in enumerate(dict.fromkeys(rows))}
        return np.array([number[row] for row in rows])


@dataclass(frozen=True, slots=True)
class World:
    """Models whose answers are known, and every name scored on all their logits.

    `blended` are the blended descriptors, `sums` and `direction_scores` the two scores of the
    default rule before they are standardized over a hub; `words` are those of the background.
    """

    known: Known
    space: ProbeSpace
    embeddings: Float32[np.ndarray, "concepts dim"]
    weights: Float32[np.ndarray, "concepts probes"]
    descriptors: Float32[np.ndarray, "probes logits"]
    blended: Float32[np.ndarray, "probes logits"]
    directions: Float32[np.ndarray, "logits dim"]
    sums: Float32[np.ndarray, "concepts logits"]
    direction_scores: Float32[np.ndarray, "concepts logits"]
    words: WordScores

    def publishing(self, published: Int64[np.ndarray, " logits"]) -> "World":
        """The same world with other believed labels: see `Known`."""
        return replace(self, known=replace(self.known, published=published))


@dataclass(frozen=True, slots=True)
class Trial:
    """One concept asked of one hub: its best POOL hits.

    `drawn` is how many models the hub was drawn to have, 0 for all, or HIDDEN; `right` tells the
    hits that answer the concept; `scores` are the default rule's, `chance` those of a sample of
    the hub.
    """

    concept: int
    present: bool
    drawn: int
    columns: Int64[np.ndarray, " hits"]
    right: Bool[np.ndarray, " hits"]
    scores: Float64[np.ndarray, " hits"]
    features: Features
    chance: Float32[np.ndarray, " sample"]
    logits: int


@dataclass(frozen=True, slots=True)
class Asked:
    """What a trial asks: a concept of a hub that knows it or not, drawn to have so many models."""

    concept: int
    present: bool
    drawn: int


def make_world(
    raw: RawResponses, encoder: Encoder, probes: Bool[np.ndarray, " probes"] | None = None
) -> World:
    """Prepares raw responses, on some of their probes if given; the encoder is that of theirs.

    Every label is a name that is asked.
    """
    kept = np.ones(len(raw.embeddings), bool) if probes is None else probes
    space = ProbeSpace(raw.embeddings[kept], embed_background(encoder), encoder.info.logit_scale)
    names = tuple(dict.fromkeys(raw.labels))
    place = {name: number for number, name in enumerate(names)}
    concept = np.array([place[label] for label in raw.labels])
    answers = concept == np.arange(len(names))[:, None]
    accuracy = [model.label_accuracy or (np.nan,) * len(model.labels) for model in raw.models]
    known = Known(
        names,
        tuple(model.name for model in raw.models),
        np.repeat(np.arange(len(raw.models)), [len(model.labels) for model in raw.models]),
        concept,
        answers,
        answers,
        np.array([share for each in accuracy for share in each]),
        np.full(len(concept), -1),
    )
    values = np.concatenate([model.values[kept] for model in raw.models], axis=1)
    return world_of(known, space, encoder, standardize(values).values)


def world_of(
    known: Known,
    space: ProbeSpace,
    encoder: Encoder,
    descriptors: Float32[np.ndarray, "probes logits"],
) -> World:
    """Scores every name, and every background word, on all logits."""
    prompts = [encoder.info.prompt_template.replace("{}", name) for name in known.names]
    parts = [prompts[first : first + 256] for first in range(0, len(prompts), 256)]
    embeddings = np.concatenate([encoder.embed_texts(part) for part in parts])
    blended = blend(descriptors)
    directions = project(projector(space.probes), blended)
    weights = text_weights(space, embeddings)
    shares = top_k_weights(weights, SEARCH_CONFIG.k)
    return World(
        known,
        space,
        embeddings,
        weights,
        descriptors,
        blended,
        directions,
        shares @ blended,
        ((embeddings - space.background_mean) @ directions.T).astype(np.float32),
        score_words(space, space.background, blended, directions),
    )


def draw_trials(
    world: World,
    models: Int64[np.ndarray, " models"],
    concepts: Sequence[int],
    sizes: Sequence[int | None],
    seed: int,
) -> Iterator[Trial]:
    """Asks the concepts of a hub of each size drawn from the models; None is all of them.

    A concept that the hub knows is asked there, and of as many models drawn from those that do not
    know it (of all those, for None). For HIDDEN it is asked only of all models without the outputs
    that answer it: a hub of the same kind and size, but for the concept.
    """
    draw = np.random.default_rng(seed)
    knows = world.known.knows
    background = lru_cache(4)(lambda hub: _background(world, np.frombuffer(hub, dtype=np.int64)))
    for size in sizes:
        if size == HIDDEN:
            yield from _hidden_trials(world, _columns(world, models), concepts)
            continue
        drawn = models if size is None else np.sort(draw.permutation(models)[:size])
        for concept in concepts:
            strangers = models[~knows[models, concept]]
            if size is not None:
                strangers = np.sort(draw.permutation(strangers)[:size])
            for hub, present in ((drawn, True), (strangers, False)):
                if present and not knows[hub, concept].any():
                    continue
                asked, columns = Asked(concept, present, size or 0), _columns(world, hub)
                yield _trial(world, columns, asked, background(columns.tobytes()))


def _hidden_trials(
    world: World, columns: Int64[np.ndarray, " logits"], concepts: Sequence[int]
) -> Iterator[Trial]:
    for concept in concepts:
        left = columns[~world.known.answers[concept, columns]]
        yield _trial(world, left, Asked(concept, False, HIDDEN), _background(world, left))


def _columns(world: World, models: Int64[np.ndarray, " models"]) -> Int64[np.ndarray, " logits"]:
    return np.flatnonzero(np.isin(world.known.owner, models))


def _background(world: World, columns: Int64[np.ndarray, " logits"]) -> BackgroundStats:
    sample = sample_columns(columns)
    words = world.words
    scores = WordScores(
        words.probes,
        words.weights,
        words.sums[:, sample],
        words.direction_scores[:, sample],
    )
    return background_from_scores(
        world.space,
        world.space.background,
        scores,
        world.blended[:, sample],
        world.directions[sample],
    )


def _trial(
    world: World, columns: Int64[np.ndarray, " logits"], asked: Asked, background: BackgroundStats
) -> Trial:
    concept = asked.concept
    sample = sample_columns(np.arange(len(columns)))
    first = zscore_by_sample(world.sums[concept : concept + 1, columns], sample)[0]
    along = world.direction_scores[concept : concept + 1, columns]
    total = combine_scores(world.sums[concept : concept + 1, columns], along, sample)[0]
    kept = min(SEARCH_CONFIG.candidates, len(columns))
    candidates = np.argpartition(-first, kept - 1)[:kept]
    best = candidates[np.argsort(-total[candidates], kind="stable")[:CONFIDENCE_POOL]]
    hits = columns[best]
    return Trial(
        concept,
        asked.present,
        asked.drawn,
        hits,
        world.known.answers[concept, hits],
        total[best].astype(np.float64),
        _features(world, concept, hits, background),
        total[sample],
        len(columns),
    )


def _features(
    world: World,
    concept: int,
    hits: Int64[np.ndarray, " hits"],
    background: BackgroundStats,
) -> Features:
    embedding, known = world.embeddings[concept], world.known
    context = hit_context(background, embedding, world.blended[:, hits], world.directions[hits])
    has_label = known.published[hits] >= 0
    other = has_label & ~known.called[concept, hits]
    labels = np.where(other, known.published[hits], concept)
    rows, row_of = np.unique(np.append(labels, concept), return_inverse=True)
    names = measure_names(background, world.embeddings[rows], world.weights[rows])
    scores = fitted_scores(background, names, context)[row_of[-1]]
    label_rows = np.where(other, row_of[:-1], -1)
    rivals = label_rival_scores(background, names, label_rows, embedding, context)
    return Features(
        (scores - context.rival_scores).astype(np.float64),
        hit_agreement(world.descriptors[:, hits], known.owner[hits]),
        coverage(world.space, embedding),
        (scores - np.maximum(context.rival_scores, rivals)).astype(np.float64),
        has_label,
        known.owner[hits],
    )
