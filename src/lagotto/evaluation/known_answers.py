"""Layer 3: raw responses of labelled models → searches whose right answers are known, or absent.

Hubs are drawn from the models; each concept is asked of one that knows it and of one of as many
models that do not. What a search would see of its hits is recorded, to fit or to judge what it says
of them (confidence, presence, quality).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64

from lagotto.encoders.base import Encoder
from lagotto.evaluation.raw_responses import RawResponses
from lagotto.hubsearch.background import embed_background
from lagotto.hubsearch.blending import blend
from lagotto.hubsearch.confidence import POOL, Clues, agreement
from lagotto.hubsearch.descriptors import standardise
from lagotto.hubsearch.leads import fitted_scores, label_levels, seen_logits
from lagotto.hubsearch.probe_coverage import coverage
from lagotto.hubsearch.projection import project, projector
from lagotto.hubsearch.rivals import (
    Rivals,
    WordScores,
    measure_names,
    rivals_of,
    score_words,
)
from lagotto.hubsearch.rules import (
    CANDIDATES,
    DEFAULT_K,
    DIRECTION_SHARE,
    sample_columns,
    standard_scores,
)
from lagotto.hubsearch.weighing import ProbeSpace, surest, text_weights


@dataclass(frozen=True, slots=True)
class World:
    """Labelled models, and every concept that a label names, scored on all their logits.

    `raised` are the blended descriptors, `sums` and `along` the two scores of the default rule
    before they are standardised over a hub. `concept` and `owner` have a logit's true label and
    its model; `accuracy` is nan where unknown. `published` is the label that is published, as
    search believes it: the place of its name, or -1 where it is not believed or there is none.
    """

    space: ProbeSpace
    names: tuple[str, ...]
    embeddings: Float32[np.ndarray, "concepts dim"]
    weights: Float32[np.ndarray, "concepts probes"]
    descriptors: Float32[np.ndarray, "probes logits"]
    raised: Float32[np.ndarray, "probes logits"]
    directions: Float32[np.ndarray, "logits dim"]
    sums: Float32[np.ndarray, "concepts logits"]
    along: Float32[np.ndarray, "concepts logits"]
    concept: Int64[np.ndarray, " logits"]
    owner: Int64[np.ndarray, " logits"]
    accuracy: Float64[np.ndarray, " logits"]
    models: tuple[str, ...]
    words: WordScores
    published: Int64[np.ndarray, " logits"]

    @property
    def knows(self) -> Bool[np.ndarray, "models concepts"]:
        """Which model has which concept among its labels."""
        known = np.zeros((len(self.models), len(self.names)), dtype=bool)
        known[self.owner, self.concept] = True
        return known


@dataclass(frozen=True, slots=True)
class Trial:
    """One concept asked of one hub: its best POOL hits.

    `drawn` is how many models the hub was drawn to have, 0 for all; `right` tells the hits whose
    label is the concept; `scores` are the default rule's, `chance` those of a sample of the hub.
    """

    concept: int
    present: bool
    drawn: int
    columns: Int64[np.ndarray, " hits"]
    right: Bool[np.ndarray, " hits"]
    scores: Float64[np.ndarray, " hits"]
    clues: Clues
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
    """Prepares raw responses, on some of their probes if given; the encoder is that of theirs."""
    kept = np.ones(len(raw.embeddings), bool) if probes is None else probes
    space = ProbeSpace(raw.embeddings[kept], embed_background(encoder), encoder.info.logit_scale)
    names = tuple(dict.fromkeys(raw.labels))
    prompts = [encoder.info.prompt_template.replace("{}", name) for name in names]
    embeddings = np.concatenate(
        [encoder.embed_texts(prompts[first : first + 256]) for first in range(0, len(names), 256)]
    )
    values = np.concatenate([model.values[kept] for model in raw.models], axis=1)
    descriptors = standardise(values).values
    raised = blend(descriptors)
    directions = project(projector(space.probes), raised)
    weights = text_weights(space, embeddings)
    shares = np.stack([surest(row, DEFAULT_K) for row in weights])
    place = {name: number for number, name in enumerate(names)}
    widths = [len(model.labels) for model in raw.models]
    accuracy = [model.label_accuracy or (np.nan,) * len(model.labels) for model in raw.models]
    return World(
        space,
        names,
        embeddings,
        weights,
        descriptors,
        raised,
        directions,
        shares @ raised,
        ((embeddings - space.background_mean) @ directions.T).astype(np.float32),
        np.array([place[label] for label in raw.labels]),
        np.repeat(np.arange(len(raw.models)), widths),
        np.array([share for each in accuracy for share in each]),
        tuple(model.name for model in raw.models),
        score_words(space, space.background, raised, directions),
        np.full(sum(widths), -1),
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
    know it (of all those, for None).
    """
    draw = np.random.default_rng(seed)
    knows = world.knows
    for size in sizes:
        drawn = models if size is None else np.sort(draw.permutation(models)[:size])
        known = _rivals(world, drawn)
        for concept in concepts:
            strangers = models[~knows[models, concept]]
            if size is not None:
                strangers = np.sort(draw.permutation(strangers)[:size])
            for hub, present in ((drawn, True), (strangers, False)):
                if present and not knows[hub, concept].any():
                    continue
                asked = Asked(concept, present, size or 0)
                yield _trial(world, hub, asked, known if present else _rivals(world, hub))


