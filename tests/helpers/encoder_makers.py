"""Tiny dual encoders in the Hugging Face layout, made with the `onnx` package.

A text's embedding depends on every token that its graph can see, padding included where the graph
takes no mask, so that a wrong padding rule shows.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

EDGE, DIM, HIDDEN = 8, 6, 5
WORDS = (
    *("a", "photo", "of", "the", "dog", "cat", "duck", "truffle", "red", "blue"),
    *("running", "sleeping", "on", "in", "grass", "water"),
)
CLIP_PICTURES = {
    "image_processor_type": "CLIPImageProcessor",
    "size": {"shortest_edge": EDGE},
    "crop_size": {"height": EDGE, "width": EDGE},
    "resample": 3,
}
SIGLIP_PICTURES = {
    "image_processor_type": "SiglipImageProcessor",
    "size": {"height": EDGE, "width": EDGE},
}


@dataclass(frozen=True, slots=True)
class Form:
    """One way in which exports differ; the default is a CLIP-like pair of dynamic graphs."""

    text_output: str = "text_embeds"
    vision_output: str = "image_embeds"
    mask: bool = True
    token_types: bool = False
    batch: int | None = None
    length: int | None = None
    joint: bool = False
    home: str = ""
    float16: bool = False
    external: bool = False
    dynamic_quantised: bool = False
    stated_width: bool = True
    text_width: int = DIM
    config: dict[str, Any] = field(default_factory=lambda: {"model_type": "clip"})
    context: int | float | None = 12
    pictures: dict[str, Any] = field(default_factory=lambda: dict(CLIP_PICTURES))


FORMS = {
    "clip": Form(),
    "onnx-subfolder": Form(home="onnx"),
    "no-mask": Form(mask=False),
    "siglip": Form(
        mask=False,
        text_output="pooler_output",
        vision_output="pooler_output",
        config={"model_type": "siglip"},
        pictures=SIGLIP_PICTURES,
    ),
    "siglip-with-mask": Form(config={"model_type": "siglip2"}, pictures=SIGLIP_PICTURES),
    "bert-hidden-states": Form(
        token_types=True,
        text_output="last_hidden_state",
        vision_output="last_hidden_state",
        config={"model_type": "bert-dual", "text_config": {"max_length": 12}},
        context=1e30,
    ),
    "fixed-batch-of-1": Form(batch=1),
    "fixed-batch-and-length": Form(batch=3, length=12),
    "joint": Form(joint=True, home="onnx"),
    "joint-fixed-batch": Form(joint=True, batch=2),
    "half-precision": Form(float16=True),
    "external-weights": Form(external=True),
    "dynamic-quantised": Form(dynamic_quantised=True),
    "dynamic-quantised-batch-of-2": Form(dynamic_quantised=True, batch=2),
    "width-not-stated": Form(stated_width=False),
}
"""What the contract test runs over."""


def write_encoder(folder: Path, form: Form | None = None) -> Path:
    """A folder with a complete encoder; the same form gives the same bytes."""
    form = form or Form()
    home = folder / form.home
    home.mkdir(parents=True, exist_ok=True)
    vision, text = _Graph(form), _Graph(form)
    if form.joint:
        text = vision
    _vision_tower(vision)
    _text_tower(text)
    if form.joint:
        vision.save(home / "model.onnx")
    else:
        vision.save(home / "vision_model.onnx")
        text.save(home / "text_model.onnx")
    write_tokenizer(folder / "tokenizer.json")
    settings = {} if form.context is None else {"model_max_length": form.context}
    write_json(folder / "tokenizer_config.json", {"pad_token": "[PAD]", **settings})
    write_json(folder / "config.json", form.config)
    write_json(folder / "preprocessor_config.json", form.pictures)
    return folder


def write_tokenizer(file: Path) -> None:
    vocabulary = ["[PAD]", "[UNK]", "[BOS]", "[EOS]", *WORDS]
    tokenizer = Tokenizer(WordLevel({w: i for i, w in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 2), ("[EOS]", 3)]
    )
    tokenizer.save(str(file))


def write_json(file: Path, content: dict[str, Any]) -> None:
    file.write_text(json.dumps(content, indent=1))


class _Graph:
    """Collects nodes, weights, inputs and outputs of one file."""

    def __init__(self, form: Form) -> None:
        self.form = form
        self.random = np.random.default_rng(7)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def weight(self, value: np.ndarray) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def matrix(self, *shape: int) -> str:
        return self.weight(self.random.normal(size=shape).astype(np.float32))

    def axes(self, *axes: int) -> str:
        return self.weight(np.array(axes, np.int64))

    def enter(self, name: str, kind: int, *shape: int | str) -> str:
        batch = self.form.batch or "batch"
        self.inputs.append(helper.make_tensor_value_info(name, kind, [batch, *shape]))
        return name

    def leave(self, value: str, name: str, *shape: int | str) -> None:
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        if not self.form.stated_width:
            shape = tuple("open" for _ in shape)
        batch = self.form.batch or "batch"
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *shape]))

    def quantised(self, value: str) -> str:
        """The value after a round trip through uint8 whose scale is taken over the whole batch."""
        if not self.form.dynamic_quantised:
            return value
        parts = [f"{value}_{part}" for part in ("q", "scale", "zero")]
        self.nodes.append(helper.make_node("DynamicQuantizeLinear", [value], parts))
        return self.add("DequantizeLinear", *parts)

    def save(self, file: Path) -> None:
        graph = helper.make_graph(self.nodes, "tiny", self.inputs, self.outputs, self.weights)
        opset = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        onnx.checker.check_model(model)
        if self.form.external:
            location = f"{file.stem}.bin"
            onnx.save(
                model, file, save_as_external_data=True, location=location, size_threshold=100
            )
        else:
            onnx.save(model, file)


def _vision_tower(graph: _Graph) -> None:
    """Four tokens, one a quarter of the picture; joined or put out one by one."""
    form = graph.form
    kind = TensorProto.FLOAT16 if form.float16 else TensorProto.FLOAT
    pixels = graph.enter("pixel_values", kind, 3, EDGE, EDGE)
    floats = graph.add("Cast", pixels, to=TensorProto.FLOAT)
    tokens = graph.add("Reshape", floats, graph.axes(0, 4, 3 * EDGE * EDGE // 4))
    hidden = graph.add("Tanh", graph.add("MatMul", tokens, graph.matrix(3 * EDGE * EDGE // 4, DIM)))
    hidden = graph.quantised(hidden)
    if form.vision_output == "last_hidden_state":
        graph.leave(hidden, form.vision_output, 4, DIM)
        return
    pooled = graph.add("ReduceMean", hidden, axes=[1], keepdims=0)
    graph.leave(pooled, form.vision_output, DIM)


def _text_tower(graph: _Graph) -> None:
    """Word vectors, mixed over all the tokens that are seen."""
    form = graph.form
    length = form.length or "length"
    ids = graph.enter("input_ids", TensorProto.INT32 if form.float16 else TensorProto.INT64, length)
    hidden = graph.add("Gather", graph.matrix(len(WORDS) + 4, HIDDEN), ids)
    if form.token_types:
        types = graph.enter("token_type_ids", TensorProto.INT64, length)
        hidden = graph.add("Add", hidden, graph.add("Gather", graph.matrix(2, HIDDEN), types))
    if form.mask:
        mask = graph.enter("attention_mask", TensorProto.INT64, length)
        weights = graph.add("Unsqueeze", graph.add("Cast", mask, to=1), graph.axes(2))
        total = graph.add("ReduceSum", graph.add("Mul", hidden, weights), graph.axes(1), keepdims=1)
        count = graph.add("ReduceSum", weights, graph.axes(1), keepdims=1)
        mixed = graph.add("Div", total, count)
    else:
        mixed = graph.add("ReduceMean", hidden, axes=[1], keepdims=1)
    hidden = graph.quantised(graph.add("Add", hidden, mixed))
    hidden = graph.add("Tanh", graph.add("MatMul", hidden, graph.matrix(HIDDEN, form.text_width)))
    if form.text_output == "last_hidden_state":
        graph.leave(hidden, form.text_output, length, form.text_width)
        return
    first = graph.add("Gather", hidden, graph.weight(np.array(0, np.int64)), axis=1)
    graph.leave(first, form.text_output, form.text_width)


def write_tiny_clip(folder: Path, kind: str = "clip", seed: int = 0) -> Path:
    """A CLIP or SigLIP as transformers saves it; needs torch, which is imported here only."""
    import torch
    import transformers

    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    text = {
        **sizes,
        "num_attention_heads": 2,
        "vocab_size": len(WORDS) + 4,
        "max_position_embeddings": 12,
        "pad_token_id": 0,
        "bos_token_id": 2,
        "eos_token_id": 3,
    }
    vision = {**sizes, "num_attention_heads": 2, "image_size": EDGE, "patch_size": 4}
    torch.manual_seed(seed)
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=DIM)
        network, pictures = transformers.CLIPModel(config), CLIP_PICTURES
    else:
        config = transformers.SiglipConfig(text_config=text, vision_config=vision)
        network, pictures = transformers.SiglipModel(config), SIGLIP_PICTURES
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith(("weight", "embedding")) and value.ndim > 1:
                value.normal_(0, 1.5 / value[0].numel() ** 0.5)
    network.eval().save_pretrained(folder)
    write_tokenizer(folder / "tokenizer.json")
    told = {"pad_token": "[PAD]", "model_max_length": 12}
    write_json(folder / "tokenizer_config.json", told)
    write_json(folder / "preprocessor_config.json", pictures)
    return folder
