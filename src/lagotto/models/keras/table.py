"""The class of a layer comes in; how it is translated, and which settings it may have, go out.

This is the list of what is allowed. A layer, a setting or an argument that is not here is refused
by its name. docs/reference/keras-layers.md is made from it.
"""

from collections.abc import Mapping

from lagotto.models.keras.layers.activation import (
    ACTIVATIONS,
    alpha_variables,
    write_activation,
    write_elu,
    write_leaky_relu,
    write_prelu,
    write_relu,
    write_softmax,
    write_thresholded_relu,
)
from lagotto.models.keras.layers.attention import attention_variables, write_attention
from lagotto.models.keras.layers.convolution import (
    CONVOLUTION_KEYS,
    DEPTHWISE_KEYS,
    SEPARABLE_KEYS,
    TRANSPOSED_KEYS,
    convolution_variables,
    depthwise_variables,
    separable_variables,
    write_convolution,
    write_depthwise,
    write_separable,
    write_transposed,
)
from lagotto.models.keras.layers.dense import dense_variables, write_dense
from lagotto.models.keras.layers.layer import LayerKind
from lagotto.models.keras.layers.merging import (
    write_concatenate,
    write_dot,
    write_merge,
    write_scaled_residual,
)
from lagotto.models.keras.layers.normalization import (
    affine_variables,
    batch_variables,
    gamma_variables,
    scale_variables,
    write_batch_normalization,
    write_group_normalization,
    write_layer_normalization,
    write_layer_scale,
    write_rms_normalization,
    write_unit_normalization,
)
from lagotto.models.keras.layers.pooling import write_global_pooling, write_pooling
from lagotto.models.keras.layers.preprocessing import (
    statistics_variables,
    write_normalization,
    write_rescaling,
)
from lagotto.models.keras.layers.resizing import (
    write_center_crop,
    write_random_crop,
    write_resizing,
    write_upsampling,
)
from lagotto.models.keras.layers.shaping import (
    write_cropping,
    write_flatten,
    write_identity,
    write_permute,
    write_repeat,
    write_reshape,
    write_zero_padding,
)
from lagotto.models.keras.operations.operation_table import OPERATIONS

COMMON_IGNORED = frozenset(
    {
        *("name", "trainable", "seed", "batch_input_shape", "batch_shape", "input_dtype"),
        *("rng_type", "autocast", "build_config", "compile_config", "input_shape"),
    }
)
"""Settings of any layer that do not change what a trained model computes."""

IGNORED_ENDINGS = ("_initializer", "_regularizer", "_constraint")

_POOL = frozenset({"pool_size", "strides", "padding", "data_format"})
_GLOBAL = frozenset({"data_format", "keepdims"})
_NORM = frozenset({"axis", "epsilon", "center", "scale"})
_CROP = frozenset({"height", "width", "data_format"})
_ANY = frozenset({"*"})
"""All settings: those of a layer that does nothing once a model is trained."""

_CONVOLUTION = LayerKind(
    write_convolution,
    CONVOLUTION_KEYS,
    variables=convolution_variables,
    note="dilation_rate only where strides are 1",
)
_DEPTHWISE = LayerKind(write_depthwise, DEPTHWISE_KEYS, variables=depthwise_variables)
_SEPARABLE = LayerKind(write_separable, SEPARABLE_KEYS, variables=separable_variables)
_TRANSPOSED = LayerKind(
    write_transposed,
    TRANSPOSED_KEYS,
    variables=convolution_variables,
    note="groups of 1; a fixed input size",
)
_POOLING = LayerKind(write_pooling, _POOL)
_GLOBAL_POOLING = LayerKind(write_global_pooling, _GLOBAL)
_MERGE = LayerKind(write_merge)
_TRAINING_ONLY = LayerKind(
    write_identity, ignored=_ANY, note="does nothing once the model is trained"
)

ACTIVATION_NAMES = tuple(ACTIVATIONS)
"""Names that the setting `activation` may have."""

