r"""Checkpoints as people leave them: are they recognized, and are the logits those of torch?

    python benchmarks/quality/checkpoints.py --json > benchmarks/results/quality_checkpoints.json
    python benchmarks/quality/checkpoints.py --heavy --json
    python benchmarks/quality/checkpoints.py --sizes --json

Needs torch, torchvision and timm, which write the checkpoints: networks with random weights from a
fixed seed, whose statistics are drawn too, so that a mistake shows. A second process opens each of
them with Lagotto, without torch, and gives its logits on pictures, with the tensor that it fed. The
error is that of the logits against torch's on the same tensor, as a share of the largest logit;
`spread` is how much the logits of different pictures differ, as a share of the same.
Networks that no table knows must be refused. The baseline of the times is onnxruntime with the same
ResNet-50 as an exported file: opening it and running a batch of eight.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnxruntime

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

import lagotto
from lagotto.core.errors import LagottoError
from lagotto.core.types import ModelSource
from lagotto.models.registry import load_model

TOLERANCE = 1e-4
GAIN = 1.2
"""Variance of random weights: deep networks neither blow up rounding nor forget the picture."""

PICTURES, BATCH, PAIRS = 3, 8, 9


def write_all(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Writes the checkpoints, and what torch says of each; needs torch."""
    import torch

    from architectures.catalogue import randomize
    from quality.checkpoint_styles import STYLES, cases, heavy_cases, size_cases

    torch.set_num_threads(1)
    rows = []
    chosen = {"heavy": heavy_cases, "sizes": size_cases}.get(kind, cases)()
    for at, case in enumerate(chosen):
        network = case.build().eval()
        randomize(network, seed=at, gain=GAIN)
        file = folder / f"{at:02d}" / f"best{case.ending}"
        file.parent.mkdir()
        with torch.no_grad():
            STYLES[case.style](network, file)
        rows.append(
            {
                "name": case.name,
                "style": case.style,
                "architecture": case.architecture,
                "file": str(file),
                "size": case.size,
            }
        )
        torch.save(network, file.with_name("network.saved"))  # for the comparison alone
    return rows


def compare(rows: list[dict[str, Any]]) -> None:
    """Adds the error of the logits of each recognized checkpoint; needs torch."""
    import torch

    torch.set_num_threads(1)
    for row in rows:
        if "error" in row or not row["architecture"]:
            continue
        folder = Path(row["file"]).parent
        network = torch.load(folder / "network.saved", weights_only=False).eval()
        fed = torch.from_numpy(np.load(folder / "fed.npy"))
        with torch.no_grad():
            expected = network(fed).numpy()
        logits = np.load(folder / "logits.npy")
        scale = np.abs(expected).max()
        difference = float(np.abs(logits - expected).max() / scale)
        row["spread"] = float(f"{np.ptp(expected, axis=0).max() / scale:.1e}")
        row["difference"] = float(f"{difference:.1e}")


