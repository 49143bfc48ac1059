"""Which files of the package a call walks through, in the order in which they are entered.

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
    """The files of lagotto whose functions run during the call, by path in the package."""
    entered: dict[str, None] = {}
    prefix = f"{PACKAGE}/"

    def note(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(prefix) and code.co_name != "<module>":
            entered.setdefault(code.co_filename.removeprefix(prefix))

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(before)
    return list(entered)


if __name__ == "__main__":
    folder, text = sys.argv[1:]
    hub = lagotto.Hub.open(folder)
    hub.search("another word")
    print("\n".join(files_walked(lambda: hub.search(text))))
