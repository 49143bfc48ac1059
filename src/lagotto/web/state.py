"""A hub's folder and the settings of a server come in; what all requests share goes out."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from lagotto.core.errors import HubError, LagottoError, MismatchError, PictureError, UsageError
from lagotto.core.registry import suggest
from lagotto.core.types import Probe
from lagotto.encoders.base import Encoder
from lagotto.encoders.registry import load_encoder
from lagotto.hub.hub import Hub
from lagotto.hub.publish.address import local_hub
from lagotto.hub.reader.changes import change_mark
from lagotto.hub.store.copies.origin import encoder_spec_of
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import HUB_MANIFEST, read_hub_manifest
from lagotto.web.answer_cache import AnswerCache
from lagotto.web.gate import Gate
from lagotto.web.live.event_stream import StreamCount
from lagotto.web.live.jobs import JobList
from lagotto.web.live.metrics import Metrics
from lagotto.web.live.progress import HubProgress, read_progress
from lagotto.web.options import ServerOptions
from lagotto.web.problems import ErrorAnswers, Problem
from lagotto.web.shared_encoder import SharedEncoder
from lagotto.web.uploads.small_pictures import SmallPictures
from lagotto.web.uploads.store import Upload, UploadStore, shown_name
from lagotto.web.uploads.worker import PictureWorker
from lagotto.zeroshot.captions.place import ServerAddress
from lagotto.zeroshot.captions.store import CaptionStore

_Answer = TypeVar("_Answer")

_WARM_UP = "a photo"
_SWEEP_S = 600.0
_FEW = 4


class ServerState:
    """What all requests to a server share. Threads may use it at once.

    Args:
        folder: The hub's folder.
        options: How it is served.

    Attributes:
        name: The hub's name for clients: that of its folder, without the way to it.
        encoder: The hub's encoder, which threads may share.
        captions: The open caption store, None without one.
        worker: Decodes pictures, cut off from this process.
        uploads: The pictures that clients sent.
        small: Small pictures of probes and uploads.
        gate: Runs heavy work.
        errors: Answers errors; the pages give it a page.
        streams: The open streams of events.
        metrics: Counts answers.
        jobs: Work that outlasts a request.
        is_ready: Whether the server is warm.
        failure: Why it will never be; None if nothing failed.
        stop: Called when the server cannot go on.

    Raises:
        HubError: There is no hub, or it is damaged.
        MismatchError: The caption store was made with another encoder than the hub.
        CaptionError: There is no caption store.
        EncoderError: The hub's encoder cannot be loaded.
    """

    def __init__(self, folder: Path, options: ServerOptions) -> None:
        self.folder = folder = local_hub(folder).folder
        self.options = options
        self.limits = options.limits
        self.name = folder.resolve().name
        manifest = read_hub_manifest(folder)
        self.encoder: Encoder = SharedEncoder(
            lambda: load_encoder(options.encoder or encoder_spec_of(folder, manifest))
        )
        _ = self.encoder.info  # an encoder that is gone is said before a port is open
        self.gate = Gate(options.limits)
        self.errors = ErrorAnswers()
        self.streams = StreamCount()
        self.metrics = Metrics()
        self.jobs = JobList()
        self._answers, self._few = AnswerCache(), AnswerCache(_FEW)
        self.is_ready = False
        self.failure: LagottoError | None = None
        self.stop: Callable[[], None] = lambda: None
        self._opening = threading.Lock()
        self._open()
        self.captions = self._open_captions(options.captions)
        self.worker = PictureWorker()
        self.uploads = UploadStore(options.limits, self.worker)
        self.small = SmallPictures(self.worker)

    @property
    def slow_hub(self) -> Hub:
        """The same hub again, for questions that take seconds: searches do not wait for them."""
        _ = self.hub
        with self._opening:
            return self._slow_hub

    @property
    def hub(self) -> Hub:
        """The hub as it is now: models that came or went since the last request are seen."""
        with self._opening:
            mark = self._manifest_mark()
            if mark != self._mark:  # another hub lies in this place
                self._open()
            return self._hub

    def model(self, name: str) -> str:
        """A model's name, if the hub has it; a Problem (404) with a suggestion if not.

        Every name of a client goes through here: the library would take a path, too.
        """
        names = self.hub.models
        if name not in names:
            raise Problem(404, f"the hub has no model {name!r}.{suggest(name, names)}")
        return name

    def output(self, model: str, output: int) -> int:
        """The number of a model's output, if there is one; a Problem (404) if not."""
        count = len(self.hub.labels(self.model(model)))
        if not 0 <= output < count:
            raise Problem(404, f"model {model!r} has outputs 0 to {count - 1}; {output} is none")
        return output

    def probe(self, number: int) -> Probe:
        """The probe of a number; a Problem (404) if there is none."""
        probes = self.hub.probes
        if not 0 <= number < len(probes):
            raise Problem(404, f"the hub has probes 0 to {len(probes) - 1}; {number} is none")
        return probes[number]

    def upload(self, address: str) -> Path:
        """The plain pixels of an uploaded picture; a Problem (404) if it is not kept any more."""
        path = self.uploads.path(address)
        if path is None:
            raise Problem(
                404,
                f"no picture {address[:80]!r} is kept here; upload it (again) and take its digest",
            )
        return path

    def known_upload(self, address: str) -> Upload:
        """An uploaded picture by its digest; a Problem (404) if it is not kept any more."""
        self.upload(address)
        return self.uploads.known(address)

    def keep(self, data: bytes, name: str) -> Upload:
        """Keeps a picture of a client, decoded by a worker; a Problem (400) if it is none."""
        try:
            return self.uploads.keep(data, name)
        except PictureError as error:
            shown = shown_name(name) or "the picture"
            raise Problem(400, f"{shown}: {error}") from error

    def small_probe(self, number: int, edge: int) -> bytes:
        """A WEBP file of a probe, of at most `edge` pixels a side."""
        digest = self.probe(number).digest
        if not self.hub.reader.has_pictures:
            raise Problem(
                404,
                "this hub was published without the pictures of its probes; "
                f"/api/v1/probes/{number} has the captions",
            )
        return self.small.webp(digest, edge, lambda: self.hub.probe_picture(number))

    def small_upload(self, address: str, edge: int) -> bytes:
        """A WEBP file of an uploaded picture, of at most `edge` pixels a side."""
        path = self.upload(address)
        return self.small.webp(f"upload {path.stem}", edge, path.read_bytes)

    def remember(self, key: tuple[object, ...], ask: Callable[[], _Answer]) -> _Answer:
        """An answer that is the same until the hub changes: it is asked for once."""
        return self._answers.get((*key, self.mark()), ask)

    def remember_few(self, key: tuple[object, ...], make: Callable[[], _Answer]) -> _Answer:
        """As `remember`, for what holds files open: only the last few are kept."""
        return self._few.get((*key, self.mark()), make)

    def mark(self) -> tuple[object, ...]:
        """Another value after each change of the hub."""
        return (self._mark, *change_mark(HubLayout(self.folder)))

    def progress(self) -> HubProgress:
        """How far a `hub add`, of whatever process, is."""
        text = sha256(repr(self.mark()).encode()).hexdigest()[:16]
        return self._answers.get(
            ("progress", text), lambda: self.hub.read(lambda hub: read_progress(hub, text))
        )

    def warm_up(self) -> None:
        """Loads and computes what the first requests would wait for.

        Raises:
            LagottoError: The encoder cannot be loaded, or is not the hub's.
        """
        hub = self.hub
        _ = hub.encoder
        with suppress(UsageError):  # a hub without models answers nothing yet
            hub.search(_WARM_UP, top=1)
        self.is_ready = True
        with suppress(PictureError):  # starts the worker, so that the first picture does not wait
            self.worker.decode(b"")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Warms the server up beside its first requests, and closes it at the end."""
        beside = [
            asyncio.create_task(asyncio.to_thread(self._try_warm_up)),
            asyncio.create_task(self._sweep_often()),
        ]
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            self.close()

    async def _sweep_often(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            await asyncio.to_thread(self.uploads.sweep)

    def _try_warm_up(self) -> None:
        try:
            self.warm_up()
        except LagottoError as error:
            self.failure = error
            self.stop()

    def close(self) -> None:
        """Lets threads and files go."""
        self.gate.close()
        self.jobs.close()
        self.uploads.close()
        self.worker.close()
        self._hub.close()
        self._slow_hub.close()
        if self.captions is not None:
            self.captions.close()

    def _open(self) -> None:
        self._mark = self._manifest_mark()
        self._hub = Hub.open(self.folder, self.encoder)
        self._slow_hub = Hub.open(self.folder, self.encoder)

    def _manifest_mark(self) -> tuple[int, int]:
        """Another one as soon as another hub lies in the folder."""
        try:
            state = os.stat(self.folder / HUB_MANIFEST)
        except OSError as error:
            raise HubError(
                f"the hub {self.name} is gone; put it back, or stop the server"
            ) from error
        return state.st_ino, state.st_mtime_ns

    def _open_captions(self, place: Path | ServerAddress | None) -> CaptionStore | None:
        """The caption store, checked against the hub's encoder."""
        if place is None:
            return None
        store = CaptionStore.open(place, self.encoder)
        made, hubs = store.manifest, read_hub_manifest(self.folder)
        if made.encoder_fingerprint != hubs.encoder_fingerprint:
            store.close()
            raise MismatchError(
                f"caption store {place} was made with encoder {made.encoder_name} "
                f"({made.encoder_fingerprint[:12]}), hub {self.folder} with {hubs.encoder_name} "
                f"({hubs.encoder_fingerprint[:12]}); give a store of the hub's encoder, or none"
            )
        return store
