"""What a file of Keras keeps beside its network comes in; the names of its classes go out.

Keras itself keeps no names. People write them into the attributes of an HDF5 file, into the
metadata.json of an archive, or into the configuration of the model.
"""

import json
from collections.abc import Callable

from lagotto.core.parsing.name_list import NameList
from lagotto.core.types import JsonObject, JsonValue
from lagotto.models.metadata.embedded import LABEL_KEYS, read_properties

_KEYS = {**{key: key for key in LABEL_KEYS}, "class_indices": "class_to_idx"}
"""Keys that people use, with those of other formats that mean the same."""


def stated_names(given: Callable[[str], JsonValue], topology: JsonObject) -> NameList | None:
    """The names of the classes; None if there are none.

    Args:
        given: The value of a key in the attributes or the metadata of the file; None without one.
        topology: The configuration of the model.
    """
    config = topology.get("config")
    inner = config if isinstance(config, dict) else {}
    for read in (given, inner.get, topology.get):
        texts = {meaning: _text(read(key)) for key, meaning in _KEYS.items()}
        properties = {key: text for key, text in texts.items() if text}
        names = read_properties(properties).description.labels
        if isinstance(names, NameList):
            return names
    return None


def _text(value: JsonValue) -> str:
    """A list or an object as a text, and a text as it is; "" for all else."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, list | dict) else ""
