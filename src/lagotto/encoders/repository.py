"""An encoder on the hub → a folder of the shared cache, with the safest form of its weights."""

from contextlib import suppress
from pathlib import Path

from lagotto.core.errors import SourceError, UsageError
from lagotto.core.hugging_face import HuggingFace, RemoteFile, Repository, cached_repository
from lagotto.core.remote_spec import RepositorySpec, parse_repository
from lagotto.encoders.base import Encoder
from lagotto.encoders.folder import JOINT_FILE, TOWER_FILES

_SETTINGS = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"),
    "processor_config.json",
)
_SAVED = "model.safetensors"


def fetch_encoder(spec: str) -> Path:
    """The folder of `hf:ORG/NAME[@REV]`: fetched once, then read from the cache.

    Raises SourceError where the hub does not give it, or it holds nothing safe.
    """
    asked = parse_repository(spec)
    hub = HuggingFace()
    if asked.is_pinned:  # its content cannot have changed: if all of it is there, no one is asked
        with suppress(SourceError):
            cached = cached_repository(asked)
            return hub.keep(cached, choose_encoder_files(cached))
    repository = hub.repository(asked)
    return hub.keep(repository, choose_encoder_files(repository))


def pinned_spec(spec: str) -> str:
    """The spec at the commit that it names today."""
    asked = parse_repository(spec)
    return str(asked) if asked.is_pinned else HuggingFace().repository(asked).source


def choose_encoder_files(repository: Repository) -> tuple[RemoteFile, ...]:
    """Settings, tokenizer and weights: a pair of graphs, else a joint one, else safetensors."""
    files = {file.path: file for file in repository.files}
    settings = [files[name] for name in _SETTINGS if name in files]
    for home in ("", "onnx/"):
        for graphs in (TOWER_FILES, (JOINT_FILE,)):
            paths = [home + name for name in graphs]
            if all(path in files for path in paths):
                beside = tuple(f"{path}{ending}" for path in paths for ending in ("_data", ".data"))
                weights = [file for path, file in files.items() if path.startswith(beside)]
                return (*settings, *(files[path] for path in paths), *weights)
    if _SAVED in files:
        return (*settings, files[_SAVED])
    listed = ", ".join(sorted(files)[:8]) or "nothing"
    raise SourceError(
        f"{repository.name} holds no encoder that can be run: {' and '.join(TOWER_FILES)}, "
        f"{JOINT_FILE} or {_SAVED} is needed; it has: {listed} (pickled weights are not read)"
    )


def load_open_clip(spec: str, threads: int | None) -> Encoder:
    """The encoder of `open_clip:ARCH/TAG`; UsageError for a name that open_clip does not know."""
    from lagotto.encoders.open_clip import WEIGHTS, OpenClipEncoder, weights_repository

    arch, slash, tag = spec.partition(":")[2].rpartition("/")
    if not slash or not arch or not tag:
        raise UsageError(
            f"encoder {spec!r}; give open_clip:ARCH/TAG, as in ViT-B-32/laion2b_s34b_b79k"
        )
    hub = HuggingFace()
    asked = RepositorySpec(weights_repository(arch, tag))
    with suppress(SourceError):
        cached = cached_repository(asked, WEIGHTS)
        return OpenClipEncoder(cached.cached or Path(), arch, tag, threads)
    repository = hub.repository(asked)
    file = repository.file(WEIGHTS)
    if file is None:
        raise SourceError(
            f"{repository.name} has no {WEIGHTS}: only safetensors are read; choose another tag"
        )
    return OpenClipEncoder(hub.keep(repository, [file]), arch, tag, threads)
