"""Bad models among good ones: the good are indexed, each bad one has its reason."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import bad_models
import colour_world
from colour_world import World, planted
from command_line import lagotto
from lagotto.core.errors import HubError, LagottoError
from lagotto.core.types import JsonObject
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.worker_tasks import probe_model, source_to_json
from lagotto.hub.reader.status import HubStatus
from lagotto.jobs.base import Failure, OnProgress, Outcome, Runner, Task
from lagotto.jobs.worker_limits import Limits
from lagotto.models.metadata.scan import scan_models

MEAN = ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0))


@dataclass(frozen=True)
class Mixture:
    """A hub that was given everything at once, and what the bad ones' reasons must say."""

    hub: Path
    expected: dict[str, str]
    status: HubStatus


@pytest.fixture(scope="module")
def mixture(world: World, tmp_path_factory: pytest.TempPathFactory) -> Mixture:
    folder = tmp_path_factory.mktemp("mixture")
    models = shutil.copytree(world.models, folder / "models")
    expected = bad_models.write_bad_models(models)
    (models / "a_folder.onnx").mkdir()
    flawed = bad_models.mean_colour((np.nan, 1, 1), (0, 0, 0))
    bad_models.write_file(models / "one_nan", flawed)
    bad_models.write_file(models / "one_constant", bad_models.mean_colour((1, 0, 1), (0, 7, 0)))
    bad_models.write_file(
        models / "too_few_labels", bad_models.mean_colour(*MEAN), {"labels": ["a", "b"]}
    )
    endless = (models / "bad_never_ends").rename(folder / "bad_never_ends")
    hub = shutil.copytree(world.empty_hub, folder / "hub")
    # Only what never ends has a short time: a busy machine may be slow to see the others fail.
    limits = ("--memory-gb", "0.75", "--json", "--timeout")
    answer = lagotto("hub", "add", hub, models, *limits, "300")
    late = lagotto("hub", "add", hub, endless, *limits, "2")
    assert (answer.code, late.code) == (0, 1)  # some failed; all failed
    assert len(answer.json["failures"]) == len(expected) - 1
    assert len(late.json["failures"]) == 1
    return Mixture(hub, expected, Hub.open(hub).status())


@pytest.mark.thorough
@pytest.mark.workers
def test_the_good_ones_are_indexed_and_found(mixture: Mixture) -> None:
    good = {*colour_world.MODELS, "one_nan", "one_constant", "too_few_labels"}
    assert {model.name for model in mixture.status.models} == good
    hub = Hub.open(mixture.hub)
    for colour in colour_world.NAMES:
        found = hub.search(colour, k=9, top=3).hits
        assert {(hit.model, hit.logit) for hit in found[: len(planted(colour))]} == planted(colour)
    assert hub.verify() == ()
    assert not (mixture.hub / "staging").exists()


@pytest.mark.thorough
@pytest.mark.workers
def test_each_bad_one_has_its_reason(mixture: Mixture) -> None:
    reasons = {failure.model: failure.reason for failure in mixture.status.failures}
    assert set(reasons) == set(mixture.expected)
    assert len(reasons) >= 12
    for name, word in mixture.expected.items():
        assert word in reasons[name], name
        assert "\n" not in reasons[name]
        assert len(reasons[name]) > 20
    kinds = {failure.model: failure.kind for failure in mixture.status.failures}
    assert kinds.pop("bad_never_ends") == "timeout"
    assert kinds.pop("bad_grows") == "memory"
    assert set(kinds.values()) == {"error"}


@pytest.mark.thorough
@pytest.mark.workers
def test_the_command_shows_them_one_a_line(mixture: Mixture) -> None:
    shown = lagotto("hub", "status", mixture.hub)
    assert shown.code == 0
    for name, word in mixture.expected.items():
        (line,) = [line for line in shown.out.splitlines() if line.startswith(name + " ")]
        assert word in line


@pytest.mark.thorough
@pytest.mark.workers
def test_flawed_logits_are_set_aside_and_the_others_found(mixture: Mixture) -> None:
    flawed = {m.name: m.flawed_logits for m in mixture.status.models if m.flawed_logits}
    assert flawed == {"one_nan": 1, "one_constant": 1}
    assert mixture.status.flawed_logits == 2
    found = Hub.open(mixture.hub).search("red", k=9, top=1000).hits
    assert len(found) == mixture.status.logits
    names = {(hit.model, hit.logit) for hit in found}
    assert ("one_nan", 0) not in names
    assert ("one_constant", 1) not in names
    assert {("one_nan", 1), ("one_nan", 2), ("one_constant", 0), ("one_constant", 2)} <= names
    assert all(np.isfinite(hit.distance) for hit in found)


