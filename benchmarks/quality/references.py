"""Reference models: what a labelled model teaches of others, and that a wrong list teaches nothing.

    python benchmarks/quality/references.py --assets DIR --hub HUB --json > NEW.json

HUB is a hub of all models of DIR/hub on the captioned photos; without one it is made. Copies of it
are searched as a user does. Thresholds were chosen on the texts whose sha256 begins with an even
byte; `odd` is reported. Every row has today's rule beside, which reads no label (`behaviour`).

- one reference: all other lists unread (`behaviour_only`), its own outputs are no hits.
- half labelled: half of the models, drawn ten times, keep their lists, the others lose them; Top-1
  over the texts that a model without a list answers.
- wrong lists: every list shifted by one, permuted, half of the lists wrong, all lists gone but one
  that says "dog" of all its outputs, and references with such lists, or of another domain.
- references: 0, 1, 2, 4 of them, and one cut to 10, 100 and 1,000 labels.
- mini-hub: a share of the heads is labelled, the others are asked for; the same across backbones.
- describe: an ImageNet model with its list hidden, the other one a reference, or all of other
  label sets.
- label sets: ten names asked of `search --labels`.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from calibration.worlds import half
from lagotto.evaluation.retrieval.truth import TruthQuery, read_truth
from lagotto.hub.hub import Hub
from quality.reference_copies import LARGE, SMALL, Copies, Labels
from quality.reference_heads import mini_hub
from quality.reference_names import describe_by_others, describe_hidden, label_sets
from quality.rules import open_hub

KINDS = ("imagenet", "common")
LOW = 0.3


def draw_texts(truth: Sequence[TruthQuery], kind: str, seed: int, count: int) -> list[TruthQuery]:
    """Some texts of a kind."""
    texts = [query for query in truth if query.kind == kind]
    kept = np.random.default_rng(seed).permutation(len(texts))[:count]
    return [texts[place] for place in sorted(kept.tolist())]


def ask(
    hub: Hub, texts: Sequence[TruthQuery], unsought: Collection[str], **options: Any
) -> dict[str, Any]:
    """Top-1 of the texts that a model other than the unsought ones answers, on each half."""
    rows = []
    for query in texts:
        correct = {answer for answer in query.correct if answer[0] not in unsought}
        if not correct:
            continue
        hits = hub.search(query.text, top=1, **options).hits
        right = bool(hits) and (hits[0].model, hits[0].logit) in correct
        rows.append((half(query.text), right, hits[0].confidence if hits else None))
    return figures(rows)


def figures(rows: Sequence[tuple[int, bool, float | None]]) -> dict[str, Any]:
    """Top-1 on each half; on the odd half, low confidence of right hits and calibration error."""
    answer: dict[str, Any] = {"texts": len(rows)}
    for name, side in (("even", 0), ("odd", 1)):
        part = [right for where, right, _ in rows if where == side]
        answer[name] = round(float(np.mean(part)), 4) if part else None
    judged = [(right, sure) for where, right, sure in rows if where == 1 and sure is not None]
    low = [sure < LOW for right, sure in judged if right]
    answer["right_below_0.3"] = round(float(np.mean(low)), 4) if low else None
    answer["calibration_error"] = calibration_error(judged) if judged else None
    return answer


def calibration_error(judged: Sequence[tuple[bool, float]]) -> float:
    """Expected calibration error over ten bins."""
    right, sure = (np.array(part, np.float64) for part in zip(*judged, strict=True))
    bins = np.clip((sure * 10).astype(int), 0, 9)
    parts = [(bins == place) for place in range(10)]
    gaps = [
        part.sum() * abs(right[part].mean() - sure[part].mean()) for part in parts if part.any()
    ]
    return round(float(sum(gaps) / len(right)), 4)


def both(
    hub: Hub, texts: dict[str, list[TruthQuery]], unsought: Collection[str], **options: Any
) -> dict[str, Any]:
    """Each kind of texts by the references, and by behaviour alone as before."""
    taught = {"behaviour_only": True} | options
    plain = {"behaviour_only": True, "references": False}
    return {
        kind: {
            "taught": ask(hub, part, unsought, **taught),
            "behaviour": ask(hub, part, unsought, **plain),
        }
        for kind, part in texts.items()
    }


def one_reference(copies: Copies, texts: dict[str, list[TruthQuery]]) -> dict[str, Any]:
    """One ImageNet model teaches, no other list is read."""
    answer = {}
    for reference in (SMALL, LARGE):
        hub = copies.make(references=[reference])
        answer[reference] = both(hub, texts, [reference])
        copies.drop(hub)
    return answer


def by_number(copies: Copies, texts: dict[str, list[TruthQuery]]) -> dict[str, Any]:
    """How much 0, 1, 2 and 4 references teach; the texts are those of other models."""
    order = [SMALL, "akamaster-cifar10-resnet20", "abdoconan-flowers", "cifar100edge"]
    answer = {}
    for count in (0, 1, 2, 4):
        hub = copies.make(references=order[:count])
        answer[str(count)] = {
            kind: ask(hub, part, order, behaviour_only=True) for kind, part in texts.items()
        }
        copies.drop(hub)
    return answer


def by_size(copies: Copies, texts: dict[str, list[TruthQuery]], seed: int) -> dict[str, Any]:
    """One reference of which 10, 100 or 1,000 labels are known, the others as unknown as ours."""
    answer = {}
    for size in (10, 100, 1000):
        kept = set(np.random.default_rng(seed).permutation(1001)[:size].tolist())

        def cut(model: str, labels: Labels, kept: set[int] = kept) -> Labels:
            if model != SMALL:
                return labels
            return [label if place in kept else None for place, label in enumerate(labels)]

        hub = copies.make(cut, references=[SMALL], audited=False)
        answer[str(size)] = {
            kind: ask(hub, part, [SMALL], behaviour_only=True) for kind, part in texts.items()
        }
        copies.drop(hub)
    return answer


def half_labelled(
    copies: Copies, texts: dict[str, list[TruthQuery]], models: Sequence[str], draws: int
) -> dict[str, Any]:
    """Half of the models keep their lists; Top-1 over the texts that the others answer."""
    taught: list[float] = []
    plain: list[float] = []
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(models))
        labelled = {models[place] for place in order[: len(models) // 2].tolist()}

        def hide(model: str, labels: Labels, labelled: set[str] = labelled) -> Labels:
            return labels if model in labelled else [None] * len(labels)

        hub = copies.make(hide, audited=False)
        rows: dict[bool, list[bool]] = {True: [], False: []}
        for query in [query for part in texts.values() for query in part]:
            correct = {answer for answer in query.correct if answer[0] not in labelled}
            if not correct or half(query.text) == 0:
                continue
            for behaviour_only in (False, True):
                hits = hub.search(query.text, top=25, behaviour_only=behaviour_only).hits
                first = next((hit for hit in hits if hit.model not in labelled), None)
                right = first is not None and (first.model, first.logit) in correct
                rows[behaviour_only].append(right)
        taught.append(float(np.mean(rows[False])))
        plain.append(float(np.mean(rows[True])))
        copies.drop(hub)
    return {
        "draws": draws,
        "taught": [round(value, 4) for value in (np.mean(taught), np.std(taught))],
        "behaviour": [round(value, 4) for value in (np.mean(plain), np.std(plain))],
    }


def shifted(labels: Labels) -> Labels:
    return labels[1:] + labels[:1]


def permuted(labels: Labels) -> Labels:
    return [labels[place] for place in np.random.default_rng(0).permutation(len(labels)).tolist()]


def wrong_lists(
    copies: Copies, texts: dict[str, list[TruthQuery]], models: Sequence[str]
) -> dict[str, Any]:
    """Lists that are wrong: what audited ones, and vouched ones, teach beside behaviour."""
    wrong = {models[place] for place in np.random.default_rng(1).permutation(len(models))[::2]}
    ways: dict[str, Callable[[str, Labels], Labels]] = {
        "all shifted by one": lambda model, labels: shifted(labels),
        "all permuted": lambda model, labels: permuted(labels),
        "half of the lists permuted": lambda model, labels: (
            permuted(labels) if model in wrong else labels
        ),
        "one list that says dog": lambda model, labels: (
            ["dog"] * len(labels) if model == SMALL else [None] * len(labels)
        ),
    }
    answer: dict[str, Any] = {}
    for name, way in ways.items():
        hub = copies.make(way, references=[SMALL])
        answer[name] = both(hub, texts, [SMALL])
        copies.drop(hub)
    for reference in ("coral-inat-bird", "cifar100edge"):
        hub = copies.make(references=[reference])
        answer[f"reference of another domain: {reference}"] = both(hub, texts, [reference])
        copies.drop(hub)
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub of all models on the captioned photos")
    parser.add_argument("--hub-inet", type=Path, help="the same with the ImageNet photos")
    parser.add_argument("--texts", type=int, default=300, help="texts of a kind, at most")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--only", nargs="+", default=[], help="stages, by their names in the JSON")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    truth = read_truth(given.assets / "hub" / "truth.json")
    with tempfile.TemporaryDirectory() as folder:
        hub = open_hub(given.hub, given.assets, Path(folder) / "hub", False)
        models, encoder = hub.models, str(given.assets / "encoder" / "photo-lit")
        copies = Copies(hub.folder, encoder, Path(folder))
        texts = {kind: draw_texts(truth, kind, given.seed, given.texts) for kind in KINDS}
        fewer = {kind: part[:: max(1, len(part) // 75)] for kind, part in texts.items()}
        inet = Path(folder) / "inet"

        def with_inet() -> dict[str, Any]:
            larger = open_hub(given.hub_inet, given.assets, inet, True)
            return one_reference(Copies(larger.folder, encoder, inet.parent / "copies"), texts)

        stages: dict[str, Callable[[], Any]] = {
            "one reference": lambda: one_reference(copies, texts),
            "one reference, 2239 probes": with_inet,
            "label sets": lambda: label_sets(copies),
            "mini-hub": lambda: mini_hub(given.assets, encoder, given.seed),
            "wrong lists": lambda: wrong_lists(copies, fewer, models),
            "number of references": lambda: by_number(copies, fewer),
            "labels of a reference": lambda: by_size(copies, fewer, given.seed),
            "describe": lambda: describe_hidden(copies),
            "describe by other label sets": lambda: describe_by_others(copies, models, truth),
            "half labelled": lambda: half_labelled(copies, fewer, models, given.draws),
        }
        answer: dict[str, Any] = {"texts": given.texts, "seed": given.seed}
        for name in given.only or stages:
            answer[name] = stages[name]()
            print(f"{name}: {json.dumps(answer[name])}", file=sys.stderr, flush=True)
    print(json.dumps(answer, indent=1 if not given.json else None))


if __name__ == "__main__":
    main()
