"""The text of a remote spec comes in; a repository, a search, a model or a store goes out."""

import re
from dataclasses import dataclass

from lagotto.core.errors import UsageError
from lagotto.core.registry import suggest

REPOSITORY, SEARCH, TIMM, MLFLOW = "hf:", "hf-search:", "timm:", "mlflow:"
DATASET = "hf:datasets/"
STORE = "s3://"
PREFIXES = (REPOSITORY, SEARCH, TIMM, MLFLOW)

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_NAME = re.compile(rf"{_PART}(/{_PART})?")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_PART_OF_DATASET = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_STORE = re.compile(r"s3:/{1,2}([a-z0-9][a-z0-9.-]{1,62})/((?:[A-Za-z0-9_=-][A-Za-z0-9_.=-]*/?)+)")
_KEYS = ("task", "author", "search", "library", "limit")
_LIMIT = 100
_LONGEST_PREFIX = 300
_REGISTERED = re.compile(
    r"([^/:@\x00-\x1f]{1,250})(?:/([1-9][0-9]{0,9})|@([A-Za-z0-9][A-Za-z0-9_.-]{0,127}))"
)


@dataclass(frozen=True, slots=True)
class RepositorySpec:
    """A repository, at a commit, tag or branch; without a revision, its main branch."""

    name: str
    revision: str | None = None

    @property
    def is_pinned(self) -> bool:
        """True if the revision is a commit, whose content never changes."""
        return self.revision is not None and bool(_COMMIT.fullmatch(self.revision))

    def __str__(self) -> str:
        return f"{REPOSITORY}{self.name}{f'@{self.revision}' if self.revision else ''}"

    @property
    def title(self) -> str:
        """The name of its model in a hub."""
        return self.name


@dataclass(frozen=True, slots=True)
class DatasetSpec:
    """A dataset of the Hugging Face Hub at a revision; its configuration and split, "" for any."""

    name: str
    revision: str | None = None
    config: str = ""
    split: str = ""

    def __str__(self) -> str:
        at = f"@{self.revision}" if self.revision else ""
        part = f"{self.config}/{self.split}" if self.config else self.split
        return f"{DATASET}{self.name}{at}{f':{part}' if part else ''}"


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """A place in an object store: a bucket, and what the names of its objects begin with."""

    bucket: str
    prefix: str

    def __str__(self) -> str:
        return f"{STORE}{self.bucket}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class MlflowSpec:
    """A model of an MLflow registry, by its version or by an alias of one."""

    name: str
    version: str = ""
    alias: str = ""

    @property
    def title(self) -> str:
        """The name of its model in a hub."""
        return f"{self.name}/{self.version}" if self.version else f"{self.name}@{self.alias}"

    def __str__(self) -> str:
        return f"{MLFLOW}{self.title}"


@dataclass(frozen=True, slots=True)
class SearchSpec:
    """A search for models, at most `limit` of them, the most downloaded first."""

    task: str = "image-classification"
    author: str | None = None
    search: str | None = None
    library: str | None = None
    limit: int = _LIMIT


def is_remote(spec: str) -> bool:
    """True for a spec that names models on a hub, False for a path."""
    return spec.startswith(PREFIXES)


def parse_repository(spec: str) -> RepositorySpec:
    """`hf:ORG/NAME[@REV]`, or `timm:NAME[@REV]`, which is `hf:timm/NAME`.

    >>> str(parse_repository("timm:resnet18.a1_in1k"))
    'hf:timm/resnet18.a1_in1k'

    Raises:
        UsageError: The spec names no repository.
    """
    prefix = TIMM if spec.startswith(TIMM) else REPOSITORY
    name, at, revision = spec.removeprefix(prefix).partition("@")
    wrong = not _NAME.fullmatch(name) or ".." in spec or (prefix == TIMM and "/" in name)
    if wrong or (at and not _REVISION.fullmatch(revision)):
        allowed = "timm:NAME[@REV]" if prefix == TIMM else "hf:ORG/NAME[@REV]"
        raise UsageError(
            f"{spec!r} names no repository; give {allowed}, as in "
            f"{'timm:resnet18.a1_in1k' if prefix == TIMM else 'hf:google/vit-base-patch16-224'}"
        )
    return RepositorySpec(f"timm/{name}" if prefix == TIMM else name, revision or None)


