"""The content of a manifest comes in; a JSON file with version and digest goes out, and back."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lagotto.core.errors import LagottoError
from lagotto.core.files import canonical_json, read_json, write_atomically
from lagotto.core.types import JsonObject


@dataclass(frozen=True, slots=True)
class ManifestForm:
    """How one kind of manifest is written and read, and the words of its errors.

    `noun` names the folder that it describes ("hub"). `file` is the name of the file, `format` and
    `version` are written to it. `create` is the command that makes such a folder, with {} for its
    path. `error` is the class of the errors.
    """

    noun: str
    file: str
    format: str
    version: int
    create: str
    error: type[LagottoError]

    def write(self, folder: Path, content: JsonObject) -> None:
        """Writes the manifest of a folder, with the sha256 of its content as canonical JSON."""
        write_atomically(folder / self.file, canonical_json(self.sealed(content)))

    def sealed(self, content: JsonObject) -> JsonObject:
        """The whole manifest of a content: with format, version and the digest of all that."""
        full: JsonObject = {"format": self.format, "version": self.version, **content}
        return {**full, "sha256": _digest(full)}

    def read(self, folder: Path) -> JsonObject:
        """The content of the manifest of a folder.

        Check its keys before `check_digest`, so that a missing key is reported as such.

        Raises:
            error: There is no manifest, it is no JSON object, or its version is newer.
        """
        path = folder / self.file
        if not folder.is_dir():
            raise self.error(
                f"no {self.noun} at {folder}: no such folder; make one with: "
                f"{self.create.format(folder)}"
            )
        if not path.is_file():
            raise self.error(f"{folder} is not a {self.noun}: it holds no {self.file}")
        content = read_json(path, f"{self.noun} manifest", self.error)
        self.check_form(content, str(folder), str(path))
        return content

    def check_form(self, content: JsonObject, place: str, path: str) -> None:
        """Raises `error` unless a manifest is of this format, and of a version that is read.

        Args:
            content: The manifest.
            place: What it describes, for the message.
            path: Where it was read, for the message.
        """
        if content.get("format") != self.format:
            actual = content.get("format")
            raise self.error(f"{path} is not a {self.noun} manifest: format {actual!r}")
        version = content.get("version")
        if not isinstance(version, int) or version > self.version:
            raise self.error(
                f"{self.noun} {place} has format version {version!r} and this Lagotto reads up to "
                f"{self.version}; upgrade with: pip install --upgrade lagotto"
            )

    def check_digest(self, place: Path | str, content: JsonObject) -> None:
        """Raises `error` if the content does not give the digest that was written with it.

        `place` is the folder of the manifest, or what else to call the place where it lies.
        """
        if content.get("sha256") != _digest(content):
            path = place / self.file if isinstance(place, Path) else place
            raise self.error(
                f"{self.noun} manifest {path} was altered; "
                f"restore it from a copy, or make the {self.noun} anew"
            )


def _digest(content: JsonObject) -> str:
    rest = {key: value for key, value in content.items() if key != "sha256"}
    try:
        return sha256(canonical_json(rest)).hexdigest()
    except ValueError:  # NaN, which no writer puts there
        return ""
