"""A stranger's config.json may not reach for code, checkpoints or kernels elsewhere."""

from typing import Any

import pytest

from lagotto.core.errors import ModelError
from lagotto.core.parsing.hf_config import check_config


@pytest.mark.parametrize(
    "config",
    [
        {"auto_map": {"AutoModel": "evil.M"}},
        {"text_config": {"attn_implementation": "org/kernel"}},
        {"_attn_implementation": "flash_attention_2"},
        {"quantization_config": {"quant_method": "x"}},
        {"model_args": {"checkpoint_path": "/tmp/x.pth"}},
        {"layers": [{"use_pretrained_backbone": True}]},
    ],
)
def test_what_reaches_out_is_refused_by_its_key(config: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"config\.json has \w+ \(") as caught:
        check_config(config, ModelError)
    assert "\n" not in str(caught.value)


def test_what_does_not_is_let_pass() -> None:
    plain = {"attn_implementation": "sdpa", "auto_map": None, "use_pretrained_backbone": False}
    check_config({"model_type": "vit", "vision_config": plain, "list": [1, "x", None]}, ModelError)
