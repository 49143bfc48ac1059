"""Encoders by name: from the hub (a stub of it), as transformers saved them, from open_clip."""

import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

import encoder_makers
from hub_stub import Repository, StubHub
from lagotto.core.errors import EncoderError, MissingExtraError, SourceError, UsageError
from lagotto.encoders.registry import lasting_spec, load_encoder

TEXTS = ["a photo of the dog", "cat", "red duck sleeping on the grass in water", "truffle"]


def repository(folder: Path) -> Repository:
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return Repository({**files, "pytorch_model.bin": b"never read" * 99, "README.md": b"#"})


def saved(folder: Path, kind: str = "clip", seed: int = 0) -> Path:
    pytest.importorskip("torch", reason="torch is not installed (extra `transformers`)")
    pytest.importorskip("transformers", reason="transformers is not installed")
    return encoder_makers.write_tiny_clip(folder, kind, seed)


@pytest.mark.parametrize("form", ["clip", "onnx-subfolder", "joint", "external-weights", "siglip"])
def test_an_onnx_export_on_the_hub_is_the_one_in_a_folder(
    form: str, stub: StubHub, tmp_path: Path
) -> None:
    folder = encoder_makers.write_encoder(tmp_path / "tiny", encoder_makers.FORMS[form])
    stub.repositories["org/tiny"] = repository(folder)
    ours, there = load_encoder("hf:org/tiny", 1), load_encoder(str(folder), 1)
    assert ours.info.fingerprint == there.info.fingerprint
    assert ours.embed_texts(TEXTS).tobytes() == there.embed_texts(TEXTS).tobytes()
    pixels = np.full((2, *ours.info.pixels.shape), 99, np.uint8)
    assert ours.embed_pixels(pixels).tobytes() == there.embed_pixels(pixels).tobytes()
    assert not any(name.endswith(("pytorch_model.bin", ".md")) for name in stub.served)


def test_a_spec_lasts_as_a_commit_and_is_read_without_the_hub(
    stub: StubHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = encoder_makers.write_encoder(tmp_path / "tiny")
    stub.repositories["org/tiny"] = repository(folder)
    spec = lasting_spec("hf:org/tiny")
    assert spec == f"hf:org/tiny@{stub.repositories['org/tiny'].commit}"
    assert lasting_spec(spec) == spec
    first = load_encoder(spec, 1)
    stub.close()
    assert load_encoder(spec, 1).info == first.info
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert load_encoder(spec, 1).info == first.info
    assert lasting_spec(str(folder)) == str(folder)
    assert lasting_spec("nowhere") == "nowhere"


def test_a_cache_with_a_part_of_it_is_filled(stub: StubHub, tmp_path: Path) -> None:
    stub.repositories["org/tiny"] = repository(encoder_makers.write_encoder(tmp_path / "tiny"))
    spec = lasting_spec("hf:org/tiny")
    stub.repositories["org/tiny"].fault = "vanished"
    with pytest.raises(SourceError, match="listed, but gone"):
        load_encoder(spec, 1)
    stub.repositories["org/tiny"].fault = ""
    assert len(load_encoder(spec, 1).embed_texts(TEXTS)) == 4


def test_a_cache_with_a_lower_precision_alone_is_no_substitute_for_the_exact_graphs(
    stub: StubHub, tmp_path: Path
) -> None:
    made = repository(encoder_makers.write_encoder(tmp_path / "tiny"))
    other = repository(
        encoder_makers.write_encoder(tmp_path / "other", encoder_makers.Form(float16=True))
    )
    graphs = [name for name in made.files if name.endswith(".onnx")]
    for name in graphs:
        made.files[name.replace(".onnx", "_quantized.onnx")] = other.files[name]
    stub.repositories["org/tiny"] = made
    spec = lasting_spec("hf:org/tiny")
    small = load_encoder(f"{spec}#quantized", 1).info
    exact = load_encoder(spec, 1).info
    assert exact.fingerprint == load_encoder(str(tmp_path / "tiny"), 1).info.fingerprint
    assert exact.fingerprint != small.fingerprint
    requests = len(stub.requests)
    assert load_encoder(spec, 1).info == exact
    assert load_encoder(f"{spec}#quantized", 1).info == small
    assert len(stub.requests) == requests


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"pytorch_model.bin": b"x", "config.json": b"{}"}, "pickled weights are not read"),
        ({"vision_model.onnx": b"x"}, "text_model.onnx, model.onnx or model.safetensors is needed"),
        ({}, "it has: nothing"),
    ],
)
def test_a_repository_without_a_safe_encoder_is_refused(
    files: dict[str, bytes], said: str, stub: StubHub
) -> None:
    stub.repositories["org/bad"] = Repository(files)
    with pytest.raises(SourceError, match=said):
        load_encoder("hf:org/bad")
    with pytest.raises(SourceError, match="not on the hub"):
        load_encoder("hf:org/none")


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_saved_towers_give_what_the_library_gives(kind: str, tmp_path: Path) -> None:
    folder = saved(tmp_path / kind, kind)
    import torch
    import transformers

    encoder = load_encoder(str(folder), threads=1)
    network = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(folder / "tokenizer.json"), pad_token="[PAD]"
    )
    padding = {"padding": "max_length" if kind == "siglip" else True, "max_length": 12}
    fed = dict(tokenizer(TEXTS, return_tensors="pt", truncation=True, **padding))
    fed.pop("token_type_ids", None)
    if kind == "siglip":
        fed.pop("attention_mask")
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        made = network(
            **fed, pixel_values=processor(list(pixels), return_tensors="pt").pixel_values
        )
    ours = encoder.embed_pixels(pixels) @ encoder.embed_texts(TEXTS).T * encoder.info.logit_scale
    bias = network.logit_bias.item() if kind == "siglip" else 0.0
    assert np.abs(ours + bias - made.logits_per_image.numpy()).max() < 1e-4
    assert np.ptp(ours) > 1e-2


