"""Picture files of strangers come in; plain pixels or small pictures, made by a worker, go out."""

import shutil
import threading
from itertools import count

from lagotto.core.errors import PictureError
from lagotto.core.temporary.leftovers import make_temporary_folder
from lagotto.core.types import JsonObject
from lagotto.jobs.base import Failure, Task
from lagotto.jobs.worker_limits import Limits
from lagotto.web.uploads.decode_task import MAX_KEPT_PIXELS
from lagotto.web.uploads.plain_picture import check_webp, plain_size, read_plain

_TASKS = "lagotto.web.uploads.decode_task"
_MEMORY_BYTES = 2 * 2**30
_SECONDS = 20.0
MAX_PPM_BYTES = 3 * MAX_KEPT_PIXELS + 32
"""Bytes of a picture as it is kept."""

_MAX_WEBP_BYTES = 2 * 2**20


class PictureWorker:
    """One worker process that decodes pictures; threads take turns.

    Its folder is private to the user of the server, and of it the worker may write to one
    subfolder alone.
    """

    def __init__(self) -> None:
        self._folder = make_temporary_folder("serve")
        self._given = self._folder / "given"
        self._written = self._folder / "written"
        for folder in (self._given, self._written):
            folder.mkdir(mode=0o700)
        self._runner = Limits(workers=1, timeout_s=_SECONDS, memory_bytes=_MEMORY_BYTES).start(
            self._written
        )
        self._turn = threading.Lock()
        self._numbers = count()

    def decode(self, data: bytes) -> bytes:
        """The pixels of a picture as a PPM file that is checked.

        Raises:
            PictureError: It is no picture that is read, or asks for too much memory or time.
        """
        plain = self._ask("decode_upload", data, {}, MAX_PPM_BYTES)
        plain_size(plain)
        return plain

    def shrink(self, data: bytes, edge: int) -> bytes:
        """A WEBP file of a picture whose longest side has at most `edge` pixels.

        Raises:
            PictureError: As for `decode`.
        """
        return check_webp(self._ask("shrink_picture", data, {"edge": edge}, _MAX_WEBP_BYTES))

    def _ask(self, entry: str, data: bytes, options: JsonObject, most_bytes: int) -> bytes:
        number = next(self._numbers)
        source, out = self._given / str(number), self._written / str(number)
        try:
            source.write_bytes(data)
            payload: JsonObject = {"source": str(source), "out": str(out), **options}
            with self._turn:
                (outcome,) = self._runner.run([Task("picture", f"{_TASKS}:{entry}", payload)])
            if outcome.failure is not None:
                raise PictureError(_reason(outcome.failure))
            answer = outcome.value or {}
            if "refused" in answer:
                raise PictureError(str(answer["refused"]))
            return read_plain(out, most_bytes)
        finally:
            source.unlink(missing_ok=True)
            out.unlink(missing_ok=True)

    def close(self) -> None:
        """Ends the worker and removes its folder."""
        self._runner.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _reason(failure: Failure) -> str:
    if failure.kind == "memory":
        return f"needs more than {_MEMORY_BYTES / 2**30:g} GiB of memory; make it smaller"
    if failure.kind == "timeout":
        return f"takes more than {_SECONDS:g} s to be read; make it smaller"
    return "ends the process that reads it; check where it is from"
