"""A world whose right answers are known without training: the concept is a picture's colour.

Pictures are one colour with noise. The encoder's picture tower maps the mean colour to a nearly
one-hot vector over COLOURS, its text tower maps a colour's name to the same. A classifier's logit
for a colour falls with the distance of the mean colour from it, in whatever layout, channel order,
dtype and scale its file is written.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import encoder_makers
from lagotto.hub.hub import Hub
from lagotto.hub.store.audits import record_audits
from lagotto.hub.store.catalog import Catalog
from lagotto.hub.store.records import AuditRecord
from older_catalogue import make_older

COLOURS = {
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 1.0, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "magenta": (1.0, 0.0, 1.0),
    "cyan": (0.0, 1.0, 1.0),
    "black": (0.0, 0.0, 0.0),
    "white": (1.0, 1.0, 1.0),
}
NAMES = tuple(COLOURS)
PICTURES_A_COLOUR = 9
EDGE = 16
"""Of a picture, of the encoder's input, and of the models' unless they say otherwise."""

_DTYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8}


@dataclass(frozen=True)
class Classifier:
    """A classifier of some colours, in one of the ways in which such a file may be written."""

    colours: tuple[str, ...]
    layout: str = "NCHW"
    channels: str = "RGB"
    dtype: str = "float32"
    scale: str = "0..1"
    softmax: bool = False
    labelled: bool = True
    edge: int = EDGE
    seed: int = 0
    trained: bool = False
    """The logits of all colours on one scale, as training makes them; else each on its own."""
    names: tuple[str, ...] = ()
    """Published labels that are not the colours."""


MODELS = {
    "plain": Classifier(("red", "green", "blue"), seed=1),
    "channels_last": Classifier(("yellow", "black", "red", "cyan"), layout="NHWC", seed=2),
    "opencv": Classifier(("blue", "magenta", "white"), channels="BGR", scale="0..255", seed=3),
    "bytes": Classifier(
        ("green", "white", "yellow"), layout="NHWC", dtype="uint8", scale="0..255", seed=4
    ),
    "softmaxed": Classifier(("cyan", "magenta", "black", "green"), softmax=True, seed=5),
    "symmetric": Classifier(("blue", "red"), scale="-1..1", channels="BGR", edge=12, seed=6),
    "nameless": Classifier(("white", "cyan", "yellow"), labelled=False, softmax=True, seed=7),
}
"""By the name of their folder."""

TRAINED = {
    "all_eight": Classifier(NAMES[::-1], trained=True),
    "all_nameless": Classifier(
        (*NAMES[3:], *NAMES[:3]), trained=True, labelled=False, softmax=True, edge=12
    ),
    "three": Classifier(("red", "green", "blue"), trained=True, channels="BGR"),
}
"""Classifiers whose probabilities mean something, as those of training do."""


CALIBRATION_NOTE = (
    "confidence was calibrated with the encoder photo-lit, and this hub has encoder: it orders "
    "hits, but is no exact share of right ones"
)
"""What the status of the world's hub says: it has an encoder of its own."""


def planted(colour: str) -> frozenset[tuple[str, int]]:
    """The (model, logit) pairs that recognise a colour."""
    return frozenset(
        (name, model.colours.index(colour))
        for name, model in MODELS.items()
        if colour in model.colours
    )


@dataclass(frozen=True)
class World:
    """Where a built world lies. Its hub is for reading: tests that change one copy it first."""

    pictures: Path
    encoder: Path
    models: Path
    empty_hub: Path
    hub: Path


_shared: list[World] = []


def shared_world(factory: Any) -> World:
    """The world of this test session, built by the first who asks; takes `tmp_path_factory`."""
    if not _shared:
        _shared.append(build_world(factory.mktemp("world")))
    return _shared[0]


def build_world(folder: Path) -> World:
    """Pictures (one of them broken), encoder, models, a hub without models and one with all."""
    world = World(
        pictures=write_pictures(folder / "pictures"),
        encoder=write_encoder(folder / "encoder"),
        models=write_models(folder / "models"),
        empty_hub=folder / "empty-hub",
        hub=folder / "hub",
    )
    (world.pictures / "zz_broken.png").write_text("no picture")
    Hub.create(world.empty_hub, world.pictures, str(world.encoder))
    shutil.copytree(world.empty_hub, world.hub)
    Hub.open(world.hub).add([world.models])
    return world


