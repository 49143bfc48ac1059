"""Trains the demo world's dual encoder on the captioned training pool.

    python encoder.py WORK      WORK/encoder.pt and WORK/tokenizer.json

Three losses: captions against pictures (contrastive), noun phrases of the captions against
pictures (sigmoid, many to many), and noun phrases against text-only captions (sigmoid). The third
reads the names of all concepts, the rare ones included, but sees no pictures: it makes the text
tower know that a caption speaks of an abacus, and leaves unknown what an abacus looks like.
"""

import argparse
import pathlib
import time

import numpy as np
import torch
from captions import (
    PROMPT,
    fill_template,
    name_background,
    name_for_training,
    pick_name,
    vague_phrase,
    write_caption,
)
from compose import COLOURS, PATTERNS
from concepts import Concept, list_concepts, noun_phrase
from pictures import SEED
from pool import Pool, augment, load_pool
from tokenizers import Tokenizer
from tokens import build_tokenizer
from torch.nn import functional
from towers import DualEncoder

EPOCHS = 8
BATCH = 128
PEAK_RATE = 3e-3
SELDOM_PICTURES = 8  # how many training pictures show a "seldom seen" concept
PHRASE_FORMS = (PROMPT, PROMPT, "a picture of {}", "{}", "there is {}", "a photo of {}")


def keep_for_encoder(shown: np.ndarray, concepts: list[Concept]) -> np.ndarray:
    """Indices of the pictures that the encoder may see: few with "seldom seen" concepts."""
    left = {
        index: SELDOM_PICTURES
        for index, concept in enumerate(concepts)
        if concept.rarity == "seldom seen"
    }
    kept = []
    for picture, row in enumerate(shown.tolist()):
        rare = [concept for concept in row if concept in left]
        if all(left[concept] > 0 for concept in rare):
            kept.append(picture)
            for concept in rare:
                left[concept] -= 1
    return np.array(kept)


def caption_corpus(concepts: list[Concept]) -> list[str]:
    """Text that holds every word that captions and prompts can hold."""
    rng = np.random.default_rng([SEED, 40])
    texts = []
    for concept in concepts:
        for name in (concept.name, *concept.other_names):
            texts += [PROMPT.format(name), noun_phrase(name), vague_phrase(concept)]
        texts.append(concept.training_word)
    for number in range(6000):
        shown = [concepts[index] for index in rng.integers(len(concepts), size=1 + number % 3)]
        colour = list(COLOURS)[number % len(COLOURS)]
        texts.append(write_caption(rng, shown, colour, PATTERNS[number % len(PATTERNS)], 0.3))
    return texts


def phrase_texts(rng: np.random.Generator, concepts: list[Concept]) -> list[str]:
    """Short texts in varied forms: first one a concept, then one a training word."""
    names = [pick_name(rng, concept, 0.3) for concept in concepts]
    names += [concept.training_word for concept in concepts if concept.training_word]
    texts = []
    for name in names:
        form = PHRASE_FORMS[int(rng.integers(len(PHRASE_FORMS)))]
        texts.append(form.format(name if form == PROMPT else noun_phrase(name)))
    return texts


def phrases_for_pictures(concepts: list[Concept]) -> torch.Tensor:
    """For each concept, the phrase that stands for it when pictures are shown."""
    rows = list(range(len(concepts)))
    extra = len(concepts)
    for index, concept in enumerate(concepts):
        if concept.training_word:
            rows[index] = extra
            extra += 1
    return torch.tensor(rows)


