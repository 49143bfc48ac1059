r"""P(none of these) and suggestions on five labelled sets, with half of the labels left out.

    python benchmarks/quality/none_of_these.py --assets DIR --hub HUB --cache DIR --json \
        > benchmarks/results/quality_none_of_these.json

In each of ten draws half of a set's labels are left out: P(none) should tell the pictures of those
from the pictures of the others. Baselines on the same draws: the maximum softmax probability, and
MCM, the same at its best temperature. HUB and --cache are those of specialists.py: the encoder and
all models looked at every picture once. Pictures are split into halves by a hash of their name: 0
was used to choose, 1 is reported. Labels serve for scoring only: P(none) is fitted on the store.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

import lagotto
from lagotto.core.text.names import listed_names, name_phrase
from lagotto.core.vectors import softmax
from lagotto.specialists.label_names import named_outputs
from lagotto.specialists.likelihood import fit_votes
from lagotto.specialists.matching import Match
from lagotto.specialists.rejection import judge_with_models
from lagotto.specialists.selection import Selection
from lagotto.zeroshot.captions.store import CaptionStore
from lagotto.zeroshot.rejection.judge import NoneJudge
from lagotto.zeroshot.rejection.suggestions import CAPTION_BONUS
from lagotto.zeroshot.rejection.vocabulary import OpenVocabulary, open_vocabulary
from lagotto.zeroshot.retrieval import Retriever
from lagotto.zeroshot.types import Prediction
from provenance import provenance
from quality.specialist_data import Data, read_set

SETS = ("imagenet100x5", "cats-dogs", "flowers5", "grocery43", "cifar10")
DRAWS = 10
SUGGESTION_DRAWS = 2
TEMPERATURES = (0.02, 0.1, 0.3, 1.0, 2.0, 4.0)
BONUSES = (0.0, 2.0, 4.0, 8.0)
BINS = 10
SYNONYMS = {
    "automobile": ("car",),
    "baby bed": ("crib", "cradle"),
    "band aid": ("bandage",),
    "domestic cat": ("cat",),
    "flower pot": ("flowerpot",),
    "chain saw": ("chainsaw",),
    "popsicle": ("ice pop", "ice lolly"),
    "washer": ("washing machine",),
    "watercraft": ("boat", "ship"),
    "aubergine": ("eggplant",),
    "kiwi": ("kiwi fruit",),
    "red beet": ("beetroot", "beet"),
    "yoghurt": ("yogurt",),
    "satsumas": ("mandarin", "tangerine"),
}
"""Other names of a label, written before the suggestions were looked at."""

Evidence = Callable[["Draw", np.ndarray], np.ndarray]
"""The score of none of the pictures of a draw that a mask selects: they are asked together."""

RATES = (0.1, 0.3, 0.5, 0.7, 0.9)
BATCH = 40


@dataclass(frozen=True)
class Set:
    """A labelled set, what its pictures and labels are to the encoder, and its captions."""

    data: Data
    prompts: np.ndarray
    scale: float
    captions: list[list[str]]


def plain_sets(options: argparse.Namespace, hub: lagotto.Hub) -> list[Set]:
    """All sets, without captions."""
    info, sets = hub.encoder.info, []
    for name in SETS:
        data = read_set(name, options.assets, options.cache, hub)
        texts = [info.prompt_template.format(label) for label in data.labels]
        sets.append(Set(data, hub.encoder.embed_texts(texts), info.logit_scale, []))
    return sets


@dataclass(frozen=True)
class Draw:
    """A set with only some of its labels; `none` marks the pictures of the others."""

    of: Set
    labels: np.ndarray

    @property
    def none(self) -> np.ndarray:
        return ~np.isin(self.of.data.truth, self.labels)

    def cosines(self, mask: np.ndarray) -> np.ndarray:
        return np.asarray(self.of.data.embeddings[mask] @ self.of.prompts[self.labels].T)


def draws(given: Set, count: int = DRAWS) -> Iterator[Draw]:
    """Draws of half of the labels, at least one."""
    labels, rng = len(given.data.labels), np.random.default_rng(0)
    for _ in range(count):
        yield Draw(given, np.sort(rng.permutation(labels)[: (labels + 1) // 2]))


def auroc(scores: np.ndarray, none: np.ndarray) -> float:
    """The chance that a picture of no label scores higher than one of a label; ties count half."""
    _, position, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[position]
    positives = int(none.sum())
    total = ranks[none].sum() - positives * (positives + 1) / 2
    return float(total / (positives * (len(none) - positives)))


def calibration_error(probabilities: np.ndarray, none: np.ndarray) -> float:
    """The expected calibration error, in BINS bins of equal width."""
    bins = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    masks = [bins == number for number in range(BINS) if (bins == number).any()]
    return float(sum(m.mean() * abs(probabilities[m].mean() - none[m].mean()) for m in masks))


def softmax_evidence(temperature: float) -> Evidence:
    """Minus the maximum softmax probability over the labels, at a factor of the encoder's scale."""
    return lambda draw, mask: -softmax(temperature * draw.of.scale * draw.cosines(mask)).max(axis=1)