def build_trained_hub(world: World, folder: Path) -> Path:
    """FOLDER/hub, a hub of the TRAINED models, which lie in FOLDER/models."""
    for name, model in TRAINED.items():
        write_classifier(folder / "models" / name, model)
    shutil.copytree(world.empty_hub, folder / "hub")
    Hub.open(folder / "hub").add([folder / "models"])
    return folder / "hub"


def set_verdicts(hub: Path, verdicts: Mapping[str, str]) -> None:
    """Writes audits into a hub's catalogue, as if its lists had been audited so."""
    with Catalog(hub / "catalogue.sqlite", writable=True) as catalogue:
        audits = {model: AuditRecord("set", verdict) for model, verdict in verdicts.items()}
        record_audits(catalogue, audits)


def make_old(hub: Path) -> None:
    """Makes a hub what older versions made: no audits, and no statistics of words."""
    make_older(hub / "catalogue.sqlite", 1)
    for name in ("background.safetensors", "rivals.safetensors"):
        (hub / name).unlink()


# -------------------------------------------------------------------------------------- pictures


def picture(colour: str, seed: int) -> Image.Image:
    """A picture of a colour: faded a little towards grey, with noise."""
    rng = np.random.default_rng(seed)
    centre = 0.5 + (np.array(COLOURS[colour]) - 0.5) * rng.uniform(0.6, 1.0)
    pixels = centre + rng.normal(0, 0.05, (EDGE, EDGE, 3))
    return Image.fromarray((pixels.clip(0, 1) * 255).astype(np.uint8))


def write_pictures(folder: Path, each: int = PICTURES_A_COLOUR, seed: int = 0) -> Path:
    """`each` PNG files a colour, named so that their order mixes the colours."""
    folder.mkdir(parents=True)
    for number in range(each):
        for place, colour in enumerate(NAMES):
            made = picture(colour, seed + 1000 * place + number)
            made.save(folder / f"{number:03d}_{colour}.png")
    return folder


# --------------------------------------------------------------------------------------- encoder


def write_encoder(folder: Path, sharpness: float = 6.0) -> Path:
    """A dual encoder in the Hugging Face layout; another sharpness is another fingerprint."""
    folder.mkdir(parents=True)
    prototypes = np.array(list(COLOURS.values()), np.float32)
    _save(
        folder / "vision_model.onnx",
        [
            helper.make_node("ReduceMean", ["pixel_values"], ["mean"], axes=[2, 3], keepdims=0),
            helper.make_node("Gemm", ["mean", "W", "b"], ["scores"]),
            helper.make_node("Softmax", ["scores"], ["image_embeds"], axis=1),
        ],
        ("pixel_values", TensorProto.FLOAT, ["batch", 3, EDGE, EDGE]),
        ("image_embeds", len(NAMES)),
        {
            "W": (2 * sharpness * prototypes.T).astype(np.float32),
            "b": (-sharpness * np.square(prototypes).sum(axis=1)).astype(np.float32),
        },
    )
    words = ["[PAD]", "[UNK]", "[BOS]", "[EOS]", "a", "photo", "of", ".", *NAMES]
    rows = np.full((len(words), len(NAMES)), 1e-3, np.float32)
    rows[-len(NAMES) :] += np.eye(len(NAMES), dtype=np.float32)
    _save(
        folder / "text_model.onnx",
        [
            helper.make_node("Gather", ["rows", "input_ids"], ["hidden"]),
            helper.make_node("ReduceSum", ["hidden", "one"], ["text_embeds"], keepdims=0),
        ],
        ("input_ids", TensorProto.INT64, ["batch", "length"]),
        ("text_embeds", len(NAMES)),
        {"rows": rows, "one": np.array([1], np.int64)},
    )
    _write_tokenizer(folder / "tokenizer.json", words)
    encoder_makers.write_json(
        folder / "tokenizer_config.json", {"pad_token": "[PAD]", "model_max_length": 12}
    )
    encoder_makers.write_json(folder / "config.json", {"model_type": "clip"})
    pictures = encoder_makers.CLIP_PICTURES | {
        "size": {"shortest_edge": EDGE},
        "crop_size": {"height": EDGE, "width": EDGE},
        "image_mean": [0.0, 0.0, 0.0],
        "image_std": [1.0, 1.0, 1.0],
    }
    encoder_makers.write_json(folder / "preprocessor_config.json", pictures)
    return folder


def _write_tokenizer(file: Path, words: list[str]) -> None:
    encoder_makers.write_tokenizer(file)
    content = json.loads(file.read_text())
    content["model"]["vocab"] = {word: number for number, word in enumerate(words)}
    file.write_text(json.dumps(content))


