"""A folder with an ONNX export comes in; an encoder run by onnxruntime goes out."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
from jaxtyping import Float, Float32, UInt8
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from lagotto.core.devices.placement import CPU, Runtime
from lagotto.core.devices.runtimes import onnx_runtime, open_onnx
from lagotto.core.devices.use import (
    DEVICE_LOG,
    DeviceUse,
    OutOfDeviceMemoryError,
    says_out_of_memory,
)
from lagotto.core.errors import EncoderError, reason
from lagotto.core.image_processor import Preprocessing
from lagotto.core.parsing.onnx_versions import onnx_refusal
from lagotto.core.types import EncoderInfo
from lagotto.encoders.base import check_pixels
from lagotto.encoders.folder import fingerprint, open_folder
from lagotto.encoders.pooling import checked_unit_rows, pool
from lagotto.encoders.preprocessing import read_preprocessing
from lagotto.encoders.tokens import Tokens, read_tokenizer
from lagotto.encoders.towers import Tower, common_width, read_tower

_Feed: TypeAlias = dict[str, np.ndarray]

_BATCH = 32
"""Rows of one run; it bounds memory, and larger batches are no faster on a CPU."""

_GPU_BATCH = 128
"""Rows of one run on a GPU, as long as its memory holds them."""

_RUNTIME_ERRORS = (
    runtime.EPFail,
    runtime.Fail,
    runtime.InvalidArgument,
    runtime.InvalidGraph,
    runtime.InvalidProtobuf,
    runtime.NoSuchFile,
    runtime.NotImplemented,
    runtime.RuntimeException,
)


def available_providers() -> tuple[str, ...]:
    """What this build of onnxruntime could run graphs on."""
    return tuple(onnxruntime.get_available_providers())


def onnx_encoder_runtime() -> Runtime:
    """What encoders in ONNX can run on here."""
    return onnx_runtime(onnxruntime)


class OnnxEncoder:
    """Both towers of an ONNX export; a graph is loaded when its tower is first used.

    Raises EncoderError if the folder is incomplete or its graphs have another interface.
    """

    def __init__(
        self,
        path: Path,
        threads: int | None = None,
        precision: str | None = None,
        device: str = CPU,
    ) -> None:
        folder = open_folder(path, precision)
        self._use = DeviceUse(device, DEVICE_LOG.warning)
        self._vision, self._text = read_tower(folder, "vision"), read_tower(folder, "text")
        width = common_width(self._vision, self._text)
        self._preprocessing = read_preprocessing(folder.image_processor, folder.is_siglip)
        _check_pictures(self._vision, self._preprocessing)
        self._tokenizer = read_tokenizer(
            folder,
            takes_mask="attention_mask" in self._text.inputs,
            graph_length=self._text.inputs["input_ids"].fixed(1),
        )
        self._text_graph = _LazyGraph(self._text.graph.file, threads, self._use)
        joint = self._vision.graph is self._text.graph
        self._vision_graph = (
            self._text_graph if joint else _LazyGraph(self._vision.graph.file, threads, self._use)
        )
        self._info = EncoderInfo(
            name=folder.name,
            fingerprint=fingerprint(
                folder,
                {
                    "preprocessing": self._preprocessing.canonical(),
                    "tokens": self._tokenizer.rules.canonical(),
                    "outputs": [[t.output, t.pooling] for t in (self._vision, self._text)],
                },
            ),
            dim=width or self._run_texts([""]).shape[1],
            pixels=self._preprocessing.pixels,
            logit_scale=folder.logit_scale,
            context_length=self._tokenizer.rules.context_length,
            prompt_template=folder.prompt_template,
        )

    @property
    def info(self) -> EncoderInfo:
        """The name, the fingerprint, and what a caller needs to prepare inputs."""
        return self._info

    def embed_pixels(
        self, pixels: UInt8[np.ndarray, "images height width channels"]
    ) -> Float32[np.ndarray, "images dim"]:
        """Embeddings of pictures decoded to `info.pixels`; UsageError for another shape."""
        check_pixels(pixels, self._info)
        parts = self._in_batches(len(pixels), self._vision, lambda s: self._run_pixels(pixels[s]))
        return checked_unit_rows(parts, self._info.dim, "picture")

    def embed_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """Embeddings of texts, each truncated to `info.context_length` tokens.

        Texts of similar length run in one batch, so that few tokens are padding.
        """
        order = np.argsort(self._tokenizer.counts(texts), kind="stable")
        by_length = [texts[index] for index in order]
        parts = self._in_batches(len(texts), self._text, lambda s: self._run_texts(by_length[s]))
        rows = np.empty((len(texts), self._info.dim), np.float32)
        rows[order] = checked_unit_rows(parts, self._info.dim, "text")
        return rows

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text before truncation, special tokens included."""
        return self._tokenizer.counts(texts)

    def _in_batches(
        self, rows: int, tower: Tower, run: Callable[[slice], Float32[np.ndarray, "rows dim"]]
    ) -> list[Float32[np.ndarray, "rows dim"]]:
        """Batches of a tower; of one row each if rows of a batch affect each other in its graph."""
        usual = _BATCH if self._use.requested == CPU else _GPU_BATCH
        step = 1 if tower.graph.header.mixes_rows else tower.batch or usual
        return self._use.run(rows, step, run, EncoderError)

    def _run_pixels(
        self, pixels: UInt8[np.ndarray, "images height width channels"]
    ) -> Float32[np.ndarray, "images dim"]:
        """One batch through the image tower; a joint graph gets one empty text beside it."""
        idle = _text_feed(self._tokenizer.encode([""])) if self._vision.others else {}
        feed = {"pixel_values": self._preprocessing.tensor(pixels)}
        rows = self._vision_graph.run(self._vision, feed, idle)[: len(pixels)]
        return pool(self._vision, rows)

    def _run_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """One batch through the text tower; a joint graph gets one grey picture beside it."""
        height, width, channels = self._preprocessing.pixels.shape
        grey = np.zeros((1, channels, height, width), np.float32)
        tokens = self._tokenizer.encode(texts)
        idle = {"pixel_values": grey} if self._text.others else {}
        rows = self._text_graph.run(self._text, _text_feed(tokens), idle)[: len(texts)]
        return pool(self._text, rows, tokens.mask)


