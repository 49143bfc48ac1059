"""Which published names match which labels."""

import pytest

from lagotto.specialists.label_names import named_outputs


@pytest.mark.parametrize(
    ("label", "published", "output"),
    [
        ("rose", ["daisy", "roses"], 1),
        ("roses", ["daisy", "rose"], 1),
        ("Golden Retriever", ["golden_retriever"], 0),
        ("horse", ["sea_horse", "horse"], 1),
        ("bell pepper", ["pepper", "bell pepper, capsicum"], 1),
        ("cat", ["tabby cat", "Persian cat"], -1),
        ("cat", ["tabby cat", "dog"], 0),
        ("car", ["carpet", "scar"], -1),
        ("cat", ["cat", "Cat"], -1),
        ("cat", [None, None], -1),
        ("cat", [], -1),
    ],
)
def test_one_label(label: str, published: list[str | None], output: int) -> None:
    assert named_outputs([label], published).tolist() == [output]


def test_no_output_is_two_labels() -> None:
    assert named_outputs(["cat", "tabby"], ["tabby, cat"]).tolist() == [-1, -1]


def test_the_same_spelling_goes_before_plural_and_singular() -> None:
    published = ["sunglass", "sunglasses, dark glasses, shades", "cup"]
    assert named_outputs(["sunglasses", "Sunglass", "cups"], published).tolist() == [1, 0, 2]
