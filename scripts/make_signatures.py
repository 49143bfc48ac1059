"""The architectures of torchvision, timm and our own come in; the table of signatures goes out.

    python scripts/make_signatures.py --build /tmp/signatures      # 7 minutes; made once a release

Needs torch, torchvision and timm. Networks are built on the meta device, without weights. The names
and shapes of their tensors are kept in the folder --build, so a run that was stopped goes on. The
table is src/lagotto/models/architectures/signatures.bin; equal inputs give equal bytes.
"""

import argparse
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from architectures.catalogue import (
    CLASSES,
    Architecture,
    architectures,
    classifiers_of,
    without_weights,
)
from lagotto.models.architectures.signature_table import (
    TABLE_FILE,
    Signature,
    pack_signatures,
    sign_architecture,
)
from lagotto.models.architectures.signature_table import Architecture as KnownArchitecture


def main() -> None:
    """Collects the signatures that are missing in --build, then packs all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="folder for what is collected")
    parser.add_argument("--out", type=Path, default=TABLE_FILE)
    arguments = parser.parse_args()
    arguments.build.mkdir(parents=True, exist_ok=True)
    collected = arguments.build / "signatures.jsonl"
    known = {row["key"]: row for row in _rows(collected)}
    with collected.open("a") as stream:
        for architecture in architectures():
            if architecture.key not in known:
                row = _collect(architecture)
                known[architecture.key] = row
                stream.write(json.dumps(row) + "\n")
                stream.flush()
    rows = [row for row in known.values() if "why" not in row]
    signatures = [_signature(row) for row in sorted(rows, key=lambda row: row["key"])]
    data = pack_signatures(signatures)
    arguments.out.write_bytes(data)
    left_out = {row["key"]: row["why"] for row in known.values() if "why" in row}
    print(f"{len(signatures)} signatures, {len(data)} bytes; left out: {left_out or 'none'}")


def _rows(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.open()] if file.is_file() else []


def _collect(architecture: Architecture) -> dict[str, Any]:
    row: dict[str, Any] = {"key": architecture.key, "feed": architecture.feed}
    try:
        network = without_weights(architecture)
    except Exception as error:
        return row | {"why": " ".join(str(error).split())[:200]}
    tensors = network.state_dict()
    classifier = classifiers_of(network, architecture.classifier, CLASSES)
    if not classifier:
        return row | {"why": "no classifier"}
    return row | {
        "classifier": list(classifier),
        "first": list(architecture.first) or [_first_layer(tensors)],
        "children": [name for name, _ in network.named_children()],
        "tensors": {name: list(value.shape) for name, value in tensors.items()},
    }


def _first_layer(tensors: dict[str, torch.Tensor]) -> str:
    first = next(name for name, value in tensors.items() if value.ndim in (2, 4))
    return first.rpartition(".")[0]


def _signature(row: dict[str, Any]) -> Signature:
    library, _, name = row["key"].partition("/")
    tensors = {name: tuple(shape) for name, shape in row["tensors"].items()}
    weight = tensors.get(f"{row['classifier'][0]}.weight", (0, 0))
    architecture = KnownArchitecture(
        library,
        name,
        classifier=tuple(row["classifier"]),
        first=tuple(row["first"]),
        features=weight[1],
        feed=row["feed"],
    )
    return sign_architecture(architecture, tensors, tuple(row["children"]))


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    main()