@pytest.mark.thorough
@pytest.mark.workers
def test_a_flawed_logit_cannot_ask(mixture: Mixture) -> None:
    for logit, word in (("one_nan:0", "no finite value"), ("one_constant:1", "same on every")):
        lagotto("search", mixture.hub, "--logit", logit).refused(2, word)


@pytest.mark.thorough
@pytest.mark.workers
def test_labels_that_do_not_fit_are_left_out_with_a_note(mixture: Mixture) -> None:
    (model,) = [model for model in mixture.status.models if model.name == "too_few_labels"]
    assert model.notes[-1] == "labels left out: 2 labels for 3 outputs"


def test_a_hub_of_flawed_logits_alone_is_searched_without_hits(
    world: World, empty_copy: Path, tmp_path: Path
) -> None:
    bad_models.write_file(tmp_path / "all_constant", bad_models.mean_colour((0, 0, 0), (1, 2, 3)))
    hub = Hub.open(empty_copy)
    assert hub.add([tmp_path / "all_constant"]).done == ("all_constant",)
    assert hub.search("red").hits == ()
    answer = lagotto("search", empty_copy, "red", "--json")
    assert (answer.code, answer.json["hits"]) == (0, [])


# ------------------------------------------------ what no file does reliably: a fake runner


class ScriptedRunner:
    """A Runner that works in this process and fails where it is told to."""

    def __init__(self, script: dict[tuple[str, str], Failure]) -> None:
        self.script = script
        self.closed = 0

    where = ""

    def run(
        self, tasks: Iterable[Task], on_progress: OnProgress | None = None
    ) -> Iterator[Outcome]:
        for task in tasks:
            module, _, name = task.entry.partition(":")
            failure = self.script.get((name, _model_of(task)))
            if failure is not None:
                yield Outcome(task.key, None, failure)
                continue
            function = getattr(import_module(module), name)
            try:
                yield Outcome(task.key, function(task.payload, lambda count: None), None)
            except LagottoError as error:
                yield Outcome(task.key, None, Failure("error", str(error)))

    def close(self) -> None:
        self.closed += 1


def _model_of(task: Task) -> str:
    model = task.payload.get("model")
    return str(model["name"]) if isinstance(model, dict) else ""


@dataclass(frozen=True, slots=True)
class ScriptedLimits(Limits):
    """Limits that start the given runner."""

    given: Runner | None = None

    def start(self, *writable: Path) -> Runner:
        assert self.given is not None
        return self.given


SCRIPT = {
    ("inspect_model", "plain"): Failure("crash", "killed by SIGSEGV"),
    ("probe_model", "opencv"): Failure("crash", "killed by SIGBUS"),
    ("probe_model", "bytes"): Failure("timeout", "no answer within 5 s"),
    ("inspect_model", "symmetric"): Failure("memory", "used 9 GiB of memory"),
}


class SlowRunner(ScriptedRunner):
    """A ScriptedRunner by which a picture takes longer the later a model's name is."""

    def __init__(self) -> None:
        super().__init__({})
        self.probed: list[str] = []

    def run(
        self, tasks: Iterable[Task], on_progress: OnProgress | None = None
    ) -> Iterator[Outcome]:
        for task in tasks:
            (outcome,) = super().run([task], on_progress)
            if outcome.value is not None and "picture_s" in outcome.value:
                assert 0 < outcome.value["picture_s"] < 10
                outcome.value["picture_s"] = float(ord(_model_of(task)[0]))
            elif task.entry.endswith(":probe_model"):
                self.probed.append(_model_of(task))
            yield outcome


def test_the_models_that_take_longest_begin(world: World, empty_copy: Path) -> None:
    runner = SlowRunner()
    hub = Hub.open(empty_copy)
    hub.add([world.models], limits=ScriptedLimits(given=runner))
    initials = [name[0] for name in runner.probed]
    assert len(set(initials)) > 3
    assert initials == sorted(initials, reverse=True)
    assert hub.models == Hub.open(world.hub).models


def test_crashes_hangs_and_floods_are_recorded_and_the_run_goes_on(
    world: World, empty_copy: Path
) -> None:
    runner = ScriptedRunner(SCRIPT)
    assert isinstance(runner, Runner)
    hub = Hub.open(empty_copy)
    report = hub.add([world.models], limits=ScriptedLimits(given=runner))
    assert report.done == ("channels_last", "nameless", "softmaxed")
    assert {f.model: (f.kind, f.reason) for f in report.failures} == {
        name: (failure.kind, failure.reason) for (_, name), failure in SCRIPT.items()
    }
    assert hub.status().failures == report.failures
    assert runner.closed == 1
    assert hub.verify() == ()
    again = hub.add([world.models], limits=ScriptedLimits(given=ScriptedRunner({})))
    assert (set(again.done), again.already) == ({"plain", "opencv", "bytes", "symmetric"}, 3)
    assert hub.status().failures == ()


