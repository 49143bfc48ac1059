"""What model.json, the model file and the files beside it say comes in; one set of facts goes out.

The order of preference: model.json, config.json and preprocessor_config.json, the model file, the
files of an export tool, lists of labels, what is usual for the architecture.
"""

from dataclasses import dataclass
from pathlib import Path

from lagotto.core.parsing.name_list import NameList
from lagotto.models.metadata.beside.finder import merged_input, read_beside, read_inputs
from lagotto.models.metadata.beside.label_choice import (
    MODEL_JSON,
    ChosenLabels,
    FoundLabels,
    choose_labels,
)
from lagotto.models.metadata.description import Description, InputDescription, declared_labels
from lagotto.models.metadata.embedded import EmbeddedMetadata
from lagotto.models.metadata.input_spec import OF_ARCHITECTURE, FoundInput
from lagotto.models.metadata.pretrained import CONFIG


@dataclass(frozen=True, slots=True)
class Facts:
    """What is said of a model outside its model.json, the preferred first.

    `lists` are all lists of labels, that of model.json among them.
    """

    inputs: tuple[FoundInput, ...]
    lists: tuple[FoundLabels, ...]
    notes: tuple[str, ...]

    def labels(self, outputs: int) -> ChosenLabels:
        """The labels of a model with a number of outputs."""
        return choose_labels(self.lists, outputs)


def gather_facts(file: Path, description: Description, embedded: EmbeddedMetadata) -> Facts:
    """The facts of a model.

    Args:
        file: The weights file.
        description: The checked model.json.
        embedded: The metadata inside the file.

    Raises:
        ModelError: model.json names a file of labels that is missing or no list of names.
    """
    beside = read_beside(file, description)
    lists = list(beside.labels)
    within = sum(item.origin == CONFIG for item in lists)
    labels = embedded.description.labels
    if isinstance(labels, tuple):
        labels = NameList(labels, "list")
    if isinstance(labels, NameList):
        lists.insert(within, FoundLabels(embedded.labels_origin, labels))
    declared = declared_labels(description, file)
    if declared is not None:
        lists.insert(0, FoundLabels(MODEL_JSON, declared))
    in_file = FoundInput(embedded.input_origin, embedded.description.input)
    usual = FoundInput(OF_ARCHITECTURE, embedded.usual)
    return Facts(
        inputs=(*beside.settings, in_file, *beside.tools, usual),
        lists=tuple(lists),
        notes=(*embedded.notes, *beside.notes),
    )


def full_input(file: Path, description: Description) -> InputDescription:
    """The input that model.json and the files beside a model describe, before it is opened."""
    return merged_input(description.input, read_inputs(file, description)[0])
