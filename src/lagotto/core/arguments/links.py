"""A folder that was given and a path in it come in; whether the path stays inside goes out.

The Hugging Face cache keeps a file once, in `models--ORG--NAME/blobs`, and links to it from
`snapshots/COMMIT`. These links lead out of the snapshot, but not out of what was downloaded.
"""

from itertools import pairwise
from pathlib import Path

_KINDS = ("models--", "datasets--", "spaces--")
_MAX_DEPTH = 32


def link_roots(folder: Path) -> tuple[Path, ...]:
    """The folders where links of a folder may lead.

    Args:
        folder: The folder that a user gave; it may be a link itself.

    Returns:
        The folder; and, if it lies in a snapshot of the Hugging Face cache, the `blobs` of the same
        repository.
    """
    real = folder.resolve()
    chain = (real, *real.parents)[:_MAX_DEPTH]
    for inner, repository in pairwise(chain):
        if inner.name == "snapshots" and repository.name.startswith(_KINDS):
            return real, repository / "blobs"
    return (real,)


def stays_inside(path: Path, roots: tuple[Path, ...]) -> bool:
    """Whether a path, with all links followed, lies in one of the folders of `link_roots`.

    Args:
        path: A file or folder; a path that cannot be followed is not inside.
        roots: What `link_roots` returned, for all paths of one folder.

    Example:
        >>> stays_inside(Path("pictures/../../secret.png"), link_roots(Path("pictures")))
        False
    """
    try:
        real = path.resolve()
    except (OSError, RuntimeError, ValueError):  # a loop of links; no valid file name
        return False
    return any(real.is_relative_to(root) for root in roots)
