"""Remote sources in a hub: fetched, probed, dropped; faults, copies, budgets, resuming."""

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import colour_world
from attack_keras import write_h5, write_keras
from catalogue_rows import catalogue_rows
from checkpoint_makers import torch_legacy, torch_zip
from colour_world import Classifier, World
from command_line import lagotto
from hub_stub import Faults, Repository, StubHub
from lagotto.core.errors import SourceError, UsageError
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.remote.fetch import DiskBudget
from lagotto.jobs.worker_limits import Limits
from network_files import shapes_of
from seeded_weights import seeded_weights

Start = Callable[..., StubHub]
ALL = "hf-search:author=org,limit=500"
ONE = Limits(workers=1)


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Start]:
    """Starts a stub and points the environment at it."""
    started: list[StubHub] = []
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))

    def begin(repositories: dict[str, Repository], faults: Faults | None = None) -> StubHub:
        started.append(StubHub(repositories, faults))
        monkeypatch.setenv("HF_ENDPOINT", started[-1].endpoint)
        return started[-1]

    yield begin
    for each in started:
        each.close()


@pytest.fixture
def hub(world: World, tmp_path: Path) -> Hub:
    """An empty hub of one's own."""
    return Hub.open(shutil.copytree(world.empty_hub, tmp_path / "hub"))


def repository(seed: int, *colours: str, **changes: Any) -> Repository:
    """A classifier as an ONNX export in the layout of the hub."""
    model = Classifier(colours or ("red", "green", "blue"), seed=seed)
    edge = colour_world.EDGE
    config = {"id2label": {str(i): colour for i, colour in enumerate(model.colours)}}
    pictures = {
        "image_processor_type": "ViTImageProcessor",
        "size": {"height": edge, "width": edge},
        "do_normalize": False,
    }
    made = Repository(
        {
            "README.md": b"# A model",
            "pytorch_model.bin": b"never read" * 99,
            "config.json": json.dumps(config).encode(),
            "preprocessor_config.json": json.dumps(pictures).encode(),
            "onnx/model.onnx": colour_world.classifier_bytes(model),
        }
    )
    for key, value in changes.items():
        setattr(made, key, value)
    return made


def rows(hub: Hub, table: str) -> list[Any]:
    with sqlite3.connect(hub.folder / "catalogue.sqlite") as database:
        return list(database.execute(f"SELECT * FROM {table} ORDER BY 1, 2"))


def contents(hub: Hub) -> dict[str, Any]:
    files = {
        path.relative_to(hub.folder).as_posix(): path.read_bytes()
        for path in sorted(hub.folder.rglob("*"))
        if path.is_file() and path.name not in ("catalogue.sqlite", ".lock")
    }
    return {
        "files": files,
        **catalogue_rows(hub.folder, ("models", "logits", "failures", "copies")),
    }


def test_a_search_is_added_searched_and_not_fetched_again(start: Start, hub: Hub) -> None:
    stub = start({f"org/m{n}": repository(n) for n in range(5)})
    report = hub.add([ALL], limits=ONE)
    assert report.done == tuple(f"org/m{n}" for n in range(5))
    assert not report.failures
    best = hub.search("red").hits[0]
    assert (best.label, best.model.startswith("org/m")) == ("red", True)
    source = hub.status().models[0].source
    assert source == f"hf:org/m0@{stub.repositories['org/m0'].commit}"
    assert not (hub.folder / "fetched").exists()
    assert not any(name.endswith(".bin") for name in stub.served)
    asked = len(stub.requests)
    again = hub.add([ALL, "hf:org/m3"], limits=ONE)
    assert (again.done, again.already) == ((), 5)
    assert [path for _, path in stub.requests[asked:]] == ["/api/models", "/api/models/org/m3"]


def test_what_config_and_processor_say_is_how_it_is_fed(start: Start, hub: Hub) -> None:
    """The same responses as from a folder whose model.json says the same."""
    start({"org/m": repository(3)})
    hub.add(["hf:org/m@main"], limits=ONE)
    local = hub.folder.parent / "local"
    colour_world.write_classifier(local, Classifier(("red", "green", "blue"), seed=3))
    said = {"input": {"resize": "stretch", "scale": "0..1", "channels": "RGB"}, "name": "local"}
    (local / "model.json").write_text(json.dumps(said))
    hub.add([local], limits=ONE)
    assert np.array_equal(hub.responses("org/m"), hub.responses("local"))
    assert hub.labels("org/m") == ("red", "green", "blue")
    assert hub.status().models[0].notes == ()


