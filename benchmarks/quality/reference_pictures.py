"""Example pictures: what the labels of a reference add to `lagotto search --image`.

    python benchmarks/quality/reference_pictures.py --assets DIR --hub HUB \
        > benchmarks/results/quality_reference_pictures.json

HUB is a hub of all models of DIR/hub on the captioned photos. Photos of ImageNet, one a class, are
asked for; one ImageNet model is the reference, and the output of the other one of the photo's class
is right. `named`: the reference has the photo's label. `not named`: the labels of all photos asked
are taken out of its list, so that any name is wrong. Photos whose label's sha256 begins with an odd
byte; the thresholds were read off the cosines of all photos, these among them. `behaviour` is
--no-reference.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from calibration.worlds import half
from lagotto.core.text.names import first_name, name_words
from lagotto.hub.hub import Hub
from lagotto.hub.query.types import ImageQuery
from quality.reference_copies import LARGE, SMALL, Copies, Labels


def words(label: str | None) -> frozenset[str]:
    return name_words(first_name(label or ""))


def top1(hub: Hub, photos: list[tuple[Path, str]], sought: list[frozenset[str]]) -> dict[str, Any]:
    """Top-1 with the reference and without; how many photos have a name; Top-1 of these."""
    right: dict[str, list[bool]] = {"taught": [], "behaviour": []}
    named = []
    for file, label in photos:
        vector = hub.query_vector(ImageQuery(file))
        for way, references in (("taught", None), ("behaviour", False)):
            first = hub.nearest(vector, top=1, references=references)[0]
            right[way].append(first.model == LARGE and sought[first.logit] == words(label))
            if way == "taught":
                named.append(first.through is not None)
    return {
        "photos": len(photos),
        "with_a_name": round(float(np.mean(named)), 4),
        **{way: round(float(np.mean(part)), 4) for way, part in right.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, required=True)
    parser.add_argument("--photos", type=int, default=100)
    given = parser.parse_args()
    folder = given.assets / "photos" / "imagenet1k-sample"
    lines = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    photos = [(folder / line["image"], line["label"]) for line in lines if half(line["label"]) == 1]
    order = np.random.default_rng(0).permutation(len(photos))[: given.photos].tolist()
    asked = [photos[place] for place in order]
    gone = {words(label) for _, label in asked}

    def without(model: str, labels: Labels) -> Labels:
        if model != SMALL:
            return labels
        return [None if words(label) in gone else label for label in labels]

    answer = {}
    with tempfile.TemporaryDirectory() as name:
        encoder = str(given.assets / "encoder" / "photo-lit")
        copies = Copies(given.hub, encoder, Path(name))
        for world, relabel in (("named", None), ("not named", without)):
            hub = copies.make(relabel, references=[SMALL], audited=False)
            sought = [words(label) for label in hub.labels(LARGE)]
            answer[world] = top1(hub, asked, sought)
            copies.drop(hub)
    json.dump(answer, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
