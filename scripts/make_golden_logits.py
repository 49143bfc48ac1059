"""Networks of torch come in; tests/golden/network_logits.json, logits to compare with, goes out.

    python scripts/make_golden_logits.py

Needs torch, torchvision and timm. Each network gets the weights of tests/helpers/seeded_weights.py
and runs on the tensor that Lagotto feeds for two fixed pictures. So the tests need no torch.
"""

import json
import sys
import tempfile
import warnings
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from architectures.catalogue import architectures
from lagotto.core.types import ModelSource
from lagotto.models.classifier import ModelClassifier
from lagotto.models.registry import load_model
from network_files import (
    GOLDEN_FILE,
    GOLDEN_KEYS,
    KEPT,
    golden_pictures,
    shapes_of,
    write_network,
)
from seeded_weights import seeded_weights


def main() -> None:
    """Writes the file; says how far Lagotto's own logits are from torch's."""
    found = {}
    for architecture in architectures():
        if architecture.key not in GOLDEN_KEYS:
            continue
        network = architecture.build(1000).eval()
        with tempfile.TemporaryDirectory() as folder:
            file = write_network(architecture.key, Path(folder))
            model = load_model(ModelSource(architecture.key, file))
        assert isinstance(model, ModelClassifier)
        pixels = golden_pictures(model.spec.input.pixels.shape)
        fed = [model.prepared(pixels[at : at + 1], model.spec.input) for at in range(len(pixels))]
        weights = seeded_weights(shapes_of(architecture.key))
        tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
        state = network.state_dict()  # it also has the version of the format
        state.update(tensors)
        network.load_state_dict(state)
        with torch.no_grad():
            logits = torch.cat([network(torch.from_numpy(each)) for each in fed]).numpy()
        own = model.logits(pixels)
        print(architecture.key, f"{abs(own - logits).max() / abs(logits).max():.1e}", flush=True)
        found[architecture.key] = [[round(float(x), 6) for x in row[:KEPT]] for row in logits]
    GOLDEN_FILE.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main()
