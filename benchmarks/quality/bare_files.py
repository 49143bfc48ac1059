r"""Bare model files: is what was found by trying how the model was trained?

    python benchmarks/quality/bare_files.py --assets DIR --json > \
        benchmarks/results/quality_bare_files.json

The model files of DIR/hub are copied alone, without model.json, into a temporary folder and
inspected as `lagotto hub add --inspect` does; so are those of the bundled demo world. The truth is
each model.json. Where the feed found is another one, the descriptors of both on 200 probes are
compared: mean over the logits of the correlation over the probes. The baseline is what was assumed
before: RGB, and 0..1 for floats. The rule was chosen on the demo world and on every other model of
DIR/hub in the order of their names, beginning with the first; `kept_aside` are the rest. A `twin`
is a model whose red and blue are swapped: its scores are those of the model, swapped, so that it
is known from these whether its order would have been found. Every model of DIR/hub crops. How a
model that stretches would fare is seen on squeezed pictures: the middle square of each, widened or
heightened by a third, so that stretching gives the natural picture and cropping does not.
"""

import argparse
import json
import platform
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import lagotto
from lagotto.core.images import decode_picture, to_pixels
from lagotto.core.types import Decision, InputSpec, PixelSpec
from lagotto.demo import bundled
from lagotto.hub.descriptors.standardize import standardize
from lagotto.hub.hub import Hub
from lagotto.hub.ingest.inspect import Inspection
from lagotto.models.classifier import ModelClassifier
from lagotto.models.metadata.input_spec import scale_text
from lagotto.models.metadata.scan import scan_models
from lagotto.models.preprocessing.candidates import (
    COMMON_NORMALIZATIONS,
    Normalization,
    normalization_of,
)
from lagotto.models.preprocessing.infer import (
    MIN_BGR_MARGIN,
    TRIAL_PICTURES,
    infer_preprocessing,
)
from lagotto.models.registry import load_model

COMPARED = 200
ENOUGH = 0.98
BICUBIC = Image.Resampling.BICUBIC


def make_hub(assets: Path, folder: Path) -> Hub:
    """A hub without models on 500 of the captioned photos."""
    photos = assets / "photos"
    probes = [photos / "flickr8k" / "captions.jsonl", photos / "coco" / "captions.jsonl"]
    encoder = str(assets / "encoder" / "photo-lit")
    return Hub.create(folder / "hub", probes, encoder, max_probes=500)


def inspect_bare(hub: Hub, models: Path, folder: Path) -> dict[str, Inspection]:
    """How each model would be run, from its file alone; by the name of its folder."""
    folder.mkdir()
    for source in scan_models([models]):
        place = folder / source.file.relative_to(models).parent
        place.mkdir(parents=True)
        shutil.copyfile(source.file, place / source.file.name)
    return {each.model: each for each in hub.inspect([folder])}


