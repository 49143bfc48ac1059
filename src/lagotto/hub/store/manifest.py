"""HUB/hub.json comes in; what made the hub goes out: its format, encoder and probes, checked."""

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from lagotto.core.errors import HubError, MismatchError
from lagotto.core.files import read_array, sha256_file
from lagotto.core.manifest import ManifestForm
from lagotto.core.temporary.swap import restore
from lagotto.core.types import EncoderInfo, JsonObject
from lagotto.encoders.canary import canary_from_json
from lagotto.hub.probes.probe_set import ProbeSet

HUB_VERSION = 1
HUB_MANIFEST = "hub.json"
_RESTORE = "restore it from a copy, or make the hub anew"
_FORM = ManifestForm(
    noun="hub",
    file=HUB_MANIFEST,
    format="lagotto-hub",
    version=HUB_VERSION,
    create="lagotto hub create {} --probes PICTURES --encoder ENCODER",
    error=HubError,
)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What made a hub; the fields are the keys of HUB/hub.json.

    `encoder_spec` is where the encoder was found then. `probe_list_sha256` and `set_aside_sha256`
    are of the probe set's two lists: the lists hold sources, captions and reasons, which the probe
    digest does not cover. `canary` are embeddings of a fixed picture and fixed texts
    (encoders/canary.py); None in hubs that are older than canaries.
    """

    encoder_spec: str
    encoder_name: str
    encoder_fingerprint: str
    probe_digest: str
    probes: int
    embeddings_sha256: str
    probe_list_sha256: str
    set_aside_sha256: str
    dtype: str = "int8"
    canary: JsonObject | None = None

    def open_probes(self, folder: Path) -> ProbeSet:
        """The probe set in a folder.

        Raises:
            HubError: There is none, or it is damaged.
            MismatchError: It is not the one of this manifest; the message names both.
        """
        probe_set = ProbeSet.open(folder)
        if probe_set.digest != self.probe_digest:
            raise MismatchError(
                f"{folder} holds probe set {probe_set.digest[:12]}, and the hub was made with "
                f"{self.probe_digest[:12]}; restore it from a copy, or make the hub anew"
            )
        return probe_set

    def open_embeddings(self, path: Path) -> Float32[np.ndarray, "probes dim"]:
        """The unit embeddings of the probes.

        Raises:
            HubError: The file is missing, or not as it was written.
        """
        if sha256_file(path) != self.embeddings_sha256:
            raise HubError(f"{path} was altered; restore it from a copy, or make the hub anew")
        embeddings: Float32[np.ndarray, "probes dim"] = read_array(path, HubError)
        return embeddings


def write_hub_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes HUB/hub.json."""
    content = asdict(manifest)
    _FORM.write(folder, {key: value for key, value in content.items() if value is not None})


def read_hub_manifest(folder: Path) -> Manifest:
    """The manifest of a hub folder.

    Raises:
        HubError: There is none, it is damaged, or a newer version of Lagotto wrote it.
    """
    with suppress(OSError):
        restore(folder)
    content = _FORM.read(folder)
    fields = {name: content.get(name) for name in Manifest.__dataclass_fields__}
    invalid = [
        name
        for name, value in fields.items()
        if name != "canary" and not isinstance(value, int if name == "probes" else str)
    ]
    try:
        canary_from_json(fields["canary"])
    except ValueError:
        invalid.append("canary")
    if invalid:
        raise HubError(
            f"hub manifest {folder / HUB_MANIFEST} is damaged: no valid {', '.join(invalid)}; "
            f"{_RESTORE}"
        )
    _FORM.check_digest(folder, content)
    return Manifest(**fields)  # type: ignore[arg-type]  # checked just above


def check_encoder(folder: Path, manifest: Manifest, encoder: EncoderInfo) -> None:
    """Checks that an encoder is the one that made a hub.

    Raises:
        MismatchError: It is another one; the message names both.
    """
    if encoder.fingerprint != manifest.encoder_fingerprint:
        raise MismatchError(
            f"hub {folder} was made with encoder {manifest.encoder_name} "
            f"({manifest.encoder_fingerprint[:12]}), not with {encoder.name} "
            f"({encoder.fingerprint[:12]}); give the first with --encoder, or make a new hub"
        )
