"""What a reader of the docs has: photos, an encoder, models, captions and labelled pictures."""

import json
import shutil
from pathlib import Path

from lagotto.demo import bundled

MODELS = ("exp_final_v3", "old_laptop_copy", "unknown_origin")


def make_workplace(folder: Path) -> Path:
    """Fills a folder with what the pages name, from the bundled world; the folder."""
    photos = folder / "photos"
    photos.mkdir()
    for picture in bundled.read_heldout()[:60]:
        (photos / picture.name).write_bytes(picture.data)
    (folder / "more-photos").mkdir()
    for picture in bundled.read_heldout()[60:90]:
        (folder / "more-photos" / picture.name).write_bytes(picture.data)
    lines = [
        json.dumps({"image": picture.name, "caption": f"a photo of a {picture.label}"})
        for picture in bundled.read_heldout()[:60]
    ]
    (photos / "captions.jsonl").write_text("\n".join(lines))
    (folder / "more-captions.txt").write_text("a dog in the snow\na cat on a chair\n")
    for picture in bundled.read_heldout()[:20]:
        labelled = folder / "labelled" / picture.label
        labelled.mkdir(parents=True, exist_ok=True)
        (labelled / picture.name).write_bytes(picture.data)
    for number, picture in enumerate(bundled.read_heldout()[:2], start=1):
        (folder / f"dog{number}.jpg").write_bytes(picture.data)
    for name in ("clip-onnx", "clip-vit-base-patch32-onnx"):
        shutil.copytree(bundled.DEMO_ENCODER, folder / name)
    for name in MODELS:
        shutil.copytree(bundled.MODELS / name, folder / "models" / name)
    return folder