class Probes:
    """An even sample of a hub's probes, decoded."""

    def __init__(self, hub: Hub) -> None:
        count = len(hub.probes)
        wanted = min(COMPARED, count)
        self.pictures = [
            decode_picture(hub.probe_picture(place * count // wanted)) for place in range(wanted)
        ]

    def pixels(self, spec: PixelSpec) -> np.ndarray:
        """The pictures as a model takes them."""
        return np.stack([to_pixels(picture, spec) for picture in self.pictures])


def correlation(
    model: ModelClassifier, first: InputSpec, second: InputSpec, probes: Probes
) -> float:
    """Mean over the logits of the correlation of their descriptors under two feeds."""
    descriptors = []
    for spec in (first, second):
        fed = model.with_input(spec, (), ())
        descriptors.append(standardize(fed.logits(probes.pixels(spec.pixels))))
    usable = descriptors[0].usable
    product = descriptors[0].values[:, usable] * descriptors[1].values[:, usable]
    return float(product.mean())


def squeezed(picture: Image.Image, place: int) -> Image.Image:
    """The middle square, a third wider or higher than it was."""
    edge = min(picture.size)
    left, top = ((side - edge) // 2 for side in picture.size)
    longer = round(edge * 4 / 3)
    size = (longer, edge) if place % 2 else (edge, longer)
    return picture.crop((left, top, left + edge, top + edge)).resize(size, BICUBIC)


class Squeezed(Probes):
    """The same probes, squeezed; as many as inference sees."""

    def __init__(self, probes: Probes) -> None:
        step = max(1, len(probes.pictures) // TRIAL_PICTURES)
        chosen = probes.pictures[::step][:TRIAL_PICTURES]
        self.pictures = [squeezed(picture, place) for place, picture in enumerate(chosen)]


def geometry(source: Any, found: Inspection, probes: Probes) -> dict[str, Any]:
    """What was decided about crop and stretch, and what is decided on squeezed pictures."""
    (said,) = (value for key, value in source.description.items() if key == "input")
    told = {key: value for key, value in said.items() if key != "resize"}
    model = load_model(replace(source, description={**source.description, "input": told}))
    twin = infer_preprocessing(model, Squeezed(probes).pixels)
    (on_twin,) = (each for each in twin.spec.decisions if each.field == "resize")
    truth = model.spec.input
    other = replace(truth, pixels=replace(truth.pixels, resize="stretch"))
    taken = decision(found, "resize")
    return {
        "found": taken.value,
        "margin": taken.margin,
        "correlation_of_both": correlation(model, truth, other, probes),
        "squeezed_found": on_twin.value,
        "squeezed_margin": on_twin.margin,
    }


def decision(found: Inspection, field: str) -> Decision:
    """What was decided for a field."""
    return next(each for each in found.input if each.field == field)


def found_spec(truth: InputSpec, found: Inspection) -> InputSpec:
    """The spec that the inspection arrived at; size, layout and resize as in the truth."""
    channels = decision(found, "channels").value
    wanted = decision(found, "scale").value
    own = (Normalization(truth.scale), normalization_of(truth))
    for normalization in (*own, *COMMON_NORMALIZATIONS):
        for order in ("RGB", "BGR", "L"):
            spec = normalization.apply_to(truth, order)
            if order == channels and scale_text(spec) == wanted:
                return spec
    raise ValueError(f"{found.model}: {channels}, {wanted}")


def same(first: InputSpec, second: InputSpec) -> bool:
    """Whether two specs feed the same numbers, as far as scale and channels decide."""
    if first.dtype in ("uint8", "int8"):
        return first.channels == second.channels
    return first.channels == second.channels and scale_text(first) == scale_text(second)


def row(source: Any, found: Inspection, probes: Probes) -> dict[str, Any]:
    """Truth, what was found, and how far apart they and the baseline are."""
    model = load_model(source)
    if not isinstance(model, ModelClassifier):
        raise TypeError(source.name)
    truth = model.spec.input
    grey = truth.pixels.grey
    default = replace(truth, channels="L" if grey else "RGB", scale="0..1", mean=(), std=())
    if truth.dtype in ("uint8", "int8"):
        default = replace(default, scale="0..255")
    taken = found_spec(truth, found)
    channels, scale = decision(found, "channels"), decision(found, "scale")
    tried = decision(found, "resize").margin
    ahead = None
    if channels.margin is not None:
        ahead = channels.margin if channels.value == "RGB" else -channels.margin
        ahead = ahead if truth.channels == "RGB" else -ahead
    return {
        "model": source.name,
        "truth": {"channels": truth.channels, "scale": scale_text(truth), "dtype": truth.dtype},
        "found": {"channels": taken.channels, "scale": scale_text(taken)},
        "origin": {"channels": channels.origin, "scale": scale.origin},
        "margin": {"channels": channels.margin, "scale": scale.margin},
        "runner_up": {"channels": channels.runner_up, "scale": scale.runner_up},
        "on": scale.reason or channels.reason,
        "right": same(truth, taken),
        "correlation": 1.0 if same(truth, taken) else correlation(model, truth, taken, probes),
        "baseline_right": same(truth, default),
        "baseline_correlation": 1.0
        if same(truth, default)
        else correlation(model, truth, default, probes),
        "twin_found": None if ahead is None else ahead > MIN_BGR_MARGIN,
        "resize": None if tried is None else geometry(source, found, probes),
    }


def rows(hub: Hub, models: Path, folder: Path) -> list[dict[str, Any]]:
    """One row a model, in the order of their files."""
    found = inspect_bare(hub, models, folder)
    probes = Probes(hub)
    made = []
    for source in scan_models([models]):
        place = source.file.parent.name
        if found[place].failure:
            made.append({"model": source.name, "failure": found[place].failure})
            continue
        made.append(row(source, found[place], probes))
        print(made[-1], file=sys.stderr)
    return made


def summary(made: list[dict[str, Any]]) -> dict[str, int]:
    """How many are right, and how many right or as good as right."""
    tried = [each["resize"] for each in made if each.get("resize")]
    return {
        "models": len(made),
        "right": sum(each.get("right", False) for each in made),
        "right_in_effect": sum(each.get("correlation", 0) > ENOUGH for each in made),
        "baseline_right": sum(each.get("baseline_right", False) for each in made),
        "baseline_right_in_effect": sum(
            each.get("baseline_correlation", 0) > ENOUGH for each in made
        ),
        "twins": sum(each.get("twin_found") is not None for each in made),
        "twins_found": sum(bool(each.get("twin_found")) for each in made),
        "resize_tried": len(tried),
        "crop_kept": sum(each["found"] == "crop" for each in tried),
        "squeezed_found": sum(each["squeezed_found"] == "stretch" for each in tried),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", type=Path, required=True)
    parser.add_argument("--hub", type=Path, help="a hub already made on the captioned photos")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        hub = Hub.open(options.hub) if options.hub else make_hub(options.assets, folder)
        shared = rows(hub, options.assets / "hub", folder / "shared")
        world = Hub.create(folder / "world", bundled.PROBES, str(bundled.DEMO_ENCODER))
        demo = rows(world, bundled.MODELS, folder / "demo")
        result = {
            "what": "scale, channel order and geometry found for files without model.json",
            "pictures": TRIAL_PICTURES,
            "compared_on": min(COMPARED, len(hub.probes)),
            "enough": ENOUGH,
            "bgr_ahead": MIN_BGR_MARGIN,
            "probe_digest": hub.probe_digest,
            "lagotto": lagotto.__version__,
            "python": platform.python_version(),
            "shared": summary(shared),
            "shared_chosen_on": summary(shared[::2]),
            "shared_kept_aside": summary(shared[1::2]),
            "demo": summary(demo),
            "shared_models": shared,
            "demo_models": demo,
        }
    print(json.dumps(result, indent=1) if options.json else result)


if __name__ == "__main__":
    main()
