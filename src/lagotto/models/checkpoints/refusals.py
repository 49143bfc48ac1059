"""The value of a checkpoint without a network, or its tensors, come in; what they are goes out."""

import re
from collections.abc import Mapping

from lagotto.models.checkpoints.pickles.inert import (
    GlobalName,
    InertTensor,
    Record,
    UnreadTensor,
    Value,
)

_SAVE = "save model.state_dict() with torch.save"
_LIBRARIES = (
    (
        ("fastai.", "fastai2."),
        "a Learner of fastai, as learn.export() writes it; load_learner it in fastai, then "
        "torch.save(learn.model.state_dict(), 'model.pth') or export learn.model to ONNX",
    ),
    (("sklearn.",), "a model of scikit-learn; export it with skl2onnx"),
    (("xgboost.", "lightgbm.", "catboost."), "a model of decision trees; export it to ONNX"),
    (("keras.", "tensorflow.", "tf_keras."), "a model of Keras; save it as .keras or .h5"),
    (("jax.", "jaxlib.", "flax."), "weights of JAX; write them as safetensors, or export to ONNX"),
    (("numpy.", "pandas.", "scipy."), "arrays of numpy and no tensors of torch; " + _SAVE),
)
_WORDS = re.compile(
    r"(^|\.)(word_embeddings?|embed_tokens|token_embedding|tok_embeddings|wte|word_embedding"
    r"|embeddings?\.word\w*|shared|embed_in)\.weight$"
)
_FEWEST_WORDS = 4_000
_SEARCHED = 500


def library_object(value: Value) -> str | None:
    """What the object of another library is, as "a model of scikit-learn; ..."; None if it is none.

    Example:
        >>> library_object(Record("sklearn.svm._classes.SVC"))
        'a model of scikit-learn; export it with skl2onnx'
    """
    if not isinstance(value, Record) or value.is_dict:
        return None
    named = value.arguments[:1] if value.name.startswith("copyreg.") else ()
    names = [value.name, *(item.name for item in named if isinstance(item, GlobalName))]
    for starts, clause in _LIBRARIES:
        if any(name.startswith(starts) for name in names):
            return clause
    return None


def what_is_there(value: Value, optimizers: int) -> str:
    """What a checkpoint without weights holds, and what to do, as "it holds ...".

    Args:
        value: The value of the file.
        optimizers: How many states of optimizers it holds.
    """
    if optimizers:
        return (
            "it holds the state of an optimizer and no weights; give the file of the model, "
            "or save model.state_dict()"
        )
    if isinstance(value, InertTensor | UnreadTensor):
        return "it holds one tensor and no network; save model.state_dict()"
    inside = [value, *_inside(value)]
    library = next((clause for item in inside if (clause := library_object(item))), None)
    if library is not None:
        return f"it holds {library}"
    if isinstance(value, Record) and value.name.startswith("__torch__."):
        return (
            "it is a TorchScript that was frozen, whose weights have no names any more; "
            "export the model to ONNX, or save it without torch.jit.freeze"
        )
    if isinstance(value, Record) and not value.is_dict and value.name:
        return (
            f"it holds an object of the class {value.name[:80]!a} and no weights of torch; {_SAVE}"
        )
    return f"it holds no weights; {_SAVE}"


def _inside(value: Value) -> list[Value]:
    """The values directly in a dict, a list or an object."""
    if isinstance(value, Record):
        return list(value.entries().values())[:_SEARCHED]
    return list(value[:_SEARCHED]) if isinstance(value, list | tuple) else []


def text_network(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Why tensors are those of a text model, "an embedding of 30,522 x 768"; None if they are not.

    A network that also has an embedding of patches or a first convolution of pictures (CLIP) is
    none.

    Args:
        shapes: The shapes of the tensors by their names.

    Example:
        >>> text_network({"bert.embeddings.word_embeddings.weight": (30522, 768)})
        'an embedding of 30,522 x 768'
    """
    if any(len(shape) == _PICTURE_AXES and shape[1] in (1, 3) for shape in shapes.values()):
        return None
    for name, shape in shapes.items():
        if len(shape) == 2 and shape[0] >= _FEWEST_WORDS and _WORDS.search(name):
            return f"an embedding of {shape[0]:,} x {shape[1]:,}"
    return None


_PICTURE_AXES = 4  # weights of a convolution: out, in, height, width
