"""P(none of these), suggestions and checks of label lists, in a world of words."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from caption_world import CONCEPTS, WordEncoder, WordStore, word_direction, word_store
from lagotto.core.errors import UsageError
from lagotto.core.vectors import unit_rows
from lagotto.encoders.background.words import background_words
from lagotto.zeroshot.classifier import ZeroShotClassifier
from lagotto.zeroshot.prompts.labels import make_labels
from lagotto.zeroshot.rejection.curve import DEFAULT_CURVE, fit_logistic
from lagotto.zeroshot.rejection.judge import NoneJudge, check_reject
from lagotto.zeroshot.rejection.nouns import named_phrases, store_nouns
from lagotto.zeroshot.rejection.store_pictures import StorePictures
from lagotto.zeroshot.rejection.suggestions import SuggestedWords
from lagotto.zeroshot.rejection.vocabulary import (
    ARRAY_NAME,
    VOCABULARY_RECORD,
    OpenVocabulary,
    open_vocabulary,
)
from lagotto.zeroshot.types import NONE_OF_THESE, Prediction, Suggestion

ENCODER = WordEncoder()
NOUNS = background_words()[:40]


def picture_of(word: str, seed: int) -> np.ndarray:
    """The unit embedding of a picture of a word of the package's vocabulary."""
    noise = np.random.default_rng(seed).normal(size=len(word_direction(word)))
    seen = sum(map(word_direction, word.split()))
    return unit_rows(seen + 0.5 * word_direction("picture") + 0.6 * noise)


@pytest.fixture(scope="module")
def nouns_store() -> WordStore:
    """Five pictures of each of 40 nouns, with captions that name it."""
    images, texts = [], []
    for number in range(5):
        for noun in NOUNS:
            images.append(picture_of(noun, 100 * number + len(images)))
            texts.append([f"here is one {noun}", f"this one was {noun} {number}"])
    return WordStore(np.stack(images), texts, ENCODER)


@pytest.fixture(scope="module")
def vocabulary(nouns_store: WordStore) -> OpenVocabulary:
    return open_vocabulary(ENCODER, nouns_store, None, "")


def judged(
    labels: Sequence[str], pictures: np.ndarray, store: WordStore | None, **options: float
) -> list[Prediction]:
    classifier = ZeroShotClassifier(ENCODER, list(labels), store, **options)
    return list(classifier.predict_embeddings(pictures, [""] * len(pictures)))


def test_pictures_of_no_label_are_told_from_those_of_one(nouns_store: WordStore) -> None:
    labels, others = NOUNS[:20], NOUNS[20:]
    pictures = np.stack([picture_of(noun, 900 + i) for i, noun in enumerate((*labels, *others))])
    none = [row.none for row in judged(labels, pictures, nouns_store)]
    assert max(none[:20]) < 0.5 < min(none[20:])


def test_the_labels_probabilities_do_not_change_and_a_threshold_rejects() -> None:
    pictures = np.stack([picture_of(noun, 900) for noun in ("horse", *NOUNS[:2])])
    kept = judged(NOUNS[:2], pictures, None)
    rejected = judged(NOUNS[:2], pictures, None, reject=kept[0].none)
    assert [row.rejected for row in rejected] == [True, False, False]
    assert rejected[0].label == NONE_OF_THESE
    assert [row.label for row in kept[1:]] == [row.label for row in rejected[1:]] == [*NOUNS[:2]]
    for before, after in zip(kept, rejected, strict=True):
        assert np.array_equal(before.probabilities, after.probabilities)
        assert before.none == after.none


def test_what_it_is_instead_is_what_vocabulary_and_captions_say(nouns_store: WordStore) -> None:
    row = judged(NOUNS[:4], picture_of(NOUNS[30], 901)[None], nouns_store)[0]
    assert row.suggestions[0].name == NOUNS[30]
    assert row.suggestions[0].captions >= 2
    assert row.none_remark == f"probably none of these ({row.none:.2f}): captions say {NOUNS[30]}"
    assert all(each.name not in NOUNS[:4] for each in row.suggestions)


def test_one_label_asks_whether_it_is_there() -> None:
    pictures = np.stack([picture_of("dog", 902), picture_of("violin", 903)])
    there, not_there = judged(["dog"], pictures, None)
    assert there.label == not_there.label == "dog"
    assert there.none < not_there.none


