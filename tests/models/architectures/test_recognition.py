"""Networks are recognized by the names and shapes of their tensors, whatever was done to them."""

import pytest

from lagotto.core.errors import ModelError
from lagotto.models.architectures.fingerprint import Shape
from lagotto.models.architectures.recognition import Recognition, recognize
from lagotto.models.checkpoints.checkpoint import PlainLayer
from network_files import shapes_of

Shapes = dict[str, Shape]
RESNET = "torchvision/resnet18"


def with_head(key: str, removed: str, *added: tuple[str, Shape]) -> Shapes:
    """The tensors of an architecture with another classifier."""
    shapes = shapes_of(key)
    kept = {name: shape for name, shape in shapes.items() if not name.startswith(removed)}
    return {**kept, **dict(added)}


def linear(path: str, inputs: int, outputs: int) -> list[tuple[str, Shape]]:
    return [(f"{path}.weight", (outputs, inputs)), (f"{path}.bias", (outputs,))]


def norm(path: str, size: int) -> list[tuple[str, Shape]]:
    parts = ("weight", "bias", "running_mean", "running_var")
    return [(f"{path}.{part}", (size,)) for part in parts]


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


def kinds(found: Recognition) -> list[str]:
    assert found.head is not None
    return [layer.kind for layer in found.head.layers]


@pytest.mark.parametrize(
    "key",
    [
        *("torchvision/resnet50", "torchvision/vgg16_bn", "torchvision/densenet121"),
        *("torchvision/efficientnet_b0", "torchvision/convnext_tiny", "torchvision/vit_b_16"),
        *("torchvision/mobilenet_v3_large", "torchvision/squeezenet1_1", "torchvision/swin_t"),
        *("timm/convnextv2_atto", "timm/regnety_002", "timm/tf_efficientnetv2_b0"),
        *("timm/deit_small_distilled_patch16_224", "timm/swin_tiny_patch4_window7_224"),
        *("cifar/akamaster_resnet20", "cifar/kuangliu_resnet18", "yolo/yolov8n-cls"),
    ],
)
def test_any_number_of_classes_is_the_same_architecture(key: str) -> None:
    shapes = {
        name: (7, *shape[1:]) if shape[:1] == (1000,) else shape
        for name, shape in shapes_of(key).items()
    }
    found = recognize(shapes)
    assert found.architecture.name == key.partition("/")[2]
    assert found.head is None
    assert all(name in found.names.values() for name in shapes)


@pytest.mark.parametrize(
    ("shapes", "expected", "noted"),
    [
        (with_head(RESNET, "fc.", *linear("fc.1", 512, 3)), ["linear"], False),
        (with_head(RESNET, "fc.", *linear("classifier", 512, 3)), ["linear"], False),
        (with_head(RESNET, "fc.", ("fc.weight", (3, 512))), ["linear"], False),
        (
            with_head(
                RESNET, "fc.", *linear("fc1", 512, 64), *norm("n", 64), *linear("fc2", 64, 3)
            ),
            ["linear", "batch_norm", "activation", "linear"],
            True,
        ),
        (
            with_head(RESNET, "fc.", *linear("fc.0", 512, 64), *linear("fc.3", 64, 3)),
            ["linear", "activation", "linear"],
            True,
        ),
        (
            with_head(RESNET, "fc.", *linear("fc.0", 512, 64), *linear("fc.1", 64, 3)),
            ["linear", "linear"],
            False,
        ),
        (
            with_head(
                *(RESNET, "fc."),
                *(*norm("fc.0", 512), *linear("fc.2", 512, 64), *norm("fc.4", 64)),
                *linear("fc.6", 64, 3),
            ),
            ["batch_norm", "linear", "activation", "batch_norm", "linear"],
            True,
        ),
        (
            with_head(
                *(RESNET, "fc."),
                *(*linear("fc.0", 512, 64), *norm("fc.1", 64), *linear("fc.4", 64, 3)),
            ),
            ["linear", "batch_norm", "activation", "linear"],
            True,
        ),
    ],
)
def test_a_classifier_of_ones_own_is_read(shapes: Shapes, expected: list[str], noted: bool) -> None:
    found = recognize(shapes)
    assert found.architecture.name == "resnet18"
    assert kinds(found) == expected
    assert any("ReLU assumed" in note for note in found.notes) == noted


def test_the_layers_of_a_pickled_module_tell_the_activation() -> None:
    shapes = with_head(RESNET, "fc.", *linear("fc.0", 512, 64), *linear("fc.3", 64, 3))
    activation = "torch.nn.modules.activation."
    tanh, dropout = PlainLayer(f"{activation}Tanh"), PlainLayer("torch.nn.modules.dropout.Dropout")
    layers = {"fc.1": tanh, "fc.2": dropout}
    found = recognize(shapes, layers=layers)
    assert found.head is not None
    assert found.head.layers[1].path == "Tanh"
    assert found.notes == ()
    with pytest.raises(ModelError, match="has a LeakyReLU, and the file does not say its negative"):
        recognize(shapes, layers={**layers, "fc.1": PlainLayer(f"{activation}LeakyReLU")})
    with pytest.raises(ModelError, match=r"has a RReLU in 'fc.1', not known here"):
        recognize(shapes, layers={**layers, "fc.1": PlainLayer(f"{activation}RReLU")})


@pytest.mark.parametrize("body", ["backbone.", "model.encoder.", "net."])
def test_a_body_under_another_name_with_a_classifier_beside_it(body: str) -> None:
    shapes = under(body, with_head(RESNET, "fc.")) | dict(linear("head", 512, 4))
    found = recognize(shapes)
    assert found.architecture.name == "resnet18"
    assert found.root == body
    assert kinds(found) == ["linear"]


