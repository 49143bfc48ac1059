"""Writes reference models of Keras and what Keras computes with them, for the tests.

    python scripts/make_keras_references.py [--only NAME]

It needs an environment of its own, with tensorflow-cpu, keras and tf_keras. Every case is a small
network, saved in one or more forms, and the outputs of Keras on fixed pictures. All cases lie in
one zip archive under tests/models/keras/golden; the tests open each with Lagotto and compare.
"""

import argparse
import io
import json
import os
import sys
import tempfile
import zipfile
from importlib import import_module
from pathlib import Path
from typing import Any

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np

from keras_reference_cases import CASES, Case

GOLDEN = Path(__file__).resolve().parents[1] / "tests" / "models" / "keras" / "golden"
ARCHIVE = GOLDEN / "references.zip"
_SEED = 7
_FIXED_TIME = (2026, 1, 1, 0, 0, 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="cases whose names begin so; the archive is not written")
    options = parser.parse_args()
    members: dict[str, bytes] = {}
    failed: list[str] = []
    for case in CASES:
        if options.only and not case.name.startswith(options.only):
            continue
        for library in case.libraries:
            try:
                members |= _made(case, library)
            except Exception as error:  # the others are made; this one must be looked at
                failed.append(f"{case.name} {library}: {error}")
    print("\n".join(failed), file=sys.stderr)
    if options.only:
        return
    GOLDEN.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(ARCHIVE, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted(members.items()):
            archive.writestr(zipfile.ZipInfo(name, _FIXED_TIME), data, zipfile.ZIP_DEFLATED)
    print(f"{len(members)} members, {ARCHIVE.stat().st_size} bytes", file=sys.stderr)
    sys.exit(1 if failed else 0)


def _made(case: Case, library: str) -> dict[str, bytes]:
    """The files of one case by one library, and its inputs and outputs."""
    keras: Any = import_module("tf_keras" if library == "keras2" else "keras")
    keras.backend.clear_session()
    keras.utils.set_random_seed(_SEED)
    model = case.build(keras)
    shape = [size or 12 for size in model.inputs[0].shape[1:]]
    given = reference_pictures((2, *shape), case.range)
    model(given)  # makes what is not there yet
    _randomize(model)
    outputs = model(given, training=False)
    first = outputs[0] if isinstance(outputs, list | tuple) else outputs
    made = {}
    stem = f"{case.name}.{library}"
    with tempfile.TemporaryDirectory() as temporary:
        for ending in case.endings:
            path = Path(temporary) / f"model{ending}"
            model.save(path)
            made[f"{stem}{ending}"] = _without_date(path.read_bytes(), ending)
    expected = io.BytesIO()
    np.savez(expected, shape=given.shape, range=case.range, expected=np.asarray(first, np.float32))
    made[f"{stem}.npz"] = expected.getvalue()
    return made


def reference_pictures(shape: tuple[int, ...], ends: tuple[float, ...]) -> Any:
    """The fixed pictures of a case; the tests make them anew, so that they need not be stored."""
    return np.random.default_rng(_SEED).uniform(*ends, shape).astype(np.float32)


def _randomize(model: Any) -> None:
    """Random values also where Keras begins with ones and zeros: statistics, biases, scales."""
    rng = np.random.default_rng(_SEED)
    values = []
    for value in model.get_weights():
        is_count = value.dtype.kind in "iu"
        spread = rng.uniform(0.1, 0.9, value.shape) if value.ndim < 2 else 0
        values.append(value if is_count else (value * 0.9 + spread).astype(value.dtype))
    model.set_weights(values)
    for layer in model.layers:
        if type(layer).__name__ == "Normalization":
            layer.finalize_state()  # takes the statistics over from the weights


def _without_date(data: bytes, ending: str) -> bytes:
    """An archive with a fixed date, so that the same run gives the same bytes."""
    if ending != ".keras":
        return data
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "metadata.json":
                values = json.loads(content) | {"date_saved": "2026-01-01@00:00:00"}
                content = json.dumps(values).encode()
            new.writestr(zipfile.ZipInfo(name, _FIXED_TIME), content)
    return result.getvalue()


if __name__ == "__main__":
    main()
