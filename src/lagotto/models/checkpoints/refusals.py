"""The value of a checkpoint without a network comes in; what it is, and what to do, goes out."""

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
