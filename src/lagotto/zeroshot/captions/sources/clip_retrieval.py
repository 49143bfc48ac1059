"""Caption source: the output folder of clip-retrieval; its embeddings are taken as they are.

FOLDER/text_emb/text_emb_0.npy   captions x dim
FOLDER/img_emb/img_emb_0.npy     pictures x dim (may be left out: text alone)
FOLDER/metadata/metadata_0.parquet   one row for each, with a caption and maybe image_path, key, url
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Float32

from lagotto.core.errors import CaptionError
from lagotto.core.parsing.captioned_tables import (
    CaptionTexts,
    parse_captions,
    storable,
)
from lagotto.core.types import Skipped
from lagotto.encoders.base import Encoder
from lagotto.zeroshot.captions.sources.pairs import (
    Given,
    Item,
    Pair,
    PairSource,
)
from lagotto.zeroshot.captions.sources.parquet import (
    batches,
    caption_column,
    open_parquet,
)

MIN_SIMILARITY = 0.99
"""Median cosine of adopted and recomputed text embeddings of one encoder; float16 gives 0.999."""

_CHECKED = 16
_ROWS_A_BATCH = 1024
_NAMES = ("image_path", "key", "url")
_NUMBER = re.compile(r"(\d+)\.(npy|parquet)$")


@dataclass(frozen=True, slots=True)
class _Part:
    """One numbered part, row for row."""

    metadata: Path
    texts: Path
    pictures: Path | None
    rows: int


def is_embedded(folder: Path) -> bool:
    """True for a folder that clip-retrieval wrote."""
    return (folder / "metadata").is_dir() and any(
        (folder / name).is_dir() for name in ("text_emb", "img_emb")
    )


def embedded_source(folder: Path) -> PairSource:
    """The rows of the folder with their embeddings, to be checked against the encoder.

    Raises CaptionError where a part is missing or the parts do not fit together.
    """
    texts = _numbered(folder / "text_emb", ".npy")
    metadata = _numbered(folder / "metadata", ".parquet")
    pictured = (folder / "img_emb").is_dir()
    pictures = _numbered(folder / "img_emb", ".npy") if pictured else {}
    if not texts or set(texts) != set(metadata) or (pictured and set(pictures) != set(texts)):
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
    """The parts in a folder by their number; none where there is no folder."""
    found = sorted(folder.glob(f"*{ending}")) if folder.is_dir() else []
    return {int(m[1]): path for path in found if (m := _NUMBER.search(path.name))}


def _part(metadata: Path, texts: Path, pictures: Path | None) -> _Part:
    rows: int = open_parquet(metadata).metadata.num_rows
    for path in [texts, *([pictures] if pictures else [])]:
        if len(_matrix(path)) != rows:
            raise CaptionError(
                f"{path} has {len(_matrix(path))} rows and {metadata} {rows}; they must be of the "
                "same run of clip-retrieval"
            )
    return _Part(metadata, texts, pictures, rows)


def _matrix(path: Path) -> Float[np.ndarray, "rows dim"]:
    """A matrix of floats in a memory map; CaptionError for anything else."""
    try:
        array: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise CaptionError(f"cannot read {path} as npy: {error}; check the file") from error
    if array.ndim != 2 or array.dtype.kind != "f":
        raise CaptionError(
            f"{path} is {array.dtype} of shape {array.shape}; embeddings are a matrix of floats"
        )
    matrix: Float[np.ndarray, "rows dim"] = array
    return matrix


def _check(folder: Path, parts: list[_Part], encoder: Encoder) -> None:
    """Embeds a few captions of each part again; CaptionError where the encoder is another one."""
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
    """The median cosine of the first captions' embeddings with those stored; 1 without any."""
    matrix = _matrix(part.texts)
    chosen: dict[int, str] = {}
    for row, (_, captions) in enumerate(_metadata(part)):
        if captions:
            chosen[row] = captions[0]
        if len(chosen) == _CHECKED:
            break
    if not chosen:
        return 1.0
    again = encoder.embed_texts(list(chosen.values()))
    stored = _unit(np.asarray(matrix[list(chosen)]))
    cosines = np.sum(again * stored, axis=1)
    return float(np.median(cosines[np.isfinite(cosines)])) if np.isfinite(cosines).any() else 1.0


def _metadata(part: _Part) -> Iterator[tuple[str, CaptionTexts]]:
    """(name or "", captions) of each row."""
    file = open_parquet(part.metadata)
    said = caption_column(part.metadata, file.schema_arrow)
    naming = next((name for name in _NAMES if name in file.schema_arrow.names), None)
    wanted = [said] if naming is None else [said, naming]
    for batch in batches(part.metadata, file, wanted, _ROWS_A_BATCH):
        names = batch[naming] if naming else [None] * len(batch[said])
        for name, captions in zip(names, batch[said], strict=True):
            yield name if isinstance(name, str) else "", parse_captions(captions)


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
                given = Given(texts=text, image=None if image is None else image[0])
                yield Pair(source, captions, given=given)


def _unit(rows: Float[np.ndarray, "rows dim"]) -> Float32[np.ndarray, "rows dim"]:
    """Rows of length 1; NaN where a row has no direction."""
    wide = rows.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        unit: Float32[np.ndarray, "rows dim"] = (
            wide / np.linalg.norm(wide, axis=1, keepdims=True)
        ).astype(np.float32)
    unit[~np.isfinite(unit).all(axis=1)] = np.nan
    return unit
