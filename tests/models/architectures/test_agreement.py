"""A module that is pickled whole runs only if its layers are those of its architecture."""

from typing import Any

import pytest

from lagotto.core.errors import ModelError
from lagotto.models.architectures.agreement import check_layers
from lagotto.models.architectures.recognition import Recognition, recognize
from lagotto.models.architectures.skeletons import read_skeleton
from lagotto.models.checkpoints.checkpoint import Checkpoint, PlainLayer
from network_files import shapes_of

STEM = {
    "stride": [2, 2],
    "padding": [3, 3],
    "dilation": [1, 1],
    "groups": 1,
    "padding_mode": "zeros",
}
POOL: dict[str, Any] = {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 1}


@pytest.fixture(scope="module")
def found() -> Recognition:
    return recognize(shapes_of("torchvision/resnet18"))


def layer(kind: str, **settings: Any) -> PlainLayer:
    return PlainLayer(f"torch.nn.modules.{kind.lower()}.{kind}", settings)


def check(found: Recognition, layers: dict[str, PlainLayer], **weighted: PlainLayer) -> None:
    usual = {"conv1": layer("Conv2d", **STEM), "bn1": layer("BatchNorm2d", eps=1e-5)}
    checkpoint = Checkpoint("torch zip", {}, layers=layers, weighted=usual | weighted)
    check_layers(read_skeleton(found.architecture.key), found, checkpoint)


def test_the_layers_of_the_architecture_itself_agree(found: Recognition) -> None:
    check(found, {"maxpool": layer("MaxPool2d", **POOL), "relu": layer("ReLU")})
    check(found, {"avgpool": layer("AdaptiveAvgPool2d", output_size=[1, 1])})
    check(found, {}, conv1=layer("Conv2d", padding="same"))  # not compared
    check(found, {"maxpool": layer("MaxPool2d", training=False)})  # TorchScript: only in its code


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stride": [1, 1]}, "'conv1' has stride 1x1 in place of 2x2"),
        ({"padding": [1, 1]}, "padding 1x1 in place of 3x3"),
        ({"dilation": [2, 2]}, "dilation 2x2 in place of 1x1"),
        ({"padding_mode": "reflect"}, "padding_mode reflect in place of zeros"),
    ],
)
def test_another_convolution_is_refused(
    found: Recognition, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(ModelError, match=f"those of resnet18, but .*{told}; export it"):
        check(found, {}, conv1=layer("Conv2d", **{**STEM, **change}))


def test_another_epsilon_is_refused(found: Recognition) -> None:
    with pytest.raises(ModelError, match=r"'bn1' has eps 0.001 in place of 1e-05"):
        check(found, {}, bn1=layer("BatchNorm2d", eps=1e-3))


@pytest.mark.parametrize(
    ("path", "other"),
    [
        ("avgpool", layer("AdaptiveMaxPool2d", output_size=1)),
        ("maxpool", layer("Identity")),
        ("maxpool", layer("MaxPool2d", **{**POOL, "stride": 1})),
        ("relu", layer("SiLU")),
    ],
)
def test_another_pool_or_activation_is_refused(
    found: Recognition, path: str, other: PlainLayer
) -> None:
    with pytest.raises(ModelError, match=f"'{path}' is an? {other.kind}"):
        check(found, {path: other})


def test_a_norm_of_the_users_own_classifier_is_compared() -> None:
    shapes = shapes_of("torchvision/resnet18")
    del shapes["fc.weight"], shapes["fc.bias"]
    norm = {"fc.0.weight": (512,), "fc.0.bias": (512,)}
    own = recognize({**shapes, **norm, "fc.1.weight": (5, 512), "fc.1.bias": (5,)})
    check(own, {}, **{"fc.0": layer("LayerNorm", eps=1e-5)})
    with pytest.raises(ModelError, match=r"'fc.0' has eps 1e-06 in place of 1e-05"):
        check(own, {}, **{"fc.0": layer("LayerNorm", eps=1e-6)})
