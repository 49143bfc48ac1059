"""The spec of a remote encoder comes in; a folder of the cache, or the encoder, goes out."""

from contextlib import suppress
from pathlib import Path, PurePosixPath

from lagotto.core.errors import SourceError, UsageError
from lagotto.core.registry import Adapter, load_adapter
from lagotto.core.remote.files import RemoteFile, Repository
from lagotto.core.remote.hugging_face import HuggingFace, cached_repository
from lagotto.core.remote.spec import RepositorySpec, parse_repository
from lagotto.encoders.base import Encoder
from lagotto.encoders.folder import USUAL_TOWERS
from lagotto.encoders.graph_header import read_graph_header
from lagotto.encoders.layout import find_graphs, find_settings

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

    Raises SourceError if the Hub does not provide it, or if it holds no safe weights.
    """
    requested = parse_repository(spec)
    hub = HuggingFace()
    if requested.is_pinned:  # its content cannot change, so a complete cache needs no request
        with suppress(SourceError):
            return _cached_folder(hub, cached_repository(requested))
    return _cached_folder(hub, hub.repository(requested))


def pinned_spec(spec: str) -> str:
    """The spec with the commit that it names today."""
    requested = parse_repository(spec)
    if requested.is_pinned:
        return str(requested)
    return HuggingFace().repository(requested).source


def choose_encoder_files(repository: Repository) -> tuple[RemoteFile, ...]:
    """Settings, tokenizer and weights: the graphs of both towers, else safetensors."""
    files = {file.path: file for file in repository.files}
    settings = [files[name] for name in find_settings(files).values()]
    graphs = find_graphs(files)
    if graphs is not None:
        return (*settings, *(files[path] for path in dict.fromkeys(graphs)))
    if _SAVED in files:
        return (*settings, files[_SAVED])
    listed = ", ".join(sorted(files)[:8]) or "nothing"
    raise SourceError(
        f"{repository.name} holds no encoder that can be run: {' and '.join(USUAL_TOWERS)}, "
        f"model.onnx or {_SAVED} is needed; it has: {listed} (pickled weights are not read)"
    )


def _cached_folder(hub: HuggingFace, repository: Repository) -> Path:
    """The folder with the files of an encoder, external weights of its graphs included."""
    files = choose_encoder_files(repository)
    folder = hub.keep(repository, files)
    beside = []
    for graph in (file.path for file in files if file.path.endswith(".onnx")):
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


def _open_clip_weights(spec: RepositorySpec) -> Path:
    hub = HuggingFace()
    with suppress(SourceError):
        return hub.keep(cached_repository(spec, _OPEN_CLIP_WEIGHTS), [])
    repository = hub.repository(spec)
    file = repository.file(_OPEN_CLIP_WEIGHTS)
    if file is None:
        raise SourceError(
            f"{spec.name} has no {_OPEN_CLIP_WEIGHTS}: pickled weights are not read; choose "
            "another tag"
        )
    return hub.keep(repository, [file])