def test_without_labels_the_vocabulary_is_asked(nouns_store: WordStore) -> None:
    classifier = ZeroShotClassifier(ENCODER, None, nouns_store, mode="image-only")
    row = next(classifier.predict_embeddings(picture_of("violin", 904)[None], ["a"]))
    assert row.label == "violin"
    assert row.none == 0
    assert row.suggestions == ()
    assert not row.remark


@pytest.mark.parametrize("reject", [-0.1, 1.1, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(reject: float) -> None:
    with pytest.raises(UsageError, match="from 0 to 1"):
        check_reject(reject)


def test_the_curve_is_fitted_on_the_store_or_the_packages(
    nouns_store: WordStore, vocabulary: OpenVocabulary
) -> None:
    assert vocabulary.curve.lists > 100
    assert vocabulary.curve.slope > 0
    assert open_vocabulary(ENCODER, None, None, "").curve is DEFAULT_CURVE
    unnamed = word_store(ENCODER, each=2)  # its captions use no noun that the package knows
    assert StorePictures.of(unnamed, vocabulary.background, 20.0) is None
    few = WordStore(nouns_store.image_embeddings[:9], [["a dog"]] * 9, ENCODER)
    assert StorePictures.of(few, vocabulary.background, 20.0) is None


def test_a_logistic_curve_is_found_again() -> None:
    rng = np.random.default_rng(0)
    evidence = rng.normal(3, 4, 20_000)
    answers = (rng.random(20_000) < 1 / (1 + np.exp(-0.5 * (evidence - 2)))).astype(float)
    curve = fit_logistic(evidence, answers, 7)
    assert curve is not None
    assert curve.slope == pytest.approx(0.5, abs=0.03)
    assert curve.crossing == pytest.approx(2, abs=0.15)
    assert fit_logistic(evidence, 1 - answers, 7) is None  # evidence against what it says
    assert fit_logistic(np.ones(9), np.ones(9), 7) is None


def test_the_vocabulary_is_kept_and_made_anew_where_it_does_not_fit(
    nouns_store: WordStore, tmp_path: Path
) -> None:
    encoder = WordEncoder()
    made = open_vocabulary(encoder, nouns_store, tmp_path, "store one")
    embedded = encoder.texts_embedded
    again = open_vocabulary(encoder, nouns_store, tmp_path, "store one")
    assert encoder.texts_embedded == embedded
    assert again.words == made.words
    assert again.curve == made.curve
    assert np.array_equal(again.embeddings, made.embeddings)
    record = (tmp_path / VOCABULARY_RECORD).read_bytes()
    for name, content in ((ARRAY_NAME, b"\x93NUMPY"), (VOCABULARY_RECORD, b"[")):
        (tmp_path / name).write_bytes(content)
        mended = open_vocabulary(encoder, nouns_store, tmp_path, "store one")
        assert np.array_equal(mended.embeddings, made.embeddings)
        assert (tmp_path / VOCABULARY_RECORD).read_bytes() == record
    open_vocabulary(encoder, nouns_store, tmp_path, "store two")
    assert (tmp_path / VOCABULARY_RECORD).read_bytes() != record


def test_nouns_of_a_store_are_runs_of_the_packages_nouns() -> None:
    captions = ["a rabbit face on a road", "two Rabbit Faces", "the rabbit face of a bird of prey"]
    assert store_nouns(captions) == ("rabbit face",)
    assert store_nouns(captions[:2]) == ()  # seldom used
    known = frozenset({("rabbit",), ("rabbit", "face"), ("road",)})
    assert named_phrases(captions[0], known) == {("rabbit", "face"), ("road",)}


def test_a_caption_counts_and_a_label_is_not_suggested() -> None:
    words = ("dog", "cat", "violin")
    suggested = SuggestedWords.beside(words, ["Dogs, canines"])
    cosines = np.array([0.9, 0.3, 0.31])
    by_image = suggested.suggest(cosines, [], 20.0)
    assert [each.name for each in by_image] == ["violin", "cat"]
    with_captions = suggested.suggest(cosines, ["two cats", "a street"], 20.0)
    assert with_captions[0] == Suggestion("cat", with_captions[0].probability, 1)
    assert sum(each.probability for each in with_captions) == pytest.approx(1)
    assert SuggestedWords.beside(words, words).suggest(cosines, [], 20.0) == ()


def test_a_word_that_means_the_same_as_a_label_is_not_suggested(
    vocabulary: OpenVocabulary,
) -> None:
    # the label is written otherwise than its word: only its meaning says that it is one
    embedding = vocabulary.embeddings[30:31]
    judge = NoneJudge.of(vocabulary, embedding, ["written otherwise"], 20.0)
    assert not judge.suggested.allowed[30]
    assert NOUNS[30] not in [each.name for each in judge.suggest(embedding[0], [])]
    assert NoneJudge.of(vocabulary, embedding, ["x"], 20.0).suggested.allowed[31]


def test_captions_that_were_declined_are_quoted_only_where_the_picture_says_the_same() -> None:
    half = np.full(2, 0.5)
    instead = (Suggestion("dog", 0.3), Suggestion("cat", 0.2, captions=9))
    row = Prediction("", half, half, (1.0, 0.0), (), none=0.9, suggestions=instead)
    assert row.none_remark.endswith("captions say cat")
    far = replace(row, declined="too far")
    assert far.none_remark.endswith("it looks like dog")
    assert replace(far, suggestions=instead[1:]).none_remark.endswith("captions say cat")


class SpellingEncoder(WordEncoder):
    """Its tokenizer cuts a word that it does not know into single letters, as real ones do."""

    def token_counts(self, texts: Sequence[str]) -> list[int]:
        words = {word for noun in background_words() for word in noun.split()} | {"catcher"}
        cut = [[1 if word in words else len(word) for word in text.split()] for text in texts]
        return [sum(pieces) + 2 for pieces in cut]


def notes_on(words: Sequence[str], store: WordStore | None = None) -> str:
    classifier = ZeroShotClassifier(SpellingEncoder(), make_labels(list(words)), store)
    return "\n".join(note for note in classifier.notes if "labels" in note)


def test_doubtful_lists_are_said_before_the_work() -> None:
    notes = notes_on(["car", "red car", "dog", "dog", "qwxy"])
    assert "nearly alike to the encoder: dog / dog (1.00)" in notes
    assert "labels that hold one another: car in red car" in notes
    assert 'hardly knows: qwxy; describe them in other words: "qwxy | what it looks like"' in notes
    fine = ZeroShotClassifier(SpellingEncoder(), ["dog", "violin", "qwxy | yellow furniture"])
    assert not [note for note in fine.notes if "labels" in note]
    assert fine.labels[2].name == "qwxy"


def test_most_labels_unknown_may_be_another_language() -> None:
    assert "in another language?" in notes_on(["Hqnd", "Kqtze", "dog"])
    assert "in another language?" not in notes_on(["Hqnd", "dog", "violin"])


def test_a_word_outside_the_vocabulary_is_known_if_the_tokenizer_has_it_whole() -> None:
    assert "catcher" not in background_words()
    assert notes_on(["catcher", "violin"]) == ""
    assert "hardly knows: catchqr;" in notes_on(["catchqr", "violin"])


def test_a_word_that_the_encoder_reads_by_a_part_is_named() -> None:
    # "hammer" is all that is known of "hammerhai"; "dogsled" is two words of the vocabulary
    class ByPart(SpellingEncoder):
        def embed_texts(self, texts: Sequence[str]) -> np.ndarray:
            read = [text.replace("Hammerhai", "hammer").replace("dogsled", "dog") for text in texts]
            return super().embed_texts(read)

        def token_counts(self, texts: Sequence[str]) -> list[int]:
            return [len(text.split()) + 2 for text in texts]

    notes = "\n".join(ZeroShotClassifier(ByPart(), ["Hammerhai", "dogsled", "violin"]).notes)
    assert "hardly knows: Hammerhai;" in notes


def test_a_label_that_captions_name_is_known(nouns_store: WordStore) -> None:
    alone = ["one qwxy here", "a qwxy there"]
    images = [picture_of(noun, 7 + i) for i, noun in enumerate(NOUNS)] * 2
    texts = [[f"here is one {noun}", f"this one was {noun}"] for noun in NOUNS] * 2
    store = WordStore(np.stack(images), texts, SpellingEncoder(), alone)
    assert notes_on(["zwxy", "dog"], store).count("neither encoder nor captions know: zwxy") == 1
    assert "neither" not in notes_on(["qwxy", "dog"], store)


def test_names_of_the_world_are_strange_to_the_package() -> None:
    assert not set(CONCEPTS) & set(background_words())
