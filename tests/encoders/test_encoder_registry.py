"""Specs of encoders: what is loaded, and what the message says where nothing can be."""

import subprocess
import sys
from pathlib import Path

import pytest

from encoder_makers import write_encoder
from lagotto.core.errors import UsageError
from lagotto.demo.bundled import DEMO_ENCODER
from lagotto.encoders.registry import lasting_spec, load_encoder


def refusal(spec: str, threads: int | None = None) -> str:
    with pytest.raises(UsageError) as caught:
        load_encoder(spec, threads)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_is_an_encoder_named_after_it(tmp_path: Path) -> None:
    assert load_encoder(str(write_encoder(tmp_path / "tiny"))).info.name == "tiny"


def test_a_misspelt_folder_gets_its_neighbour_suggested(tmp_path: Path) -> None:
    (tmp_path / "photo-lit").mkdir()
    (tmp_path / "photo-lid").write_text("a file is no suggestion")
    assert "Did you mean 'photo-lit'?" in refusal(str(tmp_path / "photolit"))


def test_a_folder_in_no_folder_is_refused(tmp_path: Path) -> None:
    assert "no such folder" in refusal(str(tmp_path / "no" / "where"))


def test_a_file_points_to_its_folder(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "tiny")
    assert str(folder) in refusal(str(folder / "text_model.onnx")).partition("give the folder")[2]


@pytest.mark.parametrize("spec", ["hf:", "hf:a/b/c", "hf:../x", "hf:org/name@", "hf:org/na me"])
def test_a_spec_that_names_no_repository_says_what_does(spec: str) -> None:
    assert "give hf:ORG/NAME[@REV]" in refusal(spec)


def test_an_empty_spec_is_not_the_current_folder() -> None:
    assert "give a folder" in refusal(" ")


def test_threads_must_be_positive(tmp_path: Path) -> None:
    assert "threads is 0" in refusal(str(write_encoder(tmp_path / "tiny")), threads=0)


def test_the_registry_imports_no_framework() -> None:
    code = (
        "import sys, lagotto.encoders.registry; "
        "sys.exit(bool({'onnxruntime', 'tokenizers', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_bundled_encoder_has_a_name_that_lasts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        load_encoder("bundled").info.fingerprint == load_encoder(str(DEMO_ENCODER)).info.fingerprint
    )
    assert lasting_spec("bundled") == "bundled"

    own = write_encoder(tmp_path / "bundled")
    assert load_encoder("bundled").info.fingerprint == load_encoder(str(own)).info.fingerprint
    assert lasting_spec("bundled") == str(own)
