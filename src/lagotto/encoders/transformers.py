"""A folder saved by transformers (CLIP, SigLIP and similar) comes in; an encoder goes out.

Pictures and texts are prepared as for an ONNX export of the same folder. Only the towers are run by
transformers and torch. No code of a repository is run and no pickle is read.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from safetensors import SafetensorError, safe_open
from transformers import AutoModel
from transformers.utils import logging

from lagotto.core.devices.placement import CPU, place
from lagotto.core.devices.runtimes import move_torch, run_on_device, torch_runtime
from lagotto.core.devices.use import DEVICE_LOG, DeviceUse
from lagotto.core.errors import EncoderError, reason
from lagotto.core.files import canonical_json, sha256_file
from lagotto.core.parsing.hf_config import check_config
from lagotto.core.parsing.not_downloaded import what_lies_at
from lagotto.core.types import EncoderInfo, JsonObject
from lagotto.encoders.base import check_pixels
from lagotto.encoders.folder import open_settings
from lagotto.encoders.pooling import checked_unit_rows
from lagotto.encoders.preprocessing import read_preprocessing
from lagotto.encoders.tokens import read_tokenizer

_WEIGHTS = "model.safetensors"
FAMILIES = ("clip", "siglip", "chinese_clip", "altclip", "metaclip_2", "align")
_BATCH, _GPU_BATCH = 32, 128
_REFUSALS = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError),
    *(NotImplementedError, AssertionError, IndexError, SafetensorError),
)


class TransformersEncoder:
    """Both towers of a saved model; the weights are loaded when a tower is first used.

    Raises EncoderError if the folder is incomplete or is no dual encoder.
    """

    def __init__(self, path: Path, threads: int | None = None, device: str = CPU) -> None:
        folder = open_settings(path)
        check_config(folder.config, EncoderError)
        if folder.model_type not in FAMILIES:
            raise EncoderError(
                f"{path}: config.json says model_type {folder.model_type!r}; from safetensors "
                f"these can be run: {', '.join(FAMILIES)}; give an ONNX export of others"
            )
        if not (path / _WEIGHTS).is_file():
            raise EncoderError(
                f"encoder folder {str(path)!r} has neither an ONNX export nor {_WEIGHTS}; "
                "pickled weights are not read"
            )
        self._path = path
        self._threads = threads
        self._use = DeviceUse(device, DEVICE_LOG.warning)
        if device != CPU:  # before the weights are read: what is asked for may not be there
            place(device, torch_runtime(torch))
        self._lock = Lock()
        self._network: Any = None
        self._preprocessing = read_preprocessing(folder.image_processor, folder.is_siglip)
        self._tokenizer = read_tokenizer(folder, takes_mask=True, graph_length=None)
        text = folder.section("text_config")
        width = folder.config.get("projection_dim") or text.get("projection_size")
        width = width or text.get("hidden_size") if folder.is_siglip else width
        parts: JsonObject = {
            "format": 1,
            "weights": sha256_file(path / _WEIGHTS, EncoderError),
            "tokenizer": sha256_file(folder.tokenizer, EncoderError),
            "preprocessing": self._preprocessing.canonical(),
            "tokens": self._tokenizer.rules.canonical(),
            "runtime": "transformers",
        }
        self._info = EncoderInfo(
            name=folder.name,
            fingerprint=hashlib.sha256(canonical_json(parts)).hexdigest(),
            dim=width if isinstance(width, int) else len(self._run_texts([""])[0]),
            pixels=self._preprocessing.pixels,
            logit_scale=_logit_scale(path / _WEIGHTS) or folder.logit_scale,
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

        def run(rows: slice) -> Float32[np.ndarray, "images width"]:
            tensor = torch.from_numpy(self._preprocessing.tensor(pixels[rows]))
            return self._features("get_image_features", pixel_values=tensor)

        parts = self._use.run(len(pixels), self._batch, run, EncoderError)
        return checked_unit_rows(parts, self._info.dim, "picture")

    def embed_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts dim"]:
        """Embeddings of texts, each truncated to `info.context_length` tokens."""
        parts = self._use.run(
            len(texts), self._batch, lambda rows: self._run_texts(texts[rows]), EncoderError
        )
        return checked_unit_rows(parts, self._info.dim, "text")

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        """Number of tokens of each text before truncation, special tokens included."""
        return self._tokenizer.counts(texts)

    def _run_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts width"]:
        tokens = self._tokenizer.encode(texts)
        feed = {"input_ids": torch.from_numpy(tokens.ids)}
        if not self._tokenizer.rules.full_mask:
            feed["attention_mask"] = torch.from_numpy(tokens.mask)
        return self._features("get_text_features", **feed)

    def _features(self, method: str, **feed: Any) -> Float32[np.ndarray, "rows width"]:
        network_method = getattr(self._load(), method)
        try:
            with torch.inference_mode():
                made = run_on_device(self._use, torch, lambda: network_method(**self._moved(feed)))
        except _REFUSALS as error:
            raise EncoderError(
                f"{self._path}: transformers cannot run it: {reason(error)}"
            ) from error
        pooled = made if isinstance(made, torch.Tensor) else made.pooler_output
        values: Float32[np.ndarray, "rows width"] = pooled.float().cpu().numpy()
        return values

    def _moved(self, feed: dict[str, Any]) -> dict[str, Any]:
        return {name: tensor.to(self._use.device) for name, tensor in feed.items()}

    def _load(self) -> Any:
        with self._lock:
            if self._network is None:
                network = _network(self._path, self._threads)
                self._network = move_torch(self._use, torch, network, EncoderError)
            return self._network

    @property
    def _batch(self) -> int:
        return _BATCH if self._use.requested == CPU else _GPU_BATCH


def _network(path: Path, threads: int | None) -> Any:
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        network, report = AutoModel.from_pretrained(
            path,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
        )
    except _REFUSALS as error:
        raise _refusal(path / _WEIGHTS, "transformers cannot load it", error) from error
    lacking = sorted(report["missing_keys"])
    if lacking:
        raise EncoderError(
            f"{path}: {_WEIGHTS} lacks {len(lacking)} weights ({lacking[0]}, ...); "
            "download it again"
        )
    return network.eval()


def _logit_scale(file: Path) -> float | None:
    """The trained scale, which only the weights hold; None if they have none."""
    try:
        with safe_open(file, "pt") as weights:
            if "logit_scale" not in weights.keys():  # noqa: SIM118 - no mapping
                return None
            return float(weights.get_tensor("logit_scale").float().exp())
    except (*_REFUSALS,) as error:
        raise _refusal(file, "it cannot be read", error) from error


def _refusal(file: Path, what: str, error: Exception) -> EncoderError:
    """The error for weights that are refused: what lies there in their place, else the reason."""
    instead = what_lies_at(file)
    return EncoderError(
        f"{file} is {instead}" if instead is not None else f"{file}: {what}: {reason(error)}"
    )
