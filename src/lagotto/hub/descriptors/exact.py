"""Columns of a block and the responses of its models come in; exact descriptors go out."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float32, Integer

from lagotto.hub.descriptors.block_models import model_firsts
from lagotto.hub.descriptors.blocks import Answers, Block
from lagotto.hub.descriptors.standardize import standardize_answers


def exact_descriptors(
    block: Block,
    columns: Integer[np.ndarray, " columns"],
    probes: Integer[np.ndarray, " k"],
    read: Callable[[str], Answers],
) -> Float32[np.ndarray, "k columns"]:
    """Descriptors of some logits on some probes, from the responses: without int8 rounding.

    They are bit for bit what `standardize.standardize` gives. Invalid logits, and probes that a
    model did not see, give zeros.

    Args:
        block: The block that holds the logits.
        columns: The logits, as columns of the block.
        probes: The probes, in the order of the rows that come back.
        read: Gives a model's responses by its behaviour digest.

    Returns:
        One row a probe and one column a logit.
    """
    raw = np.empty((len(probes), len(columns)), dtype=np.float32)
    firsts = model_firsts(block.models)
    owners = np.searchsorted(firsts, columns, side="right") - 1
    for owner in np.unique(owners).tolist():
        model = block.models[owner]
        mask = owners == owner
        raw[:, mask] = read(model.behaviour_digest).rows(probes, columns[mask] - model.first)
    return standardize_answers(raw, block.mean[columns], block.std[columns])