def test_children_in_a_list_are_told_by_their_numbers() -> None:
    children = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    numbered: Shapes = {}
    for name, shape in with_head(RESNET, "fc.").items():
        child, _, rest = name.partition(".")
        numbered[f"features.{children.index(child)}.{rest}"] = shape
    found = recognize(numbered | dict(linear("fc", 512, 4)))
    assert found.architecture.name == "resnet18"
    assert found.view == "children"
    assert found.names["layer1.0.conv1.weight"] == "features.4.0.conv1.weight"


@pytest.mark.parametrize("channels", [1, 4])
def test_pictures_of_other_channels(channels: int) -> None:
    shapes = shapes_of(RESNET)
    shapes["conv1.weight"] = (64, channels, 7, 7)
    found = recognize(shapes)
    assert found.architecture.name == "resnet18"
    assert found.channels == channels


def test_buffers_without_effect_may_be_there_or_not() -> None:
    shapes = shapes_of("torchvision/swin_t")
    norms = [name.removesuffix("weight") for name in shapes if name.endswith("weight")]
    counts: Shapes = {f"{name}num_batches_tracked": () for name in norms}
    assert recognize(shapes | counts).architecture.name == "swin_t"
    auxiliary = {"AuxLogits.fc.weight": (3, 768), "AuxLogits.fc.bias": (3,)}
    inception = shapes_of("torchvision/inception_v3")
    assert recognize(inception | auxiliary).architecture.name == "inception_v3"


def test_the_file_decides_between_networks_with_the_same_tensors() -> None:
    shapes = shapes_of("timm/efficientnet_b0")
    plain = recognize(shapes)
    assert plain.architecture.name == "efficientnet_b0"
    others = [item.architecture.name for item in plain.others]
    assert others == ["tf_efficientnet_b0", "efficientnet_blur_b0"]
    told = recognize(shapes, {"args": {"model": "tf_efficientnet_b0.ns_jft_in1k"}})
    assert told.architecture.name == "tf_efficientnet_b0"
    assert told.others == ()


def test_the_class_of_a_module_decides_between_libraries() -> None:
    shapes = shapes_of("timm/resnet50")
    assert recognize(shapes).architecture.library == "torchvision"
    assert recognize(shapes, module_class="timm.models.resnet.ResNet").architecture.library == (
        "timm"
    )


def test_an_unknown_network_is_compared_with_the_nearest() -> None:
    shapes = shapes_of(RESNET)
    shapes["conv1.weight"] = (64, 3, 3, 3)
    with pytest.raises(
        ModelError, match=r"62 of 102|101 of 102 tensors fit resnet18 \(conv1"
    ) as it:
        recognize(shapes)
    assert "torch.onnx.export" in str(it.value)
    with pytest.raises(ModelError, match="none of its 2 tensors"):
        recognize({"mine.weight": (3, 8), "mine.bias": (3,)})


@pytest.mark.parametrize(
    ("shapes", "what"),
    [
        ({"embedding.weight": (30_522, 768), "fc.weight": (2, 768)}, "30,522 x 768"),
        ({"encoder.weight": (8, 3, 3, 3), "decoder.weight": (8, 3, 3, 3)}, "gives a picture"),
        ({"main.0.weight": (8, 3, 4, 4), "main.2.weight": (1, 8, 4, 4)}, "as a discriminator"),
        ({"netG.main.weight": (100, 512, 4, 4), "x.weight": (4, 4)}, "makes pictures"),
        ({"backbone.conv.weight": (8, 3, 3, 3), "rpn.head.weight": (8, 8, 1, 1)}, "detector"),
        (
            {
                "backbone.conv.weight": (8, 3, 3, 3),
                "head.regression_head.0.weight": (8, 8, 3, 3),
                "head.regression_head.1.weight": (24, 8, 1, 1),
            },
            "is of a detector",
        ),
        (
            {
                "backbone.conv.weight": (8, 3, 3, 3),
                "classifier.scale.1.weight": (8, 8, 1, 1),
                "classifier.low_classifier.weight": (3, 8, 1, 1),
            },
            "is of a segmenter",
        ),
        ({"conv.weight": (8, 3, 3, 3), "segmentation_head.0.weight": (2, 8, 3, 3)}, "segmenter"),
        ({"a.lora_A.weight": (8, 64), "a.lora_B.weight": (64, 8)}, "LoRA"),
        (
            {
                "a.qkv.lora_A": (8, 64),
                "a.qkv.lora_B": (64, 8),
                "head.modules_to_save.weight": (5, 8),
            },
            "LoRA weights alone",
        ),
        (
            {"a.base_layer.weight": (64, 64), "a.lora_A.default.weight": (8, 64)},
            "merge_and_unload()",
        ),
        ({"cpu": (5056,)}, "no weight of a layer"),
    ],
)
def test_what_is_no_image_classifier_is_named(shapes: Shapes, what: str) -> None:
    with pytest.raises(ModelError, match="no image classifier") as raised:
        recognize(shapes)
    assert what in str(raised.value)


@pytest.mark.parametrize(
    ("shapes", "why"),
    [
        (with_head(RESNET, "fc."), "body alone; give the file that has the classifier, too"),
        (
            with_head(RESNET, "fc.", *linear("age", 512, 8), *linear("gender", 512, 2)),
            "no chain",
        ),
        (with_head(RESNET, "fc.", ("gru.weight_ih_l0", (64, 512))), "no layer of a classifier"),
    ],
)
def test_a_known_body_with_something_else_behind_it_is_refused(shapes: Shapes, why: str) -> None:
    with pytest.raises(ModelError, match="resnet18") as raised:
        recognize(shapes)
    assert why in str(raised.value)
