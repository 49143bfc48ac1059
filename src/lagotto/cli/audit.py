"""`lagotto audit`: do published labels agree with what the outputs do?"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import (
    ANY_HUB,
    JSON,
    QUIET,
    bar,
)
from lagotto.cli.hub.opening import open_hub, open_own_hub
from lagotto.cli.names import read_names
from lagotto.cli.output import print_json, print_line, print_table, printable
from lagotto.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lagotto.hub.labels.audit import ModelAudit


def audit(
    hub: Path = ANY_HUB,
    model: str | None = typer.Argument(
        None, metavar="[MODEL]", help="A model of the hub, or a model file outside it."
    ),
    audit_all: bool = typer.Option(
        False,
        "--all",
        help="Keep the verdicts on all models in the hub, where searches read them; needed once "
        "for a hub whose lists were never audited.",
    ),
    labels: Path | None = typer.Option(
        None,
        metavar="FILE",
        help="Audit these labels in place of the published ones: one a line, or another list.",
    ),
    encoder: str | None = typer.Option(
        None, help="Where the hub's encoder is now, if it was moved."
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Check published labels against behaviour: shifted, permuted, incomplete lists.

    Without --all the verdicts are only shown.

    Example: lagotto audit my-hub exp_final_v3
    """
    from lagotto.hub.labels.audits.by_references import audit_by_all, audit_hub
    from lagotto.hub.reports.answers import audit_answer

    if labels is not None and model is None:
        raise UsageError(
            "--labels is for one model; name it: lagotto audit HUB MODEL --labels FILE"
        )
    if audit_all and model is not None:
        raise UsageError("--all is for every model; leave MODEL out: lagotto audit HUB --all")
    opened = (open_own_hub if audit_all else open_hub)(hub, encoder, quiet=quiet)
    if audit_all:
        audits = opened.audit_labels(bar(quiet))
    elif model is None:
        audits = audit_hub(opened.reader, bar(quiet))
    else:
        names = None if labels is None else read_names(labels, "labels", quiet)
        audits = (audit_by_all(opened.reader, opened.reader.responses_of(model), names),)
    if as_json:
        print_json(audit_answer(str(hub), audits))
    else:
        print_audits(audits)


def print_audits(audits: "Sequence[ModelAudit]") -> None:
    """The verdicts as a table on stdout, then the labels in doubt."""
    columns = ["model", "outputs", "labels", "verdict", "score", "why"]
    rows = [
        [a.model, str(a.outputs), str(a.labels), a.verdict, f"{a.score:+.1f}", a.reason]
        for a in audits
    ]
    print_table(columns, rows, frozenset(["outputs", "labels", "score"]))
    for audit in audits:
        if audit.findings:
            print_line()
            print_line(f"labels of {printable(audit.model)} that do not fit their output:")
        for finding in audit.findings:
            where = "no output" if finding.fits_better is None else f"output {finding.fits_better}"
            print_line(f"  {finding.logit}: {printable(finding.label)} fits {where} better")
