"""Models of an MLflow registry: listed, fetched and probed; none is loaded by MLflow."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from colour_world import World, shared_world
from command_line import lagotto
from lagotto.core.errors import SourceError
from lagotto.core.remote.spec import MlflowSpec
from lagotto.hub.hub import Hub
from lagotto.jobs.worker_limits import Limits
from unread_makers import put

mlflow = pytest.importorskip("mlflow", reason="mlflow is not installed (extra `mlflow`)")
MlflowRegistry = pytest.importorskip("lagotto.core.remote.mlflow_registry").MlflowRegistry

ONE = Limits(workers=1)
Register = Callable[..., None]


@pytest.fixture
def register(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Register:
    """Enters a folder as a version of a model, in a registry that is a folder."""
    uri = (tmp_path / "mlruns").as_uri()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client: Any = mlflow.MlflowClient(uri, uri)

    def enter(name: str, folder: Path, alias: str = "") -> None:
        if name not in [model.name for model in client.search_registered_models()]:
            client.create_registered_model(name)
        made = client.create_model_version(name, str(folder))
        if alias:
            client.set_registered_model_alias(name, alias, made.version)

    return enter


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return shared_world(tmp_path_factory)


def logged(folder: Path, world: World, model: str = "plain") -> Path:
    """A model of the world as MLflow logs it, with a pickle beside it that must not be read."""
    data = (world.models / model / "model.onnx").read_bytes()
    text = "flavors:\n  onnx:\n    data: model.onnx\n"
    return put(folder, {"MLmodel": text.encode(), "model.onnx": data, "code.pkl": "pickle"})


def test_a_version_and_an_alias_are_probed_and_known_again(
    register: Register, world: World, tmp_path: Path
) -> None:
    register("my birds", logged(tmp_path / "one", world), "champion")
    hub = Hub.open(shutil.copytree(world.empty_hub, tmp_path / "hub"))
    report = hub.add("mlflow:my birds@champion", limits=ONE)
    assert (report.done, report.failures) == (("my birds/1",), ())
    assert hub.add(["mlflow:my birds/1"], limits=ONE).already == 1
    register("my birds", logged(tmp_path / "two", world, "bytes"), "champion")
    assert hub.add("mlflow:my birds@champion", limits=ONE).done == ("my birds/2",)
    assert sorted(hub.models) == ["my birds/1", "my birds/2"]
    assert not list((tmp_path / "hub").rglob("*.pkl"))


def test_pickles_and_code_are_not_fetched(register: Register, world: World, tmp_path: Path) -> None:
    folder = logged(tmp_path / "one", world)
    put(folder, {"code/model.py": b"raise SystemExit", "conda.yaml": b"name: x"})
    register("birds", folder)
    hub = Hub.open(shutil.copytree(world.empty_hub, tmp_path / "hub"))
    assert hub.add("mlflow:birds/1", limits=ONE).done == ("birds/1",)
    registry = MlflowRegistry()
    found = registry.repository(MlflowSpec("birds", "1"))
    assert {file.path for file in found.files} >= {"code/model.py", "code.pkl", "model.onnx"}


def test_what_is_not_read_is_a_failure_of_its_own(
    register: Register, world: World, tmp_path: Path
) -> None:
    register("birds", logged(tmp_path / "one", world))
    register("svm", put(tmp_path / "svm", {"MLmodel": b"flavors:\n  sklearn: {}\n"}))
    register("files", put(tmp_path / "files", {"notes.txt": b"x"}))
    hub = Hub.open(shutil.copytree(world.empty_hub, tmp_path / "hub"))
    specs = ["mlflow:birds/1", "mlflow:svm/1", "mlflow:files/1", "mlflow:birds/9", "mlflow:no@one"]
    report = hub.add(specs, limits=ONE)
    assert report.done == ("birds/1",)
    reasons = {failure.model: failure.reason for failure in report.failures}
    assert "MLflow model (sklearn) can be run only by code" in reasons["svm/1"]
    assert "has no MLmodel" in reasons["files/1"]
    assert "is not in the registry" in reasons["birds/9"]
    assert "no@one" in reasons
    assert all("\n" not in text for text in reasons.values())


def test_a_registry_without_an_address_is_asked_for(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    hub = shutil.copytree(world.empty_hub, tmp_path / "hub")
    lagotto("hub", "add", hub, "mlflow:birds/1").refused(1, "set MLFLOW_TRACKING_URI")
    lagotto("hub", "add", hub, "mlflow:birds").refused(2, "mlflow:NAME/VERSION")


def test_a_password_in_the_address_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(SourceError) as error:
        MlflowRegistry().repository(MlflowSpec("birds", "1"))
    assert "secret" not in str(error.value)


def test_a_server_cannot_name_files_of_this_machine(
    register: Register, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register("birds", logged(tmp_path / "one", world))
    registry = MlflowRegistry()
    monkeypatch.setattr(registry, "_is_local", False)  # as a registry behind http would be
    with pytest.raises(SourceError, match="at a path of its server"):
        registry.repository(MlflowSpec("birds", "1"))
