"""A folder comes in; the files in it that may list the names of a model's classes go out, in order.

First come files that bear the model's name, then usual names, then names that only contain a word
such as "labels".
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.arguments.links import link_roots, stays_inside
from lagotto.core.parsing.name_list import LIST_ENDINGS

_USUAL = (
    *("labels", "label", "classes", "class", "class_names", "classnames", "class_labels"),
    *("label_names", "labelnames", "category_names", "categories", "names", "label_list"),
    *("class_list", "labelmap", "label_map", "id2label", "idx2label", "idx_to_label"),
    *("index_to_name", "idx_to_class", "idx2class", "index_to_class", "class_index"),
    *("class_to_idx", "class_to_index", "label2id", "imagenet_class_index", "imagenet_classes"),
    *("imagenet_labels", "imagenetlabels", "imagenet1000_clsidx_to_labels", "synset_words"),
    *("synset_labels", "synset", "synsets", "output_labels", "model_labels", "class_indices"),
    *("labels_map", "label_dict", "class_map", "classmap", "class_mapping", "label_mapping"),
    *("classes_list", "labels_list", "classlist", "labellist", "target_names", "id_to_label"),
    *("label_to_id", "label2idx", "class2idx", "index_to_label", "idx_to_labels", "dict"),
    *("label_encoder", "label_encoder_classes", "encoder_classes", "label_binarizer"),
)
_OTHER_ENDINGS = frozenset(
    {
        *(".pkl", ".pickle", ".joblib", ".npz", ".mat", ".xlsx", ".xls", ".ods", ".parquet"),
        *(".toml", ".ini", ".cfg", ".xml", ".md", ".rst", ".html", ".htm", ".py", ".pdf", ".docx"),
    }
)
_WORDS = frozenset({"labels", "classes", "classnames", "labelmap", "synset"})
_DATA_SETS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})
_YAML_NAMES = ("data", "dataset")
_OWN_ENDINGS = frozenset({".names", ".labels", ".label", ".classes", ".lbl"})
_VARIANT = re.compile(
    r"[-_.](unquant|unquantized|quantized|quantised|quant|fp16|fp32|float16|float32|f16|f32|float"
    r"|int8|uint8|q4f16|q4|q8|bnb4|full_integer_quant|integer_quant|dynamic_range_quant|dynamic"
    r"|edgetpu|half|simplified|sim|optimized|merged)$"
)
_MOST_ENTRIES = 100_000
_MOST_FILES = 16


@dataclass(frozen=True, slots=True)
class LabelFile:
    """A file that may list names. `is_named` is True where its name says that it does.

    `is_own` is True where it bears the name of the model file.
    """

    file: Path
    is_named: bool
    is_own: bool


def label_files(folder: Path, stem: str) -> tuple[LabelFile, ...]:
    """The files of a folder that may list the names of a model's classes, likeliest first.

    Args:
        folder: The folder; its sub-folders are not looked into.
        stem: The name of the model file without its ending.

    Returns:
        At most 16 files. Hidden files and links that lead out of the folder are left out.
    """
    ranked = []
    roots = link_roots(folder)
    for name in _names(folder):
        rank = label_rank(name, stem)
        file = folder / name
        if rank is not None and file.is_file() and stays_inside(file, roots):
            ranked.append((*rank, name))
    return tuple(
        LabelFile(folder / name, is_named=kind != 3, is_own=kind == 0)
        for kind, _, name in sorted(ranked)[:_MOST_FILES]
    )


def other_lists(folder: Path, stem: str) -> tuple[str, ...]:
    """The names of files that say they list a model's classes and have an ending that is not read.

    Args:
        folder: The folder; its sub-folders are not looked into.
        stem: The name of the model file without its ending.

    Returns:
        At most 16 names, sorted: a pickled label encoder, a spreadsheet, a page of Markdown.
    """
    found = []
    for name in _names(folder):
        base, ending = os.path.splitext(name)
        rank = label_rank(f"{base}.txt", stem) if ending.lower() in _OTHER_ENDINGS else None
        if rank is not None and (rank == (0, 1) or rank[0] == 1):
            found.append(name)
    return tuple(sorted(found)[:_MOST_FILES])


def label_rank(name: str, stem: str) -> tuple[int, int] | None:
    """How likely a file lists the names of a model's classes; None if its name does not say so.

    A smaller rank is likelier. Its first number is 0 for the model's own name, 1 for a usual name,
    2 for a name with a word such as "labels", 3 for a name that may mean something else, too.

    Example:
        >>> label_rank("labels.txt", "model"), label_rank("README.md", "model")
        ((1, 0), None)
    """
    base, ending = os.path.splitext(name.lower())
    if ending not in LIST_ENDINGS or name.startswith(".") or name.lower() == "model.json":
        return None
    model = stem.lower()
    plain = re.sub(r"[-. ]", "_", base)
    for owner in dict.fromkeys((model, bare_stem(model))):
        if base == owner or (base.startswith(f"{owner}.") and len(base) <= len(owner) + 9):
            return (0, 0) if ending in ("", ".txt", *_OWN_ENDINGS) else (3, 0)
        tail = plain.removeprefix(re.sub(r"[-. ]", "_", owner)).strip("_")
        if owner and tail in _USUAL and len(tail) < len(plain):
            return 0, 1
    if plain in _USUAL:
        return 1, _USUAL.index(plain)
    if ending in _OWN_ENDINGS:
        return 2, 0
    words = set(plain.split("_"))
    if ending and words & _WORDS and not words & _DATA_SETS:
        return 2, 1
    if base in _YAML_NAMES and ending in (".yaml", ".yml"):
        return 3, 1
    return None


def is_own_list(name: str, stem: str) -> bool:
    """Whether a file bears the name of a model and may list the names of its classes."""
    rank = label_rank(name, stem)
    return rank is not None and rank[0] == 0


def bare_stem(stem: str) -> str:
    """The name of a model without the ending of a variant: "best" for "best_float16"."""
    return _VARIANT.sub("", stem.lower())


def _names(folder: Path) -> list[str]:
    names: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) == _MOST_ENTRIES:
                    break
    except OSError:
        return []
    return names
