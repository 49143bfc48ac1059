"""Layer 3: models whose answers are known → searches whose right hits are known, or absent.

Hubs are drawn from the models; each concept is asked of one that knows it and of one of as many
models that do not. What a search would see of its hits is recorded, to fit or to judge what it says
of them (confidence, presence, quality).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.core.zscore import zscore_by_sample
from lagotto.encoders.base import Encoder
from lagotto.evaluation.retrieval.raw_responses import RawResponses
from lagotto.hub.confidence.calibrator import (
    CONFIDENCE_POOL,
    Features,
    family_agreement,
)
from lagotto.hub.confidence.margin import (
    fitted_scores,
    label_levels,
    seen_logits,
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
from lagotto.hub.query.background import embed_background
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

    `raised` are the blended descriptors, `sums` and `along` the two scores of the default rule
    before they are standardised over a hub; `words` are those of the background.
    """

    known: Known
    space: ProbeSpace
    embeddings: Float32[np.ndarray, "concepts dim"]
    weights: Float32[np.ndarray, "concepts probes"]
    descriptors: Float32[np.ndarray, "probes logits"]
    raised: Float32[np.ndarray, "probes logits"]
    directions: Float32[np.ndarray, "logits dim"]
    sums: Float32[np.ndarray, "concepts logits"]
    along: Float32[np.ndarray, "concepts logits"]
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
    clues: Features
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
    raised = blend(descriptors)
    directions = project(projector(space.probes), raised)
    weights = text_weights(space, embeddings)
    shares = top_k_weights(weights, SEARCH_CONFIG.k)
    return World(
        known,
        space,
        embeddings,
        weights,
        descriptors,
        raised,
        directions,
        shares @ raised,
        ((embeddings - space.background_mean) @ directions.T).astype(np.float32),
        score_words(space, space.background, raised, directions),
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
    rivals = lru_cache(4)(lambda hub: _rivals(world, np.frombuffer(hub, dtype=np.int64)))
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
                yield _trial(world, columns, asked, rivals(columns.tobytes()))


def _hidden_trials(
    world: World, columns: Int64[np.ndarray, " logits"], concepts: Sequence[int]
) -> Iterator[Trial]:
    for concept in concepts:
        left = columns[~world.known.answers[concept, columns]]
        yield _trial(world, left, Asked(concept, False, HIDDEN), _rivals(world, left))


def _columns(world: World, models: Int64[np.ndarray, " models"]) -> Int64[np.ndarray, " logits"]:
    return np.flatnonzero(np.isin(world.known.owner, models))


def _rivals(world: World, columns: Int64[np.ndarray, " logits"]) -> BackgroundStats:
    sample = sample_columns(columns)
    words = world.words
    scores = WordScores(words.probes, words.weights, words.sums[:, sample], words.along[:, sample])
    raised, directions = world.raised[:, sample], world.directions[sample]
    return background_from_scores(world.space, world.space.background, scores, raised, directions)


def _trial(
    world: World, columns: Int64[np.ndarray, " logits"], asked: Asked, rivals: BackgroundStats
) -> Trial:
    concept = asked.concept
    sample = sample_columns(np.arange(len(columns)))
    first = zscore_by_sample(world.sums[concept : concept + 1, columns], sample)[0]
    along = world.along[concept : concept + 1, columns]
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
        _clues(world, concept, hits, rivals),
        total[sample],
        len(columns),
    )


def _clues(
    world: World,
    concept: int,
    hits: Int64[np.ndarray, " hits"],
    rivals: BackgroundStats,
) -> Features:
    embedding, known = world.embeddings[concept], world.known
    seen = seen_logits(rivals, embedding, world.raised[:, hits], world.directions[hits])
    levels = seen.levels
    believed = known.published[hits] >= 0
    another = believed & ~known.called[concept, hits]
    labels = np.where(another, known.published[hits], concept)
    named, own = np.unique(np.append(labels, concept), return_inverse=True)
    names = measure_names(rivals, world.embeddings[named], world.weights[named])
    fits = fitted_scores(rivals, names, seen)[own[-1]]
    told = label_levels(rivals, names, np.where(another, own[:-1], -1), embedding, seen)
    return Features(
        (fits - levels).astype(np.float64),
        family_agreement(world.descriptors[:, hits], known.owner[hits]),
        coverage(world.space, embedding),
        (fits - np.maximum(levels, told)).astype(np.float64),
        believed,
        known.owner[hits],
    )
