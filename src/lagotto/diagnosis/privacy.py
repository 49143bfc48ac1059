"""A text about this machine comes in; the same without the user's name and folder goes out."""

import os
import re
from pathlib import Path


def without_user(text: str) -> str:
    """The text with the home folder as `~`, and the user's name in other paths as `USER`.

    Example:
        >>> without_user("/opt/lagotto/models")
        '/opt/lagotto/models'
    """
    home = _home()
    if home:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    for name in _user_names(home):
        text = re.sub(rf"(?<=[/\\]){re.escape(name)}(?![\w.-])", "USER", text)
    return text


def _home() -> str:
    """The home folder; "" where there is none, or where it is the root of all folders."""
    try:
        home = str(Path.home())
    except RuntimeError:
        return ""
    return home if len(Path(home).parts) > 1 else ""


def _user_names(home: str) -> list[str]:
    """How the environment and the home folder call the user."""
    named = [os.environ.get(key, "") for key in ("LOGNAME", "USER", "USERNAME")]
    return sorted({name for name in [*named, Path(home).name] if name}, key=len, reverse=True)
