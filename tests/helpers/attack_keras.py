"""Hostile files of the Keras family, each made here: what each tries, and what its refusal says.

They are of the kinds of `attack_models`: each writes into a folder of its own, and must be refused
by a word of the reason. A secret lies outside every folder, and a marker appears only if something
was executed.
"""

import io
import json
import marshal
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from attack_models import Attack, Place

Groups = Callable[[Any, Path, Place], None]
"""Adds to the file that is open, in a folder."""

CONV = {"filters": 2, "kernel_size": [1, 1], "use_bias": False}


def sequential(*layers: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a Sequential model on pictures of 4 x 4."""
    first = {"class_name": "InputLayer", "config": {"batch_input_shape": [None, 4, 4, 3]}}
    return {"class_name": "Sequential", "config": {"name": "net", "layers": [first, *layers]}}


def layer(kind: str, name: str, **settings: Any) -> dict[str, Any]:
    """The configuration of a layer."""
    return {"class_name": kind, "config": {"name": name, **settings}}


PLAIN = sequential(layer("Conv2D", "conv", **CONV), layer("GlobalAveragePooling2D", "pool"))


def write_h5(path: Path, config: object = PLAIN, version: str = "2.10.0") -> None:
    """A model with one convolution, as Keras 2 saves it."""
    values = np.arange(6, dtype=np.float32).reshape(1, 1, 3, 2)
    with h5py.File(path, "w", locking=False) as file:  # a sandboxed worker may not lock
        file.attrs["keras_version"] = version
        file.attrs["model_config"] = json.dumps(config)
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.array([b"conv", b"pool"])
        conv = weights.create_group("conv")
        name = "conv_W:0" if version.startswith("1") else "conv/kernel:0"
        conv.attrs["weight_names"] = np.array([name.encode()])
        conv.create_dataset(name, data=values)
        weights.create_group("pool").attrs["weight_names"] = np.array([], "S1")


def write_keras(path: Path, config: object = PLAIN, **more: bytes) -> None:
    """The same as a .keras archive."""
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        values = np.arange(6, dtype=np.float32).reshape(1, 1, 3, 2)
        file.create_dataset("layers/conv2d/vars/0", data=values)
    members = {
        "config.json": json.dumps(config).encode(),
        "metadata.json": b'{"keras_version": "3.5.0"}',
        "model.weights.h5": weights.getvalue(),
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (members | more).items():
            archive.writestr(name, data)


def write_tfjs(path: Path, config: object = PLAIN, **manifest: Any) -> None:
    """The same as a model.json with one shard."""
    (path.parent / "shard.bin").write_bytes(np.arange(6, dtype=np.float32).tobytes())
    weight = {"name": "conv/kernel", "shape": [1, 1, 3, 2], "dtype": "float32"}
    group = {"paths": ["shard.bin"], "weights": [weight]} | manifest
    topology = {"keras_version": "tfjs-layers 4.0", "model_config": config}
    path.write_text(
        json.dumps(
            {"format": "layers-model", "modelTopology": topology, "weightsManifest": [group]}
        )
    )


def _h5(change: Groups) -> Callable[[Path, Place], None]:
    """A good file, then changed; nothing of the change is followed by who writes it."""

    def write(folder: Path, place: Place) -> None:
        write_h5(folder / "model.h5")
        with h5py.File(folder / "model.h5", "r+") as file:
            change(file, folder, place)

    return write


def _config(config: object) -> Callable[[Path, Place], None]:
    def write(folder: Path, place: Place) -> None:
        write_h5(folder / "model.h5", config)

    return write


def _lambda(folder: Path, place: Place) -> None:
    """The code of a function that touches the marker, as Keras keeps it."""
    code = compile(f"open({str(place.marker)!r}, 'w')", "x", "exec")
    function = [marshal.dumps(code).hex(), None, None]
    write_h5(folder / "model.h5", sequential(layer("Lambda", "run", function=function)))


def _lambda_archive(folder: Path, place: Place) -> None:
    value = {"class_name": "__lambda__", "config": {"code": "4wAAAA==", "defaults": None}}
    write_keras(folder / "model.keras", sequential(layer("Lambda", "run", function=value)))


def _external_link(file: Any, folder: Path, place: Place) -> None:
    del file["model_weights/conv/conv/kernel:0"]
    file["model_weights/conv/conv/kernel:0"] = h5py.ExternalLink(str(place.secret), "/x")


def _soft_link(file: Any, folder: Path, place: Place) -> None:
    file["model_weights/again"] = h5py.SoftLink("/model_weights/conv")


def _external_storage(file: Any, folder: Path, place: Place) -> None:
    del file["model_weights/conv/conv/kernel:0"]
    file["model_weights/conv"].create_dataset(
        "conv/kernel:0", (1, 1, 3, 2), "f4", external=[(str(place.secret), 0, 24)]
    )


def _virtual(file: Any, folder: Path, place: Place) -> None:
    del file["model_weights/conv/conv/kernel:0"]
    layout = h5py.VirtualLayout((1, 1, 3, 2), "f4")
    layout[:] = h5py.VirtualSource(str(place.secret), "x", (1, 1, 3, 2))
    file["model_weights/conv"].create_virtual_dataset("conv/kernel:0", layout)


def _bomb(file: Any, folder: Path, place: Place) -> None:
    zeros = file.create_dataset("bomb", (1 << 28,), "f4", chunks=(1 << 22,), compression="gzip")
    zeros[: 1 << 22] = 0


def _hole(file: Any, folder: Path, place: Place) -> None:
    file.create_dataset("hole", (1 << 40,), "f4", chunks=(1 << 20,))


def _cycle(file: Any, folder: Path, place: Place) -> None:
    file["model_weights/conv/up"] = file["model_weights"]


def _root_cycle(file: Any, folder: Path, place: Place) -> None:
    file["model_weights/conv/root"] = file["/"]


def _deep(file: Any, folder: Path, place: Place) -> None:
    file.create_group("/".join("a" * 1_000))


def _crowd(file: Any, folder: Path, place: Place) -> None:
    crowd = file.create_group("crowd", track_order=False)
    item = crowd.create_dataset("0", data=np.zeros(1, np.float32))
    for number in range(1, 20_100):
        crowd[str(number)] = item


def _wide_attribute(folder: Path, place: Place) -> None:
    """An attribute of 40 MB, which only newer forms of HDF5 allow."""
    with h5py.File(folder / "model.h5", "w", libver="latest") as file:
        file.attrs["model_config"] = json.dumps(PLAIN)
        weights = file.create_group("model_weights")
        weights.attrs["layer_names"] = np.zeros(40 << 20, "S1")


def _traversal(folder: Path, place: Place) -> None:
    write_keras(folder / "model.keras", sequential(layer("Lambda", "run")), **{"../../out": b"x"})


def _zip_bomb(folder: Path, place: Place) -> None:
    write_keras(folder / "model.keras", **{"config.json": b" " * (40 << 20) + b"{}"})


def _weights_bomb(folder: Path, place: Place) -> None:
    write_keras(folder / "model.keras", **{"model.weights.h5": bytes(40 << 20)})


def _nested(depth: int) -> dict[str, Any]:
    model = PLAIN
    for number in range(depth):
        model = sequential({**model, "name": f"m{number}"})
    return model


def _deep_json(folder: Path, place: Place) -> None:
    write_h5(folder / "model.h5")
    with h5py.File(folder / "model.h5", "r+") as file:
        file.attrs["model_config"] = "[" * 60_000


def _many_layers(folder: Path, place: Place) -> None:
    """A configuration of 200,000 layers: 7 MB, compressed to some kB."""
    first = json.dumps(PLAIN)
    inner = ",".join(['{"class_name":"ReLU","config":{}}'] * 200_000)
    text = first.replace("]}}", f",{inner}]}}}}")
    write_keras(folder / "model.keras", **{"config.json": text.encode()})


def _loop(folder: Path, place: Place) -> None:
    """Two layers that wait for each other."""
    calls = [[[["b", 0, 0, {}]]], [[["a", 0, 0, {}]]]]
    layers = [
        {
            "class_name": "InputLayer",
            "name": "x",
            "inbound_nodes": [],
            "config": {"batch_input_shape": [None, 4, 4, 3]},
        },
        *(
            {**layer("ReLU", name), "name": name, "inbound_nodes": call}
            for name, call in zip("ab", calls, strict=True)
        ),
    ]
    config = {"layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [["a", 0, 0]]}
    write_h5(folder / "model.h5", {"class_name": "Functional", "config": config})


def _doubling(folder: Path, place: Place) -> None:
    """Models that call the one inside them ten times: 10^12 layers from a few kB."""

    def model(name: str, inner: dict[str, Any]) -> dict[str, Any]:
        first = {
            "class_name": "InputLayer",
            "name": "x",
            "inbound_nodes": [],
            "config": {"batch_input_shape": [None, 4, 4, 3]},
        }
        calls = [[["x", 0, 0, {}]], *([["inner", n, 0, {}]] for n in range(1, 10))]
        called = {**inner, "name": "inner", "inbound_nodes": calls}
        config = {
            "name": name,
            "layers": [first, called],
            "input_layers": [["x", 0, 0]],
            "output_layers": [["inner", 10, 0]],
        }
        return {"class_name": "Functional", "config": config}

    network = sequential(layer("Dropout", "none", rate=0.5))
    for level in range(12):
        network = model(f"level{level}", network)
    write_h5(folder / "model.h5", network)


def _huge_input(folder: Path, place: Place) -> None:
    config = json.loads(json.dumps(PLAIN))
    config["config"]["layers"][0]["config"]["batch_input_shape"] = [None, 1 << 20, 1 << 20, 3]
    write_h5(folder / "model.h5", config)


def _huge_padding(folder: Path, place: Place) -> None:
    write_h5(
        folder / "model.h5",
        sequential(layer("ZeroPadding2D", "pad", padding=[[1 << 20, 0], [1 << 20, 0]])),
    )


def _shard_up(folder: Path, place: Place) -> None:
    write_tfjs(folder / "model.json", paths=["../../secret.bin"])


def _shard_link(folder: Path, place: Place) -> None:
    write_tfjs(folder / "model.json", paths=["out.bin"])
    (folder / "out.bin").symlink_to(place.secret)


def _shard_huge(folder: Path, place: Place) -> None:
    weight = {"name": "conv/kernel", "shape": [1 << 39, 1 << 39], "dtype": "float32"}
    write_tfjs(folder / "model.json", weights=[weight])


KERAS_ATTACKS = {
    "h5_external_link": Attack(
        "path", "HDF5: a link to a file outside", _h5(_external_link), "link to another file"
    ),
    "h5_soft_link": Attack("path", "HDF5: a soft link", _h5(_soft_link), "soft link"),
    "h5_external_storage": Attack(
        "path", "HDF5: data in a file outside", _h5(_external_storage), "in another file"
    ),
    "h5_virtual": Attack(
        "path", "HDF5: a virtual array of a file outside", _h5(_virtual), "virtual"
    ),
    "h5_bomb": Attack("size", "HDF5: 1 GB of zeros, compressed", _h5(_bomb), "take over"),
    "h5_hole": Attack("size", "HDF5: an array of 4 TB without data", _h5(_hole), "take over"),
    "h5_cycle": Attack("size", "HDF5: a group that holds itself", _h5(_cycle), "two places"),
    "h5_root_cycle": Attack("size", "HDF5: the root in a group", _h5(_root_cycle), "two places"),
    "h5_deep": Attack("size", "HDF5: groups 1,000 deep", _h5(_deep), "deep"),
    "h5_crowd": Attack("size", "HDF5: 20,000 names of one array", _h5(_crowd), "objects"),
    "h5_attributes": Attack(
        "size", "HDF5: 40 MB of names in an attribute", _wide_attribute, "damaged"
    ),
    "h5_lambda": Attack("code", "a Lambda with marshalled code", _lambda, "never run"),
    "h5_custom": Attack(
        "code", "a class of its author", _config(sequential(layer("Evil", "e"))), "not translated"
    ),
    "h5_function": Attack(
        "code",
        "an activation that is a function",
        _config(sequential(layer("Activation", "act", activation="os.system"))),
        "activation",
    ),
    "h5_json_deep": Attack("text", "a configuration 60,000 deep", _deep_json, "nested"),
    "h5_models_deep": Attack("text", "models 40 deep in each other", _config(_nested(40)), "deep"),
    "h5_loop": Attack("text", "layers that wait for each other", _loop, "waits for"),
    "h5_doubling": Attack("size", "10^12 layers from a few kB", _doubling, "calls over"),
    "h5_huge_input": Attack("size", "pictures of 2^20 pixels a side", _huge_input, "declares"),
    "h5_huge_padding": Attack("size", "padding of 2^20 pixels", _huge_padding, "declares"),
    "keras_lambda": Attack("code", "a Lambda in an archive", _lambda_archive, "never run"),
    "keras_traversal": Attack("path", "an archive with ../../out", _traversal, "never run"),
    "keras_config_bomb": Attack("size", "40 MB of spaces in config.json", _zip_bomb, "declares"),
    "keras_weights_bomb": Attack("size", "40 MB of zeros as weights", _weights_bomb, "declares"),
    "keras_layers": Attack("size", "200,000 layers", _many_layers, "layers"),
    "tfjs_shard_up": Attack("path", "a shard in ../../", _shard_up, "not inside"),
    "tfjs_shard_link": Attack("path", "a shard that is a link out", _shard_link, "not inside"),
    "tfjs_shard_huge": Attack("size", "a weight of 2^78 numbers", _shard_huge, "more bytes"),
}
"""By the name of their folder."""
