"""The folder of a hub comes in; the path of each of its files goes out.

No other module spells out a path of a hub.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class HubLayout:
    """The paths of one hub. Forms of the files: docs/reference/formats.md."""

    ORIGIN_NAME: ClassVar[str] = "origin.json"
    """Where a copy is from; a hub that was made here has no such file."""

    folder: Path

    @property
    def probes(self) -> Path:
        """The probe set."""
        return self.folder / "probes"

    @property
    def catalogue(self) -> Path:
        """Models, logits, failures, copies and runs, in SQLite."""
        return self.folder / "catalogue.sqlite"

    @property
    def embeddings(self) -> Path:
        """Unit embeddings of the probes, float32 [probes, dim]."""
        return self.folder / "probes" / "embeddings.npy"

    @property
    def background(self) -> Path:
        """Embeddings of the background words; derived."""
        return self.folder / "background.safetensors"

    @property
    def rivals(self) -> Path:
        """How words score in this hub, to judge hits by; derived."""
        return self.folder / "rivals.safetensors"

    @property
    def label_embeddings(self) -> Path:
        """The hub's labels as vectors, to match them by meaning; derived."""
        return self.folder / "label_embeddings.safetensors"

    @property
    def twins(self) -> Path:
        """Which outputs behave like a believed labelled output; derived."""
        return self.folder / "twins.safetensors"

    @property
    def old_label_trust(self) -> Path:
        """Audits of labels as older versions kept them; removed when the catalogue gets its own."""
        return self.folder / "label_trust.json"

    @property
    def cache(self) -> Path:
        """Decoded probes, one array a pixel spec; derived."""
        return self.folder / "cache"

    @property
    def text_caches(self) -> tuple[Path, ...]:
        """The kept embeddings of long lists of names."""
        return tuple(sorted(self.cache.glob("texts-*.safetensors")))

    def text_cache(self, key: str) -> Path:
        """Where the embeddings of a long list of names are kept."""
        return self.cache / f"texts-{key}.safetensors"

    @property
    def blocks(self) -> Path:
        """Descriptor blocks; derived."""
        return self.folder / "blocks"

    @property
    def completion(self) -> Path:
        """The factors that predict the missing responses of partly probed models; derived."""
        return self.folder / "completion.safetensors"

    @property
    def low_rank(self) -> Path:
        """The low-rank index; derived, made by `lagotto hub index`."""
        return self.folder / "low_rank.safetensors"

    @property
    def map(self) -> Path:
        """The place of each logit in the plane; derived, made when a map is first looked at."""
        return self.folder / "map.safetensors"

    @property
    def staging(self) -> Path:
        """Responses that workers are writing; emptied by each run."""
        return self.folder / "staging"

    @property
    def fetched(self) -> Path:
        """Models from a remote source until they are probed; removed at the end of a run."""
        return self.folder / "fetched"

    @property
    def growing(self) -> Path:
        """New probes and the responses on them, until `hub grow` ends; a killed one goes on."""
        return self.folder / "growing"

    @property
    def responses(self) -> Path:
        """Raw responses, one file a model: the source of truth."""
        return self.folder / "responses"

    def responses_of(self, digest: str) -> Path:
        """The file of raw responses of a model, by its behaviour digest."""
        return self.responses / f"{digest}.safetensors"
