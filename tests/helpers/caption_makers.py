"""An encoder without weights, and small caption sources in every form that Lagotto reads."""

import hashlib
import io
import json
import os
import signal
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from lagotto.core.types import EncoderInfo, PixelSpec
from lagotto.encoders.canary import TEXTS, canary_pixels

DIM = 8
EDGE = 8


_CANARY = canary_pixels(PixelSpec(EDGE, EDGE))


@dataclass
class FakeEncoder:
    """Texts go to vectors drawn from their bytes, pictures to their colours; counts its work, but
    for canaries.

    `dies_at` kills the process at that text (counted from 1), as kill -9 does.
    """

    name: str = "fake"
    dim: int = DIM
    dies_at: int = 0
    pictures: int = field(default=0, init=False)
    texts: list[str] = field(default_factory=list, init=False)

    @property
    def info(self) -> EncoderInfo:
        fingerprint = hashlib.sha256(self.name.encode()).hexdigest()
        return EncoderInfo(
            self.name, fingerprint, self.dim, PixelSpec(EDGE, EDGE), 10.0, 16, "a photo of a {}."
        )

    def embed_pixels(self, pixels: np.ndarray) -> np.ndarray:
        self.pictures += sum(not np.array_equal(picture, _CANARY) for picture in pixels)
        flat = pixels.reshape(len(pixels), -1).astype(np.float32) - 127
        seed = np.random.default_rng(len(self.name)).normal(size=(flat.shape[1], self.dim))
        return _unit(flat @ seed.astype(np.float32))

    def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
        for text in () if tuple(texts) == TEXTS else texts:
            self.texts.append(text)
            if len(self.texts) == self.dies_at:
                os.kill(os.getpid(), signal.SIGKILL)
        seeds = [hashlib.sha256(f"{self.name} {text}".encode()).digest() for text in texts]
        rows = [
            np.random.default_rng(int.from_bytes(seed[:8])).normal(size=self.dim) for seed in seeds
        ]
        return _unit(np.array(rows, np.float32).reshape(-1, self.dim))

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        return [len(text.split()) + 2 for text in texts]


def _unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def png(number: int) -> bytes:
    """The file of a picture; another number is another picture."""
    pixels = np.random.default_rng(number).integers(0, 255, (EDGE, EDGE, 3), np.uint8)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()


def said(number: int, each: int = 2) -> list[str]:
    """The captions of that picture."""
    return [f"caption {way} of picture {number}" for way in range(each)]


def write_pictures(folder: Path, count: int) -> list[str]:
    """images/0000.png and so on; their names."""
    (folder / "images").mkdir(parents=True)
    names = [f"images/{number:04d}.png" for number in range(count)]
    for number, name in enumerate(names):
        (folder / name).write_bytes(png(number))
    return names


def write_jsonl_folder(folder: Path, count: int = 5, each: int = 2) -> Path:
    """A folder with captions.jsonl."""
    names = write_pictures(folder, count)
    lines = [json.dumps({"image": name, "captions": said(i, each)}) for i, name in enumerate(names)]
    (folder / "captions.jsonl").write_text("\n".join(lines) + "\n")
    return folder


def write_csv_folder(folder: Path) -> Path:
    """A folder with metadata.csv: a caption a row, one of them quoted."""
    names = write_pictures(folder, 3)
    rows = [f'{name},"{text}, quoted"' for i, name in enumerate(names) for text in said(i)]
    (folder / "metadata.csv").write_text("file_name,text\n" + "\n".join(rows) + "\n")
    return folder


def write_coco(folder: Path) -> Path:
    """A COCO captions file beside its images/, the annotations in another order."""
    names = write_pictures(folder, 3)
    images = [{"id": i + 7, "file_name": Path(name).name} for i, name in enumerate(names)]
    notes = [
        {"image_id": i + 7, "id": way, "caption": said(i)[way]} for way in (0, 1) for i in (2, 0, 1)
    ]
    path = folder / "captions_val.json"
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": notes}))
    return path


def write_img2dataset(path: Path) -> Path:
    """Parquet as img2dataset writes it, one download failed."""
    table = {
        "key": ["000", "001", "002"],
        "caption": ["caption 0", "caption 1", "caption 2"],
        "status": ["success", "failed_to_download", "success"],
        "jpg": [png(0), None, png(2)],
    }
    pq.write_table(pa.table(table), path)
    return path


def write_hf_parquet(path: Path) -> Path:
    """Parquet as Hugging Face datasets writes it, captions in lists."""
    images = [{"bytes": png(i), "path": f"{i}.png"} for i in range(3)]
    pq.write_table(pa.table({"image": images, "caption": [said(i) for i in range(3)]}), path)
    return path


def add_member(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    """A regular file in a tar."""
    member = tarfile.TarInfo(name)
    member.size = len(data)
    archive.addfile(member, io.BytesIO(data))


def write_tar(path: Path, first: int = 0, count: int = 3) -> Path:
    """A webdataset shard: txt for even samples, json for odd ones."""
    with tarfile.open(path, "w") as archive:
        for i in range(first, first + count):
            add_member(archive, f"part/{i:04d}.png", png(i))
            if i % 2:
                content = json.dumps({"caption": f"caption {i}", "width": 8}).encode()
                add_member(archive, f"part/{i:04d}.json", content)
            else:
                add_member(archive, f"part/{i:04d}.txt", f"caption {i}\n".encode())
    return path


def write_clip_retrieval(folder: Path, encoder: FakeEncoder, pictured: bool = True) -> Path:
    """Two parts as clip-retrieval writes them; row 1 of part 1 has no direction."""
    for name in ("text_emb", "metadata", *(["img_emb"] if pictured else [])):
        (folder / name).mkdir(parents=True)
    for part in range(2):
        texts = [f"caption {part}-{row}" for row in range(3)]
        rows = (3 * encoder.embed_texts(texts)).astype(np.float16)
        if part == 1:
            rows[1] = 0
        np.save(folder / "text_emb" / f"text_emb_{part}.npy", rows)
        if pictured:
            draw = np.random.default_rng(part)
            images = encoder.embed_pixels(draw.integers(0, 255, (3, EDGE, EDGE, 3), np.uint8))
            np.save(folder / "img_emb" / f"img_emb_{part}.npy", images.astype(np.float16))
        paths = [f"/data/{part}-{row}.jpg" for row in range(3)]
        table = pa.table({"image_path": paths, "caption": texts})
        pq.write_table(table, folder / "metadata" / f"metadata_{part}.parquet")
    return folder
