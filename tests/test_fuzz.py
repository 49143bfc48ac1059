"""Every parser of ours under damaged and invented bytes: an answer, or an error of ours in a line.

Bounded: a few dozen examples a parser, a few seconds in all. LAGOTTO_FUZZ_EXAMPLES=5000 for longer.
"""

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import caption_makers
from lagotto.core.errors import LagottoError, ModelError, UsageError
from lagotto.core.images import decode_picture
from lagotto.core.parsing.onnx_survey import check_operators, survey_onnx
from lagotto.core.parsing.tar import read_members
from lagotto.encoders.graph_header import read_graph_header
from lagotto.evaluation.classification.sources import find_labelled_parts
from lagotto.evaluation.retrieval.truth import read_truth
from lagotto.hub.probes.probe_set import ProbeSet
from lagotto.hub.probes.sources import read_probe_source
from lagotto.hub.store.manifest import read_hub_manifest
from lagotto.hub.store.responses import (
    ResponsesHeader,
    read_responses,
    write_responses,
)
from lagotto.jobs.process import parse_message
from lagotto.models.files.onnx_graph import external_files, read_onnx_graph
from lagotto.models.files.tflite_graph import read_tflite_graph
from lagotto.models.metadata.description import labels_for, parse_description
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import behaviour_digest
from lagotto.zeroshot.captions.files import read_log
from lagotto.zeroshot.captions.manifest import read_store_manifest
from lagotto.zeroshot.captions.sources.registry import find_sources
from lagotto.zeroshot.prompts.labels import read_labels
from model_makers import Form, onnx_bytes, tflite_bytes

EXAMPLES = int(os.environ.get("LAGOTTO_FUZZ_EXAMPLES", "40"))
FUZZ = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, 2**63, -1])
    | st.floats()
    | st.text(st.characters(exclude_categories=()), max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
DEEP = st.integers(100, 200_000).map(lambda depth: "[" * depth)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes of a good file with some changed, cut out, said twice or put in."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(data) - 1, 0)))
        match draw(st.sampled_from(["change", "cut", "repeat", "insert", "end"])):
            case "change" if data:
                data[at] = draw(st.integers(0, 255))
            case "cut":
                del data[at : at + draw(st.integers(1, 64))]
            case "repeat":
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=16))
            case "end":
                del data[at:]
    return bytes(data)


def objects(*keys: str) -> st.SearchStrategy[str]:
    """JSON objects that have some of the keys, with values of any kind."""
    chosen = st.dictionaries(st.sampled_from(keys), JSON, max_size=len(keys))
    return chosen.map(json.dumps) | JSON.map(json.dumps) | DEEP


def endured(parse: Callable[[], object]) -> None:
    """The parser answers or raises an error of ours, in one line that a terminal shows."""
    try:
        parse()
    except LagottoError as error:
        said = str(error)
    else:
        return
    assert said
    assert "\n" not in said


ONNX = onnx_bytes(Form(ending="softmax"))
TFLITE = tflite_bytes(Form("tflite", "NHWC", ending="softmax"))


@FUZZ
@given(damaged(ONNX) | st.binary(max_size=200))
def test_onnx(data: bytes) -> None:
    def parse() -> None:
        survey = survey_onnx(data, ModelError)
        check_operators(survey, ModelError)
        external_files(survey, Path("."))
        read_onnx_graph(data)

    endured(parse)


@FUZZ
@given(damaged(TFLITE) | st.binary(max_size=200).map(lambda rest: bytes(4) + b"TFL3" + rest))
def test_tflite(data: bytes) -> None:
    endured(lambda: read_tflite_graph(data))


INPUT = objects("size", "layout", "channels", "scale", "mean", "std", "resize", "crop_fraction")


@FUZZ
@given(objects("name", "file", "labels", "input", "output"), INPUT)
def test_model_json(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "model.onnx").write_bytes(ONNX)
    for content in (text, f'{{"input": {said}}}'):
        (tmp_path / "model.json").write_text(content)

        def parse() -> None:
            for source in scan_models([tmp_path]):
                behaviour_digest(source)
                labels_for(parse_description(source.description), source.file, 5)
                json.dumps(source.description)

        endured(parse)


@FUZZ
@given(st.binary(max_size=300))
def test_labels_file(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "labels.txt").write_bytes(data)
    endured(lambda: read_labels(str(tmp_path / "labels.txt")))
    description = parse_description({"labels": "labels.txt"})
    endured(lambda: labels_for(description, tmp_path / "model.onnx", 2))


@FUZZ
@given(objects("format", "version", "sha256", "encoder_name", "probes", "dtype", "probe_digest"))
def test_manifests(tmp_path: Path, text: str) -> None:
    for name in ("hub.json", "captions.json", "store.json", "header.json", "probes.jsonl"):
        (tmp_path / name).write_text(text)
    endured(lambda: read_hub_manifest(tmp_path))
    endured(lambda: read_store_manifest(tmp_path))
    endured(lambda: ProbeSet.open(tmp_path))


