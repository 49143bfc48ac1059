"""An output folder of clip-retrieval comes in; pairs with its embeddings go out.

FOLDER/text_emb/text_emb_0.npy   captions x dim
FOLDER/img_emb/img_emb_0.npy     pictures x dim (optional; without it the source is text-only)
FOLDER/metadata/metadata_0.parquet   one row each: a caption, optionally image_path, key or url
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32

from lagotto.core.errors import CaptionError
from lagotto.core.files import read_array
from lagotto.core.parsing.captioned_tables import (
    CaptionTexts,
    parse_captions,
    storable,
)
from lagotto.core.types import Skipped
from lagotto.encoders.base import Encoder
from lagotto.zeroshot.captions.sources.pairs import (
    Item,
    Pair,
    PairEmbeddings,
    PairSource,
)
from lagotto.zeroshot.captions.sources.parquet import (
    open_parquet,
    required_captions,
)

MIN_SIMILARITY = 0.99
"""Median cosine that stored and recomputed text embeddings must reach; float16 gives 0.999."""

_SAMPLE_CAPTIONS = 16
_ROWS_PER_BATCH = 1024
_NAMES = ("image_path", "key", "url")
_NUMBER = re.compile(r"(\d+)\.(npy|parquet)$")


@dataclass(frozen=True, slots=True)
class _Part:
    """One numbered part: files with the same number of rows."""

    metadata: Path
    texts: Path
    pictures: Path | None
    rows: int


def is_clip_retrieval(folder: Path) -> bool:
    """Whether clip-retrieval wrote this folder."""
    return (folder / "metadata").is_dir() and any(
        (folder / name).is_dir() for name in ("text_emb", "img_emb")
    )


def clip_retrieval_source(folder: Path) -> PairSource:
    """A source with the rows of the folder and their embeddings.

    Its `check` compares the embeddings with the encoder's.

    Raises:
        CaptionError: A part is missing, or the files of a part have different lengths.
    """
    texts = _numbered(folder / "text_emb", ".npy")
    metadata = _numbered(folder / "metadata", ".parquet")
    has_pictures = (folder / "img_emb").is_dir()
    pictures = _numbered(folder / "img_emb", ".npy") if has_pictures else {}
    if not texts or set(texts) != set(metadata) or (has_pictures and set(pictures) != set(texts)):
        raise CaptionError(
            f"{folder} is not a whole clip-retrieval folder: text_emb has {len(texts)} parts, "
            f"metadata {len(metadata)}, img_emb {len(pictures)}; run clip-retrieval inference "
            "again with both towers and metadata"
        )
    parts = [_part(metadata[n], texts[n], pictures.get(n)) for n in sorted(texts)]
    rows = sum(part.rows for part in parts)
    return PairSource(
        folder, rows, partial(_pairs, folder, parts), check=partial(_check, folder, parts)
    )


def _numbered(folder: Path, ending: str) -> dict[int, Path]:
    """The parts in a folder by their number; none if there is no folder."""
    files = sorted(folder.glob(f"*{ending}")) if folder.is_dir() else []
    return {int(m[1]): path for path in files if (m := _NUMBER.search(path.name))}


def _part(metadata: Path, texts: Path, pictures: Path | None) -> _Part:
    rows = open_parquet(metadata).rows
    for path in [texts, *([pictures] if pictures else [])]:
        if len(_matrix(path)) != rows:
            raise CaptionError(
                f"{path} has {len(_matrix(path))} rows and {metadata} {rows}; they must be of the "
                "same run of clip-retrieval"
            )
    return _Part(metadata, texts, pictures, rows)


def _matrix(path: Path) -> Float[np.ndarray, "rows dim"]:
    """A memory-mapped matrix of floats; CaptionError if the file holds anything else."""
    array = read_array(path, CaptionError, mapped=True)
    if array.ndim != 2 or array.dtype.kind != "f":
        raise CaptionError(
            f"{path} is {array.dtype} of shape {array.shape}; embeddings are a matrix of floats"
        )
    matrix: Float[np.ndarray, "rows dim"] = array
    return matrix


def _check(folder: Path, parts: list[_Part], encoder: Encoder) -> None:
    """Embeds a few captions of each part again; CaptionError if another encoder made the part."""
    for part in parts:
        for path in [part.texts, *([part.pictures] if part.pictures else [])]:
            dim = _matrix(path).shape[1]
            if dim != encoder.info.dim:
                raise CaptionError(
                    f"{path} holds embeddings of {dim} values and encoder {encoder.info.name} "
                    f"gives {encoder.info.dim}; give the encoder that made {folder} with --encoder"
                )
        similarity = _similarity(part, encoder)
        if not similarity >= MIN_SIMILARITY:
            raise CaptionError(
                f"{part.texts} was not made by encoder {encoder.info.name}: its captions embedded "
                f"again have a cosine of {similarity:.3f} with it (above {MIN_SIMILARITY} is "
                "expected); give the encoder that made it with --encoder"
            )


def _similarity(part: _Part, encoder: Encoder) -> float:
    """The median cosine of the first captions' stored and recomputed embeddings; 1 without any."""
    matrix = _matrix(part.texts)
    sample: dict[int, str] = {}
    for row, (_, captions) in enumerate(_metadata(part)):
        if captions:
            sample[row] = captions[0]
        if len(sample) == _SAMPLE_CAPTIONS:
            break
    if not sample:
        return 1.0
    recomputed = encoder.embed_texts(list(sample.values()))
    stored = _unit(np.asarray(matrix[list(sample)]))
    cosines = np.sum(recomputed * stored, axis=1)
    return float(np.median(cosines[np.isfinite(cosines)])) if np.isfinite(cosines).any() else 1.0