def by_image(vocabulary: OpenVocabulary) -> Evidence:
    """P(none) as ZeroShotClassifier gives it to pictures that are asked together."""

    def probability(draw: Draw, mask: np.ndarray) -> np.ndarray:
        return judge_of(draw, vocabulary).probability(draw.of.data.embeddings[mask])

    return probability


def one_by_one(vocabulary: OpenVocabulary) -> Evidence:
    """P(none) as ZeroShotClassifier gives it to a picture alone."""

    def probability(draw: Draw, mask: np.ndarray) -> np.ndarray:
        pictures = draw.of.data.embeddings[mask]
        return judge_of(draw, vocabulary).probability(pictures, pictures[:1])

    return probability


def judge_of(draw: Draw, vocabulary: OpenVocabulary) -> NoneJudge:
    labels = [draw.of.data.labels[label] for label in draw.labels]
    return NoneJudge.of(vocabulary, draw.of.prompts[draw.labels], labels, draw.of.scale)


def with_hub(vocabulary: OpenVocabulary, hub: lagotto.Hub) -> Evidence:
    """P(none) with the models of the hub whose published names cover all labels of the draw."""
    names = {model.name: hub.labels(model.name) for model in hub.status().models}

    def probability(draw: Draw, mask: np.ndarray) -> np.ndarray:
        data = draw.of.data
        labels = tuple(data.labels[label] for label in draw.labels)
        none = by_image(vocabulary)(draw, mask)
        matches, asked = [], {name: logits[mask] for name, logits in data.models.items()}
        for model, logits in asked.items():
            outputs = named_outputs(labels, names[model])
            if (outputs >= 0).all():
                fit = fit_votes(draw.of.scale * draw.cosines(mask), softmax(logits), outputs)
                empty = np.zeros(len(labels))
                matches.append(Match(model, fit, True, 0.0, 0.0, empty, empty, (), 0.0))
        rows = [
            Prediction("", np.ones(1), np.ones(1), (1.0, 0.0), (), none=float(value))
            for value in none
        ]
        judged = judge_with_models(rows, Selection(tuple(matches), 1.0), asked, {}, None)
        return np.array([row.none for row in judged])

    return probability


def tell_apart(sets: Sequence[Set], evidence: Evidence, half: int) -> list[float]:
    """The AUROC of each set, the mean over its draws."""
    return [
        float(
            np.mean(
                [
                    auroc(evidence(draw, mask), draw.none[mask])
                    for draw in draws(given)
                    for mask in (given.data.half == half,)
                ]
            )
        )
        for given in sets
    ]


def per_set(values: Sequence[float]) -> dict[str, object]:
    named = {name: round(value, 4) for name, value in zip(SETS, values, strict=True)}
    return {"mean": round(float(np.mean(values)), 4), **named}