def parse_dataset(spec: str) -> DatasetSpec:
    """`hf:datasets/ORG/NAME[@REV][:CONFIG/SPLIT]`; behind the colon may be a split alone.

    >>> parse_dataset("hf:datasets/org/photos@main:default/train").split
    'train'

    Raises:
        UsageError: The spec names no dataset.
    """
    place, colon, part = spec.removeprefix(DATASET).partition(":")
    name, at, revision = place.partition("@")
    config, slash, split = part.rpartition("/")
    parts = [*([config] if slash else []), *([split] if colon else [])]
    wrong = not _NAME.fullmatch(name) or ".." in spec or (at and not _REVISION.fullmatch(revision))
    if wrong or not all(map(_PART_OF_DATASET.fullmatch, parts)):
        raise UsageError(
            f"{spec!r} names no dataset; give {DATASET}ORG/NAME[@REV][:CONFIG/SPLIT], as in "
            f"{DATASET}detection-datasets/coco:train"
        )
    return DatasetSpec(name, revision or None, config, split)


def parse_store(spec: str) -> StoreSpec:
    """`s3://BUCKET/PREFIX`; of two slashes one may have been lost, as paths lose it.

    >>> str(parse_store("s3:/models/hubs/birds/"))
    's3://models/hubs/birds'

    Raises:
        UsageError: The spec names no bucket, or no prefix in it.
    """
    match = _STORE.fullmatch(spec)
    if match is None or len(match[2]) > _LONGEST_PREFIX:
        raise UsageError(
            f"{spec!r} names no place in an object store; give {STORE}BUCKET/PREFIX, as in "
            f"{STORE}models/hubs/birds"
        )
    return StoreSpec(match[1], match[2].rstrip("/"))


def parse_registered(spec: str) -> MlflowSpec:
    """`mlflow:NAME/VERSION` or `mlflow:NAME@ALIAS`.

    >>> parse_registered("mlflow:birds@champion")
    MlflowSpec(name='birds', version='', alias='champion')

    Raises:
        UsageError: The spec names no version of a model.
    """
    match = _REGISTERED.fullmatch(spec.removeprefix(MLFLOW))
    if match is None or match[1].strip() in ("", ".", ".."):
        raise UsageError(
            f"{spec!r} names no version of a model; give mlflow:NAME/VERSION or mlflow:NAME@ALIAS, "
            "as in mlflow:birds/3"
        )
    return MlflowSpec(match[1], match[2] or "", match[3] or "")


def parse_search(spec: str) -> SearchSpec:
    """`hf-search:key=value,...` with the keys task, author, search, library and limit.

    >>> parse_search("hf-search:author=google,limit=20").limit
    20

    Raises:
        UsageError: A key is unknown or repeated, or the limit is no number from 1 to 100,000.
    """
    pairs: dict[str, str] = {}
    for part in spec.removeprefix(SEARCH).split(","):
        key, equals, value = (text.strip() for text in part.partition("="))
        if not equals or not value or key not in _KEYS or key in pairs:
            raise UsageError(
                f"{spec!r}: {part!r} is not understood; give key=value with each of "
                f"{', '.join(_KEYS)} once at most, as in "
                f"hf-search:task=image-classification,author=google,limit=50."
                f"{suggest(key, list(_KEYS))}"
            )
        pairs[key] = value
    limit = pairs.pop("limit", str(_LIMIT))
    if not limit.isascii() or not limit.isdigit() or not 1 <= int(limit[:9]) <= 100_000:
        raise UsageError(f"{spec!r}: limit is {limit!r}; give a number from 1 to 100000")
    return SearchSpec(**pairs, limit=int(limit))