def _columns(world: World, models: Int64[np.ndarray, " models"]) -> Int64[np.ndarray, " logits"]:
    return np.flatnonzero(np.isin(world.owner, models))


def _rivals(world: World, models: Int64[np.ndarray, " models"]) -> Rivals:
    sample = sample_columns(_columns(world, models))
    words = world.words
    scores = WordScores(words.probes, words.weights, words.sums[:, sample], words.along[:, sample])
    raised, directions = world.raised[:, sample], world.directions[sample]
    return rivals_of(world.space, world.space.background, scores, raised, directions)


def _trial(world: World, hub: Int64[np.ndarray, " models"], asked: Asked, rivals: Rivals) -> Trial:
    concept, columns = asked.concept, _columns(world, hub)
    sample = sample_columns(np.arange(len(columns)))
    first = standard_scores(world.sums[concept : concept + 1, columns], sample)[0]
    second = standard_scores(world.along[concept : concept + 1, columns], sample)[0]
    total = first + np.float32(DIRECTION_SHARE) * second
    kept = min(CANDIDATES, len(columns))
    candidates = np.argpartition(-first, kept - 1)[:kept]
    best = candidates[np.argsort(-total[candidates], kind="stable")[:POOL]]
    hits = columns[best]
    return Trial(
        concept,
        asked.present,
        asked.drawn,
        hits,
        world.concept[hits] == concept,
        total[best].astype(np.float64),
        _clues(world, concept, hits, rivals, len(columns)),
        total[sample],
        len(columns),
    )


def _clues(
    world: World,
    concept: int,
    hits: Int64[np.ndarray, " hits"],
    rivals: Rivals,
    logits: int,
) -> Clues:
    embedding = world.embeddings[concept]
    seen = seen_logits(rivals, embedding, world.raised[:, hits], world.directions[hits])
    levels = seen.levels
    believed = world.published[hits] >= 0
    labels = np.where(believed, world.published[hits], concept)
    named, own = np.unique(np.append(labels, concept), return_inverse=True)
    names = measure_names(rivals, world.embeddings[named], world.weights[named])
    fits = fitted_scores(rivals, names, seen)[own[-1]]
    told = label_levels(rivals, names, np.where(believed, own[:-1], -1), embedding, seen)
    return Clues(
        (fits - levels).astype(np.float64),
        agreement(world.descriptors[:, hits], world.owner[hits]),
        coverage(world.space, embedding),
        (fits - np.maximum(levels, told)).astype(np.float64),
        believed,
        logits,
    )
