"""keras.applications, translated by Lagotto and compared with Keras: equal logits, and how long.

    python benchmarks/quality/keras_models.py --out benchmarks/results/quality_keras_models.json
    python benchmarks/quality/keras_models.py --only VGG16 --libraries keras3 --out FILE

With --only, the rows of these networks replace those in the file of --out, and all others stay.
It runs in an environment of its own, with tensorflow-cpu, keras, tf_keras, h5py, onnx and
onnxruntime; nothing is downloaded. Every network gets random weights and random statistics, is
saved as .h5 and .keras, opened by Lagotto, and run on the same pictures. Exit code 1 if one of them
is refused, or if a logit differs from that of Keras by more than 1e-4 of the range of its logits.
"""

import argparse
import gc
import json
import os
import platform
import sys
import tempfile
import time
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np
import onnxruntime

from lagotto.core.types import ModelSource
from lagotto.models.assembled import AssembledModel
from lagotto.models.keras.translate import translate_file

TOLERANCE = 1e-4
NETWORKS = (
    *("Xception", "VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152", "ResNet50V2"),
    *("ResNet101V2", "ResNet152V2", "InceptionV3", "InceptionResNetV2", "MobileNet", "MobileNetV2"),
    *("MobileNetV3Small", "MobileNetV3Large", "DenseNet121", "DenseNet169", "DenseNet201"),
    *("NASNetMobile", "NASNetLarge", *(f"EfficientNetB{n}" for n in range(8))),
    *("EfficientNetV2B0", "EfficientNetV2B1", "EfficientNetV2B2", "EfficientNetV2B3"),
    *("EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L", "ConvNeXtTiny", "ConvNeXtSmall"),
    *("ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"),
)
_SEED = 3
_SATURATED = 20.0
"""Log probabilities further apart say nothing: some are zero."""
_MOST_CHANGES = 12
_STILL_SATURATED = 3
"""Changes of the last kernel after which the statistics are set first."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", help="names of networks")
    parser.add_argument("--libraries", nargs="*", default=["keras3", "keras2"])
    parser.add_argument("--largest", type=float, default=400, help="millions of parameters")
    parser.add_argument("--out", type=Path, help="written after every network")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = _kept_rows(options.out) if options.only and options.out else []
    for name in options.only or NETWORKS:
        for library in options.libraries:
            found = _compared(name, library, options.largest)
            print(*(list(row.values()) for row in found), sep="\n", file=sys.stderr)
            rows = _replaced(rows, found)
            if options.out:
                options.out.write_text(json.dumps(_result(rows), indent=1) + "\n")
    result = _result(rows)
    print(json.dumps(result, indent=1) if options.json else result)
    sys.exit(0 if result["all_equal"] else 1)


def _kept_rows(file: Path) -> list[dict[str, Any]]:
    """The rows that a file of results has; none if there is no such file."""
    rows: list[dict[str, Any]] = json.loads(file.read_text())["rows"] if file.is_file() else []
    return rows


def _replaced(rows: list[dict[str, Any]], found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with new ones in place of those of the same file, or behind them."""
    by_file = {(row["network"], row["library"], row["form"]): row for row in (*rows, *found)}
    return list(by_file.values())


def _result(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("keras", "tf_keras", "tensorflow_cpu", "onnxruntime", "onnx", "h5py", "numpy")
    return {
        "tolerance": TOLERANCE,
        "files": len(rows),
        "networks": len({row["network"] for row in rows}),
        "equal": sum(row["equal"] for row in rows),
        "all_equal": all(row["equal"] for row in rows),
        "largest_difference": max(
            (row["difference"] for row in rows if row["equal"]), default=None
        ),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in names},
        "rows": rows,
    }


def _compared(name: str, library: str, largest: float) -> list[dict[str, Any]]:
    keras: Any = import_module("tf_keras" if library == "keras2" else "keras")
    keras.backend.clear_session()
    gc.collect()
    keras.utils.set_random_seed(_SEED)
    try:
        model = getattr(keras.applications, name)(weights=None)
    except AttributeError:
        return []
    millions = model.count_params() / 1e6
    if millions > largest:
        return []
    _randomize(model)
    _, height, width, channels = (size or 224 for size in model.inputs[0].shape)
    pictures = np.random.default_rng(_SEED).uniform(0, 255, (1, height, width, channels))
    given = pictures.astype(np.float32) / (1 if _has_scaling(model) else 255)
    started = time.perf_counter()
    expected = _moderate_answer(model, given)
    keras_s = time.perf_counter() - started
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for ending in (".h5", ".keras"):
            path = Path(temporary) / f"model{ending}"
            model.save(path)
            row = {"network": name, "library": library, "form": ending[1:]}
            row |= {"million_parameters": round(millions, 1)}
            rows.append(row | _opened(path, given, expected) | {"keras_run_s": round(keras_s, 2)})
            path.unlink()
    return rows


