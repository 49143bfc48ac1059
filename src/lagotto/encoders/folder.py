"""A folder in the Hugging Face layout comes in; its settings, graphs and fingerprint go out."""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path, PurePath

from lagotto.core.errors import EncoderError
from lagotto.core.files import canonical_json, read_json, sha256_file
from lagotto.core.parsing.onnx_survey import MEMORY_MARK
from lagotto.core.types import JsonObject, JsonValue
from lagotto.encoders.graph_header import GraphHeader, read_graph_header
from lagotto.encoders.layout import find_graphs, find_settings
from lagotto.encoders.preprocessing import open_clip_settings

USUAL_TOWERS = ("vision_model.onnx", "text_model.onnx")
"""The graphs of the usual layout, for messages."""

_LISTED = 12

_CACHED = "models--"
"""What the client of the hub puts before the name of a repository in its cache."""


@dataclass(frozen=True, slots=True)
class GraphFile:
    """A graph on disk and its header."""

    file: Path
    header: GraphHeader

    def digest(self) -> JsonValue:
        """SHA-256 of the graph and of the weight files that it names, sorted by name.

        Raises EncoderError if one of them is missing or outside the folder of the graph.
        """
        files = [self.file]
        for name in self.header.weight_files:
            path = self.file.parent / name
            outside = PurePath(name).is_absolute() or ".." in PurePath(name).parts
            if outside or MEMORY_MARK in name:
                raise EncoderError(f"{self.file}: names weights outside its folder: {name!r}")
            if not path.is_file():
                raise EncoderError(
                    f"{self.file}: its weights {name!r} are missing beside it; download them too"
                )
            files.append(path)
        return [sha256_file(path, EncoderError) for path in files]


@dataclass(frozen=True, slots=True)
class EncoderSettings:
    """The settings of an encoder folder, whatever the format of its weights."""

    path: Path
    tokenizer: Path
    config: JsonObject
    image_processor: JsonObject
    tokenizer_config: JsonObject

    def section(self, name: str) -> JsonObject:
        """A nested part of config.json such as text_config; empty where absent."""
        part = self.config.get(name)
        return part if isinstance(part, dict) else {}

    @property
    def model_type(self) -> str:
        """The family that config.json names, or an empty string."""
        return str(self.config.get("model_type") or "")

    @property
    def is_siglip(self) -> bool:
        """True for SigLIP and SigLIP 2: fixed text length, no mask, stretched pictures."""
        named = (
            self.model_type,
            str(self.section("text_config").get("model_type") or ""),
            str(self.tokenizer_config.get("tokenizer_class") or "").lower(),
        )
        return any(name.startswith("siglip") for name in named)

    @property
    def name(self) -> str:
        """The name in config.json, else that of the repository in the cache, else the folder's."""
        name, folder = self.config.get("name"), self.path.resolve()
        if isinstance(name, str) and name:
            return name
        cached = folder.parent.parent.name
        if folder.parent.name == "snapshots" and cached.startswith(_CACHED):
            return cached.removeprefix(_CACHED).replace("--", "/")
        return folder.name

    @property
    def logit_scale(self) -> float:
        """The factor on cosines before a softmax.

        It is `logit_scale` in config.json, else the exponential of `logit_scale_init_value` (as in
        transformers), else 100, the value at which the training of CLIP ends.
        """
        scale = self.config.get("logit_scale")
        if scale is not None:
            if not isinstance(scale, int | float) or not 0 < scale < math.inf:
                raise EncoderError(f"config.json: logit_scale is {scale!r}; give a number above 0")
            return float(scale)
        log = self.config.get("logit_scale_init_value", math.log(100))
        if not isinstance(log, int | float) or not abs(log) < 100:
            raise EncoderError(
                f"config.json: logit_scale_init_value is {log!r}; give the natural log of the scale"
            )
        return math.exp(log)

    @property
    def prompt_template(self) -> str:
        """The sentence around a class name; it has one {}."""
        template = self.config.get("prompt_template", "a photo of a {}.")
        if not isinstance(template, str) or template.count("{}") != 1:
            raise EncoderError(
                f"config.json: prompt_template is {template!r}; give a text with one {{}}"
            )
        return template


@dataclass(frozen=True, slots=True)
class EncoderFolder(EncoderSettings):
    """A folder with an ONNX export; `vision` and `text` are the same if one graph has both."""

    vision: GraphFile
    text: GraphFile


