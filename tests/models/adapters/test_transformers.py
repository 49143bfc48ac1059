"""Saved transformers models against the library's own pipeline; skipped where torch is absent."""

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lagotto.core.errors import ModelError
from lagotto.core.images import to_pixels
from lagotto.core.types import ModelSource
from lagotto.models.base import Model
from lagotto.models.metadata.scan import scan_models, scan_paths
from lagotto.models.registry import behaviour_digest, load_model

pytest.importorskip("torch", reason="torch is not installed (extra `transformers`)")
pytest.importorskip("transformers", reason="transformers is not installed (extra `transformers`)")
makers: Any = importlib.import_module("saved_makers")

CLOSE = 1e-4


@pytest.fixture(scope="module", params=sorted(makers.FORMS))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = makers.FORMS[request.param](tmp_path_factory.mktemp("saved") / request.param)
    return made


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    (source,) = scan_models([folder])
    return load_model(source)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = makers.write_vit(tmp_path_factory.mktemp("vit") / "vit")
    return made


def pictures() -> list[Image.Image]:
    """Smooth and speckled ones of several shapes."""
    random = np.random.default_rng(5)
    shapes = (
        (20, 30),
        (33, 17),
        (40, 40),
        (9, 61),
        (64, 48),
        (31, 32),
        (50, 10),
        (32, 32),
        (80, 90),
    )
    small = [random.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes]
    return [
        Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2))
        for pixels in small
    ]


def logits(model: Model, some: list[Image.Image]) -> np.ndarray:
    spec = model.spec.input.pixels
    return model.logits(np.stack([to_pixels(picture, spec) for picture in some]))


def test_logits_are_those_of_the_librarys_pipeline(model: Model, folder: Path) -> None:
    some = pictures()
    if folder.name == "flipped":  # it is handed center squares: a square is seen whole
        some = [picture.resize((61, 61)) for picture in some]
    expected = makers.library_logits(folder, some)
    assert np.abs(logits(model, some) - expected).max() < CLOSE
    assert np.ptp(expected, axis=0).max() > 100 * CLOSE  # the comparison says something


def test_says_how_it_is_run(model: Model, folder: Path) -> None:
    spec = model.spec
    assert isinstance(model, Model)
    assert (spec.framework, spec.outputs, spec.labels) == ("transformers", 5, makers.LABELS)
    assert (spec.output, spec.logits_source) == ("logits", "declared")
    own = folder.name == "flipped"
    assert [("own MobileViT" in note) for note in spec.notes] == [True] * own
    assert spec.input.dtype == ("uint8" if own else "float32")


def test_a_picture_does_not_depend_on_its_company(model: Model) -> None:
    shape = model.spec.input.pixels.shape
    pixels = np.random.default_rng(0).integers(0, 256, (11, *shape), dtype=np.uint8)
    whole = model.logits(pixels)
    for count in (0, 1, 7, 8, 9):
        assert np.array_equal(model.logits(pixels[:count]), whole[:count])
    assert np.abs(model.logits(pixels[5:]) - whole[5:]).max() < 1e-5


