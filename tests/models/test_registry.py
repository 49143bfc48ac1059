"""Adapters on demand; the digest of how a model behaves."""

import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import onnx
import pytest

from lagotto.core.errors import MissingExtraError, ModelError, UsageError
from lagotto.core.registry import Adapter, load_adapter
from lagotto.core.types import ModelSource
from lagotto.models.metadata.scan import scan_models
from lagotto.models.registry import MODEL_ADAPTERS, TRANSLATORS, behaviour_digest, load_model
from model_makers import Form, write_model


def digest(file: Path, description: Any = None) -> str:
    return behaviour_digest(ModelSource(file.stem, file, description or {}))


def test_a_copy_under_another_name_and_other_labels_has_the_same_digest(tmp_path: Path) -> None:
    file = write_model(Form(), tmp_path / "a")
    copy = tmp_path / "renamed.onnx"
    copy.write_bytes(file.read_bytes())
    said = {"name": "x", "labels": ["a"], "input": {"size": 32, "resize": "crop"}}
    same = {"input": {"size": [32, 32], "resize": "shortest", "new": 1}, "licence": "MIT"}
    assert digest(file, said) == digest(copy, same)
    assert digest(file) == digest(copy, {"labels": ["b"]})


def test_what_changes_the_behaviour_changes_the_digest(tmp_path: Path) -> None:
    file = write_model(Form(), tmp_path / "a")
    other = write_model(Form(ending="softmax"), tmp_path / "b")
    said = [{}, {"input": {"scale": "0..1"}}, {"input": {"mean": [1]}}, {"output": "softmax"}]
    digests = [digest(file, description) for description in said] + [digest(other)]
    assert len(set(digests)) == len(digests)
    assert all(len(value) == 64 for value in digests)


def test_external_data_is_part_of_the_digest(tmp_path: Path) -> None:
    file = write_model(Form(), tmp_path)
    onnx.save(
        onnx.load(file), file, save_as_external_data=True, location="w.bin", size_threshold=16
    )
    before = digest(file)
    weights = bytearray((tmp_path / "w.bin").read_bytes())
    weights[5] ^= 1
    (tmp_path / "w.bin").write_bytes(bytes(weights))
    assert digest(file) != before


def test_models_that_cannot_be_loaded_have_a_digest_but_missing_files_do_not(
    tmp_path: Path,
) -> None:
    for name, data in {"empty": b"", "text": b"no model"}.items():
        (tmp_path / f"{name}.onnx").write_bytes(data)
        assert len(digest(tmp_path / f"{name}.onnx")) == 64
    with pytest.raises(ModelError, match="cannot be read"):
        digest(tmp_path / "gone.onnx")
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(ModelSource("gone", tmp_path / "gone.onnx"))


def test_scanning_and_digests_load_no_framework(tmp_path: Path) -> None:
    write_model(Form(), tmp_path)
    code = (
        "import sys; from pathlib import Path\n"
        "from lagotto.models.metadata.scan import scan_models\n"
        "from lagotto.models.registry import behaviour_digest\n"
        f"behaviour_digest(scan_models([Path({str(tmp_path)!r})])[0])\n"
        "print(json.dumps([m for m in ('onnxruntime', 'ai_edge_litert') if m in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import json; " + code], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == []


def test_a_missing_extra_gives_the_pip_line() -> None:
    adapter = MODEL_ADAPTERS[".tflite"]
    table = {".tflite": Adapter("ai_edge_absent.x", "f", "ai_edge_absent", adapter.extra)}
    with pytest.raises(MissingExtraError, match=r"pip install 'lagotto\[tflite\]'"):
        load_adapter(table, ".tflite", "model ending")


def test_a_further_package_of_an_extra_that_is_missing_gives_it_too() -> None:
    table = {"x": Adapter("absent_b.x", "f", "absent_a", "some", ("absent_b",))}
    with pytest.raises(MissingExtraError, match=r"'absent_b', which .* 'lagotto\[some\]'"):
        load_adapter(table, "x", "model ending")
    with pytest.raises(ModuleNotFoundError):
        load_adapter({"x": Adapter("absent_c.x", "f", "absent_a", "some")}, "x", "model ending")


def test_an_unknown_ending_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"known: \.onnx, \.safetensors, \.tflite"):
        load_model(ModelSource("m", tmp_path / "m.pb"))


def test_labels_and_spec_of_a_loaded_folder(tmp_path: Path) -> None:
    write_model(Form(), tmp_path)
    said = json.loads((tmp_path / "model.json").read_text())
    for count, expected in [(5, ("0", "1", "2", "3", "4")), (4, None)]:
        said["labels"] = [str(index) for index in range(count)]
        (tmp_path / "model.json").write_text(json.dumps(said))
        spec = load_model(scan_models([tmp_path])[0]).spec
        assert spec.labels == expected
        assert len(spec.notes) == (expected is None)


def test_a_translator_says_itself_what_is_wrong_with_its_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRANSLATORS, ".pt", Adapter("test_translators", "refuse"))
    made = ModuleType("test_translators")

    def refuse(source: ModelSource) -> None:
        raise ModelError(f"{source.file.name} is not read: its zip is cut short")

    monkeypatch.setattr(made, "refuse", refuse, raising=False)
    monkeypatch.setitem(sys.modules, "test_translators", made)
    file = tmp_path / "best.pt"
    for content, said in ((b"PK\x03\x04" + bytes(50), "cut short"), (b"Entry not found", "answer")):
        file.write_bytes(content)
        with pytest.raises(ModelError, match=said):
            load_model(ModelSource("best", file))
