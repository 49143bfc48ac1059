"""What model files tell of themselves: TFLite metadata with zipped labels, ONNX properties."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import onnx
import pytest
from ai_edge_litert import schema_py_generated as tfl
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.types import ModelSource
from lagotto.models.metadata.description import InputDescription
from lagotto.models.metadata.embedded import (
    normalization,
    parse_names,
    read_properties,
)
from lagotto.models.metadata.tflite import read_tflite_metadata
from lagotto.models.registry import load_model
from model_makers import CLASSES, Form, write_model

LABELS = ("cat", "dog", "owl", "fox", "bee")


def table(builder: flatbuffers.Builder, fields: dict[int, tuple[str, Any]], slots: int) -> int:
    """A table with scalar ("b", "B") and offset ("o") fields by slot."""
    builder.StartObject(slots)
    for slot, (kind, value) in fields.items():
        if kind == "o":
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        elif kind == "b":
            builder.PrependInt8Slot(slot, value, 0)
        else:
            builder.PrependUint8Slot(slot, value, 0)
    return int(builder.EndObject())


def vector(builder: flatbuffers.Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())


def floats(builder: flatbuffers.Builder, values: tuple[float, ...]) -> int:
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependFloat32(value)
    return int(builder.EndVector())


def metadata(
    mean: tuple[float, ...],
    std: tuple[float, ...],
    labels: str,
    colours: int,
    more: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """A model's metadata: normalization, colour space, and the name of a labels file.

    `more` are further labels files, each with its locale.
    """
    builder = flatbuffers.Builder(0)
    options = table(
        builder, {0: ("o", floats(builder, mean)), 1: ("o", floats(builder, std))}, slots=2
    )
    unit = table(builder, {0: ("B", 1), 1: ("o", options)}, slots=2)
    image = table(builder, {0: ("b", colours)}, slots=2)
    content = table(builder, {0: ("B", 2), 1: ("o", image)}, slots=3)
    units = vector(builder, [unit])
    first = table(builder, {3: ("o", content), 4: ("o", units)}, slots=7)
    name = builder.CreateString(labels)
    listed = [table(builder, {0: ("o", name), 2: ("b", 2)}, slots=5)]
    for other, locale in more:
        name, language = builder.CreateString(other), builder.CreateString(locale)
        fields: dict[int, tuple[str, Any]] = {0: ("o", name), 2: ("b", 2)}
        listed.append(table(builder, fields | ({3: ("o", language)} if locale else {}), slots=5))
    second = table(builder, {6: ("o", vector(builder, listed))}, slots=7)
    inputs, outputs = vector(builder, [first]), vector(builder, [second])
    graph = table(builder, {2: ("o", inputs), 3: ("o", outputs)}, slots=5)
    root = table(builder, {3: ("o", vector(builder, [graph]))}, slots=8)
    builder.Finish(root, b"M001")
    return bytes(builder.Output())


def with_metadata(file: Path, data: bytes, entries: dict[str, bytes]) -> None:
    """Puts the metadata into a .tflite file and zips files behind it, as publishers do."""
    model = tfl.ModelT.InitFromObj(tfl.Model.GetRootAs(file.read_bytes()))
    buffer = tfl.BufferT()
    buffer.data = list(data)
    model.buffers.append(buffer)
    entry = tfl.MetadataT()
    entry.name, entry.buffer = b"TFLITE_METADATA", len(model.buffers) - 1
    model.metadata = [entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    archive = io.BytesIO(bytes(builder.Output()))
    with zipfile.ZipFile(archive, "a", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in entries.items():
            zipped.writestr(name, content)
    file.write_bytes(archive.getvalue())


def tflite(
    folder: Path,
    entries: dict[str, bytes],
    mean: tuple[float, ...] = (127.5,),
    std: tuple[float, ...] = (127.5,),
    labels: str = "labels.txt",
    colours: int = 1,
) -> Path:
    file = write_model(Form("tflite", "NHWC"), folder, described=False)
    with_metadata(file, metadata(mean, std, labels, colours), entries)
    return file


def test_tflite_metadata_tells_scale_colours_and_labels(tmp_path: Path) -> None:
    file = tflite(tmp_path, {"labels.txt": "\n".join(LABELS).encode()})
    spec = load_model(ModelSource("m", file)).spec
    assert (spec.input.scale, spec.input.channels) == ("-1..1", "RGB")
    assert spec.labels == LABELS
    origins = {each.field: each.origin for each in spec.decisions}
    assert origins["scale"] == origins["channels"] == "file"
    assert spec.notes == ()


def test_model_json_goes_before_metadata(tmp_path: Path) -> None:
    file = tflite(tmp_path, {"labels.txt": "\n".join(LABELS).encode()})
    said = {"labels": list("abcde"), "input": {"scale": "0..255", "channels": "BGR"}}
    spec = load_model(ModelSource("m", file, said)).spec  # type: ignore[arg-type]
    assert (spec.input.scale, spec.input.channels, spec.labels) == ("0..255", "BGR", tuple("abcde"))


def test_metadata_that_does_not_fit_the_tensor_is_left_out(tmp_path: Path) -> None:
    file = tflite(tmp_path, {"labels.txt": b"a\nb"}, colours=2)  # grey, but there are 3 channels
    spec = load_model(ModelSource("m", file)).spec
    assert spec.input.channels == "RGB"
    assert spec.labels is None
    assert any(f"2 labels for {CLASSES} outputs" in note for note in spec.notes)
    assert "channels assumed RGB: not in model.json" in spec.notes


@pytest.mark.parametrize(
    ("labels", "entries", "reason"),
    [
        ("labels.txt", {}, "labels.txt"),
        ("../labels.txt", {"../labels.txt": b"a"}, "odd file name"),
        ("labels.txt", {"labels.txt": b"a" * (9 << 20)}, "larger than 8 MB"),
    ],
)
def test_labels_that_cannot_be_had_are_a_note(
    labels: str, entries: dict[str, bytes], reason: str, tmp_path: Path
) -> None:
    spec = load_model(ModelSource("m", tflite(tmp_path, entries, labels=labels))).spec
    assert spec.labels is None
    assert spec.input.scale == "-1..1"
    (note,) = spec.notes
    assert note.startswith("embedded labels left out")
    assert reason in note


@pytest.mark.parametrize(
    ("first", "more", "taken"),
    [
        ("codes.txt", (("english.txt", "en"), ("german.txt", "de")), "english.txt"),
        ("german.txt", (("english.txt", "en-US"),), "english.txt"),
        ("codes.txt", (("german.txt", "de"),), "german.txt"),
        ("codes.txt", (("words.txt", ""),), "words.txt"),
        ("words.txt", (("german.txt", "de"), ("codes.txt", "en")), "words.txt"),
        ("german.txt", (("labels_en.txt", ""),), "labels_en.txt"),
        ("german.txt", (("gone.txt", "en"),), "german.txt"),
        ("words.txt", (), "words.txt"),
    ],
)
def test_of_several_lists_of_labels_english_words_are_taken(
    first: str, more: tuple[tuple[str, str], ...], taken: str, tmp_path: Path
) -> None:
    lists = {
        "codes.txt": tuple(f"/m/0{number}k" for number in range(CLASSES)),
        "english.txt": LABELS,
        "labels_en.txt": LABELS,
        "german.txt": ("Katze", "Hund", "Eule", "Fuchs", "Biene"),
        "words.txt": ("gato", "perro", "lechuza", "zorro", "abeja"),
    }
    file = write_model(Form("tflite", "NHWC"), tmp_path, described=False)
    data = metadata((127.5,), (127.5,), first, 1, more)
    with_metadata(file, data, {name: "\n".join(names).encode() for name, names in lists.items()})
    spec = load_model(ModelSource("m", file)).spec
    assert (spec.labels, spec.labels_origin) == (lists[taken], "file")
    others = [name for name, _ in ((first, ""), *more) if name != taken and name in lists]
    told = [note for note in spec.notes if note.startswith(f"labels from {taken!r} in the file")]
    assert len(told) == bool(others)
    assert all(name in told[0] for name in others)


@given(st.data())
def test_damaged_metadata_is_never_more_than_a_note(data: st.DataObject) -> None:
    whole = metadata((127.5,), (127.5,), "labels.txt", 1)
    place = data.draw(st.integers(0, len(whole) - 1))
    broken = bytearray(whole)
    broken[place] ^= data.draw(st.integers(1, 255))
    model = tfl.ModelT()
    model.version, model.subgraphs, model.operatorCodes = 3, [], []
    buffer, entry = tfl.BufferT(), tfl.MetadataT()
    buffer.data = list(broken)
    model.buffers = [tfl.BufferT(), buffer]
    entry.name, entry.buffer = b"TFLITE_METADATA", 1
    model.metadata = [entry]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    for note in read_tflite_metadata(bytes(builder.Output())).notes:
        assert "\n" not in note


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ((0.0,), (1.0,), InputDescription(scale="0..255")),
        ((0.0,), (255.0,), InputDescription(scale="0..1")),
        ((127.5,) * 3, (127.5,) * 3, InputDescription(scale="-1..1")),
        ((127.0,), (128.0,), InputDescription(scale="-1..1")),
        (
            (123.7, 116.3, 103.5),
            (58.4, 57.1, 57.4),
            InputDescription(scale="0..255", mean=(123.7, 116.3, 103.5), std=(58.4, 57.1, 57.4)),
        ),
        ((1.0, 2.0), (1.0,), InputDescription()),
        ((0.0,), (0.0,), InputDescription()),
        ((float("nan"),), (1.0,), InputDescription()),
        ((), (), InputDescription()),
    ],
)
def test_normalisation_is_a_scale_where_it_is_one(
    mean: tuple[float, ...], std: tuple[float, ...], expected: InputDescription
) -> None:
    assert normalization(mean, std) == expected


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('["a", "b"]', ("a", "b")),
        ("['a', \"b's\"]", ("a", "b's")),
        ('{"0": "a", "1": "b"}', ("a", "b")),
        ("{1: 'b', 0: 'a'}", ("a", "b")),
        ("{0: 'a', 2: 'b'}", ("a", None, "b")),
        ('{"x": "a"}', None),
        ('{"b": 1, "a": 0}', ("a", "b")),
        ("a,b", ("a", "b")),
        ("a\nb", ("a", "b")),
        ("['n01440764 a', 'n01443537 b']", ("a", "b")),
        ("80", None),
        ("[1, 2]", None),
        ("__import__('os')", None),
        ("[" * 100_000, None),
        ("", None),
    ],
)
def test_names_are_read_not_run(text: str, names: tuple[str, ...] | None) -> None:
    found = parse_names(text)
    assert (found and found.names) == names


@given(st.text())
def test_no_text_is_more_than_no_names(text: str) -> None:
    names = parse_names(text)
    assert names is None or any(names.names)


def onnx_with(folder: Path, properties: dict[str, str]) -> Path:
    file = write_model(Form("onnx"), folder, described=False)
    model = onnx.load(file)
    for key, value in properties.items():
        entry = model.metadata_props.add()
        entry.key, entry.value = key, value
    onnx.save(model, file)
    return file


def test_onnx_properties_tell_format_range_and_names(tmp_path: Path) -> None:
    properties = {
        "Image.BitmapPixelFormat": "Bgr8",
        "Image.NominalPixelRange": "NominalRange_0_255",
        "names": str(dict(enumerate(LABELS))),
        "imgsz": "[640, 640]",  # against the tensor's own size: left out
    }
    spec = load_model(ModelSource("m", onnx_with(tmp_path, properties))).spec
    assert (spec.input.channels, spec.input.scale) == ("BGR", "0..255")
    assert spec.labels == LABELS
    assert spec.notes == ()


def test_properties_that_say_nothing_known_are_left_alone(tmp_path: Path) -> None:
    properties = {"Image.BitmapPixelFormat": "Rgba8", "names": json.dumps({"a": "b"}), "x": "y"}
    assert read_properties(properties) == read_properties({})
    spec = load_model(ModelSource("m", onnx_with(tmp_path, properties))).spec
    assert "scale assumed 0..1: not in model.json" in spec.notes
