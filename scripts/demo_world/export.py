"""Writes the trained classifiers and the encoder as they ship.

python export.py classifiers WORK WORLD    WORLD/models/NAME/{model.onnx,model.json}
python export.py encoder WORK WORLD        WORLD/encoder/, in the Hugging Face ONNX layout
"""

import argparse
import io
import json
import pathlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator

import numpy as np
import onnx
import torch
from captions import PROMPT
from concepts import list_concepts
from networks import Classifier, Deployed
from onnx import numpy_helper
from onnxruntime import quantization
from pictures import SEED
from plan import ModelPlan, plan_models
from pool import load_pool, resize
from tokenizers import Tokenizer
from towers import DIMENSION, MAX_TOKENS, WORD_DIMENSION, DualEncoder

OPSET = 17
INPUT_NAMES = ("input", "images", "x", "data", "input_1")
OUTPUT_NAMES = ("output", "logits", "scores", "dense_1", "fc", "y", "prob")
CALIBRATION_PICTURES = 256
IMAGE_SIZE = 64


def to_onnx(
    module: torch.nn.Module,
    example: tuple[torch.Tensor, ...],
    inputs: list[str],
    output: str,
    axes: dict[str, dict[int, str]],
) -> onnx.ModelProto:
    """The module as an ONNX graph without the paths and traces of the machine that made it."""
    with torch.no_grad():
        width = module(*example).shape[1]
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module,
            example,
            stream,
            input_names=inputs,
            output_names=[output],
            dynamic_axes=axes or None,
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load_from_string(stream.getvalue())
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = width
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    return model


def prepare(pictures: torch.Tensor, plan: ModelPlan) -> np.ndarray:
    """uint8 [n, 3, size, size] RGB → what the deployed model takes, as its model.json says."""
    x = pictures.permute(0, 2, 3, 1).numpy().astype(np.float32)
    if plan.channels == "BGR":
        x = x[..., ::-1]
    if plan.channels == "L":
        x = x @ np.array([[0.299], [0.587], [0.114]], np.float32)
    if plan.scale == "0..1":
        x = x / 255
    if plan.scale == "-1..1":
        x = x / 127.5 - 1
    x = (x - np.array(plan.mean, np.float32)) / np.array(plan.std, np.float32)
    x = x if plan.layout == "NHWC" else x.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(x.astype(plan.dtype))