def test_the_same_is_said_of_a_repository_and_of_a_copy_on_disk(start: Start, hub: Hub) -> None:
    """Labels, settings and a model.json are found alike; a foreign one is left alone."""
    tfjs = json.dumps({"format": "graph-model", "weightsManifest": []}).encode()
    listed = repository(5)
    listed.files |= {"config.json": b"{}", "labels.txt": b"0 red\n1 green\n2 blue\n"}
    listed.files |= {"model.json": tfjs, "README.txt": b"not read"}
    ours = repository(6)
    ours.files["model.json"] = json.dumps({"labels": ["rot", "blau", "gruen"]}).encode()
    shared = repository(7)
    shared.files |= {"config.json": b"{}", "labels.txt": b"a\nb\nc\n", "onnx/other.onnx": b"x"}
    repositories = {"org/listed": listed, "org/ours": ours, "org/shared": shared}
    stub = start(repositories)
    report = hub.add([f"hf:{name}" for name in repositories], limits=ONE)
    assert report.done == tuple(repositories)
    assert hub.labels("org/listed") == ("red", "green", "blue")
    assert hub.labels("org/ours") == ("rot", "blau", "gruen")
    assert hub.labels("org/shared") == (None, None, None)
    assert not any(name.endswith("README.txt") for name in stub.served)
    for name in ("listed", "ours"):
        for path, data in repositories[f"org/{name}"].files.items():
            file = hub.folder.parent / "disk" / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
    again = hub.add([hub.folder.parent / "disk"], limits=ONE)
    assert again.copies == (("listed", "org/listed"), ("ours", "org/ours"))
    (first, second) = hub.inspect([hub.folder.parent / "disk"], limits=ONE)
    origins = {fact.fact: fact.origin for fact in first.facts}
    assert (origins["labels"], origins["scale"]) == ("labels.txt", "preprocessor_config.json")
    assert {fact.fact: fact.origin for fact in second.facts}["labels"] == "model.json"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (Repository({"pytorch_model.bin": b"x", "config.json": b"{}"}), "no checkpoint of torch"),
        (Repository({"a.pkl": b"x", "model.pt": b"x"}), "no checkpoint of torch"),
        (Repository({"a.pkl": b"x", "training_args.bin": b"x"}), "holds only a.pkl"),
        (Repository({"a.pth": b"x", "b.pth": b"x", "c.h5": b"x", "d.h5": b"x"}), "2 checkpoints"),
        (Repository({"model-00001-of-00002.safetensors": b"x"}), "without their index"),
        (
            Repository({"pytorch_model.bin": b"x", "config.json": b'{"auto_map": {"a": "b.C"}}'}),
            "config.json has auto_map",
        ),
        (Repository({"README.md": b"x"}), "no model that can be run"),
        (Repository({}), "it has: nothing"),
        (Repository({"model.safetensors": b"x"}), "no checkpoint of torch"),
        (
            Repository({"model.safetensors.index.json": b"{}", "config.json": b"{}"}),
            "it is no index of shards",
        ),
        (
            Repository({"model.safetensors": b"x", "config.json": b'{"auto_map": {"a": "b.C"}}'}),
            "config.json has auto_map",
        ),
        (Repository({"model.safetensors": b"x", "config.json": b"{"}), "is not JSON"),
        (Repository({"model.onnx": b"no graph"}), "not an ONNX file"),
        (repository(0, fault="gone"), "not on the hub, or private"),
        (repository(0, fault="gated"), "accept its terms"),
        (repository(0, fault="vanished"), "listed, but gone"),
        (repository(0, fault="damaged"), "has the digest"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused_is_a_failure_with_its_reason(
    made: Repository, said: str, start: Start, hub: Hub
) -> None:
    start({"org/bad": made, "org/good": repository(1)})
    report = hub.add([ALL], limits=ONE)
    (failure,) = report.failures
    assert (failure.model, said in failure.reason) == ("org/bad", True), failure.reason
    assert "\n" not in failure.reason
    assert "127.0.0.1" not in failure.reason
    assert report.done == ("org/good",)
    assert [model[3] for model in rows(hub, "models")] == ["failed", "done"]


def test_checkpoints_and_models_of_keras_are_fetched_and_read(
    start: Start, hub: Hub, tmp_path: Path
) -> None:
    """Each equals the same files on disk, and nothing but the model and its facts is fetched."""
    weights = seeded_weights(shapes_of("cifar/tutorial_lenet"))
    pickled, parts = torch_zip(weights), (dict(list(weights.items())[at::2]) for at in (0, 1))
    shards = {f"model-0000{at + 1}-of-00002.safetensors": part for at, part in enumerate(parts)}
    placed = {name: file for file, part in shards.items() for name in part}
    labels = "\n".join(f"class {n}" for n in range(1000)).encode()
    keras = tmp_path / "keras"
    keras.mkdir()
    write_h5(keras / "model.h5")
    write_keras(keras / "model.keras")
    repositories = {
        "pth": {"best.pth": pickled, "last.pth": b"x", "classes.txt": labels, "run.py": b"x"},
        "weights": {"weights/net.pt": torch_legacy(weights), "optimizer.pt": b"x"},
        "bin": {"pytorch_model.bin": torch_zip(weights, packed=True), "config.json": b"{}"},
        "shards": {
            **{name: save(part) for name, part in shards.items()},
            "model.safetensors.index.json": json.dumps({"weight_map": placed}).encode(),
            "pytorch_model.bin": b"x",
        },
        "h5": {"net.h5": (keras / "model.h5").read_bytes(), "group1-shard1of1.bin": b"x"},
        "keras": {
            "net.keras": (keras / "model.keras").read_bytes(),
            "net.h5": b"x",
            "net.pth": b"x",
        },
    }
    stub = start({f"org/{name}": Repository(files) for name, files in repositories.items()})
    report = hub.add([ALL], limits=ONE)
    assert report.done == tuple(f"org/{name}" for name in repositories), report.failures
    assert hub.labels("org/pth")[:2] == ("class 0", "class 1")
    source = hub.status().models[[m.name for m in hub.status().models].index("org/pth")].source
    assert source == f"hf:org/pth@{stub.repositories['org/pth'].commit}"
    fetched = {
        *("pth/best.pth", "pth/classes.txt", "weights/weights/net.pt", "bin/pytorch_model.bin"),
        *("bin/config.json", "h5/net.h5", "keras/net.keras"),
        *(f"shards/{name}" for name in (*shards, "model.safetensors.index.json")),
    }
    small = {"bin/config.json": "config.json"}  # the stub counts it without its repository
    assert {name.removeprefix("org/") for name in stub.served} == {
        small.get(path, path) for path in fetched
    }
    disk = tmp_path / "disk"
    for path in fetched:
        name, _, inner = path.partition("/")
        (disk / path).parent.mkdir(parents=True, exist_ok=True)
        (disk / path).write_bytes(repositories[name][inner])
    again = hub.add([disk], limits=ONE)
    originals = {original for _, original in again.copies}
    assert originals == {f"org/{name}" for name in repositories}


def test_a_failure_that_is_mended_takes_its_old_place(start: Start, hub: Hub) -> None:
    stub = start({"org/a": repository(1, fault="gated"), "org/b": repository(2)})
    hub.add(["hf:org/a", "hf:org/b", "hf:org/none"], limits=ONE)
    assert len(hub.status().failures) == 2
    stub.repositories["org/a"].fault = ""
    stub.repositories["org/none"] = repository(4)
    report = hub.add(["hf:org/none", "hf:org/b", "hf:org/a"], limits=ONE)
    assert (report.done, report.already) == (("org/a", "org/none"), 1)
    assert [(m[0], m[2]) for m in rows(hub, "models")] == [
        (0, "org/a"),
        (1, "org/b"),
        (2, "org/none"),
    ]
    assert hub.status().failures == ()


def test_the_same_model_twice_is_a_copy_also_of_a_local_one(start: Start, hub: Hub) -> None:
    start({"org/a": repository(1), "org/b": repository(1), "org/c": repository(2)})
    report = hub.add([ALL], limits=ONE)
    assert report.copies == (("org/b", "org/a"),)
    again = hub.add([ALL], limits=ONE)
    assert (again.already, again.copies) == (3, ())
    assert [model[2] for model in rows(hub, "models")] == ["org/a", "org/c"]


def test_a_new_commit_of_a_known_name_is_another_model(start: Start, hub: Hub) -> None:
    stub = start({"org/a": repository(1)})
    hub.add(["hf:org/a"], limits=ONE)
    stub.repositories["org/a"] = repository(2)
    report = hub.add(["hf:org/a"], limits=ONE)
    assert len(report.done) == 1
    assert report.done[0].startswith("org/a~")


def test_faults_that_pass_leave_the_hub_as_without_them(
    start: Start, hub: Hub, world: World, tmp_path: Path
) -> None:
    models = {f"org/m{n}": repository(n) for n in range(6)}
    start(models)
    hub.add([ALL], limits=ONE)
    first = {
        "/api/models/org": ["drop", "busy"],
        "GET /api/models": ["limit"],
        "config.json": ["broken", "garble"],
        "GET /stored": ["cut", "garble"],
    }
    stub = start(models, Faults(first=first))
    faulty = Hub.open(shutil.copytree(world.empty_hub, tmp_path / "faulty"))
    report = faulty.add([ALL], limits=ONE)
    assert report.failures == ()
    assert sum(stub.struck.values()) == 7
    assert contents(faulty) == contents(hub)


def test_a_crawl_that_was_cut_off_goes_on(
    start: Start, hub: Hub, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = {f"org/m{n:02d}": repository(n) for n in range(9)}
    stub = start(models)
    hub.add([ALL], limits=ONE)
    cut = Hub.open(shutil.copytree(world.empty_hub, tmp_path / "cut"))
    from lagotto.hub.ingest import add as intake

    right, seen = intake.record_probed, []

    def record(*arguments: Any) -> None:
        seen.append(arguments)
        if len(seen) == 3:
            raise KeyboardInterrupt
        right(*arguments)

    monkeypatch.setattr(intake, "record_probed", record)
    with pytest.raises(KeyboardInterrupt):
        cut.add([ALL], limits=ONE)
    status = cut.status()
    assert (status.done, status.pending) == (2, 7)
    monkeypatch.setattr(intake, "record_probed", right)
    stub.served.clear()
    report = cut.add([ALL], limits=ONE)
    assert (len(report.done), report.already) == (7, 2)
    assert contents(cut) == contents(hub)


def test_a_hub_that_falls_silent_leaves_the_rest_pending(start: Start, hub: Hub) -> None:
    stub = start({f"org/m{n}": repository(n) for n in range(8)})
    hub.add(["hf:org/m0"], limits=ONE)
    stub.faults.first = {"GET /api/models/org": ["limit"] * 500}
    stub.faults.retry_after = "0"
    with pytest.raises(SourceError, match="are left: the same command goes on"):
        hub.add([ALL], limits=ONE)
    status = hub.status()
    assert (status.done, len(status.failures)) == (1, 3)
    assert status.pending == 4
    stub.faults.first = {}
    assert len(hub.add([ALL], limits=ONE).done) == 7
    assert hub.status().failures == ()


def test_the_disk_budget_is_kept(start: Start, hub: Hub) -> None:
    stub = start({f"org/m{n}": repository(n) for n in range(6)})
    one = sum(len(data) for data in stub.repositories["org/m0"].files.values())
    report = hub.add([ALL], limits=Limits(workers=1, cache_bytes=2 * one))
    assert len(report.done) == 6
    tight = hub.add(["hf:org/big"], limits=Limits(workers=1, cache_bytes=one))
    assert "is not on the hub" in tight.failures[0].reason
    stub.repositories["org/big"] = repository(9)
    tight = hub.add(["hf:org/big"], limits=Limits(workers=1, cache_bytes=300))
    assert "raise --cache-gb" in tight.failures[0].reason


def test_a_budget_is_given_out_in_turn() -> None:
    budget, order = DiskBudget(10), []

    def take(turn: int, size: int) -> None:
        budget.take(turn, size, "x")
        order.append(turn)

    threads = [threading.Thread(target=take, args=pair) for pair in ((2, 1), (1, 8), (0, 8))]
    for thread in threads:
        thread.start()
    threads[2].join(5)
    assert order == [0]  # 1 does not fit, and 2 does not pass it by
    budget.give_back(8)
    for thread in threads:
        thread.join(5)
    assert sorted(order) == [0, 1, 2]
    threading.Timer(0.05, budget.close).start()
    with pytest.raises(SourceError, match="stopped"):
        budget.take(3, 9, "x")


def test_a_spec_that_is_not_understood_changes_nothing(start: Start, hub: Hub) -> None:
    start({"org/a": repository(1)})
    for spec in ("hf:a/b/c", "hf-search:colour=red"):
        with pytest.raises(UsageError):
            hub.add([spec, "hf:org/a"], limits=ONE)
    assert rows(hub, "models") == []
    assert rows(hub, "runs") == []


def test_the_command_line_adds_from_a_hub(start: Start, hub: Hub) -> None:
    start({"org/a": repository(1), "org/bad": repository(2, fault="gone")})
    answer = lagotto("hub", "add", str(hub.folder), ALL, "--cache-gb", "0.5", "--workers", "1")
    assert answer.code == 0
    assert "1 models added, 0 already there, 0 copies, 1 failed" in answer.out
    assert "failed: org/bad: " in answer.out
    answer = lagotto("hub", "status", str(hub.folder), "--json")
    assert answer.json["failures"][0]["kind"] == "source"
