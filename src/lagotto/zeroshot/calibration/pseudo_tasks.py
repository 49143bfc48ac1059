"""Before stage 4 of zero-shot classification: a store's own pictures and words as an exam.

Words that some pictures' captions use stand in for labels. For a stored picture, a word of its own
captions is the right answer among words that they do not use; its own captions are then held out.
No label of anybody is needed.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from lagotto.zeroshot.prompts.adaptation import (
    PromptShift,
    direction,
    mean_row,
    shift_prompt,
    tokens,
)
from lagotto.zeroshot.retrieval import Retrieved, Retriever
from lagotto.zeroshot.types import Captions

PICTURES = 1_600
WORDS = 256
TASKS_A_WORD = 8
OPTIONS = 20
MIN_PICTURES = 50
FEWEST_WORDS = 20
_FEWEST_USES = 6
_COMMONEST = 0.1
_SHORTEST = 3
_OWN = 0.999
_HALVES_SEED = 0


@dataclass(frozen=True, slots=True)
class PseudoTasks:
    """Stored pictures with their words, and the tasks: (picture, options), option 0 being right."""

    pictures: Float32[np.ndarray, "pictures dim"]
    captions: tuple[Float32[np.ndarray, "_ dim"], ...]
    uses: tuple[tuple[frozenset[str], ...], ...]
    words: tuple[str, ...]
    asked: Int64[np.ndarray, " tasks"]
    options: Int64[np.ndarray, "tasks options"]


def make_pseudo_tasks(captions: Captions, seed: int = 0) -> PseudoTasks | None:
    """The exam of a store; None where it has too few pictures or words for one."""
    starts, ends = np.asarray(captions.starts[:-1]), np.asarray(captions.ends)
    rows = np.flatnonzero(ends > starts)
    rows = rows[:: max(1, -(-len(rows) // PICTURES))]
    if len(rows) < MIN_PICTURES:
        return None
    owned = [range(int(starts[row]), int(ends[row])) for row in rows]
    uses = tuple(
        tuple(frozenset(tokens(text)) for text in captions.texts(list(span))) for span in owned
    )
    own_words = [frozenset[str]().union(*said) for said in uses]
    words = _words(own_words)
    if len(words) < FEWEST_WORDS:
        return None
    asked, options = _tasks(own_words, words, np.random.default_rng(seed))
    if not len(asked):
        return None
    return PseudoTasks(
        pictures=captions.image_embeddings[rows].astype(np.float32),
        captions=tuple(
            captions.text_embeddings[span.start : span.stop].astype(np.float32) for span in owned
        ),
        uses=uses,
        words=words,
        asked=asked,
        options=options,
    )


def _words(own_words: list[frozenset[str]]) -> tuple[str, ...]:
    """Words that enough pictures use, and not too many; an even sample of WORDS of them."""
    counts = Counter(word for said in own_words for word in said)
    most = max(_FEWEST_USES, _COMMONEST * len(own_words))
    usable = sorted(
        word
        for word, count in counts.items()
        if _FEWEST_USES <= count <= most and len(word) >= _SHORTEST and not word.isdecimal()
    )
    if len(usable) <= WORDS:
        return tuple(usable)
    return tuple(usable[i * len(usable) // WORDS] for i in range(WORDS))


def _tasks(
    own_words: list[frozenset[str]], words: tuple[str, ...], rng: np.random.Generator
) -> tuple[Int64[np.ndarray, " tasks"], Int64[np.ndarray, "tasks options"]]:
    """Each word is the right answer about equally often, so no word is likelier beforehand."""
    says = np.array([[word in said for word in words] for said in own_words])
    asked, options = [], []
    for word in range(len(words)):
        for picture in rng.permutation(np.flatnonzero(says[:, word]))[:TASKS_A_WORD].tolist():
            wrong = np.flatnonzero(~says[picture])
            if len(wrong) >= OPTIONS - 1:
                asked.append(picture)
                options.append([word, *rng.choice(wrong, OPTIONS - 1, replace=False).tolist()])
    return np.array(asked, np.int64), np.array(options, np.int64).reshape(-1, OPTIONS)


def two_fold_split(rehearsal: PseudoTasks) -> Int64[np.ndarray, " pictures"]:
    """0 or 1 for each picture: what is learned from one half is tried on the other.

    Shuffled, as the order of a store may repeat itself.
    """
    order = np.random.default_rng(_HALVES_SEED).permutation(len(rehearsal.pictures))
    return np.asarray(order % 2, dtype=np.int64)


def word_prompts(
    rehearsal: PseudoTasks,
    prompts: Float32[np.ndarray, "words dim"],
    half: int,
    strength: PromptShift,
) -> Float32[np.ndarray, "words dim"]:
    """The words' prompts moved by the captions and pictures of the *other* half that have them."""
    others = np.flatnonzero(two_fold_split(rehearsal) != half).tolist()
    said = np.concatenate([rehearsal.captions[i] for i in others])
    owners = np.concatenate([np.full(len(rehearsal.captions[i]), i) for i in others])
    naming: dict[str, list[int]] = {word: [] for word in rehearsal.words}
    for row, words in enumerate(words for i in others for words in rehearsal.uses[i]):
        for word in words & naming.keys():
            naming[word].append(row)
    mean_text, mean_picture = mean_row(said), mean_row(rehearsal.pictures[others])
    moved = prompts.copy()
    for i, word in enumerate(rehearsal.words):
        rows = naming[word]
        shown = np.unique(owners[rows]) if rows else np.empty(0, np.int64)
        moved[i] = shift_prompt(
            prompts[i],
            direction(said[rows], mean_text),
            direction(rehearsal.pictures[shown], mean_picture),
            strength,
        )
    return moved


def others_captions(rehearsal: PseudoTasks, retriever: Retriever, k: int) -> Retrieved:
    """What is retrieved for each picture when its own captions, also as text alone, are unknown."""
    found = retriever.retrieve(rehearsal.pictures, k + 8)
    indices = np.full((len(found.indices), k), -1, np.int64)
    similarities = np.zeros((len(indices), k), np.float32)
    embeddings = np.zeros((len(indices), k, rehearsal.pictures.shape[1]), np.float32)
    for i, own in enumerate(rehearsal.captions):
        copies = (found.embeddings[i] @ own.T).max(axis=1) > _OWN
        keep = np.flatnonzero(~copies & found.there[i])[:k]
        indices[i, : len(keep)] = found.indices[i, keep]
        similarities[i, : len(keep)] = found.similarities[i, keep]
        embeddings[i, : len(keep)] = found.embeddings[i, keep]
    return Retrieved(indices, similarities, embeddings, found.reach)


def option_scores(
    scores: Float[np.ndarray, "pictures words"], rehearsal: PseudoTasks
) -> Float[np.ndarray, "tasks options"]:
    """Each task's options' entries of a table of pictures x words."""
    return np.asarray(scores[rehearsal.asked[:, None], rehearsal.options])
