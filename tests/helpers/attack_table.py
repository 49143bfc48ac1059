"""All hostile model files, by the name of their folder: those of each form are one table more.

Those of a form are among them where the package translates that form: else they are passed over.
"""

from attack_checkpoints import CHECKPOINT_ATTACKS, SAFETENSORS_ATTACKS
from attack_keras import KERAS_ATTACKS
from attack_models import ATTACKS, Attack
from lagotto.models.registry import TRANSLATORS

_FORMS = {
    ".pt": CHECKPOINT_ATTACKS,
    ".safetensors": SAFETENSORS_ATTACKS,
    ".h5": KERAS_ATTACKS,
}

MODEL_ATTACKS: dict[str, Attack] = ATTACKS | {
    name: attack
    for ending, attacks in _FORMS.items()
    if ending in TRANSLATORS
    for name, attack in attacks.items()
}
