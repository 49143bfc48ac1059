"""What torch writes, in every form, is read to the same bits as torch itself has them."""

import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lagotto.core.errors import ModelError
from lagotto.models.checkpoints.opening import open_checkpoint

torch = pytest.importorskip("torch")


class Residual(torch.nn.Module):
    """A class of the user's own, which is not there where the file is read."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(width, width, 3, padding=1)
        self.bn = torch.nn.BatchNorm2d(width)
        self.register_buffer("scale", torch.rand(width, 1, 1))
        self.register_buffer("passing", torch.rand(3), persistent=False)
        self.activation = torch.nn.ReLU()


def network() -> Any:
    torch.manual_seed(3)
    return torch.nn.Sequential(
        OrderedDict(
            stem=torch.nn.Conv2d(3, 8, 3),
            block=Residual(8),
            again=Residual(8).half(),
            head=torch.nn.Sequential(torch.nn.Dropout(0.2), torch.nn.Linear(8, 5)),
        )
    )


def save(value: Any, file: Path, **options: Any) -> Path:
    torch.save(value, file, **options)
    return file


def dumped(value: Any, file: Path) -> Path:
    """A pickle of Python, as people write it who do not know torch.save."""
    file.write_bytes(pickle.dumps(value))
    return file


def assert_equal(file: Path, expected: Any) -> None:
    """The tensors of a file are those of a state dict, bit for bit and in their order."""
    tensors = open_checkpoint(file).tensors
    assert list(tensors) == list(expected)
    for name, tensor in expected.items():
        found = tensors[name]
        assert found.dtype == str(tensor.dtype).removeprefix("torch.")
        assert found.shape == tuple(tensor.shape)
        values = found.read()
        plain = tensor.detach().cpu()
        plain = plain.float() if tensor.dtype == torch.bfloat16 else plain
        wanted = plain.contiguous().numpy()
        assert values.dtype == wanted.dtype
        assert values.shape == wanted.shape
        assert values.tobytes() == wanted.tobytes()
        assert values.flags.c_contiguous
        assert values.flags.aligned


FORMS: dict[str, Callable[[Any, Path], Path]] = {
    "state dict": lambda net, file: save(net.state_dict(), file),
    "module": lambda net, file: save(net, file),
    "old state dict": lambda net, file: save(
        net.state_dict(), file, _use_new_zipfile_serialization=False
    ),
    "old module": lambda net, file: save(net, file, _use_new_zipfile_serialization=False),
    "nested": lambda net, file: save({"epoch": 3, "state_dict": net.state_dict()}, file),
    "parameters": lambda net, file: save(net.state_dict(keep_vars=True), file),
    "data parallel": lambda net, file: save(torch.nn.DataParallel(net).state_dict(), file),
    "data parallel module": lambda net, file: save(torch.nn.DataParallel(net), file),
    "lightning": lambda net, file: save(
        {
            "pytorch-lightning_version": "2.4.0",
            "state_dict": {f"model.{name}": item for name, item in net.state_dict().items()},
            "optimizer_states": [{"state": {0: {"exp_avg": torch.zeros(5)}}, "param_groups": []}],
            "hyper_parameters": {"lr": 0.1},
        },
        file,
    ),
    "pickle of a module": lambda net, file: dumped(net, file),
    "pickle of a state dict": lambda net, file: dumped(net.state_dict(), file),
    "plain dict": lambda net, file: save(dict(net.state_dict()), file),
    "tuple": lambda net, file: save((net.state_dict(), 7), file),
    **{
        f"{'zip' if zipped else 'legacy'} with protocol {protocol}": (
            lambda net, file, protocol=protocol, zipped=zipped: save(
                net.state_dict(),
                file,
                pickle_protocol=protocol,
                _use_new_zipfile_serialization=zipped,
            )
        )
        for protocol in (2, 3, 4, 5)
        for zipped in (True, False)
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_bits(tmp_path: Path, form: str) -> None:
    net = network()
    assert_equal(FORMS[form](net, tmp_path / "best.pth"), net.state_dict())


@pytest.mark.parametrize("name", ["best.pt", "best.with.dots.pth", "a b.ckpt"])
def test_the_name_of_the_file_does_not_matter(tmp_path: Path, name: str) -> None:
    net = network()
    assert_equal(save(net.state_dict(), tmp_path / name), net.state_dict())


DTYPES = (
    *("float32", "float64", "float16", "bfloat16", "int8", "uint8", "int16", "int32", "int64"),
    *("bool", "complex64", "complex128"),
)


@pytest.mark.parametrize("zipped", [True, False])
def test_every_type_of_number(tmp_path: Path, zipped: bool) -> None:
    torch.manual_seed(1)
    values = {
        name: (torch.randn(5, 7) * 50).to(getattr(torch, name))
        if name != "bool"
        else torch.rand(5, 7) > 0.5
        for name in DTYPES
    }
    file = save(values, tmp_path / "t.pt", _use_new_zipfile_serialization=zipped)
    assert_equal(file, values)


@pytest.mark.parametrize("zipped", [True, False])
def test_views_share_their_storage(tmp_path: Path, zipped: bool) -> None:
    whole = torch.arange(240, dtype=torch.float32).reshape(10, 24)
    values = {
        "whole": whole,
        "transposed": whole.t(),
        "slice": whole[2:5, ::3],
        "tail": whole.flatten()[7:31],
        "channels_last": whole.reshape(2, 5, 4, 6).contiguous(memory_format=torch.channels_last),
        "expanded": torch.ones(1).expand(4, 9),
        "scalar": torch.tensor(3.5),
        "empty": torch.zeros(0, 3),
        "counter": torch.tensor(12),
    }
    file = save(values, tmp_path / "t.pt", _use_new_zipfile_serialization=zipped)
    assert_equal(file, values)


def test_numbers_of_a_big_endian_machine(tmp_path: Path) -> None:
    net = network()
    file = save(net.state_dict(), tmp_path / "little.pt")
    swapped = tmp_path / "big.pt"
    sizes = {
        str(item.untyped_storage()._cdata): item.element_size()
        for item in net.state_dict().values()
    }
    units = list(sizes.values())
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(swapped, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("/byteorder"):
                data = b"big"
            elif "/data/" in name:
                unit = units[int(name.rpartition("/")[2])]
                data = np.frombuffer(data, f"V{unit}").view(f"u{unit}").byteswap().tobytes()
            target.writestr(name, data)
    assert_equal(swapped, net.state_dict())


def test_a_packed_zip_is_unpacked_within_bounds(tmp_path: Path) -> None:
    net = network()
    file = save(net.state_dict(), tmp_path / "stored.pt")
    packed = tmp_path / "packed.pt"
    with (
        zipfile.ZipFile(file) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(f"outer/{name}", source.read(name))
    assert_equal(packed, net.state_dict())


def test_torchscript_gives_the_names_of_the_module(tmp_path: Path) -> None:
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2)
    ).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(net).save(str(tmp_path / "scripted.pt"))
    assert_equal(tmp_path / "scripted.pt", net.state_dict())
    assert open_checkpoint(tmp_path / "scripted.pt").container == "TorchScript"


def test_tied_weights_are_read_in_both_places(tmp_path: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    net[1].weight = net[0].weight
    assert_equal(save(net, tmp_path / "m.pt"), net.state_dict())
    assert_equal(save(net.state_dict(), tmp_path / "s.pt"), net.state_dict())


def test_damaged_weights_are_not_read_in_silence(tmp_path: Path) -> None:
    net = network()
    file = save(net.state_dict(), tmp_path / "best.pt")
    data = bytearray(file.read_bytes())
    place = data.find(net.state_dict()["stem.weight"].numpy().tobytes())
    data[place + 5] ^= 1
    file.write_bytes(data)
    with pytest.raises(ModelError, match=r"best/data/0.*damaged"):
        open_checkpoint(file).tensors["stem.weight"].read()
    assert open_checkpoint(file).tensors["stem.bias"].read().size == 8


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, zipped: bool) -> None:
    file = save(network().state_dict(), tmp_path / "best.pt", _use_new_zipfile_serialization=zipped)
    data = file.read_bytes()
    for size in (10, 100, len(data) // 3, len(data) // 2, len(data) - 30, len(data) - 1):
        file.write_bytes(data[:size])
        with pytest.raises(ModelError, match=r"^best\.pt is not read: .*(cut short|damaged|disag)"):
            open_checkpoint(file)
