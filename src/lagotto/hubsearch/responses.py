"""Stage 2 of hub search: a model's answers on every probe, kept as they were: the source of truth.

A file a model, `HUB/responses/<behaviour digest>.safetensors`; see docs/formats.md.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Integer

from lagotto.core.errors import HubError, MismatchError
from lagotto.core.types import JsonObject
from lagotto.hubsearch.tensorfile import header_text, open_tensors, write_tensors

FORMAT = "lagotto-responses"
VERSION = 1


@dataclass(frozen=True, slots=True)
class ResponsesHeader:
    """What made the responses: the model's behaviour digest, the probe set's digest, the adapter.

    `logits_source` is the ModelSpec's: how the values are those before a softmax.
    """

    behaviour_digest: str
    probe_digest: str
    framework: str
    logits_source: str


@dataclass(frozen=True, slots=True)
class Responses:
    """The logits of one model on all probes; `values` is memory-mapped and read-only.

    `sha256` is the file's stored checksum. Hold few of these at a time: each keeps a file mapped.
    """

    header: ResponsesHeader
    values: Float32[np.ndarray, "probes logits"]
    sha256: str

    def rows(
        self, probes: Integer[np.ndarray, " k"], logits: Integer[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "k columns"]:
        """The chosen logits on the chosen probes; reads only the pages that hold them."""
        chosen: Float32[np.ndarray, "k columns"] = self.values[np.ix_(probes, logits)]
        return chosen


def write_responses(
    path: Path, values: Float32[np.ndarray, "probes logits"], header: ResponsesHeader
) -> str:
    """Creates or replaces the file and returns its checksum; equal content gives equal bytes.

    Raises HubError if there is no probe or no logit, or the file cannot be written.
    """
    if values.size == 0:
        raise HubError(
            f"responses of shape {values.shape} hold no value; a model needs at least one output, "
            "and a hub at least one probe"
        )
    content: JsonObject = {
        "format": FORMAT,
        "version": VERSION,
        "behaviour_digest": header.behaviour_digest,
        "probe_digest": header.probe_digest,
        "framework": header.framework,
        "logits_source": header.logits_source,
    }
    return write_tensors(
        path,
        content,
        {"values": ("F32", values.shape)},
        lambda arrays: np.copyto(arrays["values"], values),
    )


def read_responses(path: Path, probe_digest: str | None = None) -> Responses:
    """The responses in `path`; their values are read when they are used.

    Raises HubError if the file is missing, damaged or of a newer version, and MismatchError if
    `probe_digest` is given and the responses were taken on other probes.
    """
    file = open_tensors(path, FORMAT, VERSION)
    header = ResponsesHeader(
        behaviour_digest=header_text(file, "behaviour_digest"),
        probe_digest=header_text(file, "probe_digest"),
        framework=header_text(file, "framework"),
        logits_source=header_text(file, "logits_source"),
    )
    values = file.arrays.get("values")
    if values is None or values.ndim != 2 or values.dtype != np.float32 or values.size == 0:
        raise HubError(
            f"{path} is damaged (no float32 probes x logits); remove it and run lagotto hub add "
            "again"
        )
    if probe_digest is not None and header.probe_digest != probe_digest:
        raise MismatchError(
            f"{path} was made on probe set {header.probe_digest[:12]}, and this hub has probe set "
            f"{probe_digest[:12]}; remove it and run lagotto hub add again"
        )
    return Responses(header, values, file.sha256)
