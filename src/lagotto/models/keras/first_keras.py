"""The settings of a layer of Keras 1 come in; the same layer in the words of Keras 2 goes out."""

from lagotto.core.errors import ModelError
from lagotto.core.types import JsonObject, JsonValue

_CLASSES = {
    "Convolution2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "SeparableConvolution2D": "SeparableConv2D",
}
_KEYS = {
    "nb_filter": "filters",
    "subsample": "strides",
    "border_mode": "padding",
    "bias": "use_bias",
    "output_dim": "units",
    "p": "rate",
    "sigma": "stddev",
    "pool_length": "pool_size",
    "stride": "strides",
    "atrous_rate": "dilation_rate",
}
_DROPPED = ("input_dim", "W_regularizer", "b_regularizer", "W_constraint", "b_constraint", "init")
_POOLS = ("MaxPooling2D", "AveragePooling2D", "MaxPooling1D", "AveragePooling1D")


def modern_layer(kind: str, settings: JsonObject, name: str) -> tuple[str, JsonObject]:
    """The class and the settings of a layer as Keras 2 writes them.

    Raises:
        ModelError: The layer has its channels as Theano has them, or a setting that is gone.
    """
    if settings.get("dim_ordering") == "th":
        raise ModelError(
            f"layer {name[:60]!r} has the channels first, as Keras 1 on Theano wrote them; open "
            "the model with Keras 2 and save it again"
        )
    if kind == "BatchNormalization" and settings.get("mode", 0) not in (0, 2):
        raise ModelError(
            f"layer {name[:60]!r} is a BatchNormalization of mode 1, which Keras 2 has "
            "no more; train the model anew"
        )
    renamed: JsonObject = {}
    for key, value in settings.items():
        if key not in (*_DROPPED, "dim_ordering", "mode", "nb_row", "nb_col", "filter_length"):
            renamed[_KEYS.get(key, key)] = value
    sizes: list[JsonValue] = [settings.get("nb_row"), settings.get("nb_col")]
    if None not in sizes:
        renamed["kernel_size"] = sizes
    elif settings.get("filter_length") is not None:
        renamed["kernel_size"] = settings["filter_length"]
    if kind in ("Dropout", "GaussianNoise", *_POOLS):
        renamed.pop("init", None)
    return _CLASSES.get(kind, kind), renamed