def _metadata(part: _Part) -> Iterator[tuple[str, CaptionTexts]]:
    """(name, or "" if there is none; captions) of each row."""
    file = open_parquet(part.metadata)
    caption_name = required_captions(part.metadata, file.columns)[0]
    known = {column.name for column in file.columns}
    name_column = next((name for name in _NAMES if name in known), None)
    columns = [caption_name] if name_column is None else [caption_name, name_column]
    for batch in file.read(columns, _ROWS_PER_BATCH):
        names = batch[name_column] if name_column else [None] * len(batch[caption_name])
        for name, captions in zip(names, batch[caption_name], strict=True):
            yield name if isinstance(name, str) else "", _captions(captions)


def _captions(cell: object) -> CaptionTexts:
    """The captions of a cell; none where it holds no texts."""
    try:
        return parse_captions(cell)
    except TypeError:
        return ()


def _pairs(folder: Path, parts: list[_Part]) -> Iterator[Item]:
    for part in parts:
        texts = _matrix(part.texts)
        pictures = _matrix(part.pictures) if part.pictures else None
        for row, (name, captions) in enumerate(_metadata(part)):
            source = storable(f"{folder.name}/{name or f'{part.metadata.name}#{row}'}")
            text = _unit(np.asarray(texts[row : row + 1]))
            image = None if pictures is None else _unit(np.asarray(pictures[row : row + 1]))
            if np.isnan(text).any() or (image is not None and np.isnan(image).any()):
                yield Skipped(source, "an embedding that is not finite, or of length 0")
            elif len(captions) > 1:
                yield Skipped(source, f"{len(captions)} captions for one text embedding")
            else:
                embeddings = PairEmbeddings(texts=text, image=None if image is None else image[0])
                yield Pair(source, captions, embeddings=embeddings)


def _unit(rows: Float[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows dim"]:
    """The rows scaled to length 1; NaN if a row is zero or not finite."""
    wide = rows.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        unit: Float32[np.ndarray, "rows dim"] = (
            wide / np.linalg.norm(wide, axis=1, keepdims=True)
        ).astype(np.float32)
    unit[~np.isfinite(unit).all(axis=1)] = np.nan
    return unit
