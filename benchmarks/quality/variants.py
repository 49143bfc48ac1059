r"""Networks with the same tensors: is the one that the weights are of found on probes?

    python benchmarks/quality/variants.py --assets DIR --weights FOLDER --json > \
        benchmarks/results/quality_variants.json

`tf_efficientnet_b0` and `efficientnet_b0` have the same tensors; padding and epsilon differ. Three
kinds of checkpoints, each without any name in it:

- *trained*: FOLDER/tf/*.pth and FOLDER/plain/*.pth, published weights whose network is known. The
  tensors of other packages are renamed in their order; shapes have to agree.
- *adapted*: the same weights put into the other network, and its normalizations adapted to 64
  photos in training mode, as fine-tuning does.
- *drawn*: random weights, with the normalizations of each network adapted to the same photos.
- *random*: random weights and random statistics, which say nothing: the preference has to stay.

The input is declared, so that nothing else is tried. The photos of the adaptation are not among the
probes. The margin was chosen on the rows marked `chosen_on`, every other one. The baseline is the
preference: always the plain network.
"""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from PIL import Image
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

import lagotto
from architectures.catalogue import randomize
from lagotto.core.images import to_pixels
from lagotto.core.types import JsonObject, ModelSource, PixelSpec
from lagotto.models.classifier import ModelClassifier
from lagotto.models.preprocessing.infer import TRIAL_PICTURES
from lagotto.models.preprocessing.variants import MIN_FIT_MARGIN, choose_network
from lagotto.models.registry import load_model

ADAPTED_ON, BATCH, EDGE, TRAINED_EDGE = 64, 32, 96, 224
DRAWN = ("mobilenetv3_small_100", "efficientnet_lite0", "mobilenetv3_large_100")
COMMON_MEAN, COMMON_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
COMMON: JsonObject = {"scale": "0..1", "mean": [*COMMON_MEAN], "std": [*COMMON_STD]}
CENTERED: JsonObject = {"scale": "-1..1"}


def photos(folder: Path, count: int, seed: int) -> list[Image.Image]:
    """Some photos of a folder, in an order by chance."""
    files = sorted((folder / "images").iterdir())
    drawn = np.random.default_rng(seed).permutation(len(files))[:count]
    return [Image.open(files[at]).convert("RGB") for at in drawn]


