"""Accuracy when each model saw a share of the probes: fixed subset, completed, guarded.

    python benchmarks/quality/probing.py --assets DIR --part PART --out FILE

PART is one of
  mini       DIR/inet-mini-hub, 300 models, its 200 class names as queries, each choice of probes
  baselines  the same with plain masked ALS and mean-filled SVD, on random probes
  shared     the 22 models of DIR/hub (--hub: made of them and all three sets of photos), queries
             `imagenet` of truth.json

and is written into FILE (benchmarks/results/quality_probing.json) beside the others. Rank and side
weight are chosen in each run from held-back answers. The guard's threshold was chosen on parts of
6 and 20 models of the mini-hub with the half of its class names whose SHA-256 begins with an even
byte, and on the 22 models; how a model's probes are chosen, on names that are not among the 200.
"""

import argparse
import json
import platform
import sys
from pathlib import Path

import numpy as np

import lagotto
from lagotto.encoders.registry import load_encoder
from lagotto.evaluation.probing import Questions, label_questions, probing_curve
from lagotto.evaluation.raw_responses import RawModel, RawResponses, read_raw_responses
from lagotto.evaluation.retrieval import read_truth
from lagotto.evaluation.scoring import paper_rule, smooth_rule
from lagotto.hubsearch.baselines import alternating_least_squares, filled_svd
from lagotto.hubsearch.columns import to_columns, to_responses
from lagotto.hubsearch.pipeline import Hub
from lagotto.hubsearch.probe_choice import Choosing, Share

COUNTS = (30, 60, 120, 200, 300, 500)
BASELINE_COUNTS = (60, 120, 200, 300, 500)
CHOICES: tuple[Choosing, ...] = ("spread", "random")
SHARED_COUNTS = (60, 120, 200, 300)


def questions_of(raw: RawResponses, encoder_folder: Path) -> Questions:
    """The class names of the mini-hub in the encoder's own prompt."""
    encoder = load_encoder(str(encoder_folder))
    template = encoder.info.prompt_template
    return label_questions(
        raw.models,
        raw.embeddings,
        lambda names: encoder.embed_texts([template.replace("{}", name) for name in names]),
    )


def mini(
    raw: RawResponses, questions: Questions, seeds: int, ways: tuple[Choosing, ...] = CHOICES
) -> dict[str, object]:
    """The curve for each way of choosing a model's probes."""
    found: dict[str, object] = {"digest": raw.digest}
    for choosing in ways:
        rows = []
        for count in COUNTS:
            curve = probing_curve(
                raw.models, raw.embeddings, questions, [count], seeds, choosing
            ).as_json()
            rows += curve["rows"]
            print(choosing, count, json.dumps(curve["rows"][0]), file=sys.stderr, flush=True)
        found[choosing] = {**curve, "rows": rows}
    return found


def baselines(raw: RawResponses, questions: Questions, seeds: int) -> list[dict[str, object]]:
    """Masked ALS and mean-filled SVD, rank 32, by both rules."""
    rules = {"default": smooth_rule(questions.cosines), "paper": paper_rule(questions.cosines)}
    probes = len(raw.embeddings)
    rows = []
    for count in BASELINE_COUNTS:
        share = Share(count, raw.embeddings, "random")
        scores: dict[str, list[float]] = {}
        for seed in range(seeds):
            observed = [
                to_columns(np.ascontiguousarray(model.values[seen]), seen)
                for model in raw.models
                for seen in [share.own(f"{model.name} {seed}")]
            ]
            columns = [each for each, _ in observed]
            ways = {
                "als": alternating_least_squares(columns, probes, seed=seed),
                "svd": filled_svd(columns, probes),
            }
            for way, completed in ways.items():
                responses = [
                    to_responses(each, scale)
                    for each, (_, scale) in zip(completed, observed, strict=True)
                ]
                for rule, scorer in rules.items():
                    joined = np.concatenate([scorer(each) for each in responses], axis=1)
                    best = np.nan_to_num(joined, nan=-np.inf).argmax(axis=1).tolist()
                    right = [
                        place in good for place, good in zip(best, questions.right, strict=True)
                    ]
                    scores.setdefault(f"{way}, {rule} rule", []).append(float(np.mean(right)))
        row = {name: round(float(np.mean(each)), 4) for name, each in scores.items()}
        rows.append({"probes": count, **row})
        print("baselines", rows[-1], file=sys.stderr, flush=True)
    return rows


def shared(assets: Path, folder: Path, seeds: int) -> dict[str, object]:
    """The guard on 22 models that have little in common."""
    hub = Hub.open(folder, str(assets / "encoder" / "photo-lit"))
    models = [
        RawModel(
            model.name,
            tuple(label or "" for label in hub.labels(model.name)),
            np.array(hub.responses(model.name)),
            None,
            None,
        )
        for model in hub.status().models
    ]
    firsts = np.cumsum([0, *(len(model.labels) for model in models)]).tolist()
    first = {model.name: at for model, at in zip(models, firsts[:-1], strict=True)}
    asked = [q for q in read_truth(assets / "hub" / "truth.json") if q.kind == "imagenet"]
    template = hub.encoder.info.prompt_template
    texts = [template.replace("{}", query.text) for query in asked]
    cosines = (hub.encoder.embed_texts(texts) @ hub.probe_embeddings.T).astype(np.float32)
    right = tuple(frozenset(first[m] + i for m, i in query.correct) for query in asked)
    found = probing_curve(
        models, hub.probe_embeddings, Questions(cosines, right), SHARED_COUNTS, seeds, "spread"
    ).as_json()
    return {"probe_digest": hub.probe_digest, "models": len(models), **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--part", choices=("mini", "baselines", "shared"), required=True)
    parser.add_argument("--hub", type=Path, help="for the part `shared`")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    if options.part == "shared":
        made: object = shared(options.assets, options.hub, options.seeds)
    else:
        raw = read_raw_responses(options.assets / "inet-mini-hub")
        questions = questions_of(raw, options.assets / "encoder" / "photo-lit")
        measure = {"mini": mini, "baselines": baselines}[options.part]
        made = measure(raw, questions, options.seeds)
    known = json.loads(options.out.read_text()) if options.out.exists() else {}
    known |= {
        options.part: made,
        "seeds": options.seeds,
        "lagotto": lagotto.__version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
    }
    options.out.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
