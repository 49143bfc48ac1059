"""The one form of every manifest: a JSON object with its format, version and its own digest."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from lagotto.core.errors import LagottoError
from lagotto.core.files import canonical_json, read_json, write_atomically
from lagotto.core.types import JsonObject


@dataclass(frozen=True, slots=True)
class ManifestForm:
    """What is needed to write and read one kind of manifest, and to say what is wrong with one.

    `noun` names the folder that it describes ("hub"), `create` is the command that makes such a
    folder, with {} for its path.
    """

    noun: str
    file: str
    format: str
    version: int
    create: str
    error: type[LagottoError]

    def write(self, folder: Path, content: JsonObject) -> None:
        """Writes the manifest; its `sha256` is that of all the rest, as canonical JSON."""
        full: JsonObject = {"format": self.format, "version": self.version, **content}
        write_atomically(folder / self.file, canonical_json({**full, "sha256": _digest(full)}))

    def read(self, folder: Path) -> JsonObject:
        """The manifest of a folder; raises `error` if there is none, or a newer version wrote it.

        Check what it says, then `check_digest`: so that a missing key is named as such.
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
        if content.get("format") != self.format:
            found = content.get("format")
            raise self.error(f"{path} is not a {self.noun} manifest: format {found!r}")
        version = content.get("version")
        if not isinstance(version, int) or version > self.version:
            raise self.error(
                f"{self.noun} {folder} has format version {version!r} and this Lagotto reads up to "
                f"{self.version}; upgrade with: pip install --upgrade lagotto"
            )
        return content

    def check_digest(self, folder: Path, content: JsonObject) -> None:
        """Raises `error` unless the manifest is as it was written."""
        if content.get("sha256") != _digest(content):
            raise self.error(
                f"{self.noun} manifest {folder / self.file} was altered; "
                f"restore it from a copy, or make the {self.noun} anew"
            )


def _digest(content: JsonObject) -> str:
    rest = {key: value for key, value in content.items() if key != "sha256"}
    try:
        return sha256(canonical_json(rest)).hexdigest()
    except ValueError:  # NaN, which no writer puts there
        return ""
