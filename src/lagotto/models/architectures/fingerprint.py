"""Names and shapes of tensors come in; one number for all of them, whatever their order, goes out.

The fingerprint of a network is the sum of the hashes of its tensors. So the fingerprint of a part,
or of all but a part, is a difference, and a classifier that a user has put in place of another one
is found without a search.
"""

import re
from collections.abc import Mapping
from hashlib import blake2b

Shape = tuple[int, ...]

MASK = (1 << 64) - 1

# Buffers that change no logit, or are computed from the settings of the network.
_WITHOUT_EFFECT = re.compile(
    r"(?:^|\.)(?:num_batches_tracked|relative_position_index|attn_mask|relative_coords_table"
    r"|position_ids|attention_bias_idxs|total_ops|total_params)$"
)
# Heads that are used in training alone (GoogLeNet, Inception v3).
_AUXILIARY = re.compile(r"^(?:aux1|aux2|AuxLogits)\.")
# Their length follows the size of the picture.
_POSITIONS = re.compile(r"(?:^|\.)(?:pos_embed|pos_embedding|position_embedding)$")


def is_counted(name: str) -> bool:
    """Whether a tensor takes part in a fingerprint: it decides the logits."""
    return _WITHOUT_EFFECT.search(name) is None and _AUXILIARY.match(name) is None


def is_position(name: str) -> bool:
    """Whether a tensor is an embedding of positions, whose length follows the size of pictures."""
    return _POSITIONS.search(name) is not None


def tensor_hash(name: str, shape: Shape) -> int:
    """64 bits for a name and a shape; 0 for a tensor that does not count."""
    if not is_counted(name):
        return 0
    text = f"{name} *" if is_position(name) else f"{name} {','.join(map(str, shape))}"
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "little")


def tensors_fingerprint(shapes: Mapping[str, Shape]) -> int:
    """The fingerprint of some tensors; their order does not matter."""
    return sum(tensor_hash(name, shape) for name, shape in shapes.items()) & MASK


def under(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a tensor belongs to one of some layers: the layer `fc` has `fc.weight`."""
    return any(name.startswith(f"{prefix}.") for prefix in prefixes)


def without_common_prefix(shapes: Mapping[str, Shape]) -> tuple[dict[str, Shape], str]:
    """The tensors without the layers that hold all of them, and what was taken off: "model."."""
    names, prefix = list(shapes), ""
    while names:
        first, dot, _ = names[0][len(prefix) :].partition(".")
        longer = f"{prefix}{first}."
        if not dot or not all(name.startswith(longer) for name in names):
            break
        prefix = longer
    return {name.removeprefix(prefix): shape for name, shape in shapes.items()}, prefix
