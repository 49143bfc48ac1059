"""A local text-to-image pipeline and a number come in; as many pictures of common nouns go out."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path, PurePosixPath

import numpy as np

from lagotto.core.errors import MissingExtraError, ProbeError, UsageError
from lagotto.core.files import read_json
from lagotto.core.images import decode_picture, read_picture_file
from lagotto.core.machine import usable_cores
from lagotto.core.progress import Progress
from lagotto.core.remote.hugging_face import HuggingFace
from lagotto.core.remote.spec import REPOSITORY, parse_repository
from lagotto.core.temporary.leftovers import make_temporary_folder
from lagotto.core.types import JsonObject
from lagotto.encoders.background.words import background_words
from lagotto.hub.curation.write import SetRow, to_webp
from lagotto.jobs.base import Task
from lagotto.jobs.worker_limits import Limits

DIFFUSERS = "diffusers:"
"""What the name of a text-to-image pipeline begins with, as a source of pictures."""

INDEX = "model_index.json"
_ENTRY = "lagotto.hub.curation.diffusers:draw_text"
_LIBRARIES = ("diffusers", "transformers")
_PARTS_OF_DIFFUSERS = (
    "stable_diffusion",
    "deepfloyd_if",
    "latent_diffusion",
    "kandinsky",
    "unclip",
)
"""Modules below `diffusers.pipelines` by which an index names safety checkers and text encoders."""

_WEIGHTS = ".safetensors"
_PICKLES = (".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".msgpack")
_LIMITS = Limits(workers=1, timeout_s=1800.0, memory_bytes=64 * 2**30)
_SHOWN_SEED = 1_000_003


@dataclass(frozen=True, slots=True)
class GeneratedSet:
    """How a set is drawn by a pipeline; `licence` and `author` are as the user states them."""

    pipeline: str
    size: int
    seed: int
    licence: str
    author: str


def pipeline_folder(source: str) -> Path:
    """The folder of `diffusers:FOLDER` or `diffusers:hf:ORG/NAME@COMMIT`, checked.

    Raises:
        MissingExtraError: diffusers, torch or transformers is not installed.
        UsageError: There is no such folder, it is refused, or the repository is not pinned.
        SourceError: The repository is not to be had.
    """
    for package in ("diffusers", "torch", "transformers"):
        if find_spec(package) is None:
            raise MissingExtraError(
                f"{source} needs the package {package!r}, which is not installed; "
                "run: pip install 'lagotto[diffusers]'"
            )
    name = source.removeprefix(DIFFUSERS)
    folder = _fetch(name) if name.startswith(REPOSITORY) else Path(name)
    check_pipeline(folder)
    return folder.absolute()


def check_pipeline(folder: Path) -> None:
    """Raises UsageError for a folder that is no pipeline, or would need a pickle or foreign code.

    Weights beside the safetensors that would be read are not read, and are no reason to refuse.
    """
    if not (folder / INDEX).is_file():
        raise UsageError(
            f"{folder} holds no text-to-image pipeline: no {INDEX}; give the folder that "
            "save_pretrained of diffusers wrote, or diffusers:hf:ORG/NAME@COMMIT"
        )
    index = read_json(folder / INDEX, "pipeline", UsageError)
    _check_names(folder, index)
    code = next(iter(sorted(folder.rglob("*.py"))), None)
    if code is not None:
        raise UsageError(
            f"{folder} brings code of its own ({code.name}), which is not run; take a pipeline of "
            "diffusers alone"
        )
    for part in (path for path in sorted(folder.iterdir()) if path.is_dir()):
        weights = [path for path in part.iterdir() if path.suffix in (*_PICKLES, _WEIGHTS)]
        if weights and all(path.suffix != _WEIGHTS for path in weights):
            raise UsageError(
                f"the weights of {part.name!r} in {folder} are pickled ({weights[0].name}), which "
                "may run code and are not read; save them with safe_serialization=True"
            )


def has_safety_checker(folder: Path) -> bool:
    """Whether a pipeline checks its own pictures: its index names the part that does."""
    named = read_json(folder / INDEX, "pipeline", UsageError).get("safety_checker")
    return isinstance(named, list) and any(named)


def _check_names(folder: Path, index: Mapping[str, object]) -> None:
    """Only classes of diffusers and transformers: others would be code of the folder."""
    allowed = (*_LIBRARIES, *_PARTS_OF_DIFFUSERS)
    parts = [value for key, value in index.items() if not key.startswith("_")]
    libraries = [part[0] for part in parts if isinstance(part, list) and part]
    strange = [name for name in libraries if name is not None and name not in allowed]
    if strange or not isinstance(index.get("_class_name"), str):
        named = strange[0] if strange else index.get("_class_name")
        raise UsageError(
            f"{folder / INDEX} names {named!r}, which is no part of diffusers or transformers; "
            "code of a repository is not run"
        )


def _fetch(name: str) -> Path:
    spec = parse_repository(name)
    if not spec.is_pinned:
        raise UsageError(
            f"{DIFFUSERS}{name} is not pinned; give a commit, as in "
            f"{DIFFUSERS}hf:ORG/NAME@COMMIT (40 characters), or a folder"
        )
    hub = HuggingFace()
    repository = hub.repository(spec)
    files = [file for file in repository.files if _is_needed(file.path)]
    hub.check_room(repository, files)
    return hub.keep(repository, files)


def _is_needed(path: str) -> bool:
    """Settings and tokenizers, and the weights of parts that are no variant such as fp16."""
    place = PurePosixPath(path)
    if place.suffix == _WEIGHTS:
        return len(place.parts) == 2 and "." not in place.stem
    return place.suffix in (".json", ".txt", ".model", ".py") and len(place.parts) <= 2


def generated_rows(folder: Path, made: GeneratedSet, progress: Progress) -> Iterator[SetRow | None]:
    """One picture a noun, drawn in a worker; nouns in an order of the seed, again from the first.

    None stands for a picture that the pipeline's own safety checker calls unsafe. Most such
    pipelines give a black one in its place.

    Raises:
        ProbeError: The pipeline cannot be loaded or run; the message says why.
    """
    is_remote = made.pipeline.startswith(REPOSITORY)
    source = f"{DIFFUSERS}{made.pipeline if is_remote else folder.name}"
    texts = noun_texts(made.size, made.seed)
    out = make_temporary_folder("pictures")
    runner = _LIMITS.start(out)
    progress.start("drawing", made.size, "pictures")
    try:
        for number, text in enumerate(texts):
            target = out / "picture.png"
            payload: JsonObject = {
                "folder": str(folder),
                "text": text,
                "seed": made.seed * _SHOWN_SEED + number,
                "threads": usable_cores(),
                "out": str(target),
            }
            (outcome,) = runner.run([Task(str(number), _ENTRY, payload)])
            if outcome.failure is not None:
                raise ProbeError(f"{source} draws no picture: {outcome.failure.reason}")
            picture = decode_picture(read_picture_file(target))
            target.unlink()
            progress.advance(1)
            if outcome.value is not None and outcome.value["unsafe"]:
                yield None
                continue
            name = f"{source}/{made.seed}/{number:06d}.webp"
            yield SetRow(to_webp(picture), name, (text,), source, made.author, made.licence)
    finally:
        runner.close()
        shutil.rmtree(out, ignore_errors=True)
    progress.finish()


def noun_texts(size: int, seed: int) -> Sequence[str]:
    """Texts of so many common nouns, in a random order; each noun once before any comes again."""
    words = background_words()
    order = np.random.default_rng([seed, 0xD1FF]).permutation(len(words))
    return [f"a photo of a {words[order[place % len(words)]]}" for place in range(size)]
