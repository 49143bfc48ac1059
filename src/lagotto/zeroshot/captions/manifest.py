"""The encoder of a caption store comes in; its manifest, STORE/captions.json, goes out."""

from dataclasses import dataclass
from pathlib import Path

from lagotto.core.errors import CaptionError, MismatchError
from lagotto.core.files import canonical_json, write_atomically
from lagotto.core.manifest import ManifestForm
from lagotto.core.types import EncoderInfo, JsonObject
from lagotto.encoders.canary import canary_from_json

STORE_VERSION = 1
DTYPE = "float16"
STORE_MANIFEST = "captions.json"
RESTORE = "restore it from a copy, or make the store anew"
_FORM = ManifestForm(
    noun="caption store",
    file=STORE_MANIFEST,
    format="lagotto-captions",
    version=STORE_VERSION,
    create="lagotto captions create {} --pairs PAIRS --encoder ENCODER",
    error=CaptionError,
)


@dataclass(frozen=True, slots=True)
class CaptionManifest:
    """The encoder that made a store.

    `encoder_spec` is where the encoder was at that time. `canary` holds its embeddings of a fixed
    picture and fixed texts (encoders/canary.py).
    """

    encoder_spec: str
    encoder_name: str
    encoder_fingerprint: str
    dim: int
    canary: JsonObject | None = None

    def check_encoder(self, store: object, encoder: EncoderInfo) -> None:
        """Raises MismatchError, which names both encoders, unless `encoder` made the store."""
        if encoder.fingerprint != self.encoder_fingerprint:
            raise MismatchError(
                f"caption store {store} was made with encoder {self.encoder_name} "
                f"({self.encoder_fingerprint[:12]}), not with {encoder.name} "
                f"({encoder.fingerprint[:12]}); give the first with --encoder, or make a new store"
            )

    def as_json(self) -> JsonObject:
        """The whole manifest, with format, version and digest."""
        content: JsonObject = {
            "encoder": {
                "name": self.encoder_name,
                "fingerprint": self.encoder_fingerprint,
                "spec": self.encoder_spec,
            },
            "dim": self.dim,
            "dtype": DTYPE,
        }
        if self.canary is not None:
            content["canary"] = self.canary
        return _FORM.sealed(content)


def write_store_manifest(folder: Path, manifest: CaptionManifest) -> None:
    """Writes STORE/captions.json, once."""
    write_atomically(folder / STORE_MANIFEST, canonical_json(manifest.as_json()))


def read_store_manifest(folder: Path) -> CaptionManifest:
    """Reads the manifest of a store's folder.

    Raises:
        CaptionError: There is none, it is damaged, or a newer version of Lagotto wrote it.
    """
    return _parsed(_FORM.read(folder), folder, folder / STORE_MANIFEST)


def manifest_of(content: JsonObject, place: str) -> CaptionManifest:
    """The manifest of a store that lies elsewhere than in a folder; CaptionError as above."""
    _FORM.check_form(content, place, place)
    return _parsed(content, place, place)


def _parsed(content: JsonObject, place: Path | str, path: Path | str) -> CaptionManifest:
    _FORM.check_digest(place, content)
    match content:
        case {
            "encoder": {"name": str(name), "fingerprint": str(fingerprint), "spec": str(spec)},
            "dim": int(dim),
            "dtype": "float16",
        }:
            canary = content.get("canary")
            try:
                canary_from_json(canary)
            except ValueError as error:
                raise CaptionError(f"{path} holds no valid canary; {RESTORE}") from error
            canary_json = canary if isinstance(canary, dict) else None
            return CaptionManifest(spec, name, fingerprint, dim, canary_json)
    raise CaptionError(f"{path} lacks a key that it should have; {RESTORE}")
