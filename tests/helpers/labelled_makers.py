"""Small labelled data sets in every form that `lagotto eval classification` reads."""

import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from caption_makers import add_member
from colour_world import picture

COLOURS = ("red", "green", "blue")


def file_bytes(colour: str, seed: int, kind: str = "PNG") -> bytes:
    """The file of a picture of a colour."""
    data = io.BytesIO()
    picture(colour, seed).save(data, kind)
    return data.getvalue()


def write_folder(folder: Path, names: Sequence[str] = COLOURS, each: int = 2) -> Path:
    """CLASS/NN.png; the class `red` in a sub-folder of its own."""
    for name in names:
        place = folder / name / "inside" if name == "red" else folder / name
        place.mkdir(parents=True)
        for seed in range(each):
            (place / f"{seed:02d}.png").write_bytes(file_bytes(name, seed))
    return folder


def write_jsonl(folder: Path, each: int = 2) -> Path:
    """images/ and labels.jsonl, colours mixed."""
    (folder / "images").mkdir(parents=True)
    lines = []
    for seed in range(each):
        for colour in COLOURS:
            name = f"images/{seed}-{colour}.png"
            (folder / name).write_bytes(file_bytes(colour, seed))
            lines.append(json.dumps({"image": name, "label": colour}))
    (folder / "labels.jsonl").write_text("\n".join(lines) + "\n")
    return folder / "labels.jsonl"


def write_shard(path: Path, samples: Sequence[tuple[str, bytes | None, str | None]]) -> Path:
    """A webdataset tar of (key, picture file, content of .cls); None leaves the member out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for key, data, said in samples:
            if said is not None:
                add_member(archive, f"{key}.cls", said.encode())
            if data is not None:
                add_member(archive, f"{key}.webp", data)
            add_member(archive, f"{key}.json", b"{}")
    return path


def write_clip_benchmark(folder: Path, each: int = 2, per_shard: int = 2) -> Path:
    """What CLIP_benchmark's data sets look like: classnames.txt, test/0.tar and so on."""
    samples = [
        (f"s{seed * 3 + number:07d}", file_bytes(colour, seed, "WEBP"), str(number))
        for seed in range(each)
        for number, colour in enumerate(COLOURS)
    ]
    for shard, first in enumerate(range(0, len(samples), per_shard)):
        write_shard(folder / "test" / f"{shard}.tar", samples[first : first + per_shard])
    (folder / "test" / "nshards.txt").write_text(f"{-(-len(samples) // per_shard)}\n")
    (folder / "classnames.txt").write_text("\n".join(COLOURS) + "\n")
    (folder / "zeroshot_classification_templates.txt").write_text("a photo of {c}.\n")
    return folder


def broken(kind: str) -> bytes:
    """A file that starts as a picture and is none."""
    data = io.BytesIO()
    Image.new("RGB", (16, 16)).save(data, kind)
    return data.getvalue()[:40]