def open_folder(path: Path, precision: str | None = None) -> EncoderFolder:
    """The settings and graphs of a folder with an ONNX export, the most exact or of one precision.

    Raises EncoderError if a file is missing or unreadable; the message lists the files found.
    """
    files = _names(path)
    names = find_graphs(files, precision)
    if names is None and precision is not None:
        raise _incomplete(path, f"vision_model_{precision}.onnx and text_model_{precision}.onnx")
    if names is None:
        missing = [name for name in USUAL_TOWERS if not {name, f"onnx/{name}"} & files]
        raise _incomplete(path, f"{' and '.join(missing)} (or model.onnx)")
    vision = GraphFile(path / names[0], read_graph_header(path / names[0]))
    joint = names[0] == names[1]
    text = vision if joint else GraphFile(path / names[1], read_graph_header(path / names[1]))
    settings = open_settings(path)
    parts = {name: getattr(settings, name) for name in EncoderSettings.__dataclass_fields__}
    return EncoderFolder(**parts, vision=vision, text=text)


def open_settings(path: Path) -> EncoderSettings:
    """The settings of an encoder folder; raises EncoderError as `open_folder`."""
    files = find_settings(_names(path))
    for kind, name in (("tokenizer", "tokenizer.json"), ("config", "config.json")):
        if kind not in files and not (kind == "config" and "open_clip" in files):
            raise _incomplete(path, name)
    content = {
        kind: read_json(path / name, "encoder settings", EncoderError)
        for kind, name in files.items()
        if kind != "tokenizer"
    }
    config = content.get("config") or _section(content.get("open_clip", {}), "model_cfg")
    return EncoderSettings(
        path=path,
        tokenizer=path / files["tokenizer"],
        config=config,
        image_processor=_image_processor(path, content, config),
        tokenizer_config=content.get("tokenizer_config", {}),
    )


def has_graphs(path: Path) -> bool:
    """Whether a folder holds the graphs of both towers."""
    return find_graphs(_names(path)) is not None


def fingerprint(folder: EncoderFolder, derived: dict[str, JsonValue]) -> str:
    """SHA-256 (hex) of the graphs, the tokenizer, and `derived` settings.

    The same content gives the same fingerprint in any folder.
    """
    parts: JsonObject = {
        "format": 1,
        "vision": folder.vision.digest(),
        "text": folder.text.digest() if folder.text is not folder.vision else "vision",
        "tokenizer": sha256_file(folder.tokenizer, EncoderError),
        **derived,
    }
    return hashlib.sha256(canonical_json(parts)).hexdigest()


def _names(path: Path) -> frozenset[str]:
    """Paths of the files in a folder and in its folders, relative to it."""
    try:
        inner = [folder for folder in path.iterdir() if folder.is_dir()]
        files = [file for folder in (path, *inner) for file in folder.iterdir() if file.is_file()]
    except OSError as error:
        raise EncoderError(
            f"encoder folder {str(path)!r} cannot be read: {error.strerror}"
        ) from error
    return frozenset(file.relative_to(path).as_posix() for file in files)


def _section(content: JsonObject, name: str) -> JsonObject:
    part = content.get(name)
    return part if isinstance(part, dict) else {}


def _image_processor(path: Path, content: dict[str, JsonObject], config: JsonObject) -> JsonObject:
    """How pictures are prepared, from the first file that says it.

    It is preprocessor_config.json, or the same inside processor_config.json as in newer exports;
    then what open_clip writes. A file without any setting says nothing.
    """
    named = content.get("image_processor")
    nested = _section(content.get("processor", {}), "image_processor")
    if named or nested:
        return named or nested
    pictures = content.get("open_clip_pictures") or _section(
        content.get("open_clip", {}), "preprocess_cfg"
    )
    if pictures:
        network = _section(content.get("open_clip", {}), "model_cfg") or config
        return open_clip_settings(pictures, network)
    if named is None:
        raise _incomplete(path, "preprocessor_config.json")
    return named


def _incomplete(path: Path, missing: str) -> EncoderError:
    names = sorted(name for name in _names(path) if "/" not in name or name.endswith(".onnx"))
    folders = sorted(p.name + "/" for p in path.iterdir() if p.is_dir() and p.name != "onnx")
    present = names + folders
    listed = ", ".join(present[:_LISTED]) + (", ..." if len(present) > _LISTED else "")
    return EncoderError(
        f"encoder folder {str(path)!r} has no {missing}; found: {listed or 'nothing'}; "
        "export or download the missing file into it"
    )
