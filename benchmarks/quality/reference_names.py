"""What references say of label sets and of nameless outputs. Read by references.py."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from calibration.worlds import half
from lagotto.core.text.names import first_name, label_word_sets, name_words
from lagotto.evaluation.retrieval.truth import TruthQuery
from quality.reference_copies import LARGE, SMALL, Copies


def label_sets(copies: Copies) -> dict[str, Any]:
    """Ten names that two models share: is the one without a list the first, each label right?

    Labels of an ImageNet model, drawn ten times; the other one teaches, and is no answer. The share
    of draws whose first model is the one with these outputs, and of labels on their own output.
    """
    answer = {}
    for reference, sought in ((SMALL, LARGE), (LARGE, SMALL)):
        hub = copies.make(references=[reference])
        names = [first_name(str(label)) for label in hub.labels(sought)]
        single = [place for place, name in enumerate(names) if names.count(name) == 1]
        rows: dict[str, list[tuple[bool, float]]] = {"taught": [], "behaviour": []}
        for draw in range(10):
            order = np.random.default_rng(draw).permutation(single)[:10].tolist()
            for way, references in (("taught", None), ("behaviour", False)):
                found = hub.cover([names[place] for place in order], top=22, references=references)
                others = [model for model in found if model.model != reference]
                (same,) = [model for model in others if model.model == sought]
                right = [
                    pair.logit == place for pair, place in zip(same.labels, order, strict=True)
                ]
                rows[way].append((others[0].model == sought, float(np.mean(right))))
        answer[sought] = {
            way: {
                "first": round(float(np.mean([first for first, _ in part])), 4),
                "paired": round(float(np.mean([share for _, share in part])), 4),
            }
            for way, part in rows.items()
        }
        copies.drop(hub)
    return answer


def describe_hidden(copies: Copies) -> dict[str, Any]:
    """Names for the outputs of an ImageNet model, from the other one's labels, and as before.

    Before, `describe` had the 1,000 names as a vocabulary. Top-1 on the odd half of the names.
    """
    answer = {}
    for reference, hidden in ((SMALL, LARGE), (LARGE, SMALL)):
        hub = copies.make(references=[reference])
        labels = [str(label) for label in hub.labels(hidden)]
        names = list(dict.fromkeys(first_name(label) for label in labels))
        ways = {"taught": hub.describe(hidden, top=1), "behaviour": hub.describe(hidden, names)}
        asked = [place for place, label in enumerate(labels) if half(first_name(label)) == 1]
        answer[hidden] = {"outputs": len(asked)} | {
            way: round(
                float(
                    np.mean(
                        [
                            found.logits[place].proposals[0].name == first_name(labels[place])
                            for place in asked
                        ]
                    )
                ),
                4,
            )
            for way, found in ways.items()
        }
        copies.drop(hub)
    return answer


def describe_by_others(
    copies: Copies, models: Sequence[str], truth: Sequence[TruthQuery]
) -> dict[str, Any]:
    """Names for the outputs of an ImageNet model from references of other label sets only.

    Every labelled model that is not of ImageNet is a reference. Beside: no model has a list. Both
    have the common words of the package as a vocabulary. A name is right if the output's own label
    says its words, or if the output answers the text of the same words in the truth, as that of a
    poodle answers "dog". Top-1 on the odd half of the names, of all outputs and of those that a
    label of a reference names so.
    """
    others = [model for model in models if model not in (SMALL, LARGE)]
    hub = copies.make(references=())
    lists = {model: hub.labels(model) for model in models}
    copies.drop(hub)
    told = {words for m in others for label in lists[m] for words in label_word_sets(label or "")}
    taught = copies.make(
        lambda model, labels: labels if model in others else [None] * len(labels),
        references=[model for model in others if all(lists[model])],
    )
    plain = copies.make(lambda _, labels: [None] * len(labels), audited=False)
    answer: dict[str, Any] = {}
    for hidden in (LARGE, SMALL):
        wanted = [set(label_word_sets(str(label))) for label in lists[hidden]]
        for query in truth:
            for logit in (logit for model, logit in query.correct if model == hidden):
                wanted[logit].add(name_words(query.text))
        asked = [
            place for place, label in enumerate(lists[hidden]) if half(first_name(str(label))) == 1
        ]
        known = [place for place in asked if wanted[place] & told]
        answer[hidden] = {"outputs": len(asked), "of which references name": len(known)}
        for way, described in (("taught", taught), ("behaviour", plain)):
            outputs = described.describe(hidden, top=1).logits
            right = {
                place
                for place in asked
                if wanted[place] & set(label_word_sets(outputs[place].proposals[0].name))
            }
            answer[hidden][way] = round(len(right) / len(asked), 4)
            answer[hidden][f"{way}, named"] = round(len(right & set(known)) / len(known), 4)
    copies.drop(taught)
    copies.drop(plain)
    return answer