class Calibration(quantization.CalibrationDataReader):
    """Feeds training pictures, one a batch, to the quantiser."""

    def __init__(self, name: str, pictures: np.ndarray) -> None:
        self.feeds: Iterator[dict[str, np.ndarray]] = iter(
            [{name: pictures[index : index + 1]} for index in range(len(pictures))]
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def quantise(
    model: onnx.ModelProto, plan: ModelPlan, input_name: str, pictures: torch.Tensor
) -> onnx.ModelProto:
    """The graph with 8-bit weights and activations, ranges from training pictures."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder, "float.onnx"), pathlib.Path(folder, "int8.onnx")
        onnx.save(model, source)
        quantization.quantize_static(
            source,
            target,
            Calibration(input_name, prepare(pictures, plan)),
            quant_format=getattr(quantization.QuantFormat, plan.quantised),
            op_types_to_quantize=["Conv", "Gemm", "MaxPool", "Add"],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
        )
        return onnx.load(target)


def describe(plan: ModelPlan, names: list[str]) -> dict[str, object]:
    """The model.json of one model; the anonymous ones tell no labels."""
    labels = {"labels": [names[index] for index in plan.classes]} if plan.labelled else {}
    declared = {
        "size": [plan.size, plan.size],
        "layout": plan.layout,
        "channels": plan.channels,
        "scale": plan.scale,
        "mean": list(plan.mean),
        "std": list(plan.std),
        "resize": plan.resize,
        "dtype": plan.dtype,
    }
    base = {"name": plan.name, "file": "model.onnx"}
    return {**base, **labels, "input": declared, "output": plan.output}


def export_classifiers(work: pathlib.Path, world: pathlib.Path) -> None:
    """Every trained classifier, deployed as its plan says."""
    names = [concept.name for concept in list_concepts()]
    calibration = load_pool(work).images[:CALIBRATION_PICTURES]
    shutil.rmtree(world / "models", ignore_errors=True)
    for index, plan in enumerate(plan_models(SEED, len(names))):
        classifier = Classifier(plan)
        classifier.load_state_dict(torch.load(work / "classifiers" / f"{plan.name}.pt"))
        input_name = INPUT_NAMES[index % len(INPUT_NAMES)]
        output_name = OUTPUT_NAMES[index % len(OUTPUT_NAMES)]
        pictures = resize(calibration, plan.size)
        example = torch.from_numpy(prepare(pictures[:1], plan))
        axes = {} if plan.fixed_batch else {input_name: {0: "batch"}, output_name: {0: "batch"}}
        deployed = Deployed(classifier, plan).eval()
        model = to_onnx(deployed, (example,), [input_name], output_name, axes)
        if plan.quantised:
            model = quantise(model, plan, input_name, pictures)
        folder = world / "models" / plan.name
        folder.mkdir(parents=True)
        onnx.save(model, folder / "model.onnx")
        write_json(folder / "model.json", describe(plan, names))


def store_in_half(model: onnx.ModelProto, smallest: int = 256) -> onnx.ModelProto:
    """The same graph with its weights stored in 16 bits; it still computes in 32 bits."""
    for weight in list(model.graph.initializer):
        if weight.data_type != onnx.TensorProto.FLOAT or int(np.prod(weight.dims)) < smallest:
            continue
        half = numpy_helper.to_array(weight).astype(np.float16)
        stored = f"{weight.name}_half"
        cast = onnx.helper.make_node("Cast", [stored], [weight.name], to=onnx.TensorProto.FLOAT)
        model.graph.initializer.remove(weight)
        model.graph.initializer.append(numpy_helper.from_array(half, stored))
        model.graph.node.insert(0, cast)
    onnx.checker.check_model(model)
    return model


def encoder_files(words: int, logit_scale: float) -> dict[str, dict[str, object]]:
    """The encoder's configuration files, in the forms that Hugging Face tools read."""
    square = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return {
        "config.json": {
            "model_type": "lagotto-demo-dual-encoder",
            "name": "lagotto-demo",
            "projection_dim": DIMENSION,
            "logit_scale": round(logit_scale, 3),
            "prompt_template": PROMPT,
            "text_config": {
                "max_length": MAX_TOKENS,
                "max_position_embeddings": MAX_TOKENS,
                "hidden_size": WORD_DIMENSION,
                "vocab_size": words,
                "pad_token_id": 0,
            },
            "vision_config": {"image_size": IMAGE_SIZE, "num_channels": 3},
        },
        "preprocessor_config.json": {
            "image_processor_type": "CLIPImageProcessor",
            "do_convert_rgb": True,
            "do_resize": True,
            "size": {"shortest_edge": IMAGE_SIZE},
            "resample": 3,
            "do_center_crop": True,
            "crop_size": square,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "do_lower_case": True,
            "model_max_length": MAX_TOKENS,
            "pad_token": "[PAD]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "unk_token": "[UNK]",
        },
    }


def export_encoder(work: pathlib.Path, world: pathlib.Path) -> None:
    """Both towers with 16-bit weights, the tokenizer and the configuration files."""
    tokenizer = Tokenizer.from_file(str(work / "tokenizer.json"))
    model = DualEncoder(tokenizer.get_vocab_size())
    model.load_state_dict(torch.load(work / "encoder.pt"))
    model.eval()
    folder = world / "encoder"
    folder.mkdir(parents=True, exist_ok=True)
    pixels = torch.zeros(2, 3, IMAGE_SIZE, IMAGE_SIZE)
    axes = {"pixel_values": {0: "batch"}, "image_embeds": {0: "batch"}}
    vision = to_onnx(model.image, (pixels,), ["pixel_values"], "image_embeds", axes)
    onnx.save(store_in_half(vision), folder / "vision_model.onnx")
    ids = torch.ones(2, 9, dtype=torch.int64)
    both = {0: "batch", 1: "tokens"}
    axes = {"input_ids": both, "attention_mask": both, "text_embeds": {0: "batch"}}
    inputs = ["input_ids", "attention_mask"]
    text = to_onnx(model.text, (ids, torch.ones_like(ids)), inputs, "text_embeds", axes)
    onnx.save(store_in_half(text), folder / "text_model.onnx")
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    scale = float(model.caption_scale.detach().exp())
    for name, content in encoder_files(tokenizer.get_vocab_size(), scale).items():
        write_json(folder / name, content)


def write_json(path: pathlib.Path, content: dict[str, object]) -> None:
    """Readable JSON with a final newline."""
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["classifiers", "encoder"])
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("world", type=pathlib.Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    export = export_classifiers if options.what == "classifiers" else export_encoder
    export(options.work, options.world)


if __name__ == "__main__":
    main()