def open_all(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Opens each checkpoint with Lagotto, and runs it on pictures; without torch."""
    drawn = np.random.default_rng(0)
    for row in rows:
        file = Path(row["file"])
        started = time.perf_counter()
        try:
            model: Any = load_model(ModelSource(row["name"], file))
        except LagottoError as error:
            row["error"] = str(error)
            row["open_s"] = round(time.perf_counter() - started, 3)
            continue
        row["open_s"] = round(time.perf_counter() - started, 3)
        spec = model.spec
        pixels = drawn.integers(0, 256, (PICTURES, *spec.input.pixels.shape), np.uint8)
        np.save(file.with_name("logits.npy"), model.logits(pixels))
        fed = [model.prepared(pixels[at : at + 1], spec.input)[:1] for at in range(PICTURES)]
        np.save(file.with_name("fed.npy"), np.concatenate(fed))
        row["found"] = spec.architecture
        row["found_size"] = spec.input.pixels.height
        row["labels"] = len(spec.labels or ())
        row["notes"] = list(spec.notes)
    return rows


def time_resnet(checkpoint: Path, exported: Path) -> dict[str, Any]:
    """Seconds to open a ResNet-50 and to run pictures, by Lagotto and by onnxruntime alone.

    Both are run one after the other, and the ratio is the median of those of the pairs, so that
    other work on the machine weighs on both alike. The first pair is left out. The `cpu` figures
    are CPU seconds of this process, on which other work weighs little.
    """
    load = os.getloadavg()[0]
    eight, one = (_timed_pairs(checkpoint, exported, count) for count in (BATCH, 1))
    loads = [round(load, 1), round(os.getloadavg()[0], 1)]
    return {**eight, "one_picture": one, "pairs": PAIRS, "load": loads}


def _timed_pairs(checkpoint: Path, exported: Path, count: int) -> dict[str, float]:
    """The medians of both times, and of the ratios of the pairs, with some pictures."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8)
    fed = (pixels.transpose(0, 3, 1, 2) / np.float32(255)).astype(np.float32)
    pairs = []
    for _ in range(PAIRS + 1):
        started = _now()
        load_model(ModelSource("resnet50", checkpoint)).logits(pixels)
        ours = _now() - started
        started = _now()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = 1, 4
        session = onnxruntime.InferenceSession(
            exported.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
        for at in range(count):
            session.run(None, {"input": fed[at : at + 1]})
        pairs.append((ours, _now() - started))
    del pairs[0]
    found = {}
    for at, kind in enumerate(("", "cpu_")):
        found |= {
            f"{kind}lagotto_s": round(median(ours[at] for ours, _ in pairs), 3),
            f"{kind}onnxruntime_s": round(median(theirs[at] for _, theirs in pairs), 3),
            f"{kind}ratio": round(median(ours[at] / theirs[at] for ours, theirs in pairs), 2),
        }
    return found


def _now() -> np.ndarray:
    """Seconds of the clock, and of this process on a CPU."""
    return np.array([time.perf_counter(), time.process_time()])


def write_resnet(folder: Path) -> tuple[Path, Path]:
    """A ResNet-50 as a checkpoint and as an exported file; needs torch."""
    import torch
    from torchvision import models

    network = models.resnet50(num_classes=100).eval()
    checkpoint, exported = folder / "resnet50.pth", folder / "resnet50.onnx"
    torch.save(network.state_dict(), checkpoint)
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, 224, 224),),
        exported,
        dynamo=False,
        input_names=["input"],
        output_names=["logits"],
    )
    return checkpoint, exported


def measure(kind: str) -> dict[str, Any]:
    """Writes, opens in a second process, compares."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = write_all(folder, kind)
        files = [] if kind == "sizes" else write_resnet(folder)
        times = _child("--time", list(map(str, files))) if files else {}
        rows = _child("--open", rows)
        compare(rows)
    known = [row for row in rows if row["architecture"]]
    right = [row for row in known if row.get("found") == row["architecture"]]
    unknown = [row for row in rows if not row["architecture"]]
    exact = [row for row in right if row["difference"] <= TOLERANCE]
    if kind == "sizes":
        exact = [row for row in exact if row["found_size"] == row["size"]]
    wrong = [row for row in rows if row not in exact and not (row in unknown and "error" in row)]
    for row in rows:
        del row["file"]
    return {
        "lagotto": lagotto.__version__,
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
        "checkpoints": len(known),
        "architectures": len({row["architecture"] for row in known}),
        "styles": len({row["style"] for row in known}),
        "recognized": len(right),
        "equal": len(exact),
        "smallest_spread": min((row["spread"] for row in right), default=0.0),
        "largest_difference": max((row["difference"] for row in right), default=0.0),
        "median_open_s": round(median(row["open_s"] for row in right), 3),
        "largest_open_s": max(row["open_s"] for row in right),
        "home_made": len(unknown),
        "home_made_refused": sum("error" in row for row in unknown),
        "resnet50": times,
        "wrong": wrong,
        "rows": rows,
    }


def _child(task: str, given: Any) -> Any:
    """Runs a task in a process without torch."""
    done = subprocess.run(
        [sys.executable, __file__, task], input=json.dumps(given), text=True, capture_output=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    """Prints the results; exits with 1 if a checkpoint is read wrongly."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--heavy", action="store_true", help="larger networks, as a run of its own")
    parser.add_argument("--sizes", action="store_true", help="other sizes, as a run of its own")
    parser.add_argument("--open", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--time", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.open:
        sys.modules["torch"] = None  # type: ignore[assignment]  # whoever imports it fails
        print(json.dumps(open_all(json.load(sys.stdin))))
        return
    if arguments.time:
        print(json.dumps(time_resnet(*map(Path, json.load(sys.stdin)))))
        return
    found = measure("heavy" if arguments.heavy else "sizes" if arguments.sizes else "usual")
    if arguments.json:
        print(json.dumps(found, indent=1))
    else:
        for row in found["rows"]:
            print(row["name"], row["style"], row.get("difference"), row.get("error", "")[:120])
    if found["wrong"]:
        raise SystemExit(f"{len(found['wrong'])} checkpoints are read wrongly")


if __name__ == "__main__":
    main()
