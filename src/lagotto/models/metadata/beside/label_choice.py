"""Lists of names found for a model come in; the labels of its outputs, with their origin, go out.

The order of preference is that in which the lists come: model.json, the settings beside the file,
the file itself, lists beside it. The first list that fits the number of outputs is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lagotto.core.parsing.name_list import NameList
from lagotto.models.metadata.beside.output_width import output_widths

MODEL_JSON, IN_FILE = "model.json", "file"
_LONGEST_NAME = 40
_MOST_OTHERS = 16


@dataclass(frozen=True, slots=True)
class FoundLabels:
    """A list of names and where it was found.

    `others` are the other models that the list may belong to, as they lie in the same folder.
    `is_guess` is True where only its place beside the file says that it belongs to the model.
    """

    origin: str
    names: NameList
    others: tuple[Path, ...] = ()
    is_guess: bool = False


@dataclass(frozen=True, slots=True)
class ChosenLabels:
    """The labels of a model, "" for an output without one; None if no list fits.

    `origin` is where they are from, "" if there are none. `notes` tell what was not used, and why.
    """

    labels: tuple[str, ...] | None
    origin: str = ""
    notes: tuple[str, ...] = ()


def choose_labels(
    lists: tuple[FoundLabels, ...],
    outputs: int,
    widths: Callable[[Path], frozenset[int]] = output_widths,
) -> ChosenLabels:
    """The first of some lists that fits a model, and notes on the others.

    Args:
        lists: The lists, the preferred first.
        outputs: The number of outputs.
        widths: Tells the widths of the outputs of another model file.
    """
    notes: list[str] = []
    chosen: FoundLabels | None = None
    labels: tuple[str, ...] | None = None
    for item in lists:
        placed = item.names.for_outputs(outputs)
        if placed is None and item.is_guess and chosen is not None and chosen.origin == MODEL_JSON:
            continue  # somebody wrote down which labels count, and this list has other ones
        if placed is None:
            notes.append(_unfitting(item, outputs))
            continue
        names = tuple(name or "" for name in placed)
        if labels is not None and chosen is not None:
            if names != labels:
                notes.append(_different(item, names, chosen, labels))
            continue
        stranger = _stranger(item, outputs, widths)
        if stranger is not None:
            notes.append(_shared(item, stranger))
            continue
        chosen, labels = item, names
    if chosen is None:
        return ChosenLabels(None, "", tuple(notes))
    return ChosenLabels(labels, chosen.origin, (*_notes(chosen), *notes))


def _notes(chosen: FoundLabels) -> tuple[str, ...]:
    """What a user should know of the list that was taken."""
    notes = [f"labels: {note}" for note in chosen.names.notes]
    if chosen.others:
        models = len(chosen.others) + 1
        notes.insert(
            0,
            f"labels from {chosen.origin}, which lies beside {models} models with as many outputs: "
            "if it belongs to one of them, give it that model's name",
        )
    elif chosen.is_guess:
        notes.insert(0, f"labels from {chosen.origin}, which has as many names as outputs")
    return tuple(notes)


def _unfitting(item: FoundLabels, outputs: int) -> str:
    names = len(item.names.names)
    if item.origin in (MODEL_JSON, IN_FILE):
        return f"labels left out: {names} labels for {outputs} outputs"
    word = "name" if names == 1 else "names"
    return f"{item.origin} not used: {names} {word} for {outputs} outputs"


def _different(
    item: FoundLabels, names: tuple[str, ...], chosen: FoundLabels, labels: tuple[str, ...]
) -> str:
    at = next(index for index, name in enumerate(names) if name != labels[index])
    return (
        f"{_place(item.origin)} not used: labels are from {_place(chosen.origin)}, and the two "
        f"differ, first at output {at} ({names[at][:_LONGEST_NAME]!r}, "
        f"{labels[at][:_LONGEST_NAME]!r})"
    )


def _shared(item: FoundLabels, stranger: Path) -> str:
    return (
        f"{item.origin} not used: it lies beside {len(item.others) + 1} models and fits not all "
        f"({stranger.name[:60]!r}); give it the name of one model, or name it in a model.json"
    )


def _place(origin: str) -> str:
    return "the model file" if origin == IN_FILE else origin


def _stranger(
    item: FoundLabels, outputs: int, widths: Callable[[Path], frozenset[int]]
) -> Path | None:
    """A model that a list lies beside, too, and whose outputs it does not fit.

    Of more than 16 other models none is opened: such a list is not used.
    """
    if len(item.others) > _MOST_OTHERS:
        return item.others[0]
    return next((file for file in item.others if outputs not in widths(file)), None)
