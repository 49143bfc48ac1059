"""Context length, padding and masks, from the files that exports really have."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer
from tokenizers.normalizers import Lowercase

from encoder_makers import Form, write_encoder, write_json
from lagotto.core.errors import EncoderError
from lagotto.encoders.folder import open_folder
from lagotto.encoders.tokens import TextTokenizer, read_tokenizer


def tokenizer(
    path: Path,
    config: dict[str, Any],
    settings: dict[str, Any] | None = None,
    takes_mask: bool = True,
    graph_length: int | None = None,
) -> TextTokenizer:
    folder = write_encoder(path, Form(config=config))
    write_json(folder / "tokenizer_config.json", settings or {})
    return read_tokenizer(open_folder(folder), takes_mask, graph_length)


@pytest.mark.parametrize(
    ("config", "settings", "expected"),
    [
        ({"text_config": {"max_position_embeddings": 77}}, {}, 77),
        ({"text_config": {"max_position_embeddings": 77, "max_length": 20}}, {}, 77),
        ({"text_config": {"max_position_embeddings": 512, "max_length": 128}}, {}, 128),
        ({"text_config": {"max_position_embeddings": 77}}, {"model_max_length": 32}, 32),
        ({"text_config": {"max_position_embeddings": 77}}, {"model_max_length": 1e30}, 77),
        ({"text_config": {"max_position_embeddings": 77}}, {"model_max_length": 10**30}, 77),
        ({"text_config": {"max_position_embeddings": None}}, {"model_max_length": 40}, 40),
        ({"max_position_embeddings": 60}, {}, 60),
        ({"model_type": "clip"}, {}, 77),
        ({"model_type": "siglip2"}, {"model_max_length": 1e30}, 64),
        ({"model_type": "dual", "text_config": {"model_type": "clip_text_model"}}, {}, 77),
        ({"model_type": "dual", "text_config": {"model_type": "bert"}}, {}, 512),
    ],
)
def test_the_context_is_the_smallest_length_that_can_be_meant(
    config: dict[str, Any], settings: dict[str, Any], expected: int, tmp_path: Path
) -> None:
    assert tokenizer(tmp_path, config, settings).rules.context_length == expected


def test_a_context_that_nothing_states_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="model_max_length"):
        tokenizer(tmp_path, {"model_type": "novel"})


def test_the_graph_and_the_tokenizer_may_state_it_too(tmp_path: Path) -> None:
    assert tokenizer(tmp_path, {"model_type": "clip"}, graph_length=16).rules.padded_length == 16
    made = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    made.enable_truncation(9)
    made.enable_padding(pad_id=1, direction="left")
    made.save(str(tmp_path / "tokenizer.json"))
    rules = read_tokenizer(open_folder(tmp_path), True, None).rules
    assert (rules.context_length, rules.pad_id, rules.pad_side) == (9, 1, "left")


@pytest.mark.parametrize(
    ("config", "settings", "expected"),
    [
        ({}, {"pad_token": "[EOS]"}, 3),
        ({}, {"pad_token": {"content": "[EOS]"}}, 3),
        ({"text_config": {"pad_token_id": 1}}, {"pad_token": "[EOS]"}, 3),
        ({"text_config": {"pad_token_id": 1}}, {"pad_token": "not a token"}, 1),
        ({"pad_token_id": 2}, {}, 2),
        ({}, {}, 0),
    ],
)
def test_the_padding_token(
    config: dict[str, Any], settings: dict[str, Any], expected: int, tmp_path: Path
) -> None:
    rules = tokenizer(tmp_path, {"model_type": "clip", **config}, settings).rules
    assert rules.pad_id == expected


def test_with_a_mask_a_batch_is_padded_to_its_longest(tmp_path: Path) -> None:
    tokens = tokenizer(tmp_path, {"model_type": "clip"}).encode(["dog", "the red dog"])
    assert tokens.ids.shape == (2, 5)
    assert tokens.mask.tolist() == [[1, 1, 1, 0, 0], [1] * 5]


def test_without_a_mask_all_are_padded_to_the_context(tmp_path: Path) -> None:
    made = tokenizer(tmp_path, {"model_type": "clip"}, {"model_max_length": 9}, takes_mask=False)
    tokens = made.encode(["dog"])
    assert tokens.ids.shape == (1, 9)
    assert tokens.mask.sum() == 3


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        ({"model_type": "siglip"}, {}),
        ({"model_type": "dual", "text_config": {"model_type": "siglip_text_model"}}, {}),
        ({"model_type": "dual"}, {"tokenizer_class": "SiglipTokenizer"}),
    ],
)
def test_siglip_attends_to_its_padding(
    config: dict[str, Any], settings: dict[str, Any], tmp_path: Path
) -> None:
    tokens = tokenizer(tmp_path, config, settings).encode(["dog"])
    assert tokens.ids.shape == (1, 64)
    assert tokens.mask.all()


def test_a_cut_text_keeps_its_closing_token(tmp_path: Path) -> None:
    made = tokenizer(tmp_path, {"model_type": "clip"}, {"model_max_length": 5})
    assert made.encode(["dog " * 50]).ids[0, -1] == 3
    assert made.counts(["dog " * 50, "", "dog"]) == [52, 2, 3]


def test_an_empty_text_has_at_least_one_token(tmp_path: Path) -> None:
    tokenizer(tmp_path, {"model_type": "clip"})
    made = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    bare = Tokenizer(made.model)
    bare.save(str(tmp_path / "tokenizer.json"))
    tokens = read_tokenizer(open_folder(tmp_path), True, None).encode(["", ""])
    assert tokens.ids.shape == (2, 1)
    np.testing.assert_array_equal(tokens.mask, 1)


SIGLIP2 = {"model_type": "siglip2"}
CASED = ["A Photo of the DOG", "dog"]


def lowers(content: str) -> str:
    """A tokenizer.json whose normalizer lower-cases."""
    made = Tokenizer.from_str(content)
    made.normalizer = Lowercase()
    return str(made.to_str())


@pytest.mark.parametrize(
    ("config", "settings", "expected"),
    [
        (SIGLIP2, {}, True),
        ({"model_type": "siglip"}, {}, True),
        ({"model_type": "dual", "text_config": {"model_type": "siglip2_text_model"}}, {}, True),
        ({"model_type": "dual"}, {"tokenizer_class": "Siglip2Tokenizer"}, True),
        ({"model_type": "clip"}, {"tokenizer_class": "CLIPTokenizerFast"}, True),
        ({"model_type": "dual"}, {"do_lower_case": True}, True),
        (SIGLIP2, {"do_lower_case": False}, False),
        ({"model_type": "dual"}, {"tokenizer_class": "BertTokenizer"}, False),
        ({"model_type": "clip"}, {}, False),
    ],
)
def test_texts_are_lower_cased_where_the_training_did(
    config: dict[str, Any], settings: dict[str, Any], expected: bool, tmp_path: Path
) -> None:
    made = tokenizer(tmp_path, config, {"model_max_length": 12, **settings})
    assert made.rules.lower_case == expected
    upper, lower = made.encode(CASED), made.encode([text.lower() for text in CASED])
    assert np.array_equal(upper.ids, lower.ids) == expected
    assert made.counts(CASED) == made.counts([text.lower() for text in CASED])
    assert ("lower-case" in str(made.rules.canonical())) == expected


def test_a_tokenizer_that_lower_cases_itself_keeps_its_fingerprint(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path, Form(config=SIGLIP2))
    file = folder / "tokenizer.json"
    file.write_text(lowers(file.read_text()))
    made = read_tokenizer(open_folder(folder), True, None)
    assert not made.rules.lower_case
    assert np.array_equal(made.encode(["DOG"]).ids, made.encode(["dog"]).ids)
