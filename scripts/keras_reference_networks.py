"""Whole networks as people write them, for the references of Keras: how each is built."""

from collections.abc import Callable
from typing import Any

Build = Callable[[Any], Any]
_H5, _KERAS = ".h5", ".keras"
BOTH, NEW, OLD = ("keras2", "keras3"), ("keras3",), ("keras2",)


def _plain(keras: Any) -> Any:
    """The CNN of every tutorial."""
    layers = keras.layers
    return keras.Sequential(
        [
            layers.InputLayer((12, 12, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(6, 3, activation="relu", padding="same"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dropout(0.5),
            layers.Dense(5, activation="softmax"),
        ]
    )


def _grey(keras: Any) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.InputLayer((12, 12, 1)),
            layers.Conv2D(4, 5, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.LeakyReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def _augmented(keras: Any) -> Any:
    """Augmentation as a model in the model, then the rest."""
    layers = keras.layers
    augmentation = keras.Sequential(
        [layers.RandomFlip("horizontal"), layers.RandomRotation(0.1), layers.RandomZoom(0.1)],
        name="augmentation",
    )
    first = layers.Input((12, 12, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(augmentation(first))
    x = layers.Conv2D(4, 3, activation="swish")(x)
    return keras.Model(first, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))


def _residual(keras: Any) -> Any:
    layers = keras.layers
    first = layers.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(first)
    for filters, strides in ((4, 1), (6, 2)):
        y = layers.BatchNormalization()(layers.Conv2D(filters, 3, strides, padding="same")(x))
        y = layers.Conv2D(filters, 3, padding="same")(layers.Activation("relu")(y))
        x = layers.Conv2D(filters, 1, strides)(x)
        x = layers.ReLU()(layers.Add()([x, layers.BatchNormalization()(y)]))
    return keras.Model(first, layers.Dense(4, "softmax")(layers.GlobalAveragePooling2D()(x)))


def _inverted(keras: Any) -> Any:
    """Blocks of MobileNet with squeeze and excitation."""
    layers = keras.layers
    first = layers.Input((12, 12, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(first)
    x = layers.Conv2D(4, 3, strides=2)(x)
    y = layers.DepthwiseConv2D(3, padding="same")(layers.Conv2D(8, 1, activation="relu6")(x))
    gate = layers.GlobalAveragePooling2D(keepdims=True)(y)
    gate = layers.Conv2D(2, 1, activation="relu")(gate)
    y = layers.Multiply()([y, layers.Conv2D(8, 1, activation="hard_sigmoid")(gate)])
    x = layers.Add()([x, layers.Conv2D(4, 1)(y)])
    return keras.Model(first, layers.Dense(3)(layers.Flatten()(x)))


def _dense_blocks(keras: Any) -> Any:
    layers = keras.layers
    first = layers.Input((8, 8, 3))
    x = first
    for _ in range(3):
        y = layers.Activation("relu")(layers.BatchNormalization()(x))
        x = layers.Concatenate()([x, layers.Conv2D(3, 3, padding="same")(y)])
    x = layers.AveragePooling2D(2)(x)
    return keras.Model(first, layers.Dense(4, "sigmoid")(layers.GlobalAveragePooling2D()(x)))


def _frozen_base(keras: Any) -> Any:
    """A base that was frozen, in a model with a new head: the order of the weights changes."""
    layers = keras.layers
    inner = layers.Input((10, 10, 3))
    x = layers.Conv2D(4, 3, name="first")(inner)
    x = layers.BatchNormalization(name="normal")(x)
    base = keras.Model(inner, layers.ReLU()(x), name="base")
    base.trainable = False
    first = layers.Input((10, 10, 3))
    x = layers.GlobalAveragePooling2D()(base(first))
    return keras.Model(first, layers.Dense(3, "softmax")(x))


def _half_frozen(keras: Any) -> Any:
    """Only some layers of the base are frozen."""
    layers = keras.layers
    base = keras.Sequential(
        [
            layers.InputLayer((10, 10, 3)),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
        ],
        name="base",
    )
    for layer in base.layers[:2]:
        layer.trainable = False
    first = layers.InputLayer((10, 10, 3))
    return keras.Sequential([first, base, layers.Flatten(), layers.Dense(3)])


def _nested_twice(keras: Any) -> Any:
    """Models in models in models, one of them called twice."""
    layers = keras.layers
    deepest = keras.Sequential([layers.InputLayer((6, 6, 4)), layers.Conv2D(4, 3, padding="same")])
    inner = layers.Input((6, 6, 4))
    block = keras.Model(inner, layers.ReLU()(layers.BatchNormalization()(deepest(inner))))
    first = layers.Input((6, 6, 3))
    x = block(layers.Conv2D(4, 1)(first))
    x = block(x)
    return keras.Model(first, layers.Dense(2)(layers.Flatten()(x)))


def _shared(keras: Any) -> Any:
    """Layers that are called several times; what one call gives goes into another."""
    layers = keras.layers
    first = layers.Input((6, 6, 3))
    shared, act = layers.Conv2D(3, 3, padding="same"), layers.Activation("tanh")
    one = act(shared(first))
    two = act(shared(one))
    x = layers.Subtract()([two, one])
    return keras.Model(first, layers.Dense(2)(layers.Flatten()(x)))


def _transformer(keras: Any) -> Any:
    layers = keras.layers
    first = layers.Input((8, 8, 3))
    x = layers.Conv2D(8, 4, strides=4)(first)
    x = layers.Reshape((4, 8))(x)
    for _ in range(2):
        y = layers.LayerNormalization(epsilon=1e-6)(x)
        x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(y, y)])
        y = layers.Dense(8)(layers.Dense(16, activation="gelu")(layers.LayerNormalization()(x)))
        x = layers.Add()([x, y])
    return keras.Model(first, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def _separable(keras: Any) -> Any:
    layers = keras.layers
    first = layers.Input((12, 12, 3))
    x = layers.SeparableConv2D(6, 3, padding="same", use_bias=False)(first)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(layers.BatchNormalization()(x))
    skip = layers.Conv2D(6, 1, strides=2, padding="same")(first)
    x = layers.PReLU(shared_axes=[1, 2])(layers.Add()([x, skip]))
    return keras.Model(first, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


def _two_outputs(keras: Any) -> Any:
    layers = keras.layers
    first = layers.Input((6, 6, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(first))
    scores = layers.Dense(5, activation="softmax", name="scores")(x)
    return keras.Model(first, [scores, layers.Dense(2, name="embedding")(x)])


def _statistics(keras: Any) -> Any:
    """Normalization that has learned its statistics, after Resizing."""
    layers = keras.layers
    first = layers.Input((14, 12, 3))
    x = layers.Normalization()(layers.Resizing(9, 9)(first))
    return keras.Model(first, layers.Dense(3)(layers.Flatten()(layers.Conv2D(3, 3)(x))))


def _decoder(keras: Any) -> Any:
    layers = keras.layers
    first = layers.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="elu")(first)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(x)
    x = layers.Concatenate()([layers.UpSampling2D(2)(layers.MaxPooling2D()(x)), first])
    return keras.Model(first, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def _any_size(keras: Any) -> Any:
    layers = keras.layers
    first = layers.Input((None, None, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(first)
    x = layers.MaxPooling2D(3, strides=2, padding="same")(x)
    return keras.Model(first, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))


def _half(keras: Any) -> Any:
    """Mixed precision: computed in float32 here, so only near to what Keras computes."""
    layers = keras.layers
    first = layers.Input((6, 6, 3))
    x = layers.Conv2D(3, 3, dtype="float32")(first)
    x = layers.Flatten()(x)
    return keras.Model(first, layers.Dense(3, dtype="float32")(x))


def _operations_2(keras: Any) -> Any:
    """Operations of TensorFlow on tensors of Keras 2, with constants at every place."""
    import tensorflow as tf

    layers = keras.layers
    first = layers.Input((6, 6, 3))
    x = first
    x = (x / 127.5) - 1.0
    x = 2.0 - x * [0.5, 1.0, 1.5]
    x = tf.nn.relu6(x) + tf.nn.bias_add(first, [1.0, -2.0, 3.0])
    x = x[..., ::-1]
    x = tf.concat([x, tf.math.square(first)], axis=-1)
    x = layers.Conv2D(4, 3)(x)
    x = tf.clip_by_value(x, -1.0, 2.0)
    x = tf.math.maximum(x, 0.1) - tf.math.minimum(0.3, x)
    y = tf.reduce_mean(x, axis=[1, 2], keepdims=True)
    x = tf.nn.leaky_relu(x * tf.nn.sigmoid(y), alpha=0.3)
    x = tf.image.resize(x, (7, 5))
    x = tf.transpose(x, [0, 2, 1, 3])[:, 1:, 2, :]
    x = tf.reshape(x, [-1, 16])
    x = tf.math.l2_normalize(x, axis=-1)
    x = tf.nn.softmax(tf.nn.gelu(x, approximate=True))
    return keras.Model(first, layers.Dense(3)(tf.expand_dims(x, 1)))


def _operations_3(keras: Any) -> Any:
    """Operations of keras.ops, with constants at every place."""
    ops, layers = keras.ops, keras.layers
    first = layers.Input((6, 6, 3))
    x = (first / 127.5) - 1.0
    x = 2.0 - x * 0.5
    x = ops.relu6(x) + ops.abs(first) ** 2
    x = x[..., ::-1]
    x = ops.concatenate([x, ops.square(first)], axis=-1)
    x = layers.Conv2D(4, 3)(x)
    x = ops.clip(x, -1.0, 2.0)
    x = ops.maximum(x, 0.1) - ops.minimum(0.3, x)
    y = ops.mean(x, axis=[1, 2], keepdims=True)
    x = ops.leaky_relu(x * ops.sigmoid(y), negative_slope=0.3)
    x = ops.image.resize(x, (7, 5))
    x = ops.transpose(x, [0, 2, 1, 3])[:, 1:, 2, :]
    x = ops.reshape(x, (-1, 16))
    x = ops.normalize(x, axis=-1)
    x = ops.softmax(ops.gelu(x) + ops.gelu(x, approximate=False))
    x = ops.silu(ops.hard_sigmoid(x)) / ops.sqrt(ops.exp(x))
    x = ops.squeeze(ops.max(ops.expand_dims(x, 1), axis=1, keepdims=True), axis=1)
    return keras.Model(first, layers.Dense(3)(x))


def _preprocessed(mode: str) -> Build:
    """preprocess_input of keras.applications inside the network."""

    def build(keras: Any) -> Any:
        layers = keras.layers
        module = {"tf": "mobilenet_v2", "caffe": "resnet50", "torch": "densenet"}[mode]
        first = layers.Input((8, 8, 3))
        x = getattr(keras.applications, module).preprocess_input(first)
        return keras.Model(first, layers.Dense(3)(layers.Flatten()(layers.Conv2D(3, 3)(x))))

    return build


NETWORKS: tuple[tuple[Any, ...], ...] = (
    ("net-plain", _plain, BOTH, (_H5, _KERAS), (0.0, 255.0)),
    ("net-grey", _grey),
    ("net-augmented", _augmented, BOTH, (_H5, _KERAS), (0.0, 255.0)),
    ("net-residual", _residual),
    ("net-inverted", _inverted, NEW),
    ("net-dense-blocks", _dense_blocks),
    ("net-frozen-base", _frozen_base),
    ("net-half-frozen", _half_frozen),
    ("net-nested-twice", _nested_twice),
    ("net-shared", _shared),
    ("net-transformer", _transformer),
    ("net-separable", _separable),
    ("net-two-outputs", _two_outputs),
    ("net-statistics", _statistics),
    ("net-decoder", _decoder),
    ("net-any-size", _any_size),
    ("net-half", _half),
    ("net-operations", _operations_2, OLD, (_H5,)),
    ("net-operations", _operations_3, NEW, (_KERAS,)),
    ("net-preprocessed-tf", _preprocessed("tf"), BOTH, (_KERAS,), (0.0, 255.0)),
    ("net-preprocessed-caffe", _preprocessed("caffe"), OLD, (_H5,), (0.0, 255.0)),
    ("net-preprocessed-caffe", _preprocessed("caffe"), NEW, (_KERAS,), (0.0, 255.0)),
    ("net-preprocessed-torch", _preprocessed("torch"), BOTH, (_KERAS,), (0.0, 255.0)),
)
"""Name, how it is built, by which libraries, in which forms, and the range of its input."""
