"""The place of a new folder comes in; a draft beside it, which takes the place, goes out."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lagotto.core.errors import LagottoError
from lagotto.core.files import writing
from lagotto.core.temporary.leftovers import make_draft


@contextmanager
def drafted(folder: Path) -> Iterator[Path]:
    """A hidden folder to fill in a `with` block; it is renamed to `folder` if the block ends well.

    Otherwise nothing is left of it. Errors of ours name the folder, and not the draft.
    """
    with writing(folder):
        draft = make_draft(folder)
    try:
        yield draft
        with writing(folder):
            draft.chmod(0o755)
            draft.rename(folder)
    except LagottoError as error:
        raise type(error)(str(error).replace(str(draft), str(folder))) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
