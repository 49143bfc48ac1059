"""An architecture and a tag of open_clip come in; an encoder run by open_clip goes out.

open_clip builds the towers and the tokenizer. The weights are fetched by our own client, as
safetensors and never as pickles.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from jaxtyping import Float32, UInt8
from safetensors.torch import load_file

from lagotto.core.devices.placement import CPU
from lagotto.core.devices.runtimes import move_torch, run_on_device
from lagotto.core.devices.use import DEVICE_LOG, DeviceUse
from lagotto.core.errors import EncoderError, UsageError, reason
from lagotto.core.files import canonical_json, sha256_file
from lagotto.core.image_processor import Preprocessing
from lagotto.core.registry import suggest
from lagotto.core.types import EncoderInfo, JsonObject, PixelSpec
from lagotto.encoders.base import check_pixels
from lagotto.encoders.pooling import checked_unit_rows

_WEIGHTS = "open_clip_model.safetensors"
_BATCH, _GPU_BATCH = 32, 128
_REFUSALS = (*(OSError, ValueError, TypeError, KeyError, RuntimeError), NotImplementedError)


def weights_repository(arch: str, tag: str) -> str:
    """The Hugging Face repository with the weights of a tag; UsageError if there is none."""
    known = open_clip.list_models()
    if arch not in known:
        raise UsageError(f"open_clip has no architecture {arch!r}.{suggest(arch, known)}")
    tags = open_clip.list_pretrained_tags_by_model(arch)
    settings = open_clip.get_pretrained_cfg(arch, tag)
    repository = str(settings.get("hf_hub") or "").partition("/open_clip")[0].strip("/")
    if not settings or not repository:
        raise UsageError(
            f"open_clip:{arch}/{tag} has no weights on the hub; tags of {arch}: "
            f"{', '.join(tags) or 'none'}.{suggest(tag, tags)}"
        )
    return repository


class OpenClipEncoder:
    """A model of open_clip with the weights in a folder; EncoderError if they do not fit."""

    def __init__(
        self,
        folder: Path,
        arch: str,
        tag: str,
        threads: int | None = None,
        device: str = CPU,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        file = folder / _WEIGHTS
        settings = open_clip.get_pretrained_cfg(arch, tag)
        logging.disable(logging.WARNING)  # it warns of random weights, which are replaced here
        try:
            self._network = open_clip.create_model(
                arch,
                pretrained=None,
                device="cpu",
                force_quick_gelu=bool(settings.get("quick_gelu")),
            )
            self._network.load_state_dict(load_file(file), strict=True)
        except _REFUSALS as error:
            raise EncoderError(
                f"open_clip:{arch}/{tag} cannot be loaded: {reason(error)}"
            ) from error
        finally:
            logging.disable(logging.NOTSET)
        self._use = DeviceUse(device, DEVICE_LOG.warning)
        self._network = move_torch(self._use, torch, self._network.eval(), EncoderError)
        self._tokenizer = open_clip.get_tokenizer(arch)
        self._preprocessing = _preprocessing(self._network, settings)
        context = int(self._tokenizer.context_length)
        parts: JsonObject = {
            "format": 1,
            "weights": sha256_file(file, EncoderError),
            "preprocessing": self._preprocessing.canonical(),
            "tokens": [arch, context],
            "runtime": "open_clip",
        }
        self._info = EncoderInfo(
            name=f"{arch}/{tag}",
            fingerprint=hashlib.sha256(canonical_json(parts)).hexdigest(),
            dim=int(self._run_texts([""]).shape[1]),
            pixels=self._preprocessing.pixels,
            logit_scale=float(self._network.logit_scale.detach().exp()),
            context_length=context,
            prompt_template="a photo of a {}.",
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
            return self._encode(lambda: self._network.encode_image(tensor.to(self._use.device)))

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
        return [_count(self._tokenizer, text) for text in texts]

    def _run_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "texts width"]:
        readable = [text.encode(errors="replace").decode() for text in texts]
        tokens = self._tokenizer(readable)
        return self._encode(lambda: self._network.encode_text(tokens.to(self._use.device)))

    @property
    def _batch(self) -> int:
        return _GPU_BATCH if self._use.is_gpu else _BATCH

    def _encode(self, run: Callable[[], Any]) -> Float32[np.ndarray, "rows width"]:
        with torch.inference_mode():
            rows = run_on_device(self._use, torch, lambda: run().float().cpu().numpy())
        values: Float32[np.ndarray, "rows width"] = rows
        return values


def _preprocessing(network: Any, settings: Any) -> Preprocessing:
    """The preprocessing of open_clip's image_transform for evaluation."""
    size = network.visual.image_size
    height, width = (size, size) if isinstance(size, int) else size
    config = {**open_clip.get_model_preprocess_cfg(network), **settings}
    mode = config.get("resize_mode") or "shortest"
    if mode not in ("shortest", "squash"):
        raise EncoderError(f"open_clip resizes pictures by {mode!r}; allowed: shortest, squash")
    pixels = PixelSpec(
        height,
        width,
        resize="crop" if mode == "shortest" else "stretch",
        resample="bilinear" if config.get("interpolation") == "bilinear" else "bicubic",
    )
    mean = config.get("mean") or open_clip.OPENAI_DATASET_MEAN
    std = config.get("std") or open_clip.OPENAI_DATASET_STD
    return Preprocessing(pixels, 1 / 255, (mean[0], mean[1], mean[2]), (std[0], std[1], std[2]))


def _count(tokenizer: Any, text: str) -> int:
    """Number of tokens with both special ones; open_clip has two kinds of tokenizers."""
    readable = text.encode(errors="replace").decode()
    if hasattr(tokenizer, "tokenizer"):
        return len(tokenizer.tokenizer(tokenizer.clean_fn(readable))["input_ids"])
    return len(tokenizer.encode(readable)) + 2
