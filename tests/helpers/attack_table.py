"""All hostile model files, by the name of their folder: those of each form are one table more.

Checkpoints are among them where the package translates checkpoints; others would be passed over.
"""

from attack_checkpoints import CHECKPOINT_ATTACKS
from attack_models import ATTACKS, Attack
from lagotto.models.registry import TRANSLATORS

MODEL_ATTACKS: dict[str, Attack] = ATTACKS | (CHECKPOINT_ATTACKS if ".pt" in TRANSLATORS else {})
