"""A device that is asked for comes in; where a network runs in the end, and its batches, go out."""

import logging
from collections.abc import Callable
from typing import TypeVar

from lagotto.core.devices.placement import AUTO, CPU, Runtime, check_device, place
from lagotto.core.errors import LagottoError

DEVICE_LOG = logging.getLogger("lagotto.devices")
"""Where encoders, which run in the caller's process, say that they fell back or halved a batch."""

_Result = TypeVar("_Result")
_SIGNS = ("out of memory", "failed to allocate memory", "_status_alloc_failed", "out_of_memory")


class OutOfDeviceMemoryError(Exception):
    """A batch did not fit into the memory of the device; `DeviceUse.run` then halves it."""


def says_out_of_memory(error: BaseException) -> bool:
    """Whether the text of an error of a runtime says that the memory of its device is used up."""
    text = str(error).lower()
    return any(sign in text for sign in _SIGNS)


class DeviceUse:
    """Where one network runs: what was asked for, what it became, and how large batches may be.

    Args:
        requested: `cpu`, `cuda`, `cuda:N` or `auto`.
        tell: Told each note as it comes up.

    Attributes:
        device: `cpu` or `cuda:N`; `cpu` until the network is opened.
        notes: What differs from what was asked for, one line each.

    Raises UsageError for a device that is not known.
    """

    def __init__(self, requested: str = CPU, tell: Callable[[str], object] | None = None) -> None:
        self.requested = check_device(requested)
        self.device = CPU
        self.notes: tuple[str, ...] = ()
        self._tell = tell
        self._fitting: int | None = None

    @property
    def is_gpu(self) -> bool:
        """Whether the network runs on a GPU."""
        return self.device != CPU

    def open(self, runtime: Runtime, error: type[LagottoError]) -> str:
        """Chooses the device for a runtime; raises `error` if what was asked for is not there."""
        try:
            placed = place(self.requested, runtime)
        except LagottoError as refusal:
            raise error(str(refusal)) from refusal
        self.device = placed.device
        if placed.note:
            self.note(placed.note)
        return self.device

    def refuse(self, why: str, error: type[LagottoError]) -> None:
        """The runtime does not take the device that it said to have: falls back if that is allowed.

        Raises `error` unless `auto` was asked for.
        """
        lost, self.device = self.device, CPU
        if self.requested != AUTO:
            raise error(
                f"device {self.requested!r} cannot be used: {why}; run it with --device cpu, or "
                "auto, which falls back to it"
            )
        self.note(f"device auto is the CPU here: {lost} cannot be used: {why}")

    def note(self, text: str) -> None:
        """Keeps a note, and tells it, if it is new."""
        if text not in self.notes:
            self.notes = (*self.notes, text)
            if self._tell is not None:
                self._tell(text)

    def run(
        self, rows: int, most: int, run: Callable[[slice], _Result], error: type[LagottoError]
    ) -> list[_Result]:
        """Runs rows in batches; from when one does not fit into the device, in smaller ones.

        Args:
            rows: How many rows there are.
            most: How many to run at once.
            run: Runs the rows of a slice. Raises OutOfDeviceMemoryError if they do not fit.
            error: What is raised if not even one row fits.

        Returns:
            What `run` gave, in the order of the rows.
        """
        results: list[_Result] = []
        start = 0
        while start < rows:
            step = min(most, self._fitting or most, rows - start)
            try:
                results.append(run(slice(start, start + step)))
            except OutOfDeviceMemoryError as problem:
                if step == 1:
                    raise error(
                        f"{self.device} has too little free memory for one picture: {problem}; "
                        "free some of it, or run this with --device cpu"
                    ) from problem
                self._fitting = step // 2
                if not any("at a time" in note for note in self.notes):
                    self.note(
                        f"the free memory of {self.device} does not hold {step} rows at a time; "
                        "batches are halved until they fit"
                    )
            else:
                start += step
        return results