def quality(sets: Sequence[Set], evidence: Evidence, half: int) -> dict[str, object]:
    """AUROC and calibration with half of the labels, false none with all, on one half."""
    areas, errors, false, pooled = [], [], [], []
    for given in sets:
        mask = given.data.half == half
        found = [(evidence(draw, mask), draw.none[mask]) for draw in draws(given)]
        areas.append(float(np.mean([auroc(p, none) for p, none in found])))
        p = np.concatenate([each for each, _ in found])
        none = np.concatenate([each for _, each in found])
        errors.append(calibration_error(p, none))
        pooled.append((p, none))
        full = Draw(given, np.arange(len(given.data.labels)))
        false.append(float((evidence(full, mask) >= 0.5).mean()))
    every = [np.concatenate(part) for part in zip(*pooled, strict=True)]
    return {
        "auroc": per_set(areas),
        "calibration_error": per_set(errors),
        "calibration_error_pooled": round(calibration_error(every[0], every[1]), 4),
        "false_none_full_list": per_set(false),
    }


def monotone(scores: np.ndarray, none: np.ndarray) -> np.ndarray:
    """The isotonic fit of `none` on the scores: the monotone curve of the least squared error."""
    order = np.argsort(scores, kind="stable")
    blocks: list[tuple[float, int]] = []
    for value in none[order].astype(float).tolist():
        total, count = value, 1
        while blocks and blocks[-1][0] * count >= total * blocks[-1][1]:
            before = blocks.pop()
            total, count = total + before[0], count + before[1]
        blocks.append((total, count))
    fitted = np.empty(len(scores))
    fitted[order] = np.repeat([total / count for total, count in blocks], [n for _, n in blocks])
    return fitted


def ceilings(sets: Sequence[Set], evidence: Evidence, half: int) -> dict[str, object]:
    """What monotone curves reach that are fitted on the reported pictures and their labels.

    One curve for all sets: its calibration error within each set. A curve a set, which has none:
    the share of pictures of full lists that it refuses.
    """
    scores, none = [], []
    for given in sets:
        mask = given.data.half == half
        scores.append(np.concatenate([evidence(draw, mask) for draw in draws(given)]))
        none.append(np.concatenate([draw.none[mask] for draw in draws(given)]))
    joined = monotone(np.concatenate(scores), np.concatenate(none))
    parts = np.split(joined, np.cumsum([len(each) for each in none])[:-1])
    errors = [calibration_error(p, n) for p, n in zip(parts, none, strict=True)]
    refused = []
    for given, of_set, answers in zip(sets, scores, none, strict=True):
        fitted, order = monotone(of_set, answers), np.argsort(of_set, kind="stable")
        at = int(np.searchsorted(fitted[order], 0.5))
        crossing = of_set[order[at]] if at < len(order) else np.inf
        full = Draw(given, np.arange(len(given.data.labels)))
        refused.append(float((evidence(full, given.data.half == half) >= crossing).mean()))
    return {
        "one_curve_calibration_error": per_set(errors),
        "a_curve_a_set_false_none": per_set(refused),
    }


def by_rate(sets: Sequence[Set], evidence: Evidence, half: int) -> dict[str, float]:
    """The mean calibration error within a set where this share of BATCH pictures has no label."""
    errors = {}
    for rate in RATES:
        of_sets = []
        for given in sets:
            rng, p, none = np.random.default_rng(1), [], []
            for draw in draws(given):
                for _ in range(3):
                    chosen = []
                    for flag, count in ((True, round(rate * BATCH)), (False, BATCH)):
                        count -= 0 if flag else round(rate * BATCH)
                        rows = np.flatnonzero((draw.none == flag) & (given.data.half == half))
                        chosen.append(rng.choice(rows, count, replace=count > len(rows)))
                    pictures = np.concatenate(chosen)
                    p.append(evidence(draw, pictures))
                    none.append(draw.none[pictures])
            of_sets.append(calibration_error(np.concatenate(p), np.concatenate(none)))
        errors[str(rate)] = round(float(np.mean(of_sets)), 4)
    return errors


