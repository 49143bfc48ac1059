"""An encoder on the hub → a folder of the shared cache, with the safest form of its weights."""

from contextlib import suppress
from pathlib import Path, PurePosixPath

from lagotto.core.errors import SourceError, UsageError
from lagotto.core.registry import Adapter, load_adapter
from lagotto.core.remote.files import RemoteFile, Repository
from lagotto.core.remote.hugging_face import HuggingFace, cached_repository
from lagotto.core.remote.spec import RepositorySpec, parse_repository
from lagotto.encoders.base import Encoder
from lagotto.encoders.folder import JOINT_FILE, TOWER_FILES
from lagotto.encoders.graph_header import read_graph_header

_SETTINGS = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"),
    "processor_config.json",
)
_SAVED = "model.safetensors"
_OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
_OPEN_CLIP = {
    part: Adapter(
        "lagotto.encoders.open_clip", part, "open_clip", "open-clip", ("torch", "torchvision")
    )
    for part in ("weights_repository", "OpenClipEncoder")
}


def fetch_encoder(spec: str) -> Path:
    """The folder of `hf:ORG/NAME[@REV]`: fetched once, then read from the cache.

    Raises SourceError where the hub does not give it, or it holds nothing safe.
    """
    asked = parse_repository(spec)
    hub = HuggingFace()
    if asked.is_pinned:  # its content cannot have changed: if all of it is there, no one is asked
        with suppress(SourceError):
            return _kept(hub, cached_repository(asked))
    return _kept(hub, hub.repository(asked))


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
                return (*settings, *(files[path] for path in paths))
    if _SAVED in files:
        return (*settings, files[_SAVED])
    listed = ", ".join(sorted(files)[:8]) or "nothing"
    raise SourceError(
        f"{repository.name} holds no encoder that can be run: {' and '.join(TOWER_FILES)}, "
        f"{JOINT_FILE} or {_SAVED} is needed; it has: {listed} (pickled weights are not read)"
    )


def _kept(hub: HuggingFace, repository: Repository) -> Path:
    """The folder with the chosen files, and with those where a graph keeps its weights."""
    chosen = choose_encoder_files(repository)
    folder = hub.keep(repository, chosen)
    beside = []
    for graph in (file.path for file in chosen if file.path.endswith(".onnx")):
        for name in read_graph_header(folder / graph).weight_files:
            file = repository.file((PurePosixPath(graph).parent / name).as_posix())
            if file is None:
                raise SourceError(f"{graph} of {repository.name} lacks its weights {name!r}")
            beside.append(file)
    hub.keep(repository, beside)
    return folder


def load_open_clip(spec: str, threads: int | None) -> Encoder:
    """The encoder of `open_clip:ARCH/TAG`; UsageError for a name that open_clip does not know."""
    arch, slash, tag = spec.partition(":")[2].rpartition("/")
    if not slash or not arch or not tag:
        raise UsageError(
            f"encoder {spec!r}; give open_clip:ARCH/TAG, as in ViT-B-32/laion2b_s34b_b79k"
        )
    name = load_adapter(_OPEN_CLIP, "weights_repository", "library")(arch, tag)
    folder = _open_clip_weights(RepositorySpec(name))
    encoder: Encoder = load_adapter(_OPEN_CLIP, "OpenClipEncoder", "library")(
        folder, arch, tag, threads
    )
    return encoder


def _open_clip_weights(asked: RepositorySpec) -> Path:
    hub = HuggingFace()
    with suppress(SourceError):
        return hub.keep(cached_repository(asked, _OPEN_CLIP_WEIGHTS), [])
    repository = hub.repository(asked)
    file = repository.file(_OPEN_CLIP_WEIGHTS)
    if file is None:
        raise SourceError(
            f"{asked.name} has no {_OPEN_CLIP_WEIGHTS}: pickled weights are not read; choose "
            "another tag"
        )
    return hub.keep(repository, [file])
