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

TOWER_FILES = ("vision_model.onnx", "text_model.onnx")
JOINT_FILE = "model.onnx"


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
        """The name in config.json, else the folder's."""
        name = self.config.get("name")
        return name if isinstance(name, str) and name else self.path.resolve().name

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


def open_folder(path: Path) -> EncoderFolder:
    """The settings and graphs of a folder with an ONNX export.

    Raises EncoderError if a file is missing or unreadable; the message lists the files found.
    """
    vision, text = _graphs(path)
    settings = open_settings(path)
    parts = {name: getattr(settings, name) for name in EncoderSettings.__dataclass_fields__}
    return EncoderFolder(**parts, vision=vision, text=text)


def open_settings(path: Path) -> EncoderSettings:
    """The settings of an encoder folder; raises EncoderError as `open_folder`."""
    for name in ("tokenizer.json", "config.json"):
        if not (path / name).is_file():
            raise _incomplete(path, name)
    return EncoderSettings(
        path=path,
        tokenizer=path / "tokenizer.json",
        config=read_json(path / "config.json", "encoder settings", EncoderError),
        image_processor=_image_processor(path),
        tokenizer_config=_optional(path / "tokenizer_config.json"),
    )


def has_graphs(path: Path) -> bool:
    """Whether a folder holds an ONNX export, or a part of one."""
    names = (*TOWER_FILES, JOINT_FILE)
    return any((home / name).is_file() for home in (path, path / "onnx") for name in names)


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


def _optional(file: Path) -> JsonObject:
    return read_json(file, "encoder settings", EncoderError) if file.is_file() else {}


def _graphs(path: Path) -> tuple[GraphFile, GraphFile]:
    """The graphs of both towers: a pair of files before a joint one, the folder before onnx/."""
    homes = [home for home in (path, path / "onnx") if home.is_dir()]
    for home in homes:
        if all((home / name).is_file() for name in TOWER_FILES):
            vision, text = (GraphFile(home / n, read_graph_header(home / n)) for n in TOWER_FILES)
            return vision, text
    for home in homes:
        if (home / JOINT_FILE).is_file():
            joint = GraphFile(home / JOINT_FILE, read_graph_header(home / JOINT_FILE))
            return joint, joint
    present = {name for name in TOWER_FILES for home in homes if (home / name).is_file()}
    missing = [name for name in TOWER_FILES if name not in present]
    raise _incomplete(path, " and ".join(missing or TOWER_FILES) + f" (or {JOINT_FILE})")


def _image_processor(path: Path) -> JsonObject:
    """preprocessor_config.json, or the same inside the processor_config.json of newer exports."""
    file = path / "preprocessor_config.json"
    if file.is_file():
        return read_json(file, "image-processor settings", EncoderError)
    nested = _optional(path / "processor_config.json").get("image_processor")
    if not isinstance(nested, dict):
        raise _incomplete(path, file.name)
    return nested


def _incomplete(path: Path, missing: str) -> EncoderError:
    names = sorted(p.name + ("/" if p.is_dir() else "") for p in path.iterdir())
    inner = sorted(f"onnx/{p.name}" for p in path.glob("onnx/*.onnx"))
    present = [name for name in names if name != "onnx/"] + inner
    listed = ", ".join(present[:12]) + (", ..." if len(present) > 12 else "")
    return EncoderError(
        f"encoder folder {str(path)!r} has no {missing}; found: {listed or 'nothing'}; "
        "export or download the missing file into it"
    )
