"""The manifest of a caption store: which format and which encoder; refused where they differ."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lagotto.core.errors import CaptionError, MismatchError
from lagotto.core.files import canonical_json, read_json, write_atomically
from lagotto.core.types import EncoderInfo, JsonObject

FORMAT = "lagotto-captions"
VERSION = 1
DTYPE = "float16"
MANIFEST_NAME = "captions.json"
RESTORE = "restore it from a copy, or make the store anew"


@dataclass(frozen=True, slots=True)
class CaptionManifest:
    """What made a store; `encoder_spec` is where its encoder was when it was made."""

    encoder_spec: str
    encoder_name: str
    encoder_fingerprint: str
    dim: int

    def check_encoder(self, folder: Path, encoder: EncoderInfo) -> None:
        """Raises MismatchError, naming both, unless `encoder` is the one that made the store."""
        if encoder.fingerprint != self.encoder_fingerprint:
            raise MismatchError(
                f"caption store {folder} was made with encoder {self.encoder_name} "
                f"({self.encoder_fingerprint[:12]}), not with {encoder.name} "
                f"({encoder.fingerprint[:12]}); give the first with --encoder, or make a new store"
            )


def write_manifest(folder: Path, manifest: CaptionManifest) -> None:
    """Writes STORE/captions.json, once; its `sha256` is that of all the rest, as canonical JSON."""
    content: JsonObject = {
        "format": FORMAT,
        "version": VERSION,
        "encoder": {
            "name": manifest.encoder_name,
            "fingerprint": manifest.encoder_fingerprint,
            "spec": manifest.encoder_spec,
        },
        "dim": manifest.dim,
        "dtype": DTYPE,
    }
    content["sha256"] = _digest(content)
    write_atomically(folder / MANIFEST_NAME, canonical_json(content))


def _digest(content: JsonObject) -> str:
    rest = {key: value for key, value in content.items() if key != "sha256"}
    try:
        return sha256(canonical_json(rest)).hexdigest()
    except ValueError:  # NaN, which no writer puts there
        return ""


def read_manifest(folder: Path) -> CaptionManifest:
    """The manifest of a store's folder.

    Raises CaptionError if there is none, it is damaged, or a newer version of Lagotto wrote it.
    """
    path = folder / MANIFEST_NAME
    if not folder.is_dir():
        raise CaptionError(
            f"no caption store at {folder}: no such folder; make one with: "
            f"lagotto captions create {folder} --pairs PAIRS --encoder ENCODER"
        )
    if not path.is_file():
        raise CaptionError(f"{folder} is not a caption store: it holds no {MANIFEST_NAME}")
    content = read_json(path, "caption manifest", CaptionError)
    if content.get("format") != FORMAT:
        raise CaptionError(f"{path} is not a caption manifest: format {content.get('format')!r}")
    version = content.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise CaptionError(
            f"caption store {folder} has format version {version!r} and this Lagotto reads up to "
            f"{VERSION}; upgrade with: pip install --upgrade lagotto"
        )
    match content:
        case {
            "encoder": {"name": str(name), "fingerprint": str(fingerprint), "spec": str(spec)},
            "dim": int(dim),
            "dtype": "float16",
            "sha256": str(digest),
        } if digest == _digest(content):
            return CaptionManifest(spec, name, fingerprint, dim)
    raise CaptionError(f"caption manifest {path} was altered; {RESTORE}")
