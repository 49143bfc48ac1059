"""Image-processor settings: reproduced exactly, or refused by the name of the key."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lagotto.core.errors import EncoderError
from lagotto.core.types import PixelSpec
from lagotto.encoders.preprocessing import open_clip_settings, read_preprocessing

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)


def test_nothing_said_is_clip() -> None:
    made = read_preprocessing({})
    assert made.pixels == PixelSpec(224, 224, crop_fraction=1.0, resample="bicubic")
    assert made.mean == CLIP_MEAN
    assert made.rescale == 1 / 255


def test_nothing_said_in_a_siglip_folder_is_siglip() -> None:
    made = read_preprocessing({}, siglip=True)
    assert made.pixels == PixelSpec(224, 224, resize="stretch", resample="bicubic")
    assert made.mean == made.std == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"size": 256, "crop_size": 224, "resample": 2},
            PixelSpec(224, 224, crop_fraction=224 / 256, resample="bilinear"),
        ),
        (
            {"size": {"shortest_edge": 64}, "crop_size": {"height": 56, "width": 56}},
            PixelSpec(56, 56, crop_fraction=56 / 64, resample="bicubic"),
        ),
        (
            {"size": {"height": 96, "width": 128}, "do_center_crop": False, "resample": 0},
            PixelSpec(96, 128, resize="stretch", resample="nearest"),
        ),
        (
            {"image_processor_type": "DeiTImageProcessor"},
            PixelSpec(224, 224, resize="stretch", crop_fraction=224 / 256, resample="bicubic"),
        ),
        (
            {"image_processor_type": "ConvNextImageProcessor", "size": {"shortest_edge": 224}},
            PixelSpec(224, 224, crop_fraction=224 / 256, resample="bicubic"),
        ),
        (
            {"image_processor_type": "ConvNextImageProcessor", "size": 384, "resample": 2},
            PixelSpec(384, 384, resize="stretch", resample="bilinear"),
        ),
        (
            {"size": {"height": 32, "width": 32}, "crop_size": 32},
            PixelSpec(32, 32, resize="stretch", resample="bicubic"),
        ),
        (
            {"image_processor_type": "SiglipImageProcessorFast", "size": 384, "resample": 1},
            PixelSpec(384, 384, resize="stretch", resample="lanczos"),
        ),
        (
            {"image_processor_type": "SiglipImageProcessor", "do_center_crop": None},
            PixelSpec(224, 224, resize="stretch", resample="bicubic"),
        ),
        (
            {"feature_extractor_type": "CLIPFeatureExtractor", "size": 224},
            PixelSpec(224, 224, resample="bicubic"),
        ),
        ({"resample": "bilinear"}, PixelSpec(224, 224, resample="bilinear")),
        ({"resample": "PILImageResampling.LANCZOS"}, PixelSpec(224, 224, resample="lanczos")),
        ({"image_processor_type": "AutoImageProcessor"}, PixelSpec(224, 224, resample="bicubic")),
        (
            {"size": [48, 48], "crop_size": [48, 48]},
            PixelSpec(48, 48, resize="stretch", resample="bicubic"),
        ),
        (
            {"image_processor_type": "ViTImageProcessor", "size": [40, 60]},
            PixelSpec(40, 60, resize="stretch", resample="bilinear"),
        ),
        (
            {"image_processor_type": "ViTImageProcessor"},
            PixelSpec(224, 224, resize="stretch", resample="bilinear"),
        ),
    ],
)
def test_pictures(settings: dict[str, Any], expected: PixelSpec) -> None:
    assert read_preprocessing(settings).pixels == expected


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("do_resize", {"do_resize": False}),
        ("do_center_crop", {"do_center_crop": False}),
        ("do_pad", {"do_pad": True}),
        ("resample", {"resample": 4}),
        ("resample", {"resample": "area"}),
        ("resample", {"resample": 2.0}),
        ("size", {"size": [224]}),
        ("size", {"size": [224, 0]}),
        ("resample", {"resample": True}),
        ("size", {"size": {"longest_edge": 224}}),
        ("size", {"size": {"shortest_edge": 224, "longest_edge": 448}}),
        ("size", {"size": 0}),
        ("size", {"size": "224"}),
        ("size", {"size": {"height": 224.5, "width": 224}, "do_center_crop": False}),
        ("crop_size", {"crop_size": {"height": 224, "width": 192}}),
        ("crop_size", {"crop_size": {"height": 224}}),
        ("crop_size", {"crop_size": 300}),
        ("crop_size", {"size": {"height": 256, "width": 288}}),
        ("crop_pct", {"image_processor_type": "ConvNextImageProcessor", "crop_pct": 2}),
        ("crop_size", {"image_processor_type": "SiglipImageProcessor", "do_center_crop": True}),
        ("image_mean", {"image_mean": [0.5, 0.5]}),
        ("image_mean", {"image_mean": "half"}),
        ("image_std", {"image_std": [0.5, 0.5, float("nan")]}),
        ("image_std", {"image_std": [0.5, 0.5, 0.0]}),
        ("rescale_factor", {"rescale_factor": 0}),
        ("image_processor_type", {"image_processor_type": "Siglip2ImageProcessor"}),
    ],
)
def test_what_cannot_be_reproduced_is_named(key: str, settings: dict[str, Any]) -> None:
    with pytest.raises(EncoderError, match=f"preprocessor_config.json: {key} is ") as caught:
        read_preprocessing(settings)
    assert "\n" not in str(caught.value)


@given(
    rescale=st.floats(0.001, 2),
    mean=st.lists(st.floats(-2, 2), min_size=3, max_size=3),
    std=st.lists(st.floats(0.05, 3), min_size=3, max_size=3),
)
def test_scaling_is_rescale_then_normalise(
    rescale: float, mean: list[float], std: list[float]
) -> None:
    made = read_preprocessing({"rescale_factor": rescale, "image_mean": mean, "image_std": std})
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), dtype=np.uint8)
    expected = ((pixels.astype(np.float64) * rescale - mean) / std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(made.tensor(pixels), expected, rtol=1e-5, atol=1e-2)


def test_scaling_can_be_switched_off() -> None:
    made = read_preprocessing({"do_rescale": False, "do_normalize": False})
    pixels = np.random.default_rng(0).integers(0, 256, (1, 2, 2, 3), dtype=np.uint8)
    np.testing.assert_array_equal(made.tensor(pixels), pixels.transpose(0, 3, 1, 2))


def test_one_number_is_the_mean_of_every_channel() -> None:
    assert read_preprocessing({"image_mean": 0.5}).mean == (0.5, 0.5, 0.5)


SAID = {"mean": [0.1, 0.2, 0.3], "std": 0.5}


@pytest.mark.parametrize(
    ("pictures", "network", "expected"),
    [
        ({"size": 32}, {}, PixelSpec(32, 32, resample="bicubic")),
        ({"size": [32, 32], "resize_mode": "shortest"}, {}, PixelSpec(32, 32, resample="bicubic")),
        (
            {"size": [32, 48], "resize_mode": "squash", "interpolation": "bilinear"},
            {},
            PixelSpec(32, 48, resize="stretch", resample="bilinear"),
        ),
        ({}, {"vision_cfg": {"image_size": 40}}, PixelSpec(40, 40, resample="bicubic")),
        ({}, {"vision_config": {"image_size": 24}}, PixelSpec(24, 24, resample="bicubic")),
    ],
)
def test_pictures_as_open_clip_says_them(
    pictures: dict[str, Any], network: dict[str, Any], expected: PixelSpec
) -> None:
    made = read_preprocessing(open_clip_settings({**SAID, **pictures}, network))
    assert made.pixels == expected
    assert (made.mean, made.std) == ((0.1, 0.2, 0.3), (0.5, 0.5, 0.5))
    assert made.rescale == pytest.approx(1 / 255)


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        ({}, "no size"),
        ({"size": 32, "resize_mode": "longest"}, "resize_mode is 'longest'"),
        ({"size": [32, 48]}, "with resize_mode shortest"),
        ({"size": 32, "interpolation": "random"}, "resample is 'random'"),
        ({"size": "big"}, "size is 'big'"),
    ],
)
def test_what_open_clip_says_and_cannot_be_reproduced_is_named(
    pictures: dict[str, Any], said: str
) -> None:
    with pytest.raises(EncoderError, match=said) as caught:
        read_preprocessing(open_clip_settings({**SAID, **pictures}, {}))
    assert "\n" not in str(caught.value)