def test_names_and_labels_do_not_enter_the_digest(vit: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(vit, tmp_path / "copy")
    names = {str(number): f"class {number}" for number in range(5)}
    makers.rewrite_json(copy / "config.json", id2label=names, _name_or_path="x", label2id=None)
    assert behaviour_digest(scan_models([copy])[0]) == behaviour_digest(scan_models([vit])[0])
    makers.rewrite_json(copy / "preprocessor_config.json", image_mean=[0.4, 0.5, 0.5])
    assert behaviour_digest(scan_models([copy])[0]) != behaviour_digest(scan_models([vit])[0])


def test_a_model_json_beside_it_has_the_last_word(vit: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(vit, tmp_path / "copy")
    said = {"labels": list("abcde"), "input": {"channels": "BGR"}}
    (copy / "model.json").write_text(json.dumps(said))
    spec = load_model(scan_models([copy])[0]).spec
    assert (spec.labels, spec.input.channels) == (tuple("abcde"), "BGR")
    assert spec.input.pixels.resize == "stretch"


def test_output_name_chooses_among_the_outputs_of_a_network(tmp_path: Path) -> None:
    folder = makers.write_deit_with_teacher(tmp_path / "deit")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    by_name = {}
    for name in ("logits", "cls_logits", "distillation_logits"):
        (folder / "model.json").write_text(json.dumps({"output_name": name}))
        by_name[name] = load_model(scan_models([folder])[0]).logits(pixels)
    mean = (by_name["cls_logits"] + by_name["distillation_logits"]) / 2
    assert np.allclose(by_name["logits"], mean, atol=1e-5)
    assert not np.allclose(by_name["logits"], by_name["cls_logits"], atol=1e-2)
    (folder / "model.json").unlink()
    plain = load_model(scan_models([folder])[0])
    assert np.allclose(plain.logits(pixels), by_name["logits"], atol=1e-5)
    (folder / "model.json").write_text(json.dumps({"output_name": "scores"}))
    with pytest.raises(ModelError, match="no output 'scores'; it has: logits, cls_logits"):
        load_model(scan_models([folder])[0])


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("version https://git-lfs.github.com/spec/v1\nsize 9\n", "is a Git LFS pointer"),
        ("<html><title>Sign in</title></html>", "is a saved web page"),
    ],
)
def test_weights_that_were_not_downloaded_are_named(
    content: str, named: str, vit: Path, tmp_path: Path
) -> None:
    for name in ("model.safetensors", "config.json"):
        copy = shutil.copytree(vit, tmp_path / name)
        (copy / name).write_text(content)
        with pytest.raises(ModelError, match=named) as error:
            load_model(ModelSource("m", copy / "model.safetensors"))
        assert name in str(error.value)


def test_without_a_processor_the_size_is_that_of_the_config(vit: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(vit, tmp_path / "copy")
    (copy / "preprocessor_config.json").unlink()
    spec = load_model(scan_models([copy])[0]).spec
    assert spec.input.pixels.shape == (32, 32, 3)
    assert len(spec.notes) == 2
    bare = makers.write_resnet(tmp_path / "resnet")  # its config.json knows no size
    (bare / "preprocessor_config.json").unlink()
    with pytest.raises(ModelError, match=r"say it in a model\.json"):
        load_model(ModelSource("x", bare / "model.safetensors"))


def _headless(folder: Path) -> None:
    import transformers

    config = transformers.ViTConfig.from_pretrained(folder)
    transformers.ViTModel(config).save_pretrained(folder)


def _own_code(folder: Path) -> None:
    (folder / "evil.py").write_text("open('ran', 'w')")
    auto = {"AutoConfig": "evil.C", "AutoModelForImageClassification": "evil.M"}
    makers.rewrite_json(folder / "config.json", model_type="evil", auto_map=auto)


def _own_processor(folder: Path) -> None:
    (folder / "evil.py").write_text("open('ran', 'w')")
    auto = {"AutoImageProcessor": "evil.P"}
    makers.rewrite_json(
        folder / "preprocessor_config.json", auto_map=auto, image_processor_type="EvilProcessor"
    )


def _pickled(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x80\x04cos\nsystem\n.")


def _cut(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def _larger(folder: Path) -> None:
    makers.rewrite_json(folder / "config.json", hidden_size=32)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (_headless, "lacks 2 of the network's weights"),
        (_own_code, "config.json has auto_map"),
        (_own_processor, "config.json has auto_map"),
        (_pickled, "transformers cannot load the model"),
        (_cut, "transformers cannot load the model"),
        (_larger, "of the network's weights"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "config.json").write_text("{}"), "a network that is not known"),
    ],
    ids=lambda value: value if isinstance(value, str) else getattr(value, "__name__", ""),
)
def test_what_cannot_be_loaded_says_why_and_runs_nothing(
    damage: Any, said: str, vit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(vit, tmp_path / "copy")
    damage(copy)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelError, match=said) as caught:
        load_model(ModelSource("x", copy / "model.safetensors"))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.rglob("ran"))


def test_every_processor_that_is_reduced_has_the_librarys_defaults() -> None:
    import transformers

    from lagotto.core.image_processor import _DEFAULTS, read_image_processor
    from lagotto.models.adapters.transformers import _processed, _trial_pictures

    for name in _DEFAULTS:
        if name.endswith("FeatureExtractor"):
            continue
        made = read_image_processor({"image_processor_type": name}, ModelError)
        by_pillow = getattr(transformers, f"{name}Pil", None)  # where torchvision is, too
        processor = (by_pillow or getattr(transformers, name))()
        for picture in _trial_pictures():
            ours = made.tensor(to_pixels(picture, made.pixels)[None])
            assert np.abs(ours - _processed(processor, [picture])).max() < CLOSE, name


