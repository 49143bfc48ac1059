"""Which files of the package a call walks through, and how deep one of them calls into the next.

    python scripts/trace_walk.py HUB TEXT      # a text query on an opened hub

docs/explanation/architecture.md lists the files that decide an answer; a test holds it to this.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import lagotto

PACKAGE = Path(lagotto.__file__).parent


def files_walked(call: Callable[[], Any]) -> list[str]:
    """The files of lagotto whose functions run during the call, in the order of their entry."""
    entered: dict[str, None] = {}
    _profile(call, lambda frame: entered.setdefault(str(_file(frame))))
    return list(entered)


def longest_chain(call: Callable[[], Any]) -> list[str]:
    """The files that wait for each other at the deepest point of the call, `core/` left out.

    The first calls into the second, that into the third, and so on to the one that computes.
    """
    longest: list[str] = []

    def note(frame: FrameType) -> None:
        nonlocal longest
        chain: dict[str, None] = {}
        above: FrameType | None = frame
        while above is not None:
            file = _file(above)
            if file is not None and not file.startswith("core/"):
                chain.setdefault(file)
            above = above.f_back
        if len(chain) > len(longest):
            longest = list(chain)[::-1]

    _profile(call, note)
    return longest


def _file(frame: FrameType) -> str | None:
    """The file of lagotto that a function is defined in, by path in the package."""
    code, prefix = frame.f_code, f"{PACKAGE}/"
    if not code.co_filename.startswith(prefix) or code.co_name == "<module>":
        return None
    return code.co_filename.removeprefix(prefix)


def _profile(call: Callable[[], Any], note: Callable[[FrameType], Any]) -> None:
    """Makes the call, and notes each function of lagotto that is entered in it."""

    def on_event(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and _file(frame) is not None:
            note(frame)

    before = sys.getprofile()
    sys.setprofile(on_event)
    try:
        call()
    finally:
        sys.setprofile(before)


if __name__ == "__main__":
    folder, text = sys.argv[1:]
    hub = lagotto.Hub.open(folder)
    hub.search("another word")
    print("\n".join(files_walked(lambda: hub.search(text))))
    print("\nthe longest chain:", *longest_chain(lambda: hub.search(text[::-1])), sep="\n")
