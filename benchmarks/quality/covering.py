"""Whole label sets: is a model that publishes them found by `lagotto search HUB --labels`?

    python benchmarks/quality/covering.py --assets DIR --json \
        > benchmarks/results/quality_covering.json

The label list of each model of DIR/hub (--draws draws of 10 of a longer one) is asked of the hub of
all models, on the captioned photos and with the ImageNet photos among the probes (or --hub and
--hub-inet). Behaviour only: labels are read for the questions and the truth. A model is right if it
publishes every label asked for, by its first name. Reported: how often the first and one of the
first three is right, the share of the model's own labels that are paired with the very output that
carries them, and the same share for a random pairing. The baseline ranks by the share of fits of 2
or more and by the mean fit, without a correction for the number of outputs.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

from lagotto.evaluation.intervals import mean_interval
from lagotto.hub.hub import Hub
from lagotto.hub.labels.coverage import ModelCoverage

MOST = 10
PLAIN = 2.0
KEYS = (
    "first",
    "first_three",
    "uncorrected_first",
    "uncorrected_first_three",
    "paired",
    "paired_by_chance",
)


def first_name(label: str | None) -> str:
    return (label or "").partition(",")[0].strip()


def plain_coverage(found: ModelCoverage) -> float:
    """The share of labels with a fit of 2 or more, whatever the number of outputs."""
    return float(np.mean([each.fit >= PLAIN for each in found.labels]))


def open_hub(given: Path | None, assets: Path, folder: Path, inet: bool) -> Hub:
    encoder = str(assets / "encoder" / "photo-lit")
    if given is not None:
        return Hub.open(given, encoder)
    photos = assets / "photos"
    probes = [
        photos / "flickr8k",
        photos / "coco",
        *([photos / "imagenet1k-sample"] if inet else []),
    ]
    hub = Hub.create(folder, probes, encoder)
    hub.add([assets / "hub"])
    return hub


def ask(hub: Hub, draws: int) -> list[dict[str, object]]:
    """One row a label set."""
    names = {
        record.name: [first_name(label) for label in hub.labels(record.name)]
        for record in hub.reader.records()
    }
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for model, published in names.items():
        known = list(dict.fromkeys(name for name in published if name))
        for _ in range(draws if len(known) > MOST else 1):
            wanted = [known[i] for i in rng.permutation(len(known))[:MOST]]
            right = {name for name, labels in names.items() if set(wanted) <= set(labels)}
            found = hub.cover(wanted, top=len(names))
            places = [each.model in right for each in found]
            plain = sorted(found, key=lambda each: (-plain_coverage(each), -each.mean_fit))
            before = [each.model in right for each in plain]
            own = next(each for each in found if each.model == model)
            paired = [
                pair.logit is not None and published[pair.logit] == pair.label
                for pair in own.labels
            ]
            rows.append(
                {
                    "model": model,
                    "labels": len(wanted),
                    "outputs": len(published),
                    "right_models": len(right),
                    "first": places[0],
                    "first_three": any(places[:3]),
                    "rank": places.index(True) + 1,
                    "uncorrected_first": before[0],
                    "uncorrected_first_three": any(before[:3]),
                    "uncorrected_rank": before.index(True) + 1,
                    "paired": float(np.mean(paired)),
                    "paired_by_chance": 1 / len(published),
                }
            )
            print(rows[-1], file=sys.stderr, flush=True)
    return rows


def summary(rows: list[dict[str, object]]) -> dict[str, object]:
    """Means with 95 % over the label sets."""
    found: dict[str, object] = {"sets": len(rows)}
    for key in KEYS:
        mean = mean_interval(np.array([float(row[key]) for row in rows]))  # type: ignore[arg-type]
        found[key] = [round(mean.value, 4), round(mean.low, 4), round(mean.high, 4)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub of all models on the captioned photos")
    parser.add_argument("--hub-inet", type=Path, help="the same with the ImageNet photos")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result: dict[str, object] = {"most_labels": MOST, "draws": options.draws}
    with tempfile.TemporaryDirectory() as folder:
        for inet, given in ((False, options.hub), (True, options.hub_inet)):
            hub = open_hub(given, options.assets, Path(folder) / f"hub{inet}", inet)
            rows = ask(hub, options.draws)
            small = [row for row in rows if int(str(row["outputs"])) <= 50]
            large = [row for row in rows if int(str(row["outputs"])) > 50]
            result[f"{len(hub.probes)} probes"] = {
                "models of at most 50 outputs": summary(small),
                "models of more": summary(large),
                "rows": rows,
            }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