def _as_pickle(folder: Path, legacy: bool = False) -> None:
    """Puts a pytorch_model.bin, as older releases wrote it, in place of model.safetensors."""
    torch: Any = importlib.import_module("torch")
    weights = importlib.import_module("safetensors.torch").load_file(folder / "model.safetensors")
    file = folder / "pytorch_model.bin"
    torch.save(weights, file, _use_new_zipfile_serialization=not legacy)
    (folder / "model.safetensors").unlink()


def _as_shards(folder: Path, ending: str) -> None:
    """Puts two shards and their index in place of model.safetensors."""
    torch: Any = importlib.import_module("torch")
    library: Any = importlib.import_module("safetensors.torch")
    weights = library.load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    stem = "model" if ending == "safetensors" else "pytorch_model"
    placed = {}
    for number in (1, 2):
        name = f"{stem}-{number:05}-of-00002.{ending}"
        part = {key: weights[key] for key in list(weights)[number - 1 :: 2]}
        placed |= dict.fromkeys(part, name)
        save = library.save_file if ending == "safetensors" else torch.save
        save(part, folder / name)
    index = json.dumps({"metadata": {}, "weight_map": placed})
    (folder / f"{stem}.{ending}.index.json").write_text(index)


@pytest.mark.parametrize("form", ["pickle", "legacy", "safetensors shards", "bin shards"])
@pytest.mark.parametrize("maker", ["vit", "flipped"])
def test_other_forms_of_the_weights_give_the_same_logits(
    maker: str, form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are read without torch.load, and no file is left over."""
    whole = makers.FORMS[maker](tmp_path / "whole")
    other = shutil.copytree(whole, tmp_path / "other")
    if form.endswith("shards"):
        _as_shards(other, form.partition(" ")[0])
    else:
        _as_pickle(other, form == "legacy")
    monkeypatch.setattr("torch.load", None)
    found = scan_paths([other])
    assert (found.not_read, len(found.models), found.files.passed_over) == ((), 1, {})
    some = [picture.resize((61, 61)) for picture in pictures()]
    expected = logits(load_model(scan_models([whole])[0]), some)
    model = load_model(found.models[0])
    assert np.abs(logits(model, some) - expected).max() < 1e-6
    assert (model.spec.framework, model.spec.labels) == ("transformers", makers.LABELS)
    before = behaviour_digest(found.models[0])
    makers.rewrite_json(other / "preprocessor_config.json", image_mean=[0.4, 0.5, 0.5])
    assert behaviour_digest(found.models[0]) != before


def test_of_several_forms_of_the_weights_one_is_read(vit: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(vit, tmp_path / "copy")
    weights = (copy / "model.safetensors").read_bytes()
    _as_shards(copy, "bin")
    (copy / "model.safetensors").write_bytes(weights)
    _as_pickle(copy)
    (copy / "model.safetensors").write_bytes(weights)
    for name in ("tf_model.h5", "flax_model.msgpack"):
        (copy / name).write_bytes(b"\x89HDF\r\n\x1a\nx")
    forms = ("model.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json")
    for form in forms:
        found = scan_paths([copy])
        assert [source.file.name for source in found.models] == [form]
        assert found.not_read == ()
        (copy / form).unlink()


def test_a_pickle_that_lacks_weights_or_asks_for_code_is_refused(vit: Path, tmp_path: Path) -> None:
    torch: Any = importlib.import_module("torch")
    copy = shutil.copytree(vit, tmp_path / "copy")
    _as_pickle(copy)
    (source,) = scan_models([copy])
    weights = torch.load(source.file)
    torch.save({name: weights[name] for name in list(weights)[1:]}, source.file)
    with pytest.raises(ModelError, match="lacks 1 of the network's weights"):
        load_model(source)
    torch.save({**weights, "more": _Marker(tmp_path / "marker")}, source.file)
    load_model(source)
    assert not (tmp_path / "marker").exists()
    makers.rewrite_json(copy / "config.json", auto_map={"AutoModel": "a.B"})
    with pytest.raises(ModelError, match="auto_map"):
        load_model(source)


class _Marker:
    """A value whose pickle would write a file when it is loaded."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._file,))
