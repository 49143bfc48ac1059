"""Which weights of a checkpoint are read, under which names, and what is said of the rest."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkpoint_makers import Call, Named, module, torch_legacy, torch_zip
from lagotto.core.errors import ModelError
from lagotto.models.checkpoints.checkpoint import Checkpoint
from lagotto.models.checkpoints.opening import open_checkpoint


def network(value: float = 1, classes: int = 3) -> dict[str, Any]:
    return {
        "conv.weight": np.full((2, 3, 1, 1), value, np.float32),
        "fc.weight": np.full((classes, 2), value, np.float32),
        "fc.bias": np.full(classes, value, np.float32),
    }


def under(prefix: str, tensors: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


NET = network()
NAMES = list(NET)
OPTIMIZER = {"state": {0: {"exp_avg": np.zeros(9, np.float32)}}, "param_groups": [{"lr": 0.1}]}


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    def open_value(value: Any, write: Any = torch_zip) -> Checkpoint:
        file = tmp_path / "best.pt"
        file.write_bytes(write(value))
        return open_checkpoint(file)

    return open_value


def first_value(checkpoint: Checkpoint) -> float:
    return float(checkpoint.tensors["fc.bias"].read()[0])


@pytest.mark.parametrize("write", [torch_zip, torch_legacy])
@pytest.mark.parametrize(
    ("value", "place"),
    [
        (NET, ""),
        ({"epoch": 3, "state_dict": NET, "optimizer": OPTIMIZER, "loss": 0.2}, "state_dict"),
        ({"model": NET, "opt": OPTIMIZER}, "model"),
        ({"model_state_dict": NET, "optimizer_state_dict": OPTIMIZER}, "model_state_dict"),
        ({"net": NET, "acc": 93.1, "best": np.ones(1, np.float32)}, "net"),
        ({"a": {"b": {"weights": NET}}}, "a.b.weights"),
        ([{"state_dict": NET}, OPTIMIZER], "[0].state_dict"),
        ({"my_resnet": NET, "mean": np.ones(3, np.float32)}, "my_resnet"),
        ({"module": NET, "ds_version": "0.9", "optimizer": None}, "module"),
        ({"trainer": Call(Named("a.Trainer"), (), {"model": NET, "optim": OPTIMIZER})},
         "trainer.model"),
    ],
)  # fmt: skip
def test_the_network_is_found(opened: Any, value: Any, place: str, write: Any) -> None:
    found = opened(value, write)
    assert found.found_at == place
    assert list(found.tensors) == NAMES
    assert found.notes == ()


@pytest.mark.parametrize(
    ("value", "place", "note"),
    [
        ({"model": NET, "ema": network(2)}, "ema", "average"),
        ({"state_dict": NET, "state_dict_ema": network(2), "optimizer": OPTIMIZER},
         "state_dict_ema", "average"),
        ({"model": NET, "model_ema": {"module": network(2)}}, "model_ema.module", "average"),
        ({"student": NET, "teacher": under("module.", network(2))}, "teacher", "average"),
        ({"ema": {"shadow": network(2)}, "net": NET}, "ema.shadow", "average"),
        ({"student": network(2), "teacher": network(1, 9)}, "student", "2 sets of weights"),
        ({"fold0": network(2), "fold1": NET}, "fold0", "2 sets of weights"),
        ({"best": network(2), "last": NET, "mid": network(3)}, "best", "3 sets of weights"),
    ],
)  # fmt: skip
def test_one_of_several_sets_is_read_with_a_note(
    opened: Any, value: Any, place: str, note: str
) -> None:
    found = opened(value)
    assert found.found_at == place
    assert list(found.tensors) == NAMES
    assert first_value(found) == 2
    assert len(found.notes) == 1
    assert note in found.notes[0]


def test_what_is_too_small_to_be_the_network_is_told(opened: Any) -> None:
    found = opened({"model": NET, "arcface": {"weight": np.ones((9, 2), np.float32)}})
    assert found.found_at == "model"
    assert found.notes == ("too small to be the network, not read: arcface",)


def test_a_body_and_a_head_are_one_network(opened: Any) -> None:
    body = {f"conv{i}.weight": np.ones((2, 3, 1, 1), np.float32) for i in range(5)}
    head = {"fc.weight": np.ones((3, 2), np.float32), "fc.bias": np.ones(3, np.float32)}
    found = opened({"backbone_state_dict": body, "classifier_state_dict": head})
    assert list(found.tensors) == [*under("backbone.", body), *under("classifier.", head)]
    assert "one network" in found.notes[0]


@pytest.mark.parametrize(
    "names",
    [
        under("module.", NET),
        under("model.", NET),
        under("_orig_mod.module.", NET),
        under("module._orig_mod.", NET),
        under("net.backbone.model.", NET),
        {"n_averaged": np.array(4), **under("module.", NET)},
        {"conv._orig_mod.weight": NET["conv.weight"], **{n: NET[n] for n in NAMES[1:]}},
        {"conv.module.weight": NET["conv.weight"], **{n: NET[n] for n in NAMES[1:]}},
    ],
)
def test_wrappers_are_taken_off(opened: Any, names: Any) -> None:
    found = opened(names)
    assert list(found.tensors) == NAMES
    assert found.notes == ()


def test_a_part_called_module_deep_in_a_network_stays(opened: Any) -> None:
    names = {"stage.block.module.0.weight": NET["fc.weight"], "head.weight": NET["fc.weight"]}
    assert list(opened(names).tensors) == list(names)


def test_what_is_no_part_of_the_network_is_left_out_and_counted(opened: Any) -> None:
    beside = {
        "criterion.weight": np.ones(3, np.float32),
        "train_acc.correct": np.array([3]),
        "val_f1.tp": np.array([3]),
        "metrics.a": np.array([3]),
    }
    found = opened({"state_dict": {**under("model.", NET), **beside}})
    assert list(found.tensors) == NAMES
    shown = "criterion.weight, train_acc.correct, val_f1.tp and 1 more"
    assert found.notes == (f"left out, no part of the network: {shown}",)


def test_an_average_beside_its_network_in_one_state_dict(opened: Any) -> None:
    found = opened({"state_dict": under("model.", NET) | under("model_ema.", network(2))})
    assert list(found.tensors) == NAMES
    assert first_value(found) == 2
    assert "not model." in found.notes[0]


def test_two_networks_in_one_state_dict_are_both_there(opened: Any) -> None:
    found = opened(under("left.", NET) | under("right.", network(2)))
    assert len(found.tensors) == 6


def test_pruned_weights_are_their_product(opened: Any) -> None:
    mask = np.array([[1, 0], [0, 1], [1, 1]], np.float32)
    pruned = {
        "conv.weight": NET["conv.weight"],
        "fc.weight_orig": np.full((3, 2), 5, np.float32),
        "fc.weight_mask": mask,
        "fc.bias": NET["fc.bias"],
    }
    found = opened(pruned)
    assert list(found.tensors) == NAMES
    assert np.array_equal(found.tensors["fc.weight"].read(), mask * 5)


def test_a_module_gives_the_names_of_its_state_dict(opened: Any) -> None:
    inner = module("mine.Block", {"weight": NET["conv.weight"], "bias": None})
    head = module("torch.nn.Linear", {"weight": NET["fc.weight"], "bias": NET["fc.bias"]})
    buffers = {"kept": np.ones(2, np.float32), "passing": np.ones(2, np.float32)}
    net = module(
        "mine.Net", {}, {"conv": inner, "nothing": None, "fc": head},
        _buffers=buffers, _non_persistent_buffers_set=["passing"],
    )  # fmt: skip
    found = opened({"model": net, "epoch": 2})
    assert list(found.tensors) == ["kept", *NAMES]
    assert found.module_class == "mine.Net"
    assert found.found_at == "model"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (OPTIMIZER, "state of an optimizer"),
        ({"epoch": 3, "optimizer_state_dict": OPTIMIZER}, "state of an optimizer"),
        ({"netG": NET, "netD": network(2)}, "a GAN"),
        ({"generator_state_dict": NET, "discriminator_state_dict": network(2)}, "a GAN"),
        ({"G_state_dict": NET, "D_state_dict": {"0.weight": np.ones((2, 2), "f4")}}, "a GAN"),
        (np.ones(3, np.float32), "one tensor and no network"),
        ({"names": ["a", "b"]}, "no weights"),
        (Call(Named("sklearn.svm._classes.SVC")), "scikit-learn; export it with skl2onnx"),
        ({"clf": Call(Named("sklearn.svm.SVC"))}, "scikit-learn"),
        (Call(Named("fastai.learner.Learner"), (), {"model": NET}), "learn.export()"),
        (Call(Named("mine.Thing")), "an object of the class 'mine.Thing'"),
        ({"fc._packed_params.dtype": 1, "fc.scale": np.ones(1, np.float32)}, "quantised network"),
        ({"a.flat_param": np.ones(9, np.float32)}, "FSDP"),
        (
            {"a": Call(Named("torch.distributed.tensor._api.DTensor"), (1,))},
            "split over several devices",
        ),
        (Call(Named("__torch__.Net"), (), {"training": False}), "frozen"),
    ],
)
def test_what_is_no_network_is_refused_by_name(opened: Any, value: Any, said: str) -> None:
    with pytest.raises(ModelError, match=r"^best\.pt is not read: ") as refused:
        opened(value)
    assert said in str(refused.value)
