"""Options of `lagotto eval retrieval` and `eval paper` come in; the logits and queries go out."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.opening import open_hub
from lagotto.cli.output import notice
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from lagotto.core.progress import Progress
    from lagotto.encoders.base import Encoder
    from lagotto.evaluation.retrieval.logit_table import LogitTable
    from lagotto.evaluation.retrieval.queries import Asked
    from lagotto.evaluation.retrieval.rules import LabelTrustFunction
    from lagotto.hub.text.meaning import LabelEmbeddings

HUB_OPTION = typer.Argument(None, metavar="[HUB]", help="The hub's folder.")
RESPONSES = typer.Option(
    None,
    metavar="DIR",
    help="A folder of raw responses in place of a hub: models.json, responses.npz, "
    "probe_embeddings.npy; needs --encoder.",
)
TRUTH_OPTION = typer.Option(
    None,
    metavar="FILE",
    help="Texts with the logits that answer them, JSON. [default: the models' own labels]",
)
ASKING = typer.Option(
    None,
    metavar="HUB2",
    help="Use the logits of this hub, of the same probes, as queries for HUB.",
)
ENCODER_OPTION = typer.Option(
    None, help="The encoder that embedded the probes: where it is now, if it was moved."
)
K = typer.Option(50, min=1, help="Probes compared by the paper's rule.")
SEED = typer.Option(0, min=0, help="Seed of the bootstrap intervals.")
OUT = typer.Option(None, metavar="FILE", help="Write the results as JSON; never overwrites.")


def open_table(
    hub: Path | None, responses: Path | None, encoder: str | None
) -> "tuple[LogitTable, Encoder]":
    """The table of a hub or of raw responses, and the encoder of the text queries."""
    from lagotto.encoders.registry import load_encoder
    from lagotto.evaluation.retrieval.logit_table import hub_table, responses_table
    from lagotto.evaluation.retrieval.raw_responses import read_raw_responses

    if (hub is None) == (responses is None):
        problem = "nothing" if hub is None else "HUB and --responses"
        raise UsageError(f"{problem} given; give one of HUB, --responses DIR")
    if hub is not None:
        opened = open_hub(hub, encoder)
        return hub_table(opened), opened.encoder
    if responses is None or encoder is None:
        raise UsageError("--responses needs --encoder, the one that embedded its probes")
    loaded = load_encoder(encoder)
    return responses_table(read_raw_responses(responses), loaded), loaded


def open_trust(hub: Path | None, encoder: str | None) -> "LabelTrustFunction":
    """The trust in the labels of a hub's models; for raw responses all labels are trusted."""
    from lagotto.evaluation.retrieval.rules import trust_all

    if hub is None:
        return trust_all
    return open_hub(hub, encoder).label_trust.level


def open_meanings(hub: Path | None, encoder: str | None) -> "LabelEmbeddings | None":
    """The labels of a hub's models as vectors; None for raw responses."""
    return None if hub is None else open_hub(hub, encoder).label_embeddings


def open_query_table(hub: Path) -> "LogitTable":
    """The table of another hub, whose logits are the queries."""
    from lagotto.evaluation.retrieval.logit_table import hub_table

    return hub_table(open_hub(hub))


def read_known(
    table: "LogitTable",
    encoder: "Encoder",
    truth: Path | None,
    logits: "LogitTable | None",
    progress: "Progress",
) -> "Asked":
    """The queries: texts of a truth file or of the models' labels, and logits.

    Args:
        table: The logits that are searched.
        encoder: The encoder of the texts.
        truth: A truth file; None for the models' labels.
        logits: The table whose logits are queries: `table` itself or another hub's; None for none.
        progress: Receives the progress of the work.
    """
    from lagotto.evaluation.retrieval.queries import (
        Asked,
        label_truth,
        logit_questions,
        text_questions,
    )
    from lagotto.evaluation.retrieval.truth import read_truth

    known = label_truth(table) if truth is None else read_truth(truth)
    if not known:
        raise UsageError("no model has labels with names, so nothing is known; give --truth FILE")
    elsewhere = None if logits is table else logits
    asking = None if logits is None else logit_questions(table, elsewhere)
    if asking is None and elsewhere is not None:
        raise UsageError("no logit of --asking has a label in common with these models")
    texts = text_questions(table, known, encoder, progress)
    return Asked((*texts.questions, *([asking] if asking else [])), texts.left_out)


def truth_name(truth: Path | None) -> str:
    """The truth as results name it: the digest of the file, or "labels"."""
    from lagotto.core.files import sha256_file

    return "labels" if truth is None else sha256_file(truth, UsageError)


def notices(queries: "Asked", quiet: bool) -> None:
    """Prints a note about queries that were left out, on stderr."""
    if queries.left_out and not quiet:
        notice(
            f"note: {queries.left_out:,} queries of the truth name no logit of these models and "
            "are left out"
        )
