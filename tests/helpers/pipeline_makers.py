"""Writes a tiny text-to-image pipeline with random weights, as diffusers saves it."""

import json
from pathlib import Path
from typing import Any


def write_tiny_pipeline(folder: Path, safe: bool = True, strict: bool = False) -> Path:
    """A Stable Diffusion of 16 x 16 pixels.

    `safe` False leaves its weights pickled; `strict` gives it a checker that calls all unsafe.
    """
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    torch.manual_seed(0)
    letters = [chr(code) for code in range(ord("a"), ord("z") + 1)]
    tokens = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{one}</w>" for one in letters)]
    folder.mkdir(parents=True)
    vocabulary, merges = folder / "words.json", folder / "merges.txt"
    vocabulary.write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    merges.write_text("#version: 0.2\n")
    tokenizer = CLIPTokenizer(str(vocabulary), str(merges), model_max_length=16)
    vocabulary.unlink()
    merges.unlink()
    text = CLIPTextConfig(
        vocab_size=len(tokens),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=16,
        projection_dim=16,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
    )
    network = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=4,
    )
    decoder = AutoencoderKL(
        block_out_channels=(8, 8),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
    )
    pipeline = StableDiffusionPipeline(
        vae=decoder,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=network,
        scheduler=DDIMScheduler(clip_sample=False, steps_offset=1),
        requires_safety_checker=strict,
        **(_strict_checker() if strict else {"safety_checker": None, "feature_extractor": None}),
    )
    pipeline.save_pretrained(folder, safe_serialization=safe)
    return folder


def _strict_checker() -> dict[str, Any]:
    """The safety checker of Stable Diffusion, with thresholds that every picture passes."""
    import torch
    from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
    from transformers import CLIPConfig, CLIPImageProcessor

    tower = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    config = CLIPConfig(
        vision_config={**tower, "image_size": 16, "patch_size": 8, "projection_dim": 16},
        text_config={**tower, "projection_dim": 16},
        projection_dim=16,
    )
    checker = StableDiffusionSafetyChecker(config)
    with torch.no_grad():
        checker.concept_embeds_weights.fill_(-2.0)
    side = {"height": 16, "width": 16}
    return {
        "safety_checker": checker,
        "feature_extractor": CLIPImageProcessor(size={"shortest_edge": 16}, crop_size=side),
    }
