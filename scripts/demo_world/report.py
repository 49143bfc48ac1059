"""Writes what is true of the world: world.json, truth.json and NOTICE, measured as shipped.

python report.py WORLD
"""

import argparse
import collections
import importlib.metadata
import pathlib

import numpy as np
from concepts import Concept, list_concepts
from export import write_json
from pictures import PROBES, SEED, deal_probes
from plan import ModelPlan, plan_models
from shipped import Pictures, load_model, load_pictures

FORMAT = 1
CREDITS = (
    "The pictures contain emoji artwork of Noto Color Emoji, copyright Google LLC, licensed under"
    " the Apache License, Version 2.0 (https://www.apache.org/licenses/LICENSE-2.0);"
    " turned, scaled, re-lit and composed on made backgrounds."
    " https://github.com/googlefonts/noto-emoji"
)
NOTICE = f"""Lagotto demo world

{CREDITS}

The artwork is taken from the font as packaged by Debian (fonts-noto-color-emoji); the font itself,
licensed under the SIL Open Font License 1.1, is not part of this folder. Backgrounds, captions,
classifiers and the encoder were made by scripts/demo_world of the Lagotto project.
"""
PACKAGES = ("torch", "onnx", "onnxruntime", "numpy", "pillow", "tokenizers", "pyarrow")


def measure(world: pathlib.Path, plan: ModelPlan, names: list[str], heldout: Pictures) -> dict:
    """One model's facts, its accuracy on held-out pictures taken from the exported file."""
    labels = [names[index] for index in plan.classes]
    known = [row for row, label in enumerate(heldout.columns["label"]) if label in labels]
    logits = load_model(world / "models" / plan.name).logits([heldout.images[i] for i in known])
    guesses = [labels[index] for index in logits.argmax(axis=1)]
    right = [guess == heldout.columns["label"][i] for guess, i in zip(guesses, known, strict=True)]
    return {
        "classes": labels,
        "labelled": plan.labelled,
        "architecture": plan.architecture,
        "quantised": plan.quantised or None,
        "fixed_batch": plan.fixed_batch,
        "training_effort": plan.effort,
        "heldout_accuracy": round(float(np.mean(right)), 4),
        "heldout_pictures": len(known),
        "chance": round(1 / len(labels), 4),
    }


def write_truth(world: pathlib.Path, concepts: list[Concept], plans: list[ModelPlan]) -> int:
    """truth.json: for each concept that a model knows, the logits that recognise it."""
    relevant: dict[int, list[list[object]]] = collections.defaultdict(list)
    for plan in sorted(plans, key=lambda plan: plan.name):
        for logit, concept in enumerate(plan.classes):
            relevant[concept].append([plan.name, logit])
    queries = [
        {
            "text": concept.name,
            "kind": "rare" if concept.is_rare else "known",
            "relevant": relevant[index],
            "acceptable": [],
        }
        for index, concept in enumerate(concepts)
        if index in relevant
    ]
    about = (
        "text -> logits that recognise it, from the classes each model was trained on. kind:"
        " known, or rare = a concept that the encoder hardly saw or knows by another word."
    )
    write_json(world / "truth.json", {"about": about, "queries": queries})
    return len(queries)


def write_report(world: pathlib.Path) -> None:
    """All three files."""
    concepts = list_concepts()
    names = [concept.name for concept in concepts]
    plans = plan_models(SEED, len(concepts))
    heldout = load_pictures(world / "heldout.parquet")
    models = {
        plan.name: measure(world, plan, names, heldout)
        for plan in sorted(plans, key=lambda plan: plan.name)
    }
    queries = write_truth(world, concepts, plans)
    known_to = collections.Counter(index for plan in plans for index in plan.classes)
    content = {
        "format": FORMAT,
        "about": "The demo world of Lagotto, made by scripts/demo_world. rarity: how the encoder's"
        " training met the concept: known, seldom seen, or other word (seen, but called"
        " by its training_word).",
        "seed": SEED,
        "credits": CREDITS,
        "versions": {package: importlib.metadata.version(package) for package in PACKAGES},
        "queries": queries,
        "concepts": [
            {
                "name": concept.name,
                "emoji": concept.emoji,
                "category": concept.category,
                "other_names": list(concept.other_names),
                "rarity": concept.rarity,
                "training_word": concept.training_word or None,
                "models": known_to[index],
            }
            for index, concept in enumerate(concepts)
        ],
        "rare_concepts": [concept.name for concept in concepts if concept.is_rare],
        "models": models,
        "probe_concepts": {
            f"probe_{row:04d}.webp": [names[index] for index in hand]
            for row, hand in enumerate(deal_probes(SEED, len(concepts), PROBES))
        },
    }
    write_json(world / "world.json", content)
    (world / "NOTICE").write_text(NOTICE, encoding="utf-8")
    accuracies = [facts["heldout_accuracy"] for facts in models.values()]
    worst = min(models, key=lambda name: models[name]["heldout_accuracy"])
    print(f"{len(models)} models, held-out accuracy: mean {np.mean(accuracies):.3f}, ", end="")
    print(f"lowest {min(accuracies):.3f} ({worst}, chance {models[worst]['chance']})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", type=pathlib.Path)
    write_report(parser.parse_args().world)


if __name__ == "__main__":
    main()
