"""A config.json that nobody vouches for comes in; an error goes out if it names code elsewhere.

Libraries that build a network from the file act on keys that name code, checkpoints or kernels
elsewhere. A model with such a key is refused, whether or not today's release would act on it.
"""

from lagotto.core.errors import LagottoError
from lagotto.core.types import JsonObject, JsonValue

_REACHING = frozenset(
    {
        *("auto_map", "custom_pipelines", "trust_remote_code", "quantization_config"),
        *("checkpoint_path", "pretrained", "use_pretrained_backbone", "pretrained_cfg_overlay"),
        *("use_kernels", "kernel_config", "cache_dir", "adapter_kwargs"),
    }
)
_ATTENTION = ("attn_implementation", "_attn_implementation", "experts_implementation")
_PLAIN_ATTENTION = ("eager", "sdpa")


def check_config(config: JsonObject, error: type[LagottoError]) -> None:
    """Raises `error` if a config.json has a key that may load code or files from elsewhere."""
    pending: list[JsonValue] = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending += value
        if not isinstance(value, dict):
            continue
        for key, inner in value.items():
            if inner and key in _REACHING:
                raise _refusal(key, inner, error)
            if inner and key in _ATTENTION and inner not in _PLAIN_ATTENTION:
                raise _refusal(key, inner, error)
            pending.append(inner)


def _refusal(key: str, value: JsonValue, error: type[LagottoError]) -> LagottoError:
    preview = ascii(value)
    return error(
        f"config.json has {key} ({preview if len(preview) <= 40 else preview[:37] + '...'}), which "
        "may bring in code or files from elsewhere; ask its author for an ONNX export"
    )
