"""Requests that were answered come in; counters in the text form of Prometheus go out."""

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Upper bounds of the buckets of response times, in seconds."""

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


@dataclass(frozen=True, slots=True)
class Gauge:
    """A value at this moment; `kind` is gauge, or counter for one that only grows."""

    name: str
    kind: str
    meaning: str
    value: int | float


class Metrics:
    """Counts answers by their status and their time; the event loop alone changes it."""

    def __init__(self) -> None:
        self._answers: Counter[int] = Counter()
        self._buckets: Counter[float] = Counter()
        self._seconds = 0.0
        self._started = time.time()

    def note(self, status: int, seconds: float) -> None:
        """Counts one answer."""
        self._answers[status] += 1
        self._seconds += seconds
        for bound in _BOUNDS:
            if seconds <= bound:
                self._buckets[bound] += 1
                break

    def text(self, gauges: Sequence[Gauge]) -> str:
        """All metrics, one a line, each after its help and its type."""
        total = self._answers.total()
        lines = ["# HELP lagotto_requests_total Answers by status."]
        lines += ["# TYPE lagotto_requests_total counter"]
        lines += [
            f'lagotto_requests_total{{status="{status}"}} {count}'
            for status, count in sorted(self._answers.items())
        ]
        lines += ["# HELP lagotto_request_seconds Time to the start of an answer."]
        lines += ["# TYPE lagotto_request_seconds histogram"]
        below = 0
        for bound in _BOUNDS:
            below += self._buckets[bound]
            lines.append(f'lagotto_request_seconds_bucket{{le="{bound:g}"}} {below}')
        lines += [
            f'lagotto_request_seconds_bucket{{le="+Inf"}} {total}',
            f"lagotto_request_seconds_sum {self._seconds:.6f}",
            f"lagotto_request_seconds_count {total}",
        ]
        for gauge in (*gauges, *self._process()):
            lines += [
                f"# HELP lagotto_{gauge.name} {gauge.meaning}",
                f"# TYPE lagotto_{gauge.name} {gauge.kind}",
                f"lagotto_{gauge.name} {gauge.value:.15g}",
            ]
        return "\n".join(lines) + "\n"

    def _process(self) -> tuple[Gauge, ...]:
        return (
            Gauge("resident_bytes", "gauge", "Memory of the server.", resident_bytes()),
            Gauge("open_files", "gauge", "Open descriptors of the server.", open_files()),
            Gauge("start_time_seconds", "gauge", "When the server began.", self._started),
        )


def resident_bytes() -> int:
    """The memory of this process in bytes; 0 where the system does not say it."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def open_files() -> int:
    """How many descriptors this process has open; 0 where the system does not say it."""
    try:
        return len(os.listdir("/proc/self/fd")) - 1
    except OSError:
        return 0