def suggestion_hits(
    sets: Sequence[Set], vocabulary: OpenVocabulary, half: int, bonus: float, captions: bool
) -> list[float]:
    """The share of pictures of left-out labels whose label is among the five suggestions."""
    shares = []
    for given in sets:
        hits = []
        cosines = given.data.embeddings @ vocabulary.embeddings.T
        for draw in draws(given, SUGGESTION_DRAWS):
            suggested = judge_of(draw, vocabulary).suggested
            for i in np.flatnonzero(draw.none & (given.data.half == half)).tolist():
                texts = given.captions[i] if captions else []
                found = suggested.suggest(cosines[i], texts, given.scale, bonus)
                label = given.data.labels[given.data.truth[i]]
                right = {name_phrase(name) for name in listed_names(label)}
                right |= {name_phrase(name) for name in SYNONYMS.get(label, ())}
                hits.append(any(name_phrase(each.name) in right for each in found))
        shares.append(float(np.mean(hits)))
    return shares


def measure(
    sets: Sequence[Set], kept: OpenVocabulary, plain: OpenVocabulary, hub: lagotto.Hub
) -> dict[str, object]:
    """Everything that is chosen on half 0, then everything that is reported on half 1."""
    temperature = max(
        TEMPERATURES, key=lambda t: np.mean(tell_apart(sets, softmax_evidence(t), half=0))
    )
    bonuses = {
        bonus: round(float(np.mean(suggestion_hits(sets, kept, 0, bonus, captions=True))), 4)
        for bonus in BONUSES
    }
    print(f"MCM {temperature}, caption bonus {bonuses}", file=sys.stderr, flush=True)
    rows = {
        "maximum softmax probability": {
            "auroc": per_set(tell_apart(sets, softmax_evidence(1.0), half=1))
        },
        f"MCM, {temperature} times the scale": {
            "auroc": per_set(tell_apart(sets, softmax_evidence(temperature), half=1))
        },
        "image and vocabulary, each picture alone": quality(sets, one_by_one(kept), 1),
        "asked together, no store": quality(sets, by_image(plain), 1),
        "asked together, curve of the store": quality(sets, by_image(kept), 1),
        "the same with a hub": quality(sets, with_hub(kept, hub), 1),
    }
    for name, row in rows.items():
        print(name, row, file=sys.stderr, flush=True)
    return {
        "chosen_on_half_0": {"mcm_temperature": temperature, "suggestions_by_bonus": bonuses},
        "curve_of_the_store": {
            "slope": round(kept.curve.slope, 4),
            "crossing": round(kept.curve.crossing, 4),
            "lists": kept.curve.lists,
            "together": {key: round(value, 4) for key, value in asdict(kept.batch_curve).items()},
        },
        "calibration_error_by_share_of_none": {
            "each picture alone": by_rate(sets, one_by_one(kept), 1),
            "asked together": by_rate(sets, by_image(kept), 1),
        },
        "ceilings": {
            "each picture alone": ceilings(sets, one_by_one(kept), 1),
            "asked together": ceilings(sets, by_image(kept), 1),
        },
        "rows": rows,
        "suggestions_among_five": {
            "image and vocabulary": per_set(suggestion_hits(sets, plain, 1, 0.0, captions=False)),
            "with captions": per_set(suggestion_hits(sets, kept, 1, CAPTION_BONUS, captions=True)),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path("specialists-cache"))
    parser.add_argument("--store", type=Path, help="of flickr8k and coco; else made")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    hub = lagotto.Hub.open(options.hub, str(options.assets / "encoder" / "photo-lit"))
    encoder, photos = hub.encoder, options.assets / "photos"
    with tempfile.TemporaryDirectory() as temporary:
        if options.store is None:
            pairs = [photos / "flickr8k", photos / "coco"]
            store = CaptionStore.create(Path(temporary) / "store", pairs, encoder)
        else:
            store = CaptionStore.open(options.store, encoder)
        retriever, sets = Retriever(store), []
        for each in plain_sets(options, hub):
            found = retriever.retrieve(each.data.embeddings, 16)
            texts = [
                store.texts(found.indices[i, present].tolist())
                for i, present in enumerate(found.present)
            ]
            sets.append(replace(each, captions=texts))
        kept = open_vocabulary(encoder, store, None, "")
        plain = open_vocabulary(encoder, None, None, "")
        measured = measure(sets, kept, plain, hub)
    result = {
        "what": "P(none of these) with half of the labels left out, five labelled sets, half 1",
        "draws": DRAWS,
        **measured,
        **provenance(),
    }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