class _LazyGraph:
    """A graph that is loaded by its first run. Safe to call from several threads."""

    def __init__(self, file: Path, threads: int | None, use: DeviceUse) -> None:
        self._file = file
        self._use = use
        self._threads = threads
        self._session: Any = None
        self._lock = Lock()

    def run(self, tower: Tower, feed: _Feed, idle: _Feed) -> Float[np.ndarray, "..."]:
        """The output of a tower; for a graph with a fixed batch the last row is repeated.

        Raises EncoderError if the graph cannot be loaded or fails.
        """
        inputs = {
            header.name: _rows(arrays[role], header.fixed(0)).astype(header.dtype, copy=False)
            for arrays, headers in ((feed, tower.inputs), (idle, tower.others))
            for role, header in headers.items()
        }
        session = self._load()
        try:
            return np.asarray(session.run([tower.output], inputs)[0])
        except _RUNTIME_ERRORS as error:
            if self._use.is_gpu and says_out_of_memory(error):
                raise OutOfDeviceMemoryError(reason(error)) from error
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> EncoderError:
        why = onnx_refusal(error, onnxruntime.__version__)
        return EncoderError(f"{self._file}: onnxruntime cannot run it: {why}; export it again")

    def _load(self) -> Any:
        with self._lock:
            if self._session is None:
                onnxruntime.disable_telemetry_events()
                options = onnxruntime.SessionOptions()
                options.log_severity_level = 4
                options.intra_op_num_threads = self._threads or 0
                options.add_session_config_entry("session.intra_op.allow_spinning", "0")
                self._session = open_onnx(
                    self._use, onnxruntime, partial(self._open, options), EncoderError
                )
            return self._session

    def _open(self, options: Any, providers: list[Any]) -> Any:
        try:
            return onnxruntime.InferenceSession(str(self._file), options, providers=providers)
        except _RUNTIME_ERRORS as error:
            raise self._refusal(error) from error


def _text_feed(tokens: Tokens) -> _Feed:
    """The tensors that a text tower may take; those without an input in the graph are ignored."""
    return {
        "input_ids": tokens.ids,
        "attention_mask": tokens.mask,
        "token_type_ids": np.zeros_like(tokens.ids),
    }


def _rows(array: np.ndarray, batch: int | None) -> np.ndarray:
    """The array with its last row repeated up to the fixed batch of a graph, if it has one."""
    missing = (batch or 0) - len(array)
    return array if missing <= 0 else np.concatenate([array, np.repeat(array[-1:], missing, 0)])


def _check_pictures(tower: Tower, preprocessing: Preprocessing) -> None:
    """Refuses a graph whose fixed picture size is not that of the preprocessing."""
    height, width, channels = preprocessing.pixels.shape
    header = tower.inputs["pixel_values"]
    for axis, size in ((1, channels), (2, height), (3, width)):
        if header.fixed(axis) not in (None, size):
            raise EncoderError(
                f"{tower.graph.file}: takes pictures of shape {header.shape}, but "
                f"preprocessor_config.json makes {(channels, height, width)}; "
                "take both files from the same export"
            )