def test_a_saved_encoder_comes_from_the_hub_too(stub: StubHub, tmp_path: Path) -> None:
    folder = saved(tmp_path / "clip")
    stub.repositories["org/clip"] = repository(folder)
    ours, there = load_encoder("hf:org/clip", 1), load_encoder(str(folder), 1)
    assert ours.info.fingerprint == there.info.fingerprint
    stub.repositories["org/clip"].files["onnx/model.onnx"] = b"an export comes first"
    with pytest.raises(EncoderError, match="onnx"):
        load_encoder("hf:org/clip", 1)


def test_what_changes_a_saved_encoder_changes_its_fingerprint(tmp_path: Path) -> None:
    folder = saved(tmp_path / "clip")
    known = {load_encoder(str(folder), 1).info.fingerprint}
    known.add(load_encoder(str(saved(tmp_path / "other", seed=1)), 1).info.fingerprint)
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert load_encoder(str(copy), 1).info.fingerprint in known
    pictures = encoder_makers.CLIP_PICTURES | {"resample": 2}
    encoder_makers.write_json(copy / "preprocessor_config.json", pictures)
    known.add(load_encoder(str(copy), 1).info.fingerprint)
    assert len(known) == 3


def test_a_saved_model_that_is_no_dual_encoder_is_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "clip")
    import transformers

    tiny = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    config = transformers.ViTConfig(**tiny, intermediate_size=8, image_size=8, patch_size=4)
    transformers.ViTModel(config).save_pretrained(folder)
    with pytest.raises(EncoderError, match="says model_type 'vit'"):
        load_encoder(str(folder), 1)
    (folder / "model.safetensors").unlink()
    with pytest.raises(EncoderError, match="has no vision_model"):
        load_encoder(str(folder), 1)


def test_without_open_clip_its_specs_name_the_extra() -> None:
    if importlib.util.find_spec("open_clip") is not None:
        pytest.skip("open_clip is installed")
    with pytest.raises(MissingExtraError, match=r"pip install 'lagotto\[open-clip\]'"):
        load_encoder("open_clip:ViT-B-32/laion2b_s34b_b79k")


def test_open_clip_names_are_checked() -> None:
    if importlib.util.find_spec("open_clip") is None:
        pytest.skip("open_clip is not installed (extra `open-clip`)")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("open_clip needs torchvision, which is not installed")
    with pytest.raises(UsageError, match="no architecture 'ViT-B-33'"):
        load_encoder("open_clip:ViT-B-33/openai")
    with pytest.raises(UsageError, match="give open_clip:ARCH/TAG"):
        load_encoder("open_clip:ViT-B-32")