@FUZZ
@given(objects("queries") | JSON.map(lambda value: json.dumps({"queries": [value]})))
def test_truth(tmp_path: Path, text: str) -> None:
    (tmp_path / "truth.json").write_text(text)
    endured(lambda: read_truth(tmp_path / "truth.json"))


LINES = st.lists(
    objects("image", "caption", "captions", "label", "text", "path") | st.text(max_size=20)
).map("\n".join)


def drain(path: Path) -> None:
    for source in find_sources(path):
        for item in source.read():
            load = getattr(item, "load", None)
            if load is not None:
                endured(load)


@FUZZ
@given(LINES, st.sampled_from([".jsonl", ".csv", ".tsv", ".txt", ".json"]), st.booleans())
def test_caption_tables(tmp_path: Path, text: str, suffix: str, headed: bool) -> None:
    path = tmp_path / f"captions{suffix}"
    path.write_bytes((("image,caption\n" if headed else "") + text).encode("utf-8", "replace"))
    endured(lambda: drain(path))


@FUZZ
@given(objects("images", "annotations"), JSON, JSON)
def test_coco(tmp_path: Path, text: str, image: object, note: object) -> None:
    whole = {"images": [image, {"id": 1, "file_name": "a"}], "annotations": [note]}
    for content in (text, json.dumps(whole)):
        (tmp_path / "coco.json").write_text(content)
        endured(lambda: drain(tmp_path / "coco.json"))


@FUZZ
@given(LINES)
def test_probes_and_labelled_pictures(tmp_path: Path, text: str) -> None:
    path = tmp_path / "list.jsonl"
    path.write_bytes(text.encode("utf-8", "replace"))

    def probes() -> None:
        for candidate in read_probe_source(path):
            endured(candidate.load)

    def samples() -> None:
        for part in find_labelled_parts(path):
            for sample in part.samples():
                endured(sample.read)

    endured(probes)
    endured(samples)


def _tar(form: int) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=form) as archive:
        caption_makers.add_member(archive, "a.png", caption_makers.png(1))
        caption_makers.add_member(archive, "ä" * 200 + ".txt", b"said")
        caption_makers.add_member(archive, "a.json", b'{"caption": "said"}')
    return data.getvalue()[:4096]


@FUZZ
@given(damaged(_tar(tarfile.PAX_FORMAT)) | damaged(_tar(tarfile.GNU_FORMAT)))
def test_tar(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "pairs.tar"
    path.write_bytes(data)
    endured(lambda: drain(path))
    endured(lambda: [m.read() for m in read_members(path, ("png", "txt"), UsageError)])


def _responses(folder: Path) -> bytes:
    path = folder / "good.safetensors"
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    write_responses(path, values, ResponsesHeader("a" * 64, "b" * 64, "onnx", "cut"))
    return path.read_bytes()


@FUZZ
@given(st.data(), DEEP)
def test_tensor_files(tmp_path: Path, data: st.DataObject, deep: str) -> None:
    whole = _responses(tmp_path)
    path = tmp_path / "bad.safetensors"
    path.write_bytes(data.draw(damaged(whole)))
    endured(lambda: read_responses(path).values.sum())
    header = json.dumps({"__metadata__": {"lagotto": deep}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    endured(lambda: read_responses(path))


@FUZZ
@given(LINES | objects("lengths", "sha256", "chain"))
def test_caption_log(tmp_path: Path, text: str) -> None:
    (tmp_path / "shards.jsonl").write_bytes(text.encode("utf-8", "replace") + b"\n{}\n")
    endured(lambda: read_log(tmp_path))


@FUZZ
@given(st.data())
def test_pictures(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted(_PICTURES)))
    endured(lambda: decode_picture(data.draw(damaged(_PICTURES[form]))))


@FUZZ
@given(st.data())
def test_encoder_graphs(tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "vision_model.onnx"
    path.write_bytes(data.draw(damaged(ONNX)))
    endured(lambda: read_graph_header(path))


@FUZZ
@given(objects("started", "progress", "value", "error", "kind"))
def test_messages_of_workers(text: str) -> None:
    try:
        parse_message(text.encode("utf-8", "replace"))
    except ValueError:
        return


def _pictures() -> dict[str, bytes]:
    from PIL import Image

    made = {}
    for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"):
        data = io.BytesIO()
        Image.linear_gradient("L").resize((24, 24)).convert("RGB").save(data, form)
        made[form] = data.getvalue()
    return made


_PICTURES = _pictures()


def test_the_damage_is_seen_by_a_parser_that_minds_it() -> None:
    """The check itself: a parser that lets another error out is found."""
    with pytest.raises(KeyError):
        endured(lambda: {}["missing"])
