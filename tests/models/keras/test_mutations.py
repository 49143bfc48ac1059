"""Files of the Keras family, damaged at random, are translated or refused in one line."""

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest

from attack_keras import layer, sequential, write_h5, write_tfjs
from checkpoint_damage import damaged
from keras_mutation import KERAS_READERS
from lagotto.core.errors import LagottoError, ModelError
from lagotto.core.types import ModelSource
from lagotto.models.keras.files.global_heaps import check_heaps
from lagotto.models.keras.translate import translate_file, translate_tfjs

_ROUNDS = 120


@pytest.mark.parametrize("name", KERAS_READERS)
def test_a_damaged_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    ends: Counter[str] = Counter()
    for number in range(_ROUNDS):
        kind, data = damaged(KERAS_READERS[name], f"suite:{number}")
        said = _said(tmp_path, name, data)
        assert not said or (said.isprintable() and len(said) < 500), (number, said)
        ends[kind] += bool(said)
    assert len(ends) > 1
    assert all(ends.values())
    assert sum(ends.values()) < _ROUNDS


@pytest.mark.parametrize("name", KERAS_READERS)
def test_a_file_cut_at_any_place_is_refused(name: str, tmp_path: Path) -> None:
    data = KERAS_READERS[name].seeds()[0]
    for end in range(1, len(data) - 1, max(len(data) // 60, 1)):
        assert _said(tmp_path, name, data[:end])


def _said(folder: Path, name: str, data: bytes) -> str:
    """Why a damaged file is refused; "" if it is translated.

    Any error that is none of Lagotto's passes through: it is a fault.
    """
    reader = KERAS_READERS[name]
    for beside, content in reader.beside.items():
        (folder / beside).write_bytes(content)
    file = folder / f"damaged{reader.ending}"
    file.write_bytes(data)
    try:
        reader.read(file)
    except LagottoError as error:
        return str(error)
    return ""


def test_a_heap_of_texts_that_no_walk_gets_past_is_refused(tmp_path: Path) -> None:
    """An object with number and size 0 inside a collection holds the HDF5 library for ever."""
    data = bytearray(KERAS_READERS["hdf5"].seeds()[0])
    heap = data.index(b"GCOL")
    size = int.from_bytes(data[heap + 8 : heap + 16], "little")
    data[heap + 16 : heap + size] = bytes(size - 16)
    assert "damaged heap" in _said(tmp_path, "hdf5", bytes(data))
    data[heap + 24] = 16  # the header of what is left of the space, and so on to the end
    with pytest.raises(ModelError, match=f"byte {heap}"):
        check_heaps(bytes(data), "the file")
    for at in range(heap + 16, heap + size, 16):
        data[at + 8] = 16
    check_heaps(bytes(data), "the file")
    check_heaps(bytes(data[: heap + 12]), "the file")


@pytest.mark.parametrize(("extra", "said"), [([1, 1, 1], "output_padding"), ([0, 0], "")])
def test_a_list_of_another_length_than_the_axes_is_refused(
    extra: list[int], said: str, tmp_path: Path
) -> None:
    up = layer("Conv2DTranspose", "conv", filters=2, kernel_size=[1, 1], output_padding=extra)
    up["config"]["use_bias"] = False
    file = tmp_path / "model.h5"
    write_h5(file, sequential(up))
    with h5py.File(file, "r+") as opened:
        weights = opened["model_weights/conv"]
        del weights["conv/kernel:0"]
        weights.create_dataset("conv/kernel:0", data=np.ones((1, 1, 2, 3), np.float32))
    found = _said(tmp_path, "hdf5", file.read_bytes())
    assert said in found
    assert bool(said) == bool(found)


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """HDF5 keeps any bytes as a name, and h5py gives those that are no UTF-8 as bytes."""
    file = tmp_path / "model.h5"
    file.write_bytes(KERAS_READERS["hdf5"].seeds()[0])
    with h5py.File(file, "r+") as opened:
        opened.create_group(b"\xff\xfe")
    with pytest.raises(ModelError, match="holds a name that is no UTF-8"):
        translate_file(ModelSource("damaged", file, {}))


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"class_name": "Functional", "config": []}, "does not say its inputs and outputs"),
        (sequential(layer("\x7fVil\u2028\x1b[31m", "e" * 5_000)), r"\ufffdVil\ufffd\ufffd\[31m"),
    ],
)
def test_a_configuration_is_refused_in_a_line_that_can_be_printed(
    config: object, reason: str, tmp_path: Path
) -> None:
    write_h5(tmp_path / "model.h5", config)
    with pytest.raises(ModelError, match=reason) as refusal:
        translate_file(ModelSource("damaged", tmp_path / "model.h5", {}))
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 500


@pytest.mark.parametrize("form", [["float32"], {"a": 1}, None])
def test_a_weight_whose_type_is_no_text_is_refused(form: object, tmp_path: Path) -> None:
    weight = {"name": "conv/kernel", "shape": [1, 1, 3, 2]}
    for given in ({"dtype": form}, {"dtype": "float32", "quantization": {"dtype": form}}):
        write_tfjs(tmp_path / "model.json", weights=[weight | given])
        with pytest.raises(ModelError, match="allowed: "):
            translate_tfjs(ModelSource("damaged", tmp_path / "model.json", {}))
