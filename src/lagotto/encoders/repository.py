"""The spec of a remote encoder comes in; a folder of the cache, or the encoder, goes out."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lagotto.core.errors import SourceError, UsageError
from lagotto.core.registry import Adapter, load_adapter
from lagotto.core.remote.download_cache import cached_commits, cached_repository
from lagotto.core.remote.files import RemoteFile, Repository
from lagotto.core.remote.hugging_face import HuggingFace, is_offline
from lagotto.core.remote.retry import OutOfReachError, StillBusyError
from lagotto.core.remote.spec import RepositorySpec, parse_repository
from lagotto.encoders.base import Encoder
from lagotto.encoders.folder import USUAL_TOWERS
from lagotto.encoders.graph_header import read_graph_header
from lagotto.encoders.known.table import KNOWN_ENCODERS
from lagotto.encoders.layout import VARIANTS, find_graphs, find_settings

_SAVED = "model.safetensors"
_OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
_OPEN_CLIP = {
    part: Adapter(
        "lagotto.encoders.open_clip", part, "open_clip", "open-clip", ("torch", "torchvision")
    )
    for part in ("weights_repository", "OpenClipEncoder")
}


@dataclass(frozen=True, slots=True)
class EncoderListing:
    """An encoder on the hub: what is to be fetched of it, in bytes, and under which licence.

    `cached` tells that all of it is there already.
    """

    spec: str
    bytes: int
    licence: str
    cached: bool


def fetch_encoder(spec: str, precision: str | None = None) -> Path:
    """The folder of `hf:ORG/NAME[@REV]`: fetched once, then read from the cache.

    Without a network the cache is read as it is, and what it has is told where that is too little.

    Raises SourceError if the Hub does not provide it, or if it holds no safe weights.
    """
    requested = parse_repository(spec)
    hub = HuggingFace()
    if requested.is_pinned:  # its content cannot change, so a complete cache needs no request
        with suppress(SourceError):
            return _cached_folder(hub, _complete(requested, precision), precision)
    return _cached_folder(hub, _repository(hub, requested), precision)


def list_encoder(spec: str, precision: str | None = None) -> EncoderListing:
    """What the fetch of `hf:ORG/NAME[@REV]` would bring, at the commit that it names today.

    A complete cache of a pinned one needs no request: its licence is "" then.

    Raises SourceError as `fetch_encoder`, before anything is fetched: also where it is gated, or
    the disk has no room for it.
    """
    hub, requested = HuggingFace(), parse_repository(spec)
    if requested.is_pinned:
        with suppress(SourceError):
            files = choose_encoder_files(_complete(requested, precision), precision)
            return EncoderListing(str(requested), sum(file.size for file in files), "", True)
    repository = _repository(hub, requested)
    files = choose_encoder_files(repository, precision)
    hub.check_room(repository, files)
    total = sum(file.size for file in files)
    if repository.cached is not None:
        return EncoderListing(repository.source, total, "", True)
    with suppress(SourceError):
        pinned = cached_repository(RepositorySpec(repository.name, repository.commit))
        present = {file.path for file in pinned.files}
        if all(file.path in present for file in files):
            return EncoderListing(repository.source, total, repository.licence, True)
    hub.check_access(repository, files[0])
    return EncoderListing(repository.source, total, repository.licence, False)


def pinned_spec(spec: str) -> str:
    """The spec with the commit that it names today; without a network, the commit in the cache."""
    requested = parse_repository(spec)
    if requested.is_pinned:
        return str(requested)
    return _repository(HuggingFace(), requested).source


def cached_encoders() -> dict[str, tuple[str, int]]:
    """Of each known encoder that is in the local cache, its commit and its bytes there."""
    found = {}
    for name, known in KNOWN_ENCODERS.items():
        with suppress(SourceError):
            repository = _cached(parse_repository(known.spec))
            graphs = [file for file in repository.files if file.path.endswith((".onnx", _SAVED))]
            if graphs:
                found[name] = repository.commit, sum(file.size for file in repository.files)
    return found


def _repository(hub: HuggingFace, requested: RepositorySpec) -> Repository:
    """The content of a repository; where the hub is out of reach, as far as the cache has it."""
    try:
        return hub.repository(requested)
    except SourceError as error:  # also where HF_HUB_OFFLINE is set
        offline = is_offline()
        if not offline and not isinstance(error, OutOfReachError):
            raise
        with suppress(SourceError):
            return _cached(requested)
        cached = ", ".join(cached_encoders()) or "none of the known ones"
        why = "the hub is busy" if isinstance(error, StillBusyError) else "the hub does not answer"
        raise SourceError(
            f"encoder {requested} cannot be fetched: "
            f"{'HF_HUB_OFFLINE is set' if offline else why}, and it is not "
            f"in the local cache (which has: {cached}); where there is a network: hf download "
            f"{requested.name}, then copy that cache here; or give --encoder FOLDER"
        ) from error


def _cached(requested: RepositorySpec) -> Repository:
    """A repository in the local cache: at its revision, or without one at the last one fetched.

    A hub pins its encoder to a commit, so the cache may have the files and not know the branch.
    """
    with suppress(SourceError):
        return cached_repository(requested)
    if requested.revision is None:
        for commit in cached_commits(requested.name):
            with suppress(SourceError):
                return cached_repository(RepositorySpec(requested.name, commit))
    return cached_repository(requested)


def _complete(requested: RepositorySpec, precision: str | None) -> Repository:
    """A pinned repository in the local cache; SourceError where that may lack better graphs.

    The cache may hold the graphs of a lower precision alone, because these were asked for before.
    """
    repository = cached_repository(requested)
    names = {file.path for file in repository.files}
    if precision is None and find_graphs(names) and not find_graphs(names, ""):
        raise SourceError(f"of {requested} only graphs of a lower precision are in the cache")
    return repository


def choose_encoder_files(
    repository: Repository, precision: str | None = None
) -> tuple[RemoteFile, ...]:
    """Settings, tokenizer and weights: the graphs of both towers, else safetensors.

    With a precision, only graphs of that precision.
    """
    files = {file.path: file for file in repository.files}
    settings = [files[name] for name in find_settings(files).values()]
    graphs = find_graphs(files, precision)
    if graphs is not None:
        return (*settings, *(files[path] for path in dict.fromkeys(graphs)))
    if precision is not None:
        there = [name for name in VARIANTS if find_graphs(files, name) is not None]
        raise SourceError(
            f"{repository.name} has no graphs of precision {precision!r}; it has "
            f"{', '.join(there) or 'none but the exact ones'}"
        )
    if _SAVED in files:
        return (*settings, files[_SAVED])
    listed = ", ".join(sorted(files)[:8]) or "nothing"
    raise SourceError(
        f"{repository.name} holds no encoder that can be run: {' and '.join(USUAL_TOWERS)}, "
        f"model.onnx or {_SAVED} is needed; it has: {listed} (pickled weights are not read)"
    )


def _cached_folder(hub: HuggingFace, repository: Repository, precision: str | None = None) -> Path:
    """The folder with the files of an encoder, external weights of its graphs included."""
    files = choose_encoder_files(repository, precision)
    hub.check_room(repository, files)
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


def load_open_clip(spec: str, threads: int | None, device: str) -> Encoder:
    """The encoder of `open_clip:ARCH/TAG`; UsageError for a name that open_clip does not know."""
    arch, slash, tag = spec.partition(":")[2].rpartition("/")
    if not slash or not arch or not tag:
        raise UsageError(
            f"encoder {spec!r}; give open_clip:ARCH/TAG, as in ViT-B-32/laion2b_s34b_b79k"
        )
    name = load_adapter(_OPEN_CLIP, "weights_repository", "library")(arch, tag)
    folder = _open_clip_weights(RepositorySpec(name))
    encoder: Encoder = load_adapter(_OPEN_CLIP, "OpenClipEncoder", "library")(
        folder, arch, tag, threads, device
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
