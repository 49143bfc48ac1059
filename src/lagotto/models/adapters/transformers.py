"""config.json and weights from transformers come in; a classifier run by torch goes out.

No code of a repository is run. Safetensors are read by transformers; the tensors of a pickle or of
shards are taken by our own reader, which runs nothing of it. The image processor of a model is
replaced by an InputSpec if both give the same numbers on trial pictures; else it is used itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from jaxtyping import Float32, Num, UInt8
from PIL import Image
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForImageClassification,
    AutoModelForObjectDetection,
    AutoModelForSemanticSegmentation,
)
from transformers.utils import logging

from lagotto.core.devices.placement import CPU
from lagotto.core.devices.runtimes import move_torch, run_on_device
from lagotto.core.devices.use import DeviceUse
from lagotto.core.errors import ModelError, reason
from lagotto.core.images import to_pixels
from lagotto.core.types import InputSpec, JsonObject, ModelSource, PixelSpec
from lagotto.models.checkpoints.opening import open_checkpoint
from lagotto.models.classifier import ModelClassifier, load_classifier
from lagotto.models.files.tensors import ClassHint, InputTensor, OutputTensor
from lagotto.models.inputs import prepare_tensor
from lagotto.models.metadata.description import parse_description
from lagotto.models.metadata.embedded import EmbeddedMetadata
from lagotto.models.metadata.input_spec import resolve_input
from lagotto.models.metadata.pretrained import (
    CONFIG,
    PICKLED_WEIGHTS,
    PROCESSOR,
    WEIGHTS_FILE,
    SavedTask,
    credit_saved,
    describe_saved,
    has_settings,
    read_settings,
    task_of,
    with_saved_input,
)
from lagotto.models.output_places import OutputRequest

_BATCH, _GPU_BATCH = 8, 32
"""Pictures of one run; it is fixed, so that no picture changes the logits of another."""

_LOGITS = "logits"
_NETWORKS: dict[SavedTask, Any] = {
    "classify": AutoModelForImageClassification,
    "detect": AutoModelForObjectDetection,
    "segment": AutoModelForSemanticSegmentation,
}
BY_PILLOW: dict[str, Any] = (
    {"use_fast": False} if transformers.__version__.startswith("4.") else {"backend": "pil"}
)
"""Pictures are processed as on a machine without torchvision, which resizes them otherwise."""

_CLOSE = 1e-4
_TRIAL_SIZES = ((97, 61), (61, 97), (83, 83))
_RESAMPLES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
_REFUSALS = (
    *(OSError, ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError),
    *(NotImplementedError, AssertionError, IndexError, SafetensorError),
)


@dataclass(frozen=True, slots=True)
class _InputPlan:
    """How pictures reach a network.

    `description` is the input part of a model.json. If `processor` is set, the pictures that it
    describes go through the model's own image processor.
    """

    description: JsonObject
    height: int
    width: int
    processor: Any = None


def load_transformers(source: ModelSource, threads: int = 1, device: str = CPU) -> ModelClassifier:
    """Loads the model of a config.json and its weights; ModelError with the reason in one line."""
    if not has_settings(source.file):
        raise ModelError(
            f"the weights are in {source.file.name!r}; allowed: {WEIGHTS_FILE} or "
            f"{PICKLED_WEIGHTS}, whole or in shards with their index, beside {CONFIG}"
        )
    torch.set_num_threads(threads)
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    folder = source.file.parent
    config, settings = read_settings(folder)
    task = task_of(config)
    use = DeviceUse(device)
    network = move_torch(use, torch, _network(source.file, task), ModelError)
    plan = _plan_input(folder, config, settings)
    if task != "classify" and plan.processor is not None:  # it is handed the whole picture
        plan = replace(plan, description={**plan.description, "resize": "stretch"})
    described = with_saved_input(source, plan.description)
    saved = EmbeddedMetadata(parse_description(describe_saved(config, {})), labels_origin=CONFIG)
    engine = partial(TransformersEngine, network, plan, task, use=use)
    model = load_classifier(described, "transformers", "NCHW", engine, saved).with_device(use)
    return model.with_decisions(
        credit_saved(model.spec.decisions, source, PROCESSOR if settings else CONFIG)
    )


class TransformersEngine:
    """A network in eval mode, without gradients. Its output is logits: no activation is cut.

    Of several outputs the one named `logits` is read, as all classifiers of transformers have it;
    `output_name` in model.json may name another one, such as `cls_logits`. Detectors may have a
    class more than labels, the last one: "no object". It is left out.
    """

    def __init__(
        self,
        network: Any,
        plan: _InputPlan,
        task: SavedTask,
        request: OutputRequest,
        use: DeviceUse | None = None,
    ) -> None:
        self._network = network
        self._use = DeviceUse() if use is None else use
        self._task = task
        self._output_name = request.name or _LOGITS
        usual = _GPU_BATCH if self._use.is_gpu else _BATCH
        batch = usual if task == "classify" else 1
        self._processor = plan.processor
        size = (plan.height, plan.width)
        if plan.processor is None:
            self._input = InputTensor("pixel_values", (batch, 3, *size), "float32")
        else:
            self._input = InputTensor("pixels", (batch, *size, 3), "uint8")

    @property
    def input(self) -> InputTensor:
        """The input of the network, or of its image processor if that is used."""
        return self._input

    @property
    def output(self) -> OutputTensor:
        """The logits."""
        is_row = self._task == "classify"
        hint: ClassHint = "map" if self._task == "segment" else "" if is_row else "last"
        return OutputTensor(self._output_name, None, False, is_row=is_row, class_hint=hint)

    @property
    def notes(self) -> tuple[str, ...]:
        """One line if the image processor of the model is used."""
        if self._processor is None:
            return ()
        name = type(self._processor).__name__
        return (f"pictures go through the model's own {name}: it is no plain resize and scale",)

    def run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Float32[np.ndarray, "..."]:
        """Logits of a batch; raises ModelError if the network refuses."""
        if self._processor is not None:
            tensor = _processed(self._processor, list(tensor))
        parts = self._use.run(len(tensor), len(tensor), lambda s: self._run(tensor[s]), ModelError)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, tensor: Num[np.ndarray, "batch a b c"]) -> Float32[np.ndarray, "..."]:
        given = torch.from_numpy(tensor)
        try:
            with torch.inference_mode():
                outputs = run_on_device(
                    self._use,
                    torch,
                    lambda: self._network(pixel_values=given.to(self._use.device)),
                )
        except _REFUSALS as error:
            raise ModelError(f"transformers cannot run the model: {reason(error)}") from error
        logits = outputs.get(self._output_name)
        if not isinstance(logits, torch.Tensor):
            raise ModelError(
                f"the network has no output {self._output_name[:80]!r}; it has: "
                f"{', '.join(outputs)}; name one as output_name in model.json"
            )
        labels = getattr(self._network.config, "num_labels", None)
        if self.output.class_hint == "last" and labels == logits.shape[-1] - 1:
            logits = logits[..., :labels]
        return np.asarray(logits.float().cpu().numpy())


def _network(file: Path, task: SavedTask) -> Any:
    load, given = _loading(file, task)
    try:
        network, report = load(
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below
            dtype=torch.float32,
            **given,
        )
    except _REFUSALS as error:
        raise ModelError(f"transformers cannot load the model: {reason(error)}") from error
    missing = sorted((*report["missing_keys"], *(str(key) for key in report["mismatched_keys"])))
    if missing:
        raise ModelError(
            f"the file lacks {len(missing)} of the network's weights ({missing[0]}, ...): it is no "
            "image classifier, or not the one that config.json describes"
        )
    return network.eval()


def _loading(file: Path, task: SavedTask) -> tuple[Callable[..., Any], JsonObject]:
    """The function of transformers that builds a network, and where its weights are.

    Tensors of a file that is no safetensors are handed over by name, so torch.load never sees it.
    """
    kinds, folder = _NETWORKS[task], file.parent
    if file.name == WEIGHTS_FILE:
        return partial(kinds.from_pretrained, folder), {"use_safetensors": True}
    tensors = open_checkpoint(file, as_saved=True).tensors
    weights = {name: torch.from_numpy(tensor.read().copy()) for name, tensor in tensors.items()}
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        with torch.device("meta"):  # only its class is needed
            kind = type(kinds.from_config(config, trust_remote_code=False))
    except _REFUSALS as error:
        raise ModelError(f"transformers cannot load the model: {reason(error)}") from error
    return partial(kind.from_pretrained, None, config=config, state_dict=weights), {}


def _plan_input(folder: Path, config: JsonObject, settings: JsonObject) -> _InputPlan:
    """The spec that equals the image processor, if there is one, else the processor itself."""
    if not settings:
        size = config.get("image_size")
        edges = size if isinstance(size, list) and len(size) == 2 else [size, size]
        if not all(isinstance(edge, int) for edge in edges):
            raise ModelError(
                f"neither {PROCESSOR} nor image_size in config.json tells the picture size; say it "
                'in a model.json beside it: {"input": {"size": [224, 224]}}'
            )
        height, width = (int(str(edge)) for edge in edges)
        return _InputPlan({"size": [height, width]}, height, width)
    try:
        processor = AutoImageProcessor.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False, **BY_PILLOW
        )
    except _REFUSALS as error:
        raise ModelError(f"transformers cannot load {PROCESSOR}: {reason(error)}") from error
    reduced = describe_saved({}, settings).get("input")
    if isinstance(reduced, dict) and "size" in reduced:
        spec = _spec(reduced)
        if all(_same(processor, picture, spec) for picture in _trial_pictures()):
            return _InputPlan(reduced, spec.pixels.height, spec.pixels.width)
    pixels = _whole_pixels(processor)
    first: JsonObject = {
        "channels": "RGB",
        "size": [pixels.height, pixels.width],
        "resize": pixels.resize,
        "resample": pixels.resample,
    }
    return _InputPlan(first, pixels.height, pixels.width, processor)


def _spec(described: JsonObject) -> InputSpec:
    description = parse_description({"input": described}).input
    tensor = InputTensor("pixel_values", (None, 3, None, None), "float32")
    return resolve_input(tensor, description, "NCHW").spec


def _same(processor: Any, picture: Image.Image, spec: InputSpec) -> bool:
    """Whether a spec and the processor turn a picture into the same numbers."""
    ours = prepare_tensor(to_pixels(picture, spec.pixels)[None], spec)
    theirs = _processed(processor, [picture])
    return ours.shape == theirs.shape and bool(np.abs(ours - theirs).max() < _CLOSE)


def _whole_pixels(processor: Any) -> PixelSpec:
    """The pixels to give to a processor.

    Resized as the processor would resize them, if that does not change its result on the trial
    pictures; else squares from the center, of the edge that it works on.
    """
    size = getattr(processor, "size", None) or {}
    edges = [_edge(size, key) for key in ("height", "width", "shortest_edge", "longest_edge")]
    height, width, *edge = edges
    resample = _RESAMPLES.get(int(getattr(processor, "resample", 2) or 2), "bilinear")
    square = next((value for value in (*edge, height) if value), 224)
    crop = PixelSpec(square, square, resample=resample)  # type: ignore[arg-type]  # of _RESAMPLES
    candidates = [crop]
    if height and width:
        candidates.insert(0, replace(crop, height=height, width=width, resize="stretch"))
    for spec in candidates:
        if all(_passes(processor, picture, spec) for picture in _trial_pictures()):
            return spec
    return crop


def _passes(processor: Any, picture: Image.Image, spec: PixelSpec) -> bool:
    whole = _processed(processor, [picture])
    again = _processed(processor, [to_pixels(picture, spec)])
    return whole.shape == again.shape and bool(np.abs(whole - again).max() < _CLOSE)


def _edge(size: Any, key: str) -> int | None:
    value = size.get(key) if isinstance(size, dict) else getattr(size, key, None)
    return int(value) if isinstance(value, int | float) and 1 <= value <= 4096 else None


def _processed(
    processor: Any, pictures: list[Image.Image] | list[UInt8[np.ndarray, "height width 3"]]
) -> Float32[np.ndarray, "pictures 3 rows columns"]:
    try:
        made = processor(images=pictures, return_tensors="np")["pixel_values"]
    except _REFUSALS as error:
        raise ModelError(f"its own image processor fails: {reason(error)}") from error
    values = np.ascontiguousarray(made, dtype=np.float32)
    if values.ndim != 4:
        raise ModelError(f"its own image processor makes {values.ndim} axes; a classifier takes 4")
    return values


def _trial_pictures() -> list[Image.Image]:
    """Fixed pictures of several shapes: a color gradient with noise, which shows every change."""
    noise = np.random.default_rng(0)
    pictures = []
    for width, height in _TRIAL_SIZES:
        rows, columns = np.mgrid[:height, :width]
        slope = np.stack([rows * 200 // height, columns * 200 // width, rows + columns], axis=2)
        speckled = slope % 200 + noise.integers(0, 56, (height, width, 3))
        pictures.append(Image.fromarray(speckled.astype(np.uint8)))
    return pictures
