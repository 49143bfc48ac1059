"""A model's raw logits on the probes come in; one file a model goes out, and is read back.

The files, `HUB/responses/<behaviour digest>.safetensors`, are the source of truth of a hub. A model
that saw every probe has version 1 of the format. One that saw a share of the probes has version 2,
which lists them. See docs/reference/formats.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64, Integer

from lagotto.core.errors import HubError, MismatchError, UsageError
from lagotto.core.types import JsonObject
from lagotto.hub.store.tensorfile import (
    Array,
    damage_error,
    header_text,
    open_tensors,
    write_tensors,
)

RESPONSES_FORMAT = "lagotto-responses"
RESPONSES_VERSION = 2
_FULL_VERSION = 1


@dataclass(frozen=True, slots=True)
class ModelResponses:
    """A model's raw responses on every probe, and its published labels.

    `name` is its name in the hub, or the path of a file outside it.
    """

    name: str
    in_hub: bool
    values: Float32[np.ndarray, "probes logits"]
    labels: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class ResponsesHeader:
    """What made some responses: the digests of the model and of the probe set, and the adapter.

    `logits_source` is that of the ModelSpec: how the values before a softmax were read.
    """

    behaviour_digest: str
    probe_digest: str
    framework: str
    logits_source: str


@dataclass(frozen=True, slots=True)
class Responses:
    """The raw logits of one model on the probes that it saw.

    Row i of `values` is on probe `seen_probes[i]`; `seen_probes` is ascending. `values` is
    memory-mapped and read-only. `probes` is the number of probes of the set. `sha256` is the
    checksum that the file stores. Hold few of these at a time: each keeps a file mapped.
    """

    header: ResponsesHeader
    values: Float32[np.ndarray, "seen logits"]
    sha256: str
    seen_probes: Int64[np.ndarray, " seen"]
    probes: int

    @property
    def is_full(self) -> bool:
        """True if the model saw every probe, so that row i is probe i."""
        return len(self.seen_probes) == self.probes

    def rows(
        self, probes: Integer[np.ndarray, " k"], logits: Integer[np.ndarray, " columns"]
    ) -> Float32[np.ndarray, "k columns"]:
        """Some logits on some probes, NaN where the model did not see the probe.

        Only the pages of the file that hold them are read.
        """
        if self.is_full:
            full: Float32[np.ndarray, "k columns"] = self.values[np.ix_(probes, logits)]
            return full
        positions = np.searchsorted(self.seen_probes, probes)
        positions[positions == len(self.seen_probes)] = 0
        mask = self.seen_probes[positions] == probes
        values = np.full((len(probes), len(logits)), np.nan, dtype=np.float32)
        values[mask] = self.values[np.ix_(positions[mask], logits)]
        return values

    def on_all_probes(self) -> Float32[np.ndarray, "probes logits"]:
        """The logits on all probes, NaN where the model did not see the probe."""
        if self.is_full:
            return self.values
        values = np.full((self.probes, self.values.shape[1]), np.nan, dtype=np.float32)
        values[self.seen_probes] = self.values
        return values


@dataclass(frozen=True, slots=True)
class SeenProbes:
    """Which of the `probes` probes of a set a model saw: distinct indices, ascending."""

    indices: Int64[np.ndarray, " seen"]
    probes: int


def write_responses(
    path: Path,
    values: Float32[np.ndarray, "seen logits"],
    header: ResponsesHeader,
    seen: SeenProbes | None = None,
) -> str:
    """Creates or replaces a file of responses; equal content gives equal bytes.

    Args:
        path: The file.
        values: Raw logits, one row a probe.
        header: What made them.
        seen: The probes of the rows; without it, row i is probe i of all probes.

    Returns:
        The checksum of the file in hex.

    Raises:
        HubError: There is no probe or no logit, `seen` does not fit the values, or the file cannot
            be written.
    """
    if values.size == 0:
        raise HubError(
            f"responses of shape {values.shape} hold no value; a model needs at least one output, "
            "and a hub at least one probe"
        )
    partial = seen is not None and len(seen.indices) < seen.probes
    if seen is not None:
        _check_seen(seen, len(values), str(path))
    content: JsonObject = {
        "format": RESPONSES_FORMAT,
        "version": RESPONSES_VERSION if partial else _FULL_VERSION,
        "behaviour_digest": header.behaviour_digest,
        "probe_digest": header.probe_digest,
        "framework": header.framework,
        "logits_source": header.logits_source,
    }
    layout: dict[str, tuple[str, tuple[int, ...]]] = {"values": ("F32", values.shape)}
    if partial and seen is not None:
        content["probes"] = seen.probes
        layout["seen"] = ("I64", seen.indices.shape)

    def fill(arrays: Mapping[str, Array]) -> None:
        np.copyto(arrays["values"], values)
        if "seen" in arrays and seen is not None:
            np.copyto(arrays["seen"], seen.indices)

    return write_tensors(path, content, layout, fill)


def _check_seen(seen: SeenProbes, rows: int, where: str) -> None:
    indices = seen.indices
    ascending = bool((np.diff(indices) > 0).all())
    inside = len(indices) > 0 and indices[0] >= 0 and indices[-1] < seen.probes
    if len(indices) != rows or not ascending or not inside:
        raise HubError(
            f"{where}: the list of probes seen does not fit its {rows} rows of {seen.probes} "
            "probes; remove it and run lagotto hub add again"
        )


def read_responses(path: Path, probe_digest: str | None = None) -> Responses:
    """The responses in a file; their values are read when they are used.

    Args:
        path: The file.
        probe_digest: The identity of the probe set that they must be of, if that is to be checked.

    Raises:
        HubError: The file is missing, cannot be read, is damaged or of a newer version.
        MismatchError: The responses are of another probe set.
    """
    file = open_tensors(path, RESPONSES_FORMAT, RESPONSES_VERSION)
    header = ResponsesHeader(
        behaviour_digest=header_text(file, "behaviour_digest"),
        probe_digest=header_text(file, "probe_digest"),
        framework=header_text(file, "framework"),
        logits_source=header_text(file, "logits_source"),
    )
    values = file.arrays.get("values")
    if values is None or values.ndim != 2 or values.dtype != np.float32 or values.size == 0:
        raise damage_error(path, "no float32 probes x logits")
    if probe_digest is not None and header.probe_digest != probe_digest:
        raise MismatchError(
            f"{path} was made on probe set {header.probe_digest[:12]}, and this hub has probe set "
            f"{probe_digest[:12]}; move it back to its own hub and run lagotto hub add again"
        )
    probes = file.header.get("probes", len(values))
    indices = file.arrays.get("seen", np.arange(len(values), dtype=np.int64))
    if indices.dtype != np.int64 or indices.ndim != 1 or not isinstance(probes, int):
        raise damage_error(path, "seen")
    _check_seen(SeenProbes(indices, probes), len(values), str(path))
    return Responses(header, values, file.sha256, indices, probes)


def check_logit(model: str, logit: int, outputs: int) -> None:
    """Checks that a model with that many outputs has a logit; raises UsageError if not."""
    if not 0 <= logit < outputs:
        raise UsageError(
            f"{model} has no logit {logit}: it has {outputs} outputs, 0 to {outputs - 1}"
        )
