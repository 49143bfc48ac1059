"""The networks whose outputs Keras computes once for the tests: each layer with each argument."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from keras_reference_networks import NETWORKS

BOTH = ("keras2", "keras3")
NEW, OLD = ("keras3",), ("keras2",)


@dataclass(frozen=True)
class Case:
    """A network: its name, how it is made with a library, and the forms in which it is saved."""

    name: str
    build: Callable[[Any], Any]
    libraries: tuple[str, ...] = BOTH
    endings: tuple[str, ...] = (".h5", ".keras")
    range: tuple[float, float] = (-2.0, 2.0)


def row(
    name: str,
    kind: str,
    *arguments: Any,
    shape: tuple[int | None, ...] = (7, 6, 3),
    libraries: tuple[str, ...] = BOTH,
    endings: tuple[str, ...] = (".keras",),
    value_range: tuple[float, float] = (-2.0, 2.0),
    **settings: Any,
) -> Case:
    """One layer on an input."""

    def build(keras: Any) -> Any:
        layer = getattr(keras.layers, kind)(*arguments, **settings)
        return keras.Sequential([keras.layers.InputLayer(shape), layer])

    return Case(f"layer-{name}", build, libraries, endings, value_range)


def _convolutions() -> Iterator[Case]:
    line = (9, 3)
    yield row("conv2d", "Conv2D", 4, 3, endings=(".h5", ".keras"), activation="relu")
    for padding in ("valid", "same"):
        for strides in (1, 2, (1, 2)):
            name = f"conv2d-{padding}-{strides}".replace(" ", "")
            yield row(name, "Conv2D", 4, (3, 2), padding=padding, strides=strides)
        yield row(
            f"conv2d-{padding}-dilated", "Conv2D", 4, 2, padding=padding, dilation_rate=(2, 1)
        )
        yield row(
            f"depthwise-{padding}",
            "DepthwiseConv2D",
            3,
            padding=padding,
            strides=2,
            depth_multiplier=2,
        )
        yield row(
            f"separable-{padding}",
            "SeparableConv2D",
            5,
            3,
            padding=padding,
            strides=2,
            depth_multiplier=2,
            activation="tanh",
        )
        for strides in (1, 2, 3):
            yield row(
                f"transpose-{padding}-{strides}",
                "Conv2DTranspose",
                4,
                3,
                strides=strides,
                padding=padding,
            )
            yield row(
                f"transpose-even-{padding}-{strides}",
                "Conv2DTranspose",
                4,
                2,
                strides=strides,
                padding=padding,
            )
        yield row(
            f"transpose-extra-{padding}",
            "Conv2DTranspose",
            4,
            3,
            strides=2,
            padding=padding,
            output_padding=1,
        )
        yield row(
            f"conv1dtranspose-{padding}",
            "Conv1DTranspose",
            4,
            3,
            strides=2,
            padding=padding,
            shape=line,
        )
    for padding in ("valid", "same", "causal"):
        yield row(f"conv1d-{padding}", "Conv1D", 4, 3, padding=padding, shape=line)
        yield row(
            f"conv1d-dilated-{padding}",
            "Conv1D",
            4,
            3,
            padding=padding,
            dilation_rate=2,
            shape=line,
        )
    yield row("conv1d-strided", "Conv1D", 4, 3, padding="same", strides=2, shape=line)
    yield row("conv2d-groups", "Conv2D", 4, 3, groups=2, shape=(6, 6, 4))
    yield row("conv2d-plain", "Conv2D", 4, 3, use_bias=False, activation="elu")
    yield row("depthwise-dilated", "DepthwiseConv2D", 3, dilation_rate=2, use_bias=False)
    yield row("depthwise-h5", "DepthwiseConv2D", 3, endings=(".h5",))
    yield row("separable-plain", "SeparableConv2D", 5, 3, use_bias=False, endings=(".h5",))
    yield row("separable1d", "SeparableConv1D", 5, 3, shape=line, padding="same")
    yield row("depthwise1d", "DepthwiseConv1D", 3, shape=line, padding="same", strides=2)
    yield row("transpose-dilated", "Conv2DTranspose", 4, 3, dilation_rate=2)
    yield row("dense", "Dense", 5, shape=(9,), endings=(".h5", ".keras"), activation="softmax")
    yield row("dense-3", "Dense", 5, shape=(4, 6), use_bias=False)
    yield row("dense-4", "Dense", 5, activation="gelu")


def _first(keras: Any, kind: str, *arguments: Any, **settings: Any) -> Any:
    """A layer that has the channels first, between two Permutes: TensorFlow cannot run others."""
    layers = keras.layers
    layer = getattr(layers, kind)(*arguments, data_format="channels_first", **settings)
    return keras.Sequential([layers.InputLayer((7, 6, 3)), layers.Permute((3, 1, 2)), layer])


def _channels_first() -> Iterator[Case]:
    settings: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("ZeroPadding2D", (((1, 0), (2, 1)),), {}),
        ("Cropping2D", (((1, 0), (2, 1)),), {}),
        ("GlobalAveragePooling2D", (), {"keepdims": True}),
        ("GlobalMaxPooling2D", (), {}),
        ("Flatten", (), {}),
        ("UpSampling2D", ((2, 3),), {}),
    ]
    for kind, arguments, more in settings:

        def build(
            keras: Any, kind: str = kind, given: Any = arguments, more: dict[str, Any] = more
        ) -> Any:
            return _first(keras, kind, *given, **more)

        yield Case(f"first-{kind.lower()}", build, OLD, (".keras",))


def _normalizations() -> Iterator[Case]:
    yield row("batchnorm", "BatchNormalization", endings=(".h5", ".keras"))
    yield row("batchnorm-noscale", "BatchNormalization", scale=False, epsilon=0.1)
    yield row("batchnorm-nocenter", "BatchNormalization", center=False, endings=(".h5",))
    yield row("batchnorm-axis1", "BatchNormalization", axis=1)
    yield row("batchnorm-axis2", "BatchNormalization", axis=2)
    yield row("batchnorm-flat", "BatchNormalization", shape=(9,))
    yield row("batchnorm-line", "BatchNormalization", shape=(5, 4))
    yield row("layernorm", "LayerNormalization", endings=(".h5", ".keras"))
    yield row("layernorm-axes", "LayerNormalization", axis=[2, 3], epsilon=0.01)
    yield row("layernorm-axis1", "LayerNormalization", axis=1)
    yield row("layernorm-plain", "LayerNormalization", center=False, scale=False)
    yield row("groupnorm", "GroupNormalization", 2, shape=(5, 4, 6))
    yield row("groupnorm-each", "GroupNormalization", -1, shape=(5, 4, 6), scale=False)
    yield row("groupnorm-one", "GroupNormalization", 1, shape=(5, 4, 6), center=False)
    yield row("groupnorm-axis1", "GroupNormalization", 2, axis=1, shape=(6, 4, 5))
    yield row("unitnorm", "UnitNormalization")
    yield row("unitnorm-axis", "UnitNormalization", axis=1)
    yield row("rmsnorm", "RMSNormalization", libraries=NEW)


def _pools() -> Iterator[Case]:
    for kind in ("MaxPooling", "AveragePooling"):
        for padding in ("valid", "same"):
            yield row(f"{kind}2d-{padding}", f"{kind}2D", (3, 2), strides=2, padding=padding)
            yield row(
                f"{kind}1d-{padding}", f"{kind}1D", 3, strides=2, padding=padding, shape=(8, 3)
            )
        yield row(f"{kind}-default", f"{kind}2D", 2)
        yield row(f"{kind}-same1", f"{kind}2D", 3, strides=1, padding="same", endings=(".h5",))
    for kind in ("GlobalAveragePooling", "GlobalMaxPooling"):
        yield row(f"{kind}2d", f"{kind}2D")
        yield row(f"{kind}2d-keep", f"{kind}2D", keepdims=True)
        yield row(f"{kind}1d", f"{kind}1D", shape=(8, 3))


def _shapes() -> Iterator[Case]:
    yield row("pad", "ZeroPadding2D", ((1, 2), (0, 3)))
    yield row("pad-one", "ZeroPadding2D", 2, endings=(".h5",))
    yield row("pad-two", "ZeroPadding2D", (1, 2))
    yield row("pad1d", "ZeroPadding1D", (1, 2), shape=(8, 3))
    yield row("crop", "Cropping2D", ((1, 2), (0, 1)))
    yield row("crop1d", "Cropping1D", (1, 0), shape=(8, 3))
    yield row("up", "UpSampling2D", (2, 3))
    yield row("up-bilinear", "UpSampling2D", 2, interpolation="bilinear")
    yield row("up1d", "UpSampling1D", 3, shape=(5, 3))
    yield row("flatten", "Flatten")
    yield row("reshape", "Reshape", (6, -1))
    yield row("reshape-full", "Reshape", (3, 42), endings=(".h5",))
    yield row("permute", "Permute", (3, 1, 2))
    yield row("repeat", "RepeatVector", 3, shape=(9,))
    yield row("leaky-default", "LeakyReLU", endings=(".h5", ".keras"))
    yield row("leaky-0.1", "LeakyReLU", 0.1)
    yield row("elu", "ELU", 0.7)
    yield row("prelu", "PReLU", endings=(".h5", ".keras"))
    yield row("prelu-shared", "PReLU", shared_axes=[1, 2])
    yield row("thresholded", "ThresholdedReLU", 0.6, libraries=OLD, endings=(".h5", ".keras"))
    yield row("softmax", "Softmax")
    yield row("softmax-axis", "Softmax", axis=1)
    yield row("relu-all", "ReLU", max_value=1.5, negative_slope=0.2, threshold=0.3)
    yield row("relu-6", "ReLU", 6.0, endings=(".h5", ".keras"))
    yield row("relu-slope", "ReLU", negative_slope=0.1)
    yield row("relu-threshold", "ReLU", threshold=0.5, max_value=1.0)
    for name in ("Dropout", "SpatialDropout2D", "GaussianDropout", "AlphaDropout", "GaussianNoise"):
        yield row(name.lower(), name, 0.3)
    yield row("identity", "Identity")
    yield row("activityregularization", "ActivityRegularization", 0.1)


def _pixels() -> Iterator[Case]:
    pixels = {"value_range": (0.0, 255.0), "shape": (9, 8, 3)}
    yield row("rescaling", "Rescaling", 1 / 127.5, -1.0, **pixels)
    yield row(
        "rescaling-list",
        "Rescaling",
        [0.1, 0.2, 0.3],
        [1.0, 2.0, 3.0],
        **pixels,
        endings=(".h5", ".keras"),
        libraries=NEW,
    )
    for size in ((5, 4), (18, 16), (13, 3)):
        for mode in ("bilinear", "nearest"):
            yield row(f"resizing-{mode}-{size[0]}", "Resizing", *size, interpolation=mode, **pixels)
    yield row("resizing-crop", "Resizing", 6, 4, crop_to_aspect_ratio=True, **pixels)
    yield row("normalization", "Normalization", endings=(".h5", ".keras"), **pixels)
    yield row("normalization-none", "Normalization", axis=None, **pixels)
    yield row("normalization-axes", "Normalization", axis=(1, 3), **pixels)
    yield row(
        "normalization-given",
        "Normalization",
        mean=[3.0, 4.0, 5.0],
        variance=[1.0, 2.0, 4.0],
        endings=(".h5", ".keras"),
        **pixels,
    )
    yield row("normalization-scalar", "Normalization", mean=3.0, variance=4.0, **pixels)
    yield row(
        "normalization-invert", "Normalization", mean=3.0, variance=4.0, invert=True, **pixels
    )
    yield row("centercrop", "CenterCrop", 5, 4, **pixels)
    yield row("centercrop-odd", "CenterCrop", 4, 5, **pixels)
    yield row("centercrop-larger", "CenterCrop", 12, 5, **pixels)
    yield row("randomcrop", "RandomCrop", 5, 6, libraries=OLD, **pixels)
    yield row("randomcrop-same", "RandomCrop", 9, 8, **pixels)
    for name, arguments in (
        ("RandomFlip", ()),
        ("RandomRotation", (0.1,)),
        ("RandomZoom", (0.1,)),
        ("RandomTranslation", (0.1, 0.1)),
        ("RandomContrast", (0.1,)),
        ("RandomBrightness", (0.1,)),
    ):
        yield row(name.lower(), name, *arguments, **pixels)
    for name, arguments in (
        ("RandomShear", (0.1,)),
        ("RandomHue", (0.1,)),
        ("RandomSaturation", (0.1,)),
        ("RandomErasing", ()),
        ("RandomGrayscale", ()),
        ("RandomInvert", ()),
        ("RandomGaussianBlur", ()),
        ("RandomPerspective", ()),
        ("RandAugment", ()),
        ("RandomSharpness", (0.1,)),
        ("RandomPosterization", (4,)),
        ("RandomColorJitter", ()),
        ("RandomColorDegeneration", (0.1,)),
        ("RandomElasticTransform", ()),
        ("AugMix", ()),
        ("MixUp", ()),
        ("CutMix", ()),
    ):
        yield row(name.lower(), name, *arguments, libraries=NEW, **pixels)
    for name in ("RandomHeight", "RandomWidth"):
        yield row(name.lower(), name, 0.2, libraries=OLD, **pixels)


ACTIVATIONS_2 = (
    *("relu", "sigmoid", "softmax", "tanh", "elu", "selu", "softplus", "softsign", "swish", "gelu"),
    *("hard_sigmoid", "exponential", "linear", "mish"),
)
ACTIVATIONS_3 = (
    *ACTIVATIONS_2,
    *("relu6", "silu", "hard_swish", "hard_silu", "leaky_relu", "log_softmax", "celu", "hard_tanh"),
    *("tanh_shrink", "log_sigmoid"),
)


def _activations() -> Iterator[Case]:
    for name in ACTIVATIONS_2:
        yield row(f"activation-{name}", "Activation", name, shape=(4, 3, 3), libraries=OLD)
    for name in ACTIVATIONS_3:
        yield row(f"activation-{name}", "Activation", name, shape=(4, 3, 3), libraries=NEW)
    yield row("hard-h5", "Conv2D", 2, 1, activation="hard_sigmoid", endings=(".h5",))


def _joins() -> Iterator[Case]:
    def joined(kind: str, **settings: Any) -> Callable[[Any], Any]:
        def build(keras: Any) -> Any:
            layers = keras.layers
            first = layers.Input((5, 4, 3))
            left, right = layers.Conv2D(4, 1)(first), layers.Conv2D(4, 3, padding="same")(first)
            return keras.Model(first, getattr(layers, kind)(**settings)([left, right]))

        return build

    for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
        yield Case(f"join-{kind.lower()}", joined(kind), endings=(".keras",))
    for axis in (-1, 1, 3):
        yield Case(f"join-concatenate{axis}", joined("Concatenate", axis=axis))

    def dot(axes: Any, rank: int, normalize: bool) -> Callable[[Any], Any]:
        def build(keras: Any) -> Any:
            layers = keras.layers
            first = layers.Input((4, 6) if rank == 3 else (6,))
            left, right = layers.Dense(6)(first), layers.Dense(6)(first)
            return keras.Model(first, layers.Dot(axes, normalize=normalize)([left, right]))

        return build

    yield Case("join-dot", dot(1, 2, False), endings=(".keras",))
    yield Case("join-dot-normalized", dot(1, 2, True), endings=(".keras",))
    yield Case("join-dot-3", dot(2, 3, False), endings=(".keras",))
    yield Case("join-dot-axes", dot((1, 1), 3, False), endings=(".keras",))

    def spread(keras: Any) -> Any:
        layers = keras.layers
        first = layers.Input((5, 4, 3))
        gate = layers.Dense(3, activation="sigmoid")(layers.GlobalAveragePooling2D()(first))
        return keras.Model(first, layers.Multiply()([first, layers.Reshape((1, 1, 3))(gate)]))

    yield Case("join-spread", spread)

    def attention(keras: Any, **settings: Any) -> Any:
        layers = keras.layers
        first = layers.Input((5, 4))
        other = layers.Dense(3)(first)
        result = layers.MultiHeadAttention(2, 3, value_dim=2, **settings)(first, other)
        return keras.Model(first, result)

    yield Case("attention", attention)
    yield Case("attention-key", lambda keras: attention(keras, use_bias=False, output_shape=5))


CASES: tuple[Case, ...] = (
    *_convolutions(),
    *_channels_first(),
    *_normalizations(),
    *_pools(),
    *_shapes(),
    *_pixels(),
    *_activations(),
    *_joins(),
    *(Case(*entry) for entry in NETWORKS),
)
"""All cases; a name is used once."""
