"""The name of an optional package comes in; the module, or its pip line, goes out."""

import importlib
from typing import Any

from lagotto.core.errors import MissingExtraError


def load_extra(module: str, extra: str, what: str) -> Any:
    """An optional package, imported where it is used.

    Args:
        module: The module to import, for example "pandas".
        extra: The extra of Lagotto that installs it.
        what: What needs it, for the message.

    Raises:
        MissingExtraError: If the package is not installed; the message holds the pip line.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise
        raise MissingExtraError(
            f"{what} needs the package {module!r}, which is not installed; "
            f"run: pip install 'lagotto[{extra}]'"
        ) from error
