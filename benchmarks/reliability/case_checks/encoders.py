"""Encoders as they are shared: each is held against the one of which it is made."""

from importlib.resources import files
from pathlib import Path

import numpy as np

from lagotto.core.errors import EncoderError
from lagotto.encoders.registry import load_encoder

DEMO = str(files("lagotto") / "demo/world/encoder")
WORDS = ["a photo of a violin", "duck"]


def check_lower_case(folder: Path, scratch: Path) -> list[str]:
    """SigLIP 2: case does not matter, and says so in the fingerprint."""
    del scratch
    encoder, plain = load_encoder(str(folder / "siglip2-like"), 1), load_encoder(DEMO, 1)
    wrong = []
    if not np.array_equal(encoder.embed_texts(["Violin"]), encoder.embed_texts(["violin"])):
        wrong.append("Violin and violin differ")
    if encoder.info.fingerprint == plain.info.fingerprint:
        wrong.append("lower-casing is not in the fingerprint")
    return wrong


REFUSED = {"pre-longest": "longest_edge", "pre-no-crop": "do_center_crop"}
"""Settings that no picture of another shape can follow, and what the refusal must name."""

STRETCHED = ("pre-clip-stretch", "pre-size-pair", "open-clip-config")


def check_layouts(folder: Path, scratch: Path) -> list[str]:
    """Every layout is the same encoder, but for what its own settings say of pictures."""
    del scratch
    plain = load_encoder(DEMO, 1)
    wrong = []
    for layout in sorted(folder.iterdir()):
        try:
            encoder = load_encoder(str(layout), 1)
        except EncoderError as error:
            if layout.name not in REFUSED or REFUSED[layout.name] not in str(error):
                wrong.append(f"{layout.name}: {error}")
            continue
        if layout.name in REFUSED:
            wrong.append(f"{layout.name}: read, though it cannot be followed")
        pixels = encoder.info.pixels
        expected = "stretch" if layout.name in STRETCHED else "crop"
        if (pixels.height, pixels.width, pixels.resize) != (64, 64, expected):
            wrong.append(f"{layout.name}: pictures become {pixels}")
        if not np.array_equal(encoder.embed_texts(WORDS), plain.embed_texts(WORDS)):
            wrong.append(f"{layout.name}: texts are embedded otherwise")
    return wrong


CHECKS = {"c11": check_lower_case, "c16": check_layouts}