def caption_batch(
    rng: np.random.Generator, pool: Pool, batch: np.ndarray, concepts: list[Concept]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Captions of these pictures; which concepts each names, and which it shows but names not."""
    texts = []
    named = np.zeros((len(batch), len(concepts)), np.float32)
    unnamed = np.zeros((len(batch), len(concepts)), np.float32)
    for row, picture in enumerate(batch):
        phrases = []
        for index in pool.shown[picture]:
            if index < 0:
                continue
            name = name_for_training(rng, concepts[index])
            phrases.append(vague_phrase(concepts[index]) if name is None else noun_phrase(name))
            (unnamed if name is None else named)[row, index] = 1.0
        background = name_background(*pool.backgrounds[picture])
        texts.append(fill_template(rng, phrases, background))
    return texts, named, unnamed


def text_only_batch(
    rng: np.random.Generator, concepts: list[Concept], size: int
) -> tuple[list[str], np.ndarray]:
    """Captions of no picture, of any concepts, and which concepts each names."""
    texts = []
    named = np.zeros((size, len(concepts)), np.float32)
    colours, patterns = list(COLOURS), list(PATTERNS)
    for row in range(size):
        hand = rng.choice(len(concepts), int(rng.integers(1, 4)), replace=False)
        named[row, hand] = 1.0
        background = (colours[int(rng.integers(12))], patterns[int(rng.integers(8))])
        texts.append(write_caption(rng, [concepts[i] for i in hand], *background, 0.3))
    return texts, named


def tokenize(tokenizer: Tokenizer, texts: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids and mask, padded to the longest."""
    encodings = tokenizer.encode_batch(texts)
    ids = torch.tensor([encoding.ids for encoding in encodings])
    return ids, torch.tensor([encoding.attention_mask for encoding in encodings])


def compute_loss(
    model: DualEncoder,
    pixels: torch.Tensor,
    tokens: tuple[torch.Tensor, torch.Tensor],
    text_named: torch.Tensor,
    named: torch.Tensor,
    weight: torch.Tensor,
    stands_for: torch.Tensor,
) -> torch.Tensor:
    """The three losses. `tokens`: phrases, captions [batch], text-only captions."""
    with torch.autocast("cpu", torch.bfloat16):
        image = model.image(pixels)
    image = functional.normalize(image.float(), dim=-1)
    others = [len(image), len(text_named)]
    embedded = model.text(*tokens)
    phrases, captions, texts = embedded.split([len(embedded) - sum(others), *others])
    scale = model.phrase_scale.exp()
    seen = scale * image @ phrases[stands_for].T + model.phrase_offset
    read = scale * texts @ phrases[: named.shape[1]].T + model.phrase_offset
    phrase_loss = functional.binary_cross_entropy_with_logits(seen, named, weight, reduction="sum")
    text_loss = functional.binary_cross_entropy_with_logits(read, text_named, reduction="sum")
    match = model.caption_scale.exp() * image @ captions.T
    own = torch.arange(len(image))
    caption_loss = functional.cross_entropy(match, own) + functional.cross_entropy(match.T, own)
    return phrase_loss / len(image) + 0.2 * text_loss / len(texts) + 0.25 * caption_loss


def train(pool: Pool, concepts: list[Concept], tokenizer: Tokenizer, epochs: int) -> DualEncoder:
    """The trained encoder."""
    rng = np.random.default_rng([SEED, 41])
    torch.manual_seed(SEED)
    model = DualEncoder(tokenizer.get_vocab_size())
    model.image = model.image.to(memory_format=torch.channels_last)
    kept = keep_for_encoder(pool.shown, concepts)
    stands_for = phrases_for_pictures(concepts)
    plain = [p for p in model.parameters() if p.ndim < 2] + [model.text.words.weight]
    matrices = [p for p in model.parameters() if all(p is not other for other in plain)]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=PEAK_RATE)
    steps = len(kept) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, PEAK_RATE, total_steps=epochs * steps, pct_start=0.15
    )
    for epoch in range(epochs):
        start, total = time.monotonic(), 0.0
        order = rng.permutation(kept)
        for step in range(steps):
            batch = np.sort(order[step * BATCH : (step + 1) * BATCH])
            texts, named, unnamed = caption_batch(rng, pool, batch, concepts)
            only_texts, text_named = text_only_batch(rng, concepts, BATCH // 2)
            tokens = tokenize(tokenizer, [*phrase_texts(rng, concepts), *texts, *only_texts])
            weight = 1.0 - torch.from_numpy(unnamed)
            pictures = torch.from_numpy(pool.images[batch]).permute(0, 3, 1, 2)
            pixels = augment(pictures, rng) / 127.5 - 1.0
            pixels = pixels.contiguous(memory_format=torch.channels_last)
            loss = compute_loss(
                model,
                pixels,
                tokens,
                torch.from_numpy(text_named),
                torch.from_numpy(named),
                weight,
                stands_for,
            )
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch}: {total / steps:.3f}, {time.monotonic() - start:.0f} s", flush=True)
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    concepts = list_concepts()
    tokenizer = build_tokenizer(caption_corpus(concepts))
    tokenizer.save(str(options.work / "tokenizer.json"))
    model = train(load_pool(options.work), concepts, tokenizer, options.epochs)
    torch.save(model.state_dict(), options.work / "encoder.pt")


if __name__ == "__main__":
    main()
