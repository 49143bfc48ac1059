"""Trains the demo world's classifiers on the training pool.

    python classifiers.py WORK [--part 0/2]    WORK/classifiers/NAME.pt, one a model; resumes

A model learns its own classes only: cross-entropy on pictures whose dominant thing is one of
them, and binary cross-entropy on every picture, pictures of none of its classes included, so
that a logit also stays low on things the model does not know.
"""

import argparse
import pathlib
import time

import numpy as np
import torch
from concepts import list_concepts
from networks import Classifier
from pictures import SEED
from plan import ModelPlan, plan_models
from pool import Pool, augment, load_pool, resize
from torch.nn import functional

SAMPLES = 48_000  # pictures seen in training, all epochs together
SAMPLES_A_CLASS = 2_000
BATCH = 64
PEAK_RATE = 8e-3
BGR_WEIGHTS = (0.114, 0.587, 0.299)


def to_input(pictures: torch.Tensor, plan: ModelPlan) -> torch.Tensor:
    """uint8 [batch, 3, size, size] RGB → what the bare classifier takes, still channels first."""
    x = pictures.float()
    if plan.channels == "L":
        x = (x * torch.tensor(BGR_WEIGHTS[::-1]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    if plan.channels == "BGR":
        x = x.flip(1)
    if plan.scale == "0..1":
        shape = (1, len(plan.mean), 1, 1)
        return (x / 255 - torch.tensor(plan.mean).view(shape)) / torch.tensor(plan.std).view(shape)
    return x / 127.5 - 1.0  # "0..255": the deployed graph does this


def choose_pictures(
    rng: np.random.Generator, shown: np.ndarray, classes: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the pictures to train on and their targets [pictures, classes] (0 or 1)."""
    present = (shown[:, :, None] == np.array(classes)).any(axis=1)
    known = np.flatnonzero(present.any(axis=1))
    others = np.flatnonzero(~present.any(axis=1))
    others = rng.choice(others, min(len(others), max(2000, len(known) // 2)), replace=False)
    chosen = np.sort(np.concatenate([known, others]))
    return chosen, present[chosen].astype(np.float32)


def train(plan: ModelPlan, index: int, pool: Pool) -> Classifier:
    """One trained classifier."""
    rng = np.random.default_rng([SEED, 30, index])
    torch.manual_seed(SEED + index)
    chosen, present = choose_pictures(rng, pool.shown, plan.classes)
    pictures, targets = resize(pool.images[chosen], plan.size), torch.from_numpy(present)
    dominant = (pool.shown[chosen, :1] == np.array(plan.classes)).astype(np.float32)
    has_dominant = torch.from_numpy(dominant.any(axis=1))
    labels = torch.from_numpy(dominant.argmax(axis=1))
    model = Classifier(plan).to(memory_format=torch.channels_last)
    torch.nn.init.constant_(model.head.bias, -3.0)
    samples = max(SAMPLES, SAMPLES_A_CLASS * len(plan.classes))
    steps = int(samples * plan.effort) // BATCH
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps)
    epochs = steps * BATCH // len(chosen) + 1
    order = np.concatenate([rng.permutation(len(chosen)) for _ in range(epochs)])
    for step in range(steps):
        batch = torch.from_numpy(order[step * BATCH : (step + 1) * BATCH])
        x = to_input(augment(pictures[batch], rng), plan)
        logits = model(x.contiguous(memory_format=torch.channels_last))
        loss = functional.binary_cross_entropy_with_logits(logits, targets[batch]) * logits.shape[1]
        clear = has_dominant[batch]
        if clear.any():
            loss = loss + 0.3 * functional.cross_entropy(logits[clear], labels[batch][clear])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--part", default="0/1", help="this process's share: I/N")
    parser.add_argument("--only", type=int, help="train just this many models")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pool = load_pool(options.work)
    folder = options.work / "classifiers"
    folder.mkdir(exist_ok=True)
    part, parts = (int(number) for number in options.part.split("/"))
    plans = plan_models(SEED, len(list_concepts()))
    for index, plan in list(enumerate(plans))[part::parts][: options.only]:
        path = folder / f"{plan.name}.pt"
        if path.exists():
            continue
        start = time.monotonic()
        model = train(plan, index, pool)
        torch.save(model.state_dict(), path)
        print(plan.name, plan.architecture, plan.size, len(plan.classes), end=" ")
        print(f"{time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