def _moderate_answer(model: Any, given: np.ndarray) -> np.ndarray:
    """The probabilities of Keras, of weights for which they say something.

    Very deep networks with random weights are chaotic: a change of the picture by a millionth
    changes the logits by tenths of their range, so no two computations agree. Then the statistics
    of the normalizations become those of the picture, as training would have it. Where softmax is
    one 1 and zeros, which any wrong logits may give as well, the last kernel is made smaller; and
    the statistics are set first where the answer stays so, as features of EfficientNetV2L do that
    grow by a factor from block to block.
    """
    for change in range(_MOST_CHANGES):
        expected = np.asarray(model(given, training=False))
        if expected.min() < 1e-9 and change != _STILL_SATURATED:
            last = next(layer for layer in reversed(model.layers) if layer.weights)
            last.set_weights([value * 0.2 for value in last.get_weights()])
            continue
        logits = np.log(expected + 1e-12)
        near = np.log(np.asarray(model(given * (1 + 1e-6), training=False)) + 1e-12)
        is_steady = np.abs(near - logits).max() <= TOLERANCE * np.ptp(logits)
        if is_steady and expected.min() >= 1e-9:
            break
        for layer in model.layers:
            if type(layer).__name__ == "BatchNormalization":
                layer.momentum = 0.0
        model(given, training=True)
    return expected


def _has_scaling(model: Any) -> bool:
    return any(type(layer).__name__ in ("Rescaling", "Normalization") for layer in model.layers)


def _randomize(model: Any) -> None:
    """Statistics and scales as training leaves them: neither ones nor zeros, values of order 1.

    The kernels of a network without normalization (VGG) are made larger by the square root of 2, as
    ReLU halves the variance: else its logits are all but equal, and their range is rounding errors.
    """
    rng = np.random.default_rng(_SEED)
    is_plain = not any("Normalization" in type(layer).__name__ for layer in model.layers)
    for layer in model.layers:
        kind, values = type(layer).__name__, layer.get_weights()
        if kind == "BatchNormalization":
            values = [rng.uniform(0.7, 1.1, value.shape).astype(np.float32) for value in values]
            names = [weight.name for weight in layer.weights]
            for index, weight_name in enumerate(names):
                if "mean" in weight_name or "beta" in weight_name:
                    values[index] = rng.normal(0, 0.1, values[index].shape).astype(np.float32)
            layer.set_weights(values)
        elif is_plain and kind in ("Conv2D", "Dense"):
            kernel, bias = values
            layer.set_weights([kernel * np.sqrt(2), rng.normal(0, 0.05, bias.shape)])
        elif kind in ("LayerScale",):
            layer.set_weights([rng.uniform(0.1, 0.5, value.shape) for value in values])
        elif kind == "Normalization" and values:
            values[0] = rng.uniform(100, 130, values[0].shape)
            values[1] = rng.uniform(2000, 4000, values[1].shape)
            layer.set_weights(values)
            layer.finalize_state()


def _opened(path: Path, given: np.ndarray, expected: np.ndarray) -> dict[str, Any]:
    started = time.perf_counter()
    try:
        model = translate_file(ModelSource("reference", path, {}))
    except Exception as error:
        return {"equal": False, "difference": None, "refused": str(error)[:300]}
    translate_s = time.perf_counter() - started
    session, name = _session(model)
    open_s = time.perf_counter() - started
    started = time.perf_counter()
    (result, *_) = session.run(None, {name: given})
    run_s = time.perf_counter() - started
    logits, wanted = np.log(result + 1e-12), np.log(expected + 1e-12)
    difference = float(np.abs(logits - wanted).max() / np.ptp(wanted))
    return {
        "equal": bool(difference <= TOLERANCE and 1e-3 < np.ptp(wanted) < _SATURATED),
        "difference": float(f"{difference:.2e}"),
        "spread": round(float(np.ptp(wanted)), 3),
        "translate_s": round(translate_s, 2),
        "open_s": round(open_s, 2),
        "run_s": round(run_s, 2),
    }


def _session(model: AssembledModel) -> tuple[Any, str]:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    values = [np.ascontiguousarray(value) for value in model.weights.values()]
    arrays = list(map(onnxruntime.OrtValue.ortvalue_from_numpy, values))
    options.add_external_initializers(list(model.weights), arrays)
    session = onnxruntime.InferenceSession(model.data, options, providers=["CPUExecutionProvider"])
    return session, session.get_inputs()[0].name


if __name__ == "__main__":
    main()