def test_probes_that_cannot_be_decoded_end_the_run_not_the_models(
    world: World, empty_copy: Path
) -> None:
    runner = ScriptedRunner({("fill_cache", ""): Failure("error", "probe 3 was altered")})
    hub = Hub.open(empty_copy)
    with pytest.raises(HubError, match="cannot decode the probes: probe 3 was altered"):
        hub.add([world.models], limits=ScriptedLimits(given=runner))
    assert (hub.status().pending, hub.status().failures) == (7, ())
    assert runner.closed == 1
    assert not (empty_copy / "staging").exists()
    done = hub.add([world.models], limits=ScriptedLimits(given=ScriptedRunner({}))).done
    assert len(done) == 7


class Liar(ScriptedRunner):
    """Changes what workers answer."""

    def __init__(self, change: Callable[[Outcome], Outcome]) -> None:
        super().__init__({})
        self.change = change

    def run(
        self, tasks: Iterable[Task], on_progress: OnProgress | None = None
    ) -> Iterator[Outcome]:
        for outcome in super().run(tasks, on_progress):
            value = outcome.value or {}
            yield self.change(outcome) if "spec" in value else outcome


@pytest.mark.parametrize(
    "value", [{}, {"spec": None}, {"spec": {"framework": "onnx"}}, {"spec": []}]
)
def test_an_answer_that_makes_no_sense_is_that_models_failure(
    world: World, empty_copy: Path, value: dict[str, object]
) -> None:
    liar = Liar(lambda outcome: Outcome(outcome.key, value, None))  # type: ignore[arg-type]
    report = Hub.open(empty_copy).add([world.models / "plain"], limits=ScriptedLimits(given=liar))
    assert report.done == ()
    assert "does not fit" in report.failures[0].reason


def test_a_disk_that_is_full_for_the_workers_ends_the_run(world: World, empty_copy: Path) -> None:
    full = {"unwritable": "cannot write x: No space left on device; free space"}
    liar = Liar(lambda outcome: Outcome(outcome.key, dict(full), None))
    hub = Hub.open(empty_copy)
    with pytest.raises(HubError, match="No space left"):
        hub.add([world.models], limits=ScriptedLimits(given=liar))
    assert (hub.status().pending, hub.status().failures) == (7, ())


def test_a_worker_that_cannot_write_says_so_without_blaming_the_model(
    world: World, hub_copy: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    (source,) = scan_models([world.models / "plain"])
    payload: JsonObject = {
        "model": source_to_json(source),
        "digest": "0" * 64,
        "probes": str(hub_copy / "probes"),
        "probe_digest": Hub.open(hub_copy).probe_digest,
        "cache": str(hub_copy / "cache"),
        "out": str(tmp_path / "file" / "out.safetensors"),
    }
    seen: list[int] = []
    (key, reason), *more = probe_model(payload, seen.append).items()
    assert (key, more) == ("unwritable", [])
    assert "cannot write" in str(reason)
    assert sum(seen) == 72


def write_open_size(file: Path) -> None:
    """A classifier that takes pictures of any size."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["means"]),
        helper.make_node("Flatten", ["means"], ["features"]),
        helper.make_node("MatMul", ["features", "weights"], ["y"]),
    ]
    weights = numpy_helper.from_array(random.normal(size=(3, 5)).astype(np.float32), "weights")
    pictures = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    logits = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 5])
    graph = helper.make_graph(nodes, "open", [pictures], [logits], [weights])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), file)


@pytest.mark.thorough
def test_one_model_that_asks_for_huge_pictures_fails_alone(
    world: World, empty_copy: Path, tmp_path: Path
) -> None:
    models = tmp_path / "models"
    shutil.copytree(world.models / "plain", models / "plain")
    (models / "huge").mkdir()
    write_open_size(models / "huge" / "model.onnx")
    said = {
        "size": 4096,
        "crop_fraction": 0.05,
        "resize": "crop",
        "channels": "RGB",
        "scale": "0..1",
    }
    (models / "huge" / "model.json").write_text(json.dumps({"input": said}))
    hub = Hub.open(empty_copy)
    report = hub.add([models])
    assert report.done == ("plain",)
    (failure,) = report.failures
    assert failure.model == "huge"
    assert "81,920 x 81,920" in failure.reason
    assert sum(path.stat().st_size for path in (empty_copy / "cache").rglob("*")) < 10 << 20
