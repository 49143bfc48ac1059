"""Labels, picture size, normalization and settings that a checkpoint states are read from it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from checkpoint_makers import Call, Named, module, torch_zip
from lagotto.models.checkpoints.checkpoint import Checkpoint
from lagotto.models.checkpoints.opening import open_checkpoint

NAMES = ("cat", "dog", "owl")
NET = {
    "conv.weight": np.ones((2, 3, 1, 1), np.float32),
    "fc.weight": np.ones((3, 2), np.float32),
    "fc.bias": np.ones(3, np.float32),
}
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@pytest.fixture
def opened(tmp_path: Path) -> Any:
    def open_value(value: Any) -> Checkpoint:
        file = tmp_path / "best.pt"
        file.write_bytes(torch_zip(value))
        return open_checkpoint(file)

    return open_value


def namespace(**values: Any) -> Call:
    return Call(Named("argparse.Namespace"), (), values)


def texts(*names: str) -> Call:
    """An array of numpy, as its pickle of protocol 2 builds it."""
    data = np.array(names)
    kind = Call(Named("numpy.dtype"), (data.dtype.str[1:], False, True), (3, "<", None))
    made = Call(Named("numpy.core.multiarray._reconstruct"), (Named("numpy.ndarray"), (0,), b"b"))
    return (
        Call(Named("copyreg._reconstructor"), ())
        if not names
        else _with_state(made, (1, data.shape, kind, False, data.tobytes()))
    )


def _with_state(made: Call, state: Any) -> Call:
    return Call(made.function, made.arguments, state)


@pytest.mark.parametrize(
    "beside",
    [
        {"classes": list(NAMES)},
        {"class_names": NAMES},
        {"names": {0: "cat", 1: "dog", 2: "owl"}},
        {"class_to_idx": {"dog": 1, "cat": 0, "owl": 2}},
        {"idx_to_class": {"0": "cat", "1": "dog", "2": "owl"}},
        {"hyper_parameters": {"id2label": {0: "cat", 1: "dog", 2: "owl"}}},
        {"args": namespace(classes=list(NAMES), lr=0.1)},
        {"meta": {"CLASSES": NAMES}},
        {"meta": {"dataset_meta": {"classes": NAMES}}},
        {"cfg": Call(Named("mine.AttrDict"), (), None, (("class_names", list(NAMES)),))},
        {"classes": texts(*NAMES)},
        {"class_names": list(NAMES), "labels": [0, 1, 2, 2, 1, 0]},
        {"names": ["train", "val"], "class_names": NAMES},
    ],
)
def test_labels(opened: Any, beside: Any) -> None:
    labels = opened({"state_dict": NET, **beside}).labels
    assert labels is not None
    assert labels.names == NAMES


def test_labels_of_a_module(opened: Any) -> None:
    inner = module("a.Net", NET, names={0: "cat", 1: "dog", 2: "owl"})
    assert opened({"model": inner}).labels.names == NAMES
    parallel = module("torch.nn.parallel.DataParallel", modules={"module": inner})
    assert opened(parallel).labels.names == NAMES


def test_labels_are_not_made_of_other_things(opened: Any) -> None:
    found = opened({"state_dict": NET, "labels": [0, 1, 1, 0], "names": "resnet", "classes": 3})
    assert found.labels is None


@pytest.mark.parametrize(
    ("beside", "size"),
    [
        ({"imgsz": 160}, (160, 160)),
        ({"train_args": {"imgsz": 224}}, (224, 224)),
        ({"args": namespace(img_size=96)}, (96, 96)),
        ({"input_size": (3, 200, 180)}, (200, 180)),
        ({"input_shape": [64, 48, 3]}, (64, 48)),
        ({"hparams": {"data": {"image_size": [300, 240]}}}, (300, 240)),
        ({"resize": 256, "crop_size": 224}, (224, 224)),
        ({"img_size": "128"}, (128, 128)),
        ({"img_size": -1}, None),
        ({"img_size": 10**9}, None),
    ],
)
def test_picture_size(opened: Any, beside: Any, size: Any) -> None:
    found = opened({"state_dict": NET, **beside})
    assert found.input.size == size
    assert [note for note in found.notes if "size" in note] == (
        [] if size is None else [note for note in found.notes if "in the checkpoint" in note]
    )


def test_normalization(opened: Any) -> None:
    mean, std = IMAGENET
    found = opened({"state_dict": NET, "mean": mean, "std": np.array(std, np.float32)}).input
    assert (found.scale, found.mean) == ("0..1", tuple(mean))
    assert found.std == pytest.approx(std)
    by_255 = {"pixel_mean": [123.7, 116.3, 103.5], "pixel_std": [58.4, 57.1, 57.4]}
    found = opened({"model": NET, "cfg": by_255}).input
    assert (found.scale, found.mean[0]) == ("0..255", 123.7)
    assert opened({"model": NET, "mean": 0.93, "std": -1}).input.mean == ()
    assert opened({"model": NET, "mean": mean}).input.mean == ()


def test_what_timm_states_of_its_input(opened: Any) -> None:
    config = {
        "input_size": (3, 240, 240), "crop_pct": 0.95, "interpolation": "bicubic",
        "mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5),
    }  # fmt: skip
    found = opened(module("timm.models.Net", NET, pretrained_cfg=config)).input
    assert (found.size, found.crop_fraction, found.resize) == ((240, 240), 0.95, "crop")
    assert (found.resample, found.mean) == ("bicubic", (0.5, 0.5, 0.5))
    assert opened({"model": NET, "crop_pct": 7, "interpolation": "random"}).input.resize is None


def test_settings_are_plain_and_name_the_network(opened: Any) -> None:
    config = Call(
        Named("omegaconf.dictconfig.DictConfig"), (),
        {"_content": {"width": Call(Named("omegaconf.nodes.AnyNode"), (), {"_val": 4})}},
    )  # fmt: skip
    found = opened(
        {
            "epoch": 3,
            "state_dict": NET,
            "args": namespace(arch="resnet18", out=Call(Named("pathlib.PosixPath"), ("a", "b"))),
            "config": config,
            "history": [float("nan")],
            "big": 10**40,
            "callback": Call(Named("os.system"), ("true",)),
        }
    )
    assert found.settings == {
        "epoch": 3,
        "args": {"arch": "resnet18", "out": "a/b"},
        "config": {"width": 4},
        "callback": "true",
        "arch": "resnet18",
    }


@pytest.mark.parametrize(
    ("layer", "mean", "std"),
    [
        ("normalize.", "mean", "std"),
        ("module.normalizer.", "mean", "std"),
        ("", "mu", "sigma"),
        ("model.", "pixel_mean", "pixel_std"),
    ],
)
def test_a_layer_that_normalizes_becomes_the_input(
    opened: Any, layer: str, mean: str, std: str
) -> None:
    values = [np.array(item, np.float32).reshape(1, 3, 1, 1) for item in IMAGENET]
    inner = {f"model.{name}": tensor for name, tensor in NET.items()}
    found = opened({f"{layer}{mean}": values[0], f"{layer}{std}": values[1], **inner})
    assert list(found.tensors) == list(NET)
    assert found.input.scale == "0..1"
    assert found.input.mean == pytest.approx(IMAGENET[0])
    assert "normalizes pictures itself" in found.notes[0]


def test_a_mean_of_other_things_is_a_tensor_like_any_other(opened: Any) -> None:
    beside = {"head.mean": np.full(3, -4, np.float32), "head.std": np.ones(3, np.float32)}
    found = opened({**NET, **beside})
    assert len(found.tensors) == 5
    assert found.input.mean == ()


def test_notes_name_a_setting_as_it_is_written(opened: Any) -> None:
    config = Call(
        Named("omegaconf.dictconfig.DictConfig"), (),
        {"_content": {"image_size": Call(Named("omegaconf.nodes.AnyNode"), (), {"_val": 192})}},
    )  # fmt: skip
    found = opened({"state_dict": NET, "hyper_parameters": config})
    assert found.input.size == (192, 192)
    assert "picture size from 'hyper_parameters.image_size' in the checkpoint" in found.notes
