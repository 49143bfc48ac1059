"""Reads the shipped world with numpy, Pillow and onnxruntime alone, as a user's program would."""

import dataclasses
import io
import json
import pathlib

import numpy as np
import onnx
import onnxruntime
import pyarrow.parquet as pq
from PIL import Image
from tokenizers import Tokenizer


@dataclasses.dataclass(frozen=True, slots=True)
class ShippedModel:
    """One exported classifier: its model.json and a session that also gives the logits."""

    name: str
    description: dict
    session: onnxruntime.InferenceSession

    def logits(self, pictures: list[Image.Image]) -> np.ndarray:
        """[pictures, classes], before the softmax where the model has one."""
        batch = prepare(pictures, self.description["input"])
        feed = self.session.get_inputs()[0]
        rows = len(batch) if isinstance(feed.shape[0], str) else feed.shape[0]
        parts = [
            self.session.run(None, {feed.name: batch[start : start + rows]})[-1]
            for start in range(0, len(batch), rows)
        ]
        return np.concatenate(parts)


def open_session(model: bytes) -> onnxruntime.InferenceSession:
    """A session on one thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def load_model(folder: pathlib.Path) -> ShippedModel:
    """The model in one folder of WORLD/models, the softmax's input added as its last output."""
    description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    model = onnx.load(folder / description["file"])
    softmaxes = [node for node in model.graph.node if node.op_type == "Softmax"]
    if softmaxes:
        model.graph.output.append(onnx.ValueInfoProto(name=softmaxes[-1].input[0]))
    return ShippedModel(folder.name, description, open_session(model.SerializeToString()))


def prepare(pictures: list[Image.Image], declared: dict) -> np.ndarray:
    """The pictures in the form that the `input` of a model.json declares."""
    mode = "L" if declared["channels"] == "L" else "RGB"
    height, width = declared["size"]
    small = [p.convert(mode).resize((width, height), Image.Resampling.BILINEAR) for p in pictures]
    x = np.stack([np.asarray(picture) for picture in small]).astype(np.float32)
    x = x[..., None] if mode == "L" else x[..., ::-1] if declared["channels"] == "BGR" else x
    x = {"0..255": x, "0..1": x / 255, "-1..1": x / 127.5 - 1}[declared["scale"]]
    x = (x - np.array(declared["mean"], np.float32)) / np.array(declared["std"], np.float32)
    x = x.transpose(0, 3, 1, 2) if declared["layout"] == "NCHW" else x
    return np.ascontiguousarray(x.astype(declared["dtype"]))


class ShippedEncoder:
    """The encoder folder: unit embeddings of pictures and of texts."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.vision = open_session((folder / "vision_model.onnx").read_bytes())
        self.text = open_session((folder / "text_model.onnx").read_bytes())

    def embed_pictures(self, pictures: list[Image.Image]) -> np.ndarray:
        """[pictures, dimensions]."""
        side = self.config["vision_config"]["image_size"]
        small = [p.convert("RGB").resize((side, side), Image.Resampling.BICUBIC) for p in pictures]
        x = np.stack([np.asarray(picture) for picture in small]).astype(np.float32) / 127.5 - 1
        (rows,) = self.vision.run(None, {"pixel_values": x.transpose(0, 3, 1, 2)})
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_texts(self, texts: list[str]) -> np.ndarray:
        """[texts, dimensions]."""
        encodings = self.tokenizer.encode_batch(texts)
        ids = np.array([encoding.ids for encoding in encodings], np.int64)
        mask = np.array([encoding.attention_mask for encoding in encodings], np.int64)
        (rows,) = self.text.run(None, {"input_ids": ids, "attention_mask": mask})
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_names(self, names: list[str]) -> np.ndarray:
        """[names, dimensions], each name in the encoder's prompt."""
        return self.embed_texts([self.config["prompt_template"].format(name) for name in names])


@dataclasses.dataclass(frozen=True, slots=True)
class Pictures:
    """One parquet file of the world."""

    images: list[Image.Image]
    columns: dict[str, list]


def load_pictures(path: pathlib.Path) -> Pictures:
    """All pictures of probes.parquet or heldout.parquet."""
    columns = pq.read_table(path).to_pydict()
    images = [Image.open(io.BytesIO(data)).convert("RGB") for data in columns.pop("image")]
    return Pictures(images, columns)


def load_models(world: pathlib.Path) -> list[ShippedModel]:
    """All models, by name."""
    return [load_model(folder) for folder in sorted((world / "models").iterdir())]