def renamed(tensors: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Tensors by the names of a network that has them in the same order."""
    given = [value for name, value in tensors.items() if "num_batches" not in name]
    wanted = {n: v.shape for n, v in network.state_dict().items() if "num_batches" not in n}
    if len(given) != len(wanted):
        raise SystemExit(f"{len(given)} tensors in place of {len(wanted)}")
    found = dict(zip(wanted, given, strict=True))
    for name, value in found.items():
        if "classifier" not in name and value.shape != wanted[name]:
            raise SystemExit(f"{name}: {tuple(value.shape)} in place of {tuple(wanted[name])}")
    return found


def adapt(network: nn.Module, fed: torch.Tensor) -> nn.Module:
    """Sets the statistics of the normalizations to those of some pictures."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None  # a plain mean
    network.train()
    for layer in network.modules():
        if hasattr(layer, "drop_prob"):
            layer.drop_prob = 0.0
    with torch.no_grad():
        for at in range(0, len(fed), BATCH):
            network(fed[at : at + BATCH])
    return network.eval()


def cases(weights: Path, fed: torch.Tensor) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    """Kind, network, truth ("tf", "plain" or "") and tensors of each checkpoint."""
    trained = [*_trained(weights)]
    yield from (("trained", *row) for row in trained)
    for at, plain in enumerate(DRAWN):
        for truth, name in (("plain", plain), ("tf", f"tf_{plain}")):
            network = timm.create_model(name, num_classes=10)
            randomize(network, seed=at, gain=1.2)
            yield "random", plain, "", dict(network.state_dict())
            yield "drawn", plain, truth, adapt(network, fed).state_dict()
    for plain, truth, tensors in trained:
        other = "plain" if truth == "tf" else "tf"
        count = tensors["classifier.weight"].shape[0]
        name = plain if other == "plain" else f"tf_{plain}"
        network = timm.create_model(name, num_classes=count)
        network.load_state_dict(tensors, strict=False)
        yield "adapted", plain, other, adapt(network, fed).state_dict()


def _trained(weights: Path) -> Iterator[tuple[str, str, dict[str, torch.Tensor]]]:
    """Network, truth and tensors of the published weights; a vector as last layer is one class."""
    for truth in ("tf", "plain"):
        for file in sorted((weights / truth).glob("*.pth")):
            plain = file.stem.partition("-")[0]
            tensors = torch.load(file, weights_only=True, map_location="cpu")
            count = tensors[next(reversed(tensors))].numel()
            network = timm.create_model(plain, num_classes=count)
            yield plain, truth, renamed(tensors, network)


def judge(file: Path, fed: JsonObject, probes: list[Image.Image]) -> dict[str, Any]:
    """What Lagotto takes a checkpoint for, and how surely, fed as it was trained."""

    def pictures(spec: PixelSpec) -> np.ndarray:
        return np.stack([to_pixels(picture, spec) for picture in probes])

    started = time.perf_counter()
    described: JsonObject = {
        "channels": "RGB",
        "resize": "crop",
        "crop_fraction": 0.875,
        "resample": "bicubic",
    }
    model = load_model(ModelSource("best", file, {"input": {**described, **fed}}))
    assert isinstance(model, ModelClassifier)
    model = choose_network(model, pictures)
    decision = next(item for item in model.spec.decisions if item.field == "architecture")
    margin = decision.margin or 0.0
    is_tf = decision.value.startswith("tf_")
    return {
        "taken": "tf" if is_tf else "plain",
        "tf_ahead": round(margin if is_tf else -margin, 3),
        "sure": decision.origin == "inferred",
        "s": round(time.perf_counter() - started, 1),
    }


def measure(assets: Path, weights: Path, most: int | None) -> dict[str, Any]:
    """All rows, and the shares that are right."""
    torch.set_num_threads(1)
    adapting = [
        to_pixels(picture, PixelSpec(EDGE, EDGE, crop_fraction=0.875, resample="bicubic"))
        for picture in photos(assets / "photos" / "imagenet100x5", ADAPTED_ON, 1)
    ]
    fed = torch.from_numpy(np.stack(adapting)).permute(0, 3, 1, 2).float() / 255
    fed = (fed - torch.tensor(COMMON_MEAN)[:, None, None]) / torch.tensor(COMMON_STD)[:, None, None]
    probes = photos(assets / "photos" / "flickr8k", TRIAL_PICTURES, 2)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for at, (kind, plain, truth, tensors) in enumerate(islice(cases(weights, fed), most)):
            file = Path(name) / "best.pth"
            torch.save(tensors, file)
            row = {"kind": kind, "network": plain, "truth": truth, "chosen_on": at % 2 == 0}
            edge = TRAINED_EDGE if kind == "trained" else EDGE
            scaled = CENTERED if kind == "trained" and truth == "tf" else COMMON
            rows.append({**row, **judge(file, {**scaled, "size": [edge, edge]}, probes)})
            print(rows[-1], file=sys.stderr, flush=True)
    known = [row for row in rows if row["truth"]]
    kept = [row for row in known if not row["chosen_on"]]
    return {
        "lagotto": lagotto.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "timm": timm.__version__,
        "margin": MIN_FIT_MARGIN,
        "checkpoints": len(known),
        "right": sum(row["taken"] == row["truth"] for row in known),
        "kept_aside": len(kept),
        "kept_aside_right": sum(row["taken"] == row["truth"] for row in kept),
        "trained": sum(row["kind"] == "trained" for row in rows),
        "trained_right": sum(
            row["taken"] == row["truth"] for row in rows if row["kind"] == "trained"
        ),
        "baseline_right": sum(row["truth"] == "plain" for row in known),
        "sure": sum(row["sure"] for row in known),
        "sure_and_wrong": sum(row["sure"] and row["taken"] != row["truth"] for row in known),
        "random": sum(row["kind"] == "random" for row in rows),
        "random_kept_plain": sum(
            row["taken"] == "plain" for row in rows if row["kind"] == "random"
        ),
        "rows": rows,
    }


def main() -> None:
    """Prints the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True, help="folder with photos/")
    parser.add_argument("--weights", type=Path, required=True, help="folder with tf/ and plain/")
    parser.add_argument("--most", type=int, help="checkpoints at most")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    found = measure(arguments.assets, arguments.weights, arguments.most)
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        print({name: value for name, value in found.items() if name != "rows"})


if __name__ == "__main__":
    main()
