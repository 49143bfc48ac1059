"""The names of a network's layers come in; the network of keras.applications it may be goes out."""

from collections.abc import Iterable

_MARKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("VGG19", ("block5_conv4", "block1_conv1")),
    ("VGG16", ("block5_conv3", "block1_conv1")),
    ("Xception", ("block14_sepconv2",)),
    ("InceptionResNetV2", ("conv_7b",)),
    ("InceptionV3", ("mixed10",)),
    ("MobileNet", ("conv_pw_13",)),
    ("MobileNetV2", ("block_16_project", "Conv_1")),
    ("ResNet152V2", ("conv4_block36_2_conv", "post_bn")),
    ("ResNet101V2", ("conv4_block23_2_conv", "post_bn")),
    ("ResNet50V2", ("conv4_block6_2_conv", "post_bn")),
    ("ResNet152", ("conv4_block36_2_conv",)),
    ("ResNet101", ("conv4_block23_2_conv",)),
    ("DenseNet201", ("conv4_block48_concat",)),
    ("DenseNet169", ("conv4_block32_concat",)),
    ("DenseNet121", ("conv4_block24_concat",)),
    ("ResNet50", ("conv4_block6_2_conv",)),
    ("ResNet50 (Keras before 2.3)", ("res5c_branch2c",)),
    ("an EfficientNetV2", ("stem_conv", "top_conv", "block1a_project_conv")),
    ("an EfficientNet", ("stem_conv", "top_conv", "block1a_dwconv")),
)
"""Networks, each with layers that tell it from those after it."""

_PREFIXES = (
    ("convnext_", "a ConvNeXt"),
    ("expanded_conv", "a MobileNetV3"),
    ("normal_conv_1", "a NASNet"),
)


def likely_application(names: Iterable[str]) -> str:
    """The network of keras.applications that has layers of these names; "" if none is known."""
    given = set(names)
    for network, marks in _MARKS:
        if given.issuperset(marks):
            return network
    for prefix, network in _PREFIXES:
        if any(name.startswith(prefix) for name in given):
            return network
    return ""
