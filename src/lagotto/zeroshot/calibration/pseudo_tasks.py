"""A caption store comes in; classification tasks with known answers, made of the store, go out.

Words from the captions stand in for labels. In a task, the options are words and the right one is
used by the picture's own captions; the others are not. No labels from a user are needed.
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
from lagotto.zeroshot.types import Captions

MAX_PICTURES = 1_600
MAX_WORDS = 256
TASKS_PER_WORD = 8
OPTIONS = 20
MIN_PICTURES = 50
MIN_WORDS = 20
_MIN_USES = 6
_MAX_PICTURE_SHARE = 0.1
_MIN_WORD_LENGTH = 3
_SPLIT_SEED = 0


@dataclass(frozen=True, slots=True)
class PseudoTasks:
    """Stored pictures with their captions and words, and the tasks.

    `captions` has the embeddings of each picture's captions, `caption_words` the words of each of
    them. Task t asks which of the words `options[t]` belongs to picture `pictures_of_tasks[t]`;
    option 0 is the right one. `options` are indices into `words`.
    """

    pictures: Float32[np.ndarray, "pictures dim"]
    captions: tuple[Float32[np.ndarray, "_ dim"], ...]
    caption_words: tuple[tuple[frozenset[str], ...], ...]
    words: tuple[str, ...]
    pictures_of_tasks: Int64[np.ndarray, " tasks"]
    options: Int64[np.ndarray, "tasks options"]


def make_pseudo_tasks(captions: Captions, seed: int = 0) -> PseudoTasks | None:
    """Makes the pseudo tasks of a store; None if it has too few captioned pictures or words."""
    starts, ends = np.asarray(captions.starts[:-1]), np.asarray(captions.ends)
    rows = np.flatnonzero(ends > starts)
    rows = rows[:: max(1, -(-len(rows) // MAX_PICTURES))]
    if len(rows) < MIN_PICTURES:
        return None
    spans = [range(int(starts[row]), int(ends[row])) for row in rows]
    caption_words = tuple(
        tuple(frozenset(tokens(text)) for text in captions.texts(list(span))) for span in spans
    )
    picture_words = [frozenset[str]().union(*words_used) for words_used in caption_words]
    words = _choose_words(picture_words)
    if len(words) < MIN_WORDS:
        return None
    pictures_of_tasks, options = _make_tasks(picture_words, words, np.random.default_rng(seed))
    if not len(pictures_of_tasks):
        return None
    return PseudoTasks(
        pictures=captions.image_embeddings[rows].astype(np.float32),
        captions=tuple(
            captions.text_embeddings[span.start : span.stop].astype(np.float32) for span in spans
        ),
        caption_words=caption_words,
        words=words,
        pictures_of_tasks=pictures_of_tasks,
        options=options,
    )


def _choose_words(picture_words: list[frozenset[str]]) -> tuple[str, ...]:
    """Words that enough pictures use, but not too many; an even sample of MAX_WORDS of them."""
    counts = Counter(word for words_used in picture_words for word in words_used)
    max_uses = max(_MIN_USES, _MAX_PICTURE_SHARE * len(picture_words))
    usable = sorted(
        word
        for word, count in counts.items()
        if _MIN_USES <= count <= max_uses and len(word) >= _MIN_WORD_LENGTH and not word.isdecimal()
    )
    if len(usable) <= MAX_WORDS:
        return tuple(usable)
    return tuple(usable[i * len(usable) // MAX_WORDS] for i in range(MAX_WORDS))


def _make_tasks(
    picture_words: list[frozenset[str]], words: tuple[str, ...], rng: np.random.Generator
) -> tuple[Int64[np.ndarray, " tasks"], Int64[np.ndarray, "tasks options"]]:
    """(pictures, options) of the tasks: each word is the right answer about equally often."""
    uses_word = np.array([[word in words_used for word in words] for words_used in picture_words])
    pictures_of_tasks, options = [], []
    for word in range(len(words)):
        order = rng.permutation(np.flatnonzero(uses_word[:, word]))
        for picture in order[:TASKS_PER_WORD].tolist():
            wrong = np.flatnonzero(~uses_word[picture])
            if len(wrong) >= OPTIONS - 1:
                pictures_of_tasks.append(picture)
                options.append([word, *rng.choice(wrong, OPTIONS - 1, replace=False).tolist()])
    return np.array(pictures_of_tasks, np.int64), np.array(options, np.int64).reshape(-1, OPTIONS)


def two_fold_split(tasks: PseudoTasks) -> Int64[np.ndarray, " pictures"]:
    """The fold (0 or 1) of each picture, for cross-fitting.

    The folds are shuffled, because the order of a store may have a period.
    """
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(tasks.pictures))
    return np.asarray(order % 2, dtype=np.int64)


def shift_word_prompts(
    tasks: PseudoTasks,
    prompts: Float32[np.ndarray, "words dim"],
    fold: int,
    shift: PromptShift,
) -> Float32[np.ndarray, "words dim"]:
    """The words' prompts, shifted towards captions and pictures of the *other* fold that have them.

    Args:
        tasks: The tasks.
        prompts: Unit embeddings of the words' prompts.
        fold: The fold (0 or 1) that the shifted prompts will be tried on.
        shift: How far prompts are shifted.
    """
    other_fold = np.flatnonzero(two_fold_split(tasks) != fold).tolist()
    captions = np.concatenate([tasks.captions[i] for i in other_fold])
    owners = np.concatenate([np.full(len(tasks.captions[i]), i) for i in other_fold])
    rows_of_word: dict[str, list[int]] = {word: [] for word in tasks.words}
    for row, words in enumerate(words for i in other_fold for words in tasks.caption_words[i]):
        for word in words & rows_of_word.keys():
            rows_of_word[word].append(row)
    mean_text, mean_picture = mean_row(captions), mean_row(tasks.pictures[other_fold])
    shifted = prompts.copy()
    for i, word in enumerate(tasks.words):
        rows = rows_of_word[word]
        pictures = np.unique(owners[rows]) if rows else np.empty(0, np.int64)
        shifted[i] = shift_prompt(
            prompts[i],
            direction(captions[rows], mean_text),
            direction(tasks.pictures[pictures], mean_picture),
            shift,
        )
    return shifted


def option_scores(
    scores: Float[np.ndarray, "pictures words"], tasks: PseudoTasks
) -> Float[np.ndarray, "tasks options"]:
    """The scores of each task's options, from a table of pictures x words."""
    return np.asarray(scores[tasks.pictures_of_tasks[:, None], tasks.options])
