"""Tiny models as transformers saves them, made by the tests; imported where torch is installed."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers

EDGE, CLASSES = 32, 5
LABELS = ("red", "green", "blue", "yellow", "none of these")


def write_vit(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A ViT whose pictures are stretched."""
    config = transformers.ViTConfig(
        **_sizes(), image_size=EDGE, patch_size=8, num_labels=CLASSES, **changes
    )
    processor = transformers.ViTImageProcessor(size={"height": EDGE, "width": EDGE})
    return _save(folder, transformers.ViTForImageClassification, config, processor, seed)


def write_convnext(folder: Path, seed: int = 0) -> Path:
    """A ConvNeXt whose pictures lose their edges, by `crop_pct`."""
    config = transformers.ConvNextConfig(
        hidden_sizes=[8, 16], depths=[1, 1], num_stages=2, patch_size=4, num_labels=CLASSES
    )
    processor = transformers.ConvNextImageProcessor(size={"shortest_edge": EDGE}, crop_pct=0.8)
    return _save(folder, transformers.ConvNextForImageClassification, config, processor, seed)


def write_resnet(folder: Path, seed: int = 0) -> Path:
    """A ResNet with the statistics of ImageNet."""
    config = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_labels=CLASSES
    )
    processor = transformers.ConvNextImageProcessor(
        size={"shortest_edge": EDGE},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
    )
    return _save(folder, transformers.ResNetForImageClassification, config, processor, seed)


def write_deit(folder: Path, seed: int = 0) -> Path:
    """A ViT whose pictures are stretched, then cropped."""
    config = transformers.DeiTConfig(**_sizes(), image_size=EDGE, patch_size=8, num_labels=CLASSES)
    processor = transformers.DeiTImageProcessor(
        size={"height": EDGE + 8, "width": EDGE + 8}, crop_size={"height": EDGE, "width": EDGE}
    )
    return _save(folder, transformers.DeiTForImageClassification, config, processor, seed)


def write_deit_with_teacher(folder: Path, seed: int = 0) -> Path:
    """A DeiT that publishes two heads and their mean."""
    config = transformers.DeiTConfig(**_sizes(), image_size=EDGE, patch_size=8, num_labels=CLASSES)
    processor = transformers.DeiTImageProcessor(
        size={"height": EDGE, "width": EDGE}, do_center_crop=False
    )
    kind = transformers.DeiTForImageClassificationWithTeacher
    return _save(folder, kind, config, processor, seed)


def write_flipped(folder: Path, seed: int = 0) -> Path:
    """A ViT with the processor of MobileViT, whose turning of RGB into BGR is not reduced."""
    config = transformers.ViTConfig(**_sizes(), image_size=EDGE, patch_size=8, num_labels=CLASSES)
    processor = transformers.MobileViTImageProcessor(
        size={"shortest_edge": EDGE + 8}, crop_size={"height": EDGE, "width": EDGE}
    )
    return _save(folder, transformers.ViTForImageClassification, config, processor, seed)


def write_yolos(folder: Path, seed: int = 0) -> Path:
    """A detector of seven queries, with a class more than labels: "no object"."""
    config = transformers.YolosConfig(
        **_sizes(),
        image_size=[EDGE, EDGE],
        patch_size=8,
        num_detection_tokens=7,
        num_labels=CLASSES,
        use_mid_position_embeddings=False,
    )
    processor = transformers.YolosImageProcessor(
        size={"height": EDGE, "width": EDGE}, do_pad=False, format="coco_detection"
    )
    return _save(folder, transformers.YolosForObjectDetection, config, processor, seed)


def write_segformer(folder: Path, seed: int = 0) -> Path:
    """A segmenter whose map is a quarter of the picture."""
    config = transformers.SegformerConfig(
        num_encoder_blocks=2,
        depths=[1, 1],
        sr_ratios=[2, 1],
        hidden_sizes=[8, 16],
        patch_sizes=[7, 3],
        strides=[4, 2],
        num_attention_heads=[1, 2],
        mlp_ratios=[2, 2],
        decoder_hidden_size=16,
        num_labels=CLASSES,
    )
    processor = transformers.SegformerImageProcessor(size={"height": EDGE, "width": EDGE})
    return _save(folder, transformers.SegformerForSemanticSegmentation, config, processor, seed)


FORMS = {
    "vit": write_vit,
    "convnext": write_convnext,
    "resnet": write_resnet,
    "deit": write_deit,
    "flipped": write_flipped,
}
"""What the contract test runs over."""


def library_logits(folder: Path, pictures: list[Any]) -> Any:
    """What the library's own pipeline gives for pictures as they were decoded."""
    from lagotto.models.adapters.transformers import BY_PILLOW

    processor = transformers.AutoImageProcessor.from_pretrained(str(folder), **BY_PILLOW)
    pipeline = transformers.pipeline(
        "image-classification", model=str(folder), device="cpu", image_processor=processor
    )
    answers = pipeline(pictures, top_k=None, function_to_apply="none")
    places = {label: place for place, label in pipeline.model.config.id2label.items()}
    rows = torch.empty(len(pictures), CLASSES)
    for row, answer in zip(rows, answers, strict=True):
        for each in answer:
            row[places[each["label"]]] = each["score"]
    return rows.numpy()


def _sizes() -> dict[str, int]:
    return {
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
    }


def _save(folder: Path, kind: Any, config: Any, processor: Any, seed: int) -> Path:
    """Random weights, large enough that pictures tell apart; labels by name."""
    config.id2label = dict(enumerate(LABELS))
    config.label2id = {label: place for place, label in enumerate(LABELS)}
    torch.manual_seed(seed)
    network = kind(config).eval()
    with torch.no_grad():
        for name, value in network.named_parameters():
            if name.endswith("weight") and value.ndim > 1:
                value.normal_(0, 2 / value[0].numel() ** 0.5)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def rewrite_json(file: Path, **changes: Any) -> None:
    """Sets keys of a JSON file; None takes a key away."""
    content = json.loads(file.read_text())
    content.update(changes)
    kept = {key: value for key, value in content.items() if value is not None}
    file.write_text(json.dumps(kept))
