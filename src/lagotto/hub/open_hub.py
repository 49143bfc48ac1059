"""A hub folder comes in; an object that several threads may read goes out, until it is closed."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import numpy as np
from jaxtyping import Float32

from lagotto.core.arguments.one_or_many import as_path
from lagotto.core.devices.placement import CPU
from lagotto.core.errors import LagottoError, UsageError
from lagotto.core.progress import Progress
from lagotto.core.temporary.closing import Closing
from lagotto.core.types import Probe, Skipped
from lagotto.encoders.base import Encoder
from lagotto.hub.publish.address import LocalHub, local_hub
from lagotto.hub.reader.changes import change_mark
from lagotto.hub.reader.reader import HubReader
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import read_hub_manifest

if TYPE_CHECKING:
    from lagotto.hub.reader.status import HubStatus
    from lagotto.hub.reader.verify import Damage

_Hub = TypeVar("_Hub", bound="OpenHub")
_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")

_TRIES = 3
"""How often a read may find the hub changed under it and start anew."""


GROWING_NOTE = (
    "a run of hub grow was cut off: the same command goes on, and lagotto hub verify {hub} drops "
    "what it did"
)
LOW_NOTE = (
    "the probes show {shown:,} of {words:,} common nouns, and what they do not show is found less "
    "often; to add probes: lagotto hub grow {hub} --probes PICTURES"
)


def in_turn(
    method: Callable[Concatenate[_Hub, _Arguments], _Result],
) -> Callable[Concatenate[_Hub, _Arguments], _Result]:
    """A method of a hub, run by one thread at a time, on the hub as it is now.

    What other threads and processes have changed since the last call is read again first.
    """

    @wraps(method)
    def locked(self: _Hub, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with self._lock, self._call():
            return method(self, *args, **kwargs)

    return locked


def reading(
    method: Callable[Concatenate[_Hub, _Arguments], _Result],
) -> Callable[Concatenate[_Hub, _Arguments], _Result]:
    """As `in_turn`, for a method that only reads: it starts anew if the hub changed under it."""

    @wraps(method)
    def locked(self: _Hub, /, *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
        with self._lock:
            for _ in range(_TRIES):
                with self._call() as is_outermost:
                    try:
                        return method(self, *args, **kwargs)
                    except Exception:  # a model that is gone may be missed anywhere
                        if not is_outermost or not self._has_changed():
                            raise
            with self._call():
                return method(self, *args, **kwargs)

    return locked


class OpenHub(Closing):
    """What every hub has: a folder, models by name, probes, an encoder; and an end by `close`."""

    def __init__(self, reader: HubReader) -> None:
        """The hub that a reader has opened."""
        self._reader: HubReader | None = reader
        self._folder = reader.folder
        self._layout = HubLayout(reader.folder)
        self._local = LocalHub(reader.folder, str(reader.folder))
        self._lock = threading.RLock()
        self._calls = 0
        self._mark = change_mark(self._layout)

    @classmethod
    def open(
        cls: type[_Hub],
        folder: Path | str,
        encoder: Encoder | str | None = None,
        *,
        device: str = CPU,
        progress: Progress | None = None,
    ) -> _Hub:
        """An existing hub. The encoder is loaded when a query needs it, from where it was at first.

        Args:
            folder: Where the hub is: a folder, or the address of a published hub,
                `hf:datasets/ORG/NAME[@REV]` or `s3://BUCKET/PREFIX`, which is fetched once.
            encoder: The hub's encoder, or where it is now if it has moved.
            device: Where the encoder runs, unless it is given loaded: `cpu`, `cuda`, `cuda:N`, or
                `auto`, a GPU where one can be used.
            progress: Told of the transfer.

        Raises:
            HubError: If there is no hub, or it is damaged or of a newer format.
            SourceError: If the place of a published hub is out of reach, and it was never fetched.
            MismatchError: When the encoder is first used, if it is not the one that made the hub;
                both are named.
        """
        local = local_hub(as_path(folder, "hub folder"), progress)
        layout = HubLayout(local.folder)
        opened = cls(HubReader(layout, read_hub_manifest(layout.folder), encoder, device))
        opened._local = local
        return opened

    def close(self) -> None:
        """Lets files, memory maps and the encoder go; using the hub afterwards is a UsageError."""
        with self._lock:
            self._reader = None

    @contextmanager
    def _call(self) -> Iterator[bool]:
        """One call of a method; True for the outermost, which takes note of what has changed."""
        is_outermost = self._calls == 0
        if is_outermost and self._reader is not None and self._has_changed():
            self._mark = change_mark(self._layout)
            self._forget_models()
        self._calls += 1
        try:
            yield is_outermost
        finally:
            self._calls -= 1

    def _has_changed(self) -> bool:
        """Whether the hub's models changed since they were read."""
        return change_mark(self._layout) != self._mark

    def _forget_models(self) -> None:
        """Drops what was read of the hub's models; the next use reads it again."""
        self.reader.refresh()

    def __repr__(self) -> str:
        name = repr(str(self._folder))
        reader = self._reader
        if reader is None:
            return f"Hub({name}, closed)"
        try:
            models = f"{len(self)} models"
        except LagottoError:
            models = "models cannot be read"
        return f"Hub({name}, {models}, {reader.probe_count} probes, encoder {reader.encoder_name})"

    def __len__(self) -> int:
        """How many models were probed."""
        return len(self.models)

    def __contains__(self, model: object) -> bool:
        """Whether a model of this name was probed."""
        return isinstance(model, str) and model in self.models

    @property
    def folder(self) -> Path:
        """Where the hub is."""
        return self._folder

    @property
    def name(self) -> str:
        """Its folder, or the address of the state that it was fetched from."""
        return self._local.name

    @property
    def fetched_bytes(self) -> int:
        """How many bytes were fetched when it was opened; none where they were in the cache."""
        return self._local.fetched

    @property
    def origin_notes(self) -> tuple[str, ...]:
        """What to know of where it is from, as that the place was not asked for a newer state."""
        return self._local.notes

    @property
    def reader(self) -> HubReader:
        """Everything that can be read of the hub, for evaluation and experiments.

        It is what the rooms of `lagotto.hub` work on: not held stable, and not for several threads.
        Raises UsageError for a hub that was closed.
        """
        reader = self._reader
        if reader is None:
            raise UsageError(
                f"the hub {self._folder} was closed; open it again: Hub.open({str(self._folder)!r})"
            )
        return reader

    @reading
    def read(self, question: Callable[[HubReader], _Result]) -> _Result:
        """What a function of the reader answers, in turn with other threads, on the hub as it is.

        It may be called again if the hub changes meanwhile, so it should only read.

        Example:
            >>> hub.read(lambda reader: reader.probe_count)  # doctest: +SKIP
            1024
        """
        return question(self.reader)

    @property
    @reading
    def models(self) -> tuple[str, ...]:
        """The names of the models that were probed, in the order in which they were added."""
        return self.reader.model_names()

    @property
    @reading
    def probes(self) -> tuple[Probe, ...]:
        """The probes, in the order of every descriptor."""
        return self.reader.probes

    @property
    @reading
    def encoder(self) -> Encoder:
        """The hub's encoder, checked against its fingerprint, and when it is used its canary."""
        return self.reader.encoder

    @property
    def encoder_name(self) -> str:
        """The encoder that embedded the probes."""
        return self.reader.encoder_name

    @property
    def probe_digest(self) -> str:
        """The identity of the probe set."""
        return self.reader.probe_digest

    @reading
    def probe_picture(self, index: int) -> bytes:
        """The picture file of a probe as it was given."""
        return self.reader.probe_picture(index)

    @reading
    def skipped(self) -> list[Skipped]:
        """Pictures that did not become probes, and why."""
        return self.reader.skipped()

    @reading
    def responses(self, model: str) -> Float32[np.ndarray, "probes logits"]:
        """A model's raw logits on all probes, completed where it saw a share of them.

        Raises UsageError for a name that is not in the hub.
        """
        return self.reader.responses(model)

    @reading
    def labels(self, model: str) -> tuple[str | None, ...]:
        """The published label of each logit, None where there is none; UsageError as above."""
        return self.reader.labels(model)

    @reading
    def status(self, *, with_models: bool = True) -> "HubStatus":
        """The state of the hub: models, logits, probes, failures with their reasons, disk.

        `with_models` lists each model; without it, `models` is empty. The `notes` say so if
        `confidence` was calibrated with another encoder than the hub has, and name references whose
        labels are not believed.
        """
        from lagotto.hub.confidence.calibrator import shipped_calibrator
        from lagotto.hub.confidence.probe_coverage import vocabulary_coverage
        from lagotto.hub.labels.trust import LabelTrust

        status = self.reader.status(with_models=with_models)
        note = shipped_calibrator().encoder_note(status.encoder, status.encoder_fingerprint)
        notes = () if note is None else (note,)
        if status.references:
            trust = LabelTrust(self.reader.label_lists(), status.references)
            notes = (*notes, *trust.doubted_references)
        notes = (*self.origin_notes, *notes)
        if self._layout.growing.exists():
            notes = (*notes, GROWING_NOTE.format(hub=self.folder))
        status = replace(status, hub=self.name, notes=(*status.notes, *notes))
        with suppress(LagottoError):  # a hub whose encoder is elsewhere has a status too
            covered = vocabulary_coverage(self.reader.space)
            status = replace(status, words_shown=covered.shown, words=covered.words)
            if covered.is_low:
                note = LOW_NOTE.format(shown=covered.shown, words=covered.words, hub=self.folder)
                status = replace(status, notes=(*status.notes, note))
        return status

    @reading
    def verify(self) -> "tuple[Damage, ...]":
        """What is damaged, with what to do; empty if all is as it was written."""
        return self.reader.verify()
