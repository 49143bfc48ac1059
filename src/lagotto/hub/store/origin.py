"""A hub that was published by others comes in; what its copy here may be used for goes out.

HUB/origin.json is there in a copy alone: where it is from, whether the pictures of its probes came
with it, and which encoder its maker named.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from lagotto.core.errors import EncoderError, HubError
from lagotto.core.manifest import ManifestForm
from lagotto.core.remote.spec import REPOSITORY
from lagotto.encoders.known.table import KNOWN_ENCODERS, MARK
from lagotto.hub.store.layout import HubLayout
from lagotto.hub.store.manifest import Manifest

_FORM = ManifestForm(
    noun="copy of a hub",
    file=HubLayout.ORIGIN_NAME,
    format="lagotto-origin",
    version=1,
    create="lagotto hub import FILE.tar {}",
    error=HubError,
)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a hub was copied from, and what came with it.

    Attributes:
        address: the place that it was fetched from, pinned to one state; or the archive's name.
        fetched: whether it lies in the cache, as it was published; else it is its owner's.
        pictures: whether the pictures of the probes came with it.
        encoder_spec: the encoder that its maker named; "" where its owner named one.
    """

    address: str
    fetched: bool
    pictures: bool
    encoder_spec: str


_OWN = Origin("", False, True, "")


def write_origin(folder: Path, origin: Origin) -> None:
    """Writes HUB/origin.json."""
    _FORM.write(folder, asdict(origin))


def read_origin(folder: Path) -> Origin:
    """Where a hub is from; of a hub that was made here, no address.

    Raises:
        HubError: HUB/origin.json is damaged, or of a newer version.
    """
    if not (folder / HubLayout.ORIGIN_NAME).is_file():
        return _OWN
    content = _FORM.read(folder)
    _FORM.check_digest(folder, content)
    match content:
        case {
            "address": str(address),
            "fetched": bool(fetched),
            "pictures": bool(pictures),
            "encoder_spec": str(spec),
        }:
            return Origin(address, fetched, pictures, spec)
    raise HubError(f"{folder / HubLayout.ORIGIN_NAME} is damaged; import or fetch the hub anew")


def check_own(folder: Path) -> None:
    """Raises HubError for a hub that was fetched: it stays as it was published."""
    origin = read_origin(folder)
    if origin.fetched:
        raise HubError(
            f"{origin.address} was fetched and stays as it was published; make a copy that is "
            f"yours, and change that: lagotto hub import {origin.address} DIR"
        )


def check_pictures(folder: Path) -> None:
    """Raises HubError for a hub whose probes have no pictures: no model can be probed with it."""
    if not read_origin(folder).pictures:
        raise HubError(
            f"{folder} was published without the pictures of its probes, and models are probed "
            "with them; what is needed: the hub that it was made from, or an export of it with "
            "pictures"
        )


def encoder_spec_of(folder: Path, manifest: Manifest) -> str:
    """Where the encoder of a hub is, if that is the word of its owner or of `encoders.known`.

    What a stranger's hub names is not loaded: it is code to run, if in the form of a graph. Of the
    repositories that are known, the revision that is known is taken, not the stranger's; the
    fingerprint then tells whether it is the same encoder.

    Raises:
        EncoderError: A stranger named it, and it is none of the known encoders.
    """
    spec = manifest.encoder_spec
    if spec != read_origin(folder).encoder_spec:
        return spec
    place, mark, precision = spec.partition(MARK)
    repository = place.removeprefix(REPOSITORY).partition("@")[0]
    for known in KNOWN_ENCODERS.values():
        if place.startswith(REPOSITORY) and repository == known.repository:
            return f"{known.spec}{mark}{precision}"
    named = spec if place.startswith(REPOSITORY) else "a folder of its maker"
    raise EncoderError(
        f"hub {folder} was made by others, with the encoder {manifest.encoder_name} "
        f"({manifest.encoder_fingerprint[:12]}): {named}, and none of `lagotto encoders`; if you "
        "trust it, say where it is: --encoder FOLDER or hf:ORG/NAME"
    )
