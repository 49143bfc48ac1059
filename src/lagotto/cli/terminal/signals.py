"""SIGTERM and SIGHUP come in; a clean stop as by Ctrl-C, and its exit code, go out."""

import signal
from types import FrameType

_STOPPING = ("SIGTERM", "SIGHUP")
_arrived: list[int] = []


def stop_on_signals() -> None:
    """Lets SIGTERM and SIGHUP stop this process as Ctrl-C does: what is half-written is removed.

    A signal that is ignored, as SIGHUP under nohup, stays ignored.
    """
    for name in _STOPPING:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:
            signal.signal(number, _stop)


def stop_code() -> int | None:
    """128 and the number of the signal that stopped this process; None if none did."""
    return 128 + _arrived[0] if _arrived else None


def _stop(number: int, frame: FrameType | None) -> None:
    """Raises KeyboardInterrupt once; a second signal does not cut the cleaning-up short."""
    if not _arrived:
        _arrived.append(number)
        raise KeyboardInterrupt(signal.Signals(number).name)
