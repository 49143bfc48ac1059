"""The words of an unfinished command line come in; what its last word may become goes out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lagotto.hub.reader.model_names import list_models, list_outputs


@dataclass(frozen=True, slots=True)
class WordCandidate:
    """A word that may stand in place of the last one, and what it is."""

    word: str
    help: str


def find_candidates(command: Any, words: Sequence[str], current: str) -> list[WordCandidate]:
    """What the word `current` may become, after the words before it.

    Args:
        command: The command line's root, with `commands` or `params` as click has them.
        words: The whole words after the name of the program.
        current: The word under the cursor, as far as it is written.

    Returns:
        Commands, options, names of models, or outputs of a model as MODEL:INDEX. Empty where a file
        is meant, or nothing is known.
    """
    rest = list(words)
    while hasattr(command, "commands"):
        names = [word for word in rest if not word.startswith("-")]
        if not names:
            return _starting(current, [*_commands(command), *_options(command)])
        if names[0] not in command.commands:
            return []
        command = command.commands[names[0]]
        rest = rest[rest.index(names[0]) + 1 :]
    given, waiting = _read(command, rest)
    if waiting is None and current.startswith("-"):
        return _starting(current, _options(command))
    arguments = [param for param in command.params if param.param_type_name == "argument"]
    hub = Path(given[0]).expanduser() if given and arguments[0].name == "hub" else None
    meant = waiting or _argument(arguments, len(given))
    if meant is None or hub is None:
        return []
    if meant.name == "model":
        return _starting(current, (WordCandidate(*model) for model in list_models(hub)))
    if meant.name == "logit":
        return _starting(current, _logits(hub, current))
    return []


def _starting(current: str, known: Any) -> list[WordCandidate]:
    """Those that begin with the word; options only once it begins with a dash."""
    return [
        item
        for item in known
        if item.word.startswith(current) and (current or not item.word.startswith("-"))
    ]


def _commands(group: Any) -> Iterator[WordCandidate]:
    for name, command in group.commands.items():
        if not command.hidden:
            text = (command.help or "").strip().partition("\n")[0]
            yield WordCandidate(name, text)


def _options(command: Any) -> Iterator[WordCandidate]:
    for param in command.params:
        if param.param_type_name == "option" and not param.hidden:
            for name in (*param.opts, *param.secondary_opts):
                yield WordCandidate(name, (param.help or "").partition(". ")[0])
    yield WordCandidate("--help", "Show this message and exit.")


def _read(command: Any, words: Sequence[str]) -> tuple[list[str], Any]:
    """The arguments among the words, and the option that waits for its value, or None."""
    options = {
        name: param
        for param in command.params
        if param.param_type_name == "option"
        for name in (*param.opts, *param.secondary_opts)
    }
    given: list[str] = []
    waiting = None
    for word in words:
        if waiting is not None:
            waiting = None
        elif word.startswith("-") and len(word) > 1:
            param = options.get(word)
            waiting = param if param is not None and not param.is_flag else None
        else:
            given.append(word)
    return given, waiting


def _argument(arguments: Sequence[Any], position: int) -> Any:
    """The argument at a position; the last one may take many words."""
    if position < len(arguments):
        return arguments[position]
    return arguments[-1] if arguments and arguments[-1].nargs == -1 else None


def _logits(hub: Path, current: str) -> Iterator[WordCandidate]:
    """Names of models with a colon; after one, its outputs."""
    model, colon, _ = current.rpartition(":")
    if colon:
        for logit, label in list_outputs(hub, model):
            yield WordCandidate(f"{model}:{logit}", label)
        return
    for name, text in list_models(hub):
        yield WordCandidate(f"{name}:", text)
