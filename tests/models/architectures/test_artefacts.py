"""What Lagotto ships of architectures: the table of signatures and the skeletons."""

import zipfile

import numpy as np
import onnx
import pytest

from lagotto.models.architectures.fingerprint import tensors_fingerprint
from lagotto.models.architectures.signature_table import read_table, read_tensors
from lagotto.models.architectures.skeletons import (
    SKELETONS_FILE,
    pack_skeleton,
    read_skeleton,
    skeleton_keys,
    unpack_skeleton,
)
from lagotto.models.files.onnx_graph import read_onnx_graph

MOST_BYTES = 3_500_000
"""Of all skeletons together: the wheel stays under 12 MB."""


def test_each_skeleton_is_of_a_network_in_the_table() -> None:
    architectures = {item.key for item in read_table().architectures}
    assert len(architectures) > 1_500
    assert len(skeleton_keys()) >= 150
    assert skeleton_keys() <= architectures
    assert SKELETONS_FILE.stat().st_size < MOST_BYTES


def test_skeletons_have_no_weights_and_the_names_of_the_state_dict() -> None:
    tensors = dict(
        zip((item.key for item in read_table().architectures), read_tensors(), strict=True)
    )
    with zipfile.ZipFile(SKELETONS_FILE) as archive:
        for entry in archive.infolist():
            assert entry.file_size < 2_000_000, entry.filename
            skeleton = unpack_skeleton(archive.read(entry))
            used = {name for names in skeleton.weights for name in names}
            assert used <= tensors[entry.filename].keys(), entry.filename
            assert skeleton.error <= 1e-4, entry.filename
            assert skeleton.weights[2], entry.filename


@pytest.mark.parametrize("key", ["torchvision/resnet18", "cifar/akamaster_resnet20"])
def test_a_skeleton_survives_packing(key: str) -> None:
    skeleton = read_skeleton(key)
    assert unpack_skeleton(pack_skeleton(skeleton)) == skeleton
    assert skeleton.is_open
    assert skeleton.before_last.features in (64, 512)


@pytest.mark.parametrize("name", ["swin_v2_t", "swin_v2_s", "swin_v2_b"])
def test_tables_that_a_network_computes_are_right(name: str) -> None:
    """The coordinates of Swin v2, as its paper has them: a graph has them as constants."""
    graph = onnx.load_from_string(read_skeleton(f"torchvision/{name}").parts[0]).graph
    tables = [item for item in graph.initializer if [*item.dims] == [1, 15, 15, 2]]
    steps = np.arange(-7, 8) / 7 * 8
    logarithms = np.sign(steps) * np.log2(np.abs(steps) + 1) / 3
    expected = np.stack(np.meshgrid(logarithms, logarithms, indexing="ij"), -1)[None]
    assert tables
    for table in tables:
        np.testing.assert_allclose(onnx.numpy_helper.to_array(table), expected, atol=1e-5)


def test_the_order_of_tensors_does_not_matter() -> None:
    shapes = {"a.weight": (3, 4), "b.weight": (5,), "pos_embed": (1, 7, 8)}
    turned = dict(reversed(shapes.items()))
    assert tensors_fingerprint(turned) == tensors_fingerprint(shapes | {"pos_embed": (1, 9, 8)})
    assert tensors_fingerprint(shapes) != tensors_fingerprint(shapes | {"a.weight": (4, 3)})
    assert tensors_fingerprint(shapes | {"a.num_batches_tracked": ()}) == tensors_fingerprint(
        shapes
    )


def test_the_parts_of_a_skeleton_are_one_graph() -> None:
    skeleton = read_skeleton("torchvision/mobilenet_v3_small")
    last = b"".join(skeleton.parts)
    with pytest.raises(Exception, match="no graph with outputs"):
        read_onnx_graph(last)  # the output is declared when the skeleton is filled
