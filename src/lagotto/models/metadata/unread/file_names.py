"""The name of a file comes in; whether it is a part of a model, or of a training, goes out."""

import re
from collections.abc import Set
from pathlib import Path

from lagotto.models.metadata.beside.label_files import bare_stem

TORCH_ENDINGS = frozenset({".pth", ".pt", ".ckpt", ".th", ".bin"})
"""Endings of checkpoints of PyTorch; `best.pth.tar` counts as one of the first."""

_INDEX = re.compile(r"\.(safetensors|bin)\.index\.json$", re.IGNORECASE)
_TAR = re.compile(r"\.(pth|pt|ckpt)\.tar$", re.IGNORECASE)
_STATES = frozenset({"optimizer", "optim", "scheduler", "scaler", "rng", "random"})
_STATE_WORDS = _STATES | frozenset(
    {"state", "states", "lr", "grad", "amp", "best", "last", "final", "latest", "epoch", "step"}
)
_TRAINING = re.compile(
    r"(?:training_args|train_args|trainer_state)\.\w+|events\.out\.tfevents\..*"
    r"|(?:.*_)?optim_states\.pt|.*\.(?:tfevents)",
    re.IGNORECASE,
)
_SHARD = re.compile(r".+[-_](\d{5})-of-\d{5}\.(?:safetensors|bin|pt|pth|ckpt|h5)", re.IGNORECASE)
_SHARE = re.compile(r"[-_]\d{5}-of-\d{5}\Z")
_EXPORT_FOLDER = re.compile(
    r"_(?:(?:saved|openvino|int8_openvino|ncnn|web|paddle|rknn|imx)_model|tfjs|savedmodel)$"
)
_ADAPTERS = ("adapter_model.safetensors", "adapter_model.bin", "pytorch_lora_weights.safetensors")
_SAVED_FORMS = (
    *("pytorch_model.bin", "pytorch_model.bin.index.json", "model.safetensors.index.json"),
    *("tf_model.h5", "flax_model.msgpack", "rust_model.ot"),
)
_SAVED = (
    *("model.safetensors", "model.onnx", "onnx/model.onnx", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model.bin.index.json"),
)
"""The forms of one model that transformers writes and that are read, the preferred first."""
_FORMS: tuple[tuple[str, ...], ...] = (
    (".onnx",),
    (".tflite",),
    (".safetensors",),
    (".keras",),
    (".h5", ".hdf5"),
    (".pth", ".pt", ".ckpt", ".th", ".bin"),
    (".json",),
)
"""Endings of the forms in which one model may be kept, the preferred first."""


def model_ending(file: Path) -> str:
    """The ending of a model file in lower case.

    That of `best.pth.tar` is `.pth`. That of the index of shards is the ending of its shards.

    Example:
        >>> model_ending(Path("model.safetensors.index.json"))
        '.safetensors'
    """
    longer = _TAR.search(file.name) or _INDEX.search(file.name)
    return f".{longer[1].lower()}" if longer else file.suffix.lower()


def model_stem(file: Path) -> str:
    """The name of a model file without its ending, `best` for `best.pth.tar`."""
    longer = _TAR.search(file.name) or _INDEX.search(file.name)
    return file.name[: longer.start()] if longer else file.stem


def is_index(name: str) -> bool:
    """Whether a file says in which shards the weights of a model lie.

    Example:
        >>> is_index("pytorch_model.bin.index.json"), is_index("index.json")
        (True, False)
    """
    return _INDEX.search(name) is not None


def is_of_training(name: str) -> bool:
    """Whether a file holds the state or the log of a training, and no model.

    Example:
        >>> is_of_training("optimizer_best.pt"), is_of_training("model_optimizer.pt")
        (True, False)
    """
    if _TRAINING.fullmatch(name):
        return True
    words = [word for word in re.split(r"[-_.\d]+", name.rpartition(".")[0].lower()) if word]
    return not _STATES.isdisjoint(words) and _STATE_WORDS.issuperset(words)


def is_adapter(name: str) -> bool:
    """Whether a file holds what changes another model, as LoRA does, and no model."""
    return name in _ADAPTERS


def shard_number(name: str) -> int | None:
    """The number of a file that holds a share of a model's weights; None if it is no such file.

    Example:
        >>> shard_number("pytorch_model-00002-of-00003.bin")
        2
    """
    shard = _SHARD.fullmatch(name)
    return int(shard[1]) if shard else None


def index_name(name: str) -> str:
    """The name of the index beside a shard.

    Example:
        >>> index_name("pytorch_model-00002-of-00003.bin")
        'pytorch_model.bin.index.json'
    """
    stem, _, ending = name.rpartition(".")
    return f"{_SHARE.sub('', stem)}.{ending}.index.json"


def is_part(name: str, beside: frozenset[str]) -> bool:
    """Whether a file holds the weights of a graph that is in another file of its folder.

    Args:
        name: The name of the file.
        beside: The names of the files in its folder.
    """
    stem, _, ending = name.rpartition(".")
    match ending.lower():
        case "bin":
            return not beside.isdisjoint({f"{stem}.xml", f"{stem}.param", f"{stem}.param.bin"})
        case "pdiparams":
            return not beside.isdisjoint({f"{stem}.pdmodel", f"{stem}.json"})
    return False


def exported_stem(name: str) -> str:
    """The stem of the model of which a file or folder is an export, as exporters name them.

    Example:
        >>> exported_stem("best_openvino_model"), exported_stem("best_int8.engine")
        ('best', 'best')
    """
    stem = model_stem(Path(name)) if "." in name else name
    return bare_stem(_EXPORT_FOLDER.sub("", stem))


def is_export_folder(name: str) -> bool:
    """Whether a folder bears the name of a model and of the form in which it was exported."""
    return _EXPORT_FOLDER.search(name) is not None


def is_saved_form(file: Path, models: Set[Path]) -> bool:
    """Whether a file is one of the forms that transformers writes, and another is among models."""
    return file.name in _SAVED_FORMS and any(
        file.parent / name in models for name in _better_saved(file.name)
    )


def _better_saved(name: str) -> tuple[str, ...]:
    """The forms that are preferred to one that transformers writes."""
    return _SAVED[: _SAVED.index(name)] if name in _SAVED else _SAVED


def preferred_form(file: Path, beside: frozenset[str], readable: frozenset[str]) -> str | None:
    """The name of the file beside a model that keeps the same model in a preferred form.

    Files of one name are one model, whatever their ending, and so are variants of an export
    (`best_int8.tflite`) and the forms that transformers writes. The order of preference is ONNX,
    TFLite, safetensors, .keras, .h5, PyTorch, TensorFlow.js.

    Args:
        file: The file, of a form that is neither ONNX nor TFLite.
        beside: The names of the files in its folder.
        readable: The endings of the forms that are read.
    """
    if file.name in _SAVED_FORMS:
        for name in _better_saved(file.name):
            if (file.parent / name).is_file():
                return name
    ending = model_ending(file)
    rank = next((at for at, endings in enumerate(_FORMS) if ending in endings), len(_FORMS))
    better = {ending for endings in _FORMS[:rank] for ending in endings} & readable
    stem = bare_stem(model_stem(file))
    same = (
        name
        for name in sorted(beside)
        if model_ending(Path(name)) in better and bare_stem(model_stem(Path(name))) == stem
    )
    return next(same, None)
