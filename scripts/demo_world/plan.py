"""Which classifiers the demo world has: their names, classes, input forms and architectures."""

import dataclasses

import numpy as np

NAMES = """
exp_final_v3 run_0412_b resnet_tiny_new2 model_best baseline_old clf_v7 untitled_4 test_net_2
final_final ckpt_epoch_18 dev_small_b trial_33 net_0907 student_a2 export_fixed mobile_try5
cnn_k3 run_0418_a exp_21_rerun tmp_good_one backup_of_v2 prod_candidate thesis_ch4
edge_build_11 q_v2 intern_project sweep_7_best sweep_12_best colab_download hackday m1_small
m2_small m3_small new_data_v2 no_aug_run with_aug_run lr3e3 lr1e3_long distilled_x
old_laptop_copy model_0 model_1 checkpoint_last kiosk_cam shelf_unit_3 robot_arm_v1
app_bundle_1_4 delivery_2 vendor_drop fp_test smoke_model ablation_c ablation_f night_run_2
resume_after_crash seed_7 seed_19 for_alex demo_friday unknown_origin
"""

KNOWN_TO_NONE = 8
COPIES = (1, 2, 3, 4, 5)  # how many models know a concept, with these chances
COPIES_CHANCES = (0.04, 0.18, 0.34, 0.28, 0.16)
CLASS_COUNTS = (5, 6, 7, 8, 8, 9, 10, 10, 12, 12, 14, 16, 18, 20, 24)
BIG_CLASS_COUNTS = (32, 40)

# (channels, scale, mean, std)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
INPUTS = (
    ("RGB", "0..255", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ("RGB", "0..1", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ("RGB", "-1..1", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ("RGB", "0..1", *IMAGENET),
    ("BGR", "0..255", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ("RGB", "-1..1", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ("RGB", "0..1", *IMAGENET),
    ("RGB", "0..1", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ("BGR", "-1..1", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ("RGB", "0..255", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
)
ARCHITECTURES = ("plain", "residual", "separable")
SIZES = (48, 64, 32, 48, 64, 40)


@dataclasses.dataclass(frozen=True, slots=True)
class ModelPlan:
    """All that decides one classifier before it is trained."""

    name: str
    classes: tuple[int, ...]
    architecture: str
    size: int
    layout: str
    channels: str
    scale: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    dtype: str
    output: str
    quantised: str  # "", "QDQ" or "QOperator"
    fixed_batch: bool
    labelled: bool
    resize: str
    effort: float  # share of the usual training; a hub holds poor models too


def share_out_classes(rng: np.random.Generator, concepts: int, sizes: list[int]) -> list[list[int]]:
    """Random class lists of these sizes; each known concept in about as many as it was dealt."""
    copies = rng.choice(COPIES, size=concepts, p=COPIES_CHANCES)
    copies[rng.choice(concepts, KNOWN_TO_NONE, replace=False)] = 0
    wanted = copies * sum(sizes) / copies.sum()
    left = wanted.copy()
    lists: list[list[int]] = [[] for _ in sizes]
    for model in np.argsort(sizes)[::-1]:
        chance = np.clip(left, 0, None) + 1e-3 * (wanted > 0)
        chosen = rng.choice(concepts, sizes[model], replace=False, p=chance / chance.sum())
        left[chosen] -= 1
        lists[model] = [int(concept) for concept in chosen]
    return lists


def plan_models(seed: int, concepts: int) -> list[ModelPlan]:
    """The plans of all classifiers, the same for the same seed."""
    rng = np.random.default_rng([seed, 20])
    sizes = [CLASS_COUNTS[index % len(CLASS_COUNTS)] for index in range(len(NAMES.split()) - 2)]
    sizes = [*rng.permutation(sizes).tolist(), *BIG_CLASS_COUNTS]
    names = rng.permutation(NAMES.split()).tolist()
    class_lists = share_out_classes(rng, concepts, sizes)
    labelled = set(rng.permutation(len(names))[: len(names) // 2].tolist())
    plans = []
    for index, name in enumerate(names):
        channels, scale, mean, std = INPUTS[index % len(INPUTS)]
        dtype = "float32"
        if index % 12 == 7:
            channels, mean, std = "L", (0.0,), (1.0,)
        if index % 9 == 5:
            dtype, scale, mean, std = "uint8", "0..255", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
            channels = "RGB"
        quantised = "QDQ" if index % 10 == 3 else "QOperator" if index % 10 == 8 else ""
        plans.append(
            ModelPlan(
                name=name,
                classes=tuple(class_lists[index]),
                architecture=ARCHITECTURES[index % len(ARCHITECTURES)],
                size=64 if sizes[index] > 30 else SIZES[(index // 3) % len(SIZES)],
                layout="NHWC" if index % 5 in (1, 4) else "NCHW",
                channels=channels,
                scale=scale,
                mean=mean,
                std=std,
                dtype=dtype,
                output="softmax" if index % 8 in (2, 6, 7) else "logits",
                quantised=quantised,
                fixed_batch=index % 7 == 4,
                labelled=index in labelled,
                resize=("stretch", "crop", "shortest")[int(rng.integers(3))],
                effort=0.2 if index % 8 == 5 else 1.0,
            )
        )
    return plans
