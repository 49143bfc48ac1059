"""A kind of thing comes in; the folder in the user's cache that keeps such things goes out."""

import os
from pathlib import Path


def user_cache(kind: str) -> Path:
    """The folder of one kind of thing, below XDG_CACHE_HOME or ~/.cache; it may not exist."""
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "lagotto" / kind