# ------------------------------------------------------------------------------------ classifiers


def write_models(folder: Path, names: tuple[str, ...] = tuple(MODELS)) -> Path:
    """A folder a model, each with its model.json."""
    for name in names:
        write_classifier(folder / name, MODELS[name])
    return folder


def write_classifier(folder: Path, model: Classifier) -> Path:
    """The file model.onnx, with its model.json beside it."""
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(classifier_bytes(model))
    said: dict[str, Any] = {
        "input": {"channels": model.channels, "scale": model.scale, "layout": model.layout}
    }
    if model.labelled:
        said["labels"] = list(model.names or model.colours)
    (folder / "model.json").write_text(json.dumps(said))
    return folder / "model.onnx"


def classifier_bytes(model: Classifier) -> bytes:
    """Logit of a colour: offset - gain * squared distance of the mean colour from it."""
    rng = np.random.default_rng(model.seed)
    prototypes = np.array([COLOURS[colour] for colour in model.colours], np.float32)
    if model.channels == "BGR":
        prototypes = prototypes[:, ::-1]
    spatial = [2, 3] if model.layout == "NCHW" else [1, 2]
    factor, shift = {"0..1": (1, 0), "0..255": (1 / 255, 0), "-1..1": (0.5, 0.5)}[model.scale]
    gains = rng.uniform(0.5, 20, len(prototypes))
    offsets = rng.normal(0, 30, len(prototypes))
    if model.trained:
        gains, offsets = np.full(len(prototypes), 10.0), np.zeros(len(prototypes))
    arrays = {
        "factor": np.float32(factor),
        "shift": np.float32(shift),
        "prototypes": prototypes[None],
        "minus_gain": -gains.astype(np.float32),
        "offset": offsets.astype(np.float32),
        "one": np.array([1], np.int64),
        "two": np.array([2], np.int64),
    }
    nodes = [
        helper.make_node("Cast", ["picture"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["real"], ["mean"], axes=spatial, keepdims=0),
        helper.make_node("Mul", ["mean", "factor"], ["scaled"]),
        helper.make_node("Add", ["scaled", "shift"], ["colour"]),
        helper.make_node("Unsqueeze", ["colour", "one"], ["column"]),
        helper.make_node("Sub", ["column", "prototypes"], ["difference"]),
        helper.make_node("Mul", ["difference", "difference"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "two"], ["distance"], keepdims=0),
        helper.make_node("Mul", ["distance", "minus_gain"], ["falling"]),
        helper.make_node("Add", ["falling", "offset"], ["scores"]),
    ]
    if model.softmax:
        nodes.append(helper.make_node("Softmax", ["scores"], ["probabilities"], axis=1))
    size = [model.edge, model.edge]
    shape = ["n", 3, *size] if model.layout == "NCHW" else ["n", *size, 3]
    return _graph_bytes(
        nodes,
        ("picture", _DTYPES[model.dtype], shape),
        (nodes[-1].output[0], len(prototypes)),
        arrays,
    )


def write_slow_model(folder: Path, rounds: int = 3_000_000) -> Path:
    """A classifier that needs minutes for the probes: it shrinks its mean colour over and over.

    `rounds` fewer take less time.
    """
    inside = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"]),
            helper.make_node("Mul", ["value", "half"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
        [numpy_helper.from_array(np.float32(0.5), "half")],
    )
    nodes = [
        helper.make_node("ReduceMean", ["picture"], ["mean"], axes=[2, 3], keepdims=0),
        helper.make_node("Loop", ["rounds", "yes", "mean"], ["last"], body=inside),
        helper.make_node("Add", ["mean", "last"], ["scores"]),
    ]
    folder.mkdir(parents=True)
    _save(
        folder / "model.onnx",
        nodes,
        ("picture", TensorProto.FLOAT, ["n", 3, EDGE, EDGE]),
        ("scores", 3),
        {"rounds": np.int64(rounds), "yes": np.bool_(True)},
    )
    return folder / "model.onnx"


def _save(file: Path, *graph: Any) -> None:
    file.write_bytes(_graph_bytes(*graph))


def _graph_bytes(
    nodes: list[onnx.NodeProto],
    entry: tuple[str, int, list[Any]],
    leaving: tuple[str, int],
    arrays: dict[str, Any],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "colours",
        [helper.make_tensor_value_info(*entry)],
        [helper.make_tensor_value_info(leaving[0], TensorProto.FLOAT, [entry[2][0], leaving[1]])],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    data: bytes = model.SerializeToString()
    return data