LAYERS: Mapping[str, LayerKind] = {
    "Conv1D": _CONVOLUTION,
    "Conv2D": _CONVOLUTION,
    "DepthwiseConv1D": _DEPTHWISE,
    "DepthwiseConv2D": _DEPTHWISE,
    "SeparableConv1D": _SEPARABLE,
    "SeparableConv2D": _SEPARABLE,
    "Conv1DTranspose": _TRANSPOSED,
    "Conv2DTranspose": _TRANSPOSED,
    "Dense": LayerKind(
        write_dense, frozenset({"units", "activation", "use_bias"}), variables=dense_variables
    ),
    "BatchNormalization": LayerKind(
        write_batch_normalization,
        _NORM,
        frozenset(
            {
                *("momentum", "synchronized", "fused", "renorm_momentum", "renorm_clipping"),
                "virtual_batch_size",
            }
        ),
        variables=batch_variables,
        note="renorm is refused",
    ),
    "LayerNormalization": LayerKind(
        write_layer_normalization,
        _NORM | {"rms_scaling"},
        variables=affine_variables,
        note="rms_scaling is refused",
    ),
    "GroupNormalization": LayerKind(
        write_group_normalization, _NORM | {"groups"}, variables=affine_variables
    ),
    "UnitNormalization": LayerKind(write_unit_normalization, frozenset({"axis"})),
    "RMSNormalization": LayerKind(
        write_rms_normalization, frozenset({"axis", "epsilon"}), variables=scale_variables
    ),
    "MaxPooling1D": _POOLING,
    "MaxPooling2D": _POOLING,
    "AveragePooling1D": _POOLING,
    "AveragePooling2D": _POOLING,
    "GlobalAveragePooling1D": _GLOBAL_POOLING,
    "GlobalAveragePooling2D": _GLOBAL_POOLING,
    "GlobalMaxPooling1D": _GLOBAL_POOLING,
    "GlobalMaxPooling2D": _GLOBAL_POOLING,
    "ZeroPadding1D": LayerKind(write_zero_padding, frozenset({"padding", "data_format"})),
    "ZeroPadding2D": LayerKind(write_zero_padding, frozenset({"padding", "data_format"})),
    "Cropping1D": LayerKind(write_cropping, frozenset({"cropping"})),
    "Cropping2D": LayerKind(write_cropping, frozenset({"cropping", "data_format"})),
    "UpSampling1D": LayerKind(write_upsampling, frozenset({"size"})),
    "UpSampling2D": LayerKind(
        write_upsampling,
        frozenset({"size", "data_format", "interpolation"}),
        note="interpolation nearest and bilinear",
    ),
    "Resizing": LayerKind(
        write_resizing,
        _CROP | {"interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio"},
        frozenset({"fill_mode", "fill_value"}),
        note="interpolation nearest and bilinear; antialias and pad_to_aspect_ratio are refused",
    ),
    "Rescaling": LayerKind(write_rescaling, frozenset({"scale", "offset"})),
    "Normalization": LayerKind(
        write_normalization,
        frozenset({"axis", "mean", "variance", "invert"}),
        variables=statistics_variables,
    ),
    "CenterCrop": LayerKind(write_center_crop, _CROP),
    "RandomCrop": LayerKind(
        write_random_crop, _CROP, note="as a trained model runs it: the middle, in the new size"
    ),
    "Flatten": LayerKind(write_flatten, frozenset({"data_format"})),
    "Reshape": LayerKind(write_reshape, frozenset({"target_shape"})),
    "Permute": LayerKind(write_permute, frozenset({"dims"})),
    "RepeatVector": LayerKind(write_repeat, frozenset({"n"})),
    "Add": _MERGE,
    "Subtract": _MERGE,
    "Multiply": _MERGE,
    "Average": _MERGE,
    "Maximum": _MERGE,
    "Minimum": _MERGE,
    "Concatenate": LayerKind(write_concatenate, frozenset({"axis"})),
    "Dot": LayerKind(write_dot, frozenset({"axes", "normalize"})),
    "Activation": LayerKind(write_activation, frozenset({"activation"})),
    "ReLU": LayerKind(write_relu, frozenset({"max_value", "negative_slope", "threshold"})),
    "LeakyReLU": LayerKind(write_leaky_relu, frozenset({"alpha", "negative_slope"})),
    "ELU": LayerKind(write_elu, frozenset({"alpha"})),
    "PReLU": LayerKind(write_prelu, frozenset({"shared_axes"}), variables=alpha_variables),
    "ThresholdedReLU": LayerKind(write_thresholded_relu, frozenset({"theta"})),
    "Softmax": LayerKind(write_softmax, frozenset({"axis"})),
    "MultiHeadAttention": LayerKind(
        write_attention,
        frozenset(
            {
                *("num_heads", "key_dim", "value_dim", "use_bias", "output_shape"),
                "attention_axes",
            }
        ),
        frozenset({"dropout", "query_shape", "key_shape", "value_shape", "softmax_robust_masking"}),
        ("query", "value", "key"),
        attention_variables,
        "tensors of 3 axes, without masks",
    ),
    "LayerScale": LayerKind(
        write_layer_scale,
        frozenset({"projection_dim"}),
        frozenset({"init_values"}),
        variables=gamma_variables,
        note="of keras.applications.convnext",
    ),
    "CustomScaleLayer": LayerKind(
        write_scaled_residual,
        frozenset({"scale"}),
        note="of keras.applications.inception_resnet_v2",
    ),
    **dict.fromkeys(
        (
            *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout"),
            *("GaussianDropout", "GaussianNoise", "ActivityRegularization", "StochasticDepth"),
            *("Identity", "RandomFlip", "RandomRotation", "RandomZoom", "RandomTranslation"),
            *("RandomContrast", "RandomBrightness", "RandomHeight", "RandomWidth", "RandomShear"),
            *("RandomHue", "RandomSaturation", "RandomColorJitter", "RandomGrayscale"),
            *("RandomErasing", "RandomSharpness", "RandomPosterization", "RandomPerspective"),
            *("RandomGaussianBlur", "RandomInvert", "RandomElasticTransform"),
            *("RandomColorDegeneration", "RandAugment", "AugMix", "MixUp", "CutMix"),
        ),
        _TRAINING_ONLY,
    ),
    **OPERATIONS,
}
"""Layers by their class; operations of keras.ops as "ops.Add", of TensorFlow as "tf.math.add"."""

REFUSED: Mapping[str, str] = {
    "Lambda": "holds Python code of its author, which is never run",
    "TensorFlowOpLayer": "is an operation of TensorFlow 2.0 to 2.3; load the model with a newer "
    "TensorFlow and save it again",
    **dict.fromkeys(
        ("Embedding", "TextVectorization", "StringLookup", "IntegerLookup", "Hashing"),
        "is for words or numbers of things, not for pictures",
    ),
    **dict.fromkeys(
        (
            *("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM2D", "ConvLSTM1D"),
            *("LSTMCell", "GRUCell", "TimeDistributed"),
        ),
        "is for sequences, which are not translated",
    ),
    **dict.fromkeys(
        ("Conv3D", "Conv3DTranspose", "MaxPooling3D", "AveragePooling3D", "ZeroPadding3D"),
        "is for volumes, not for pictures",
    ),
}
"""Known layers that are not translated, and why."""
