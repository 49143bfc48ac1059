"""`lagotto hub create`: what is fetched is told before it is, and what the hub holds after."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.hub.commands import HUB_FOLDER, JSON, QUIET, bar, tell_reference
from lagotto.cli.hub.opening import DEVICE, ENCODER_HELP, checked_device
from lagotto.cli.output import notice, print_json, print_line, printable

if TYPE_CHECKING:
    from lagotto.hub.hub import Hub

ACCEPT = typer.Option(False, "--accept", help="Take a dataset that states no licence.")
PROBES_HELP = (
    "Folder of pictures, parquet file, webdataset tar, jsonl with captions, "
    "hf:datasets/ORG/NAME[@REV][:CONFIG/SPLIT], or bundled; may be repeated."
)


def hub_create(
    hub: Path = HUB_FOLDER,
    probes: list[str] | None = typer.Option(
        None,
        help=f"{PROBES_HELP} [default: a dataset of photos; without a network the bundled ones]",
    ),
    encoder: str = typer.Option("siglip", help=ENCODER_HELP),
    max_probes: int | None = typer.Option(
        None,
        min=2,
        help="Keep a random sample of this size. [default: all; 2000 of a dataset]",
    ),
    seed: int = typer.Option(0, help="Seed of that sample."),
    accept: bool = ACCEPT,
    device: str = DEVICE,
    reference: str | None = typer.Option(
        None,
        metavar="MODEL",
        help="Add a labelled model whose labels tell what outputs of other models recognise: "
        "resnet18 (ImageNet, 47 MB; its card states no licence, that of the network it exports "
        "Apache-2.0), hf:ORG/NAME[@REV], or a path.",
    ),
    quiet: bool = QUIET,
    as_json: bool = JSON,
) -> None:
    """Make a new hub: fix its probe set and embed it once.

    Without options the default encoder and probes are fetched, once; nothing is asked, and what is
    fetched is told before. Ctrl-C stops it, and the same command goes on.

    Example: lagotto hub create my-hub --probes photos/ --encoder clip-onnx/
    """
    from lagotto.hub.hub import Hub
    from lagotto.hub.ingest.create import check_new_hub
    from lagotto.hub.publish.address import check_folder

    check_folder(hub)
    checked_device(device, quiet=quiet)
    check_new_hub(hub)
    if reference is not None:
        check_reference(reference)
    if not quiet:
        tell_encoder(encoder)
        for source in (None,) if probes is None else probes:
            tell_probes(source, max_probes)
        if reference is not None:
            tell_reference(reference)
    created = Hub.create(
        *(hub, probes, encoder),
        max_probes=max_probes,
        seed=seed,
        accept=accept,
        device=device,
        progress=bar(quiet),
    )
    references = () if reference is None else _add_reference(hub, created, reference, quiet)
    _print_created(hub, created, references, quiet, as_json)


def check_reference(source: str) -> None:
    """Raises UsageError for a reference that is neither a known name, remote, nor a path."""
    from lagotto.core.errors import UsageError
    from lagotto.core.registry import suggest
    from lagotto.core.remote.spec import is_remote
    from lagotto.hub.ingest.known_references import KNOWN_REFERENCES

    if source not in KNOWN_REFERENCES and not is_remote(source) and not Path(source).exists():
        raise UsageError(
            f"reference {source!r}: there is no such file or folder; give one, hf:ORG/NAME, or "
            f"one of {', '.join(KNOWN_REFERENCES)}.{suggest(source, list(KNOWN_REFERENCES))}"
        )


def _add_reference(hub: Path, created: "Hub", source: str, quiet: bool) -> tuple[str, ...]:
    """The references of a hub that was just made; an error says that the hub is there."""
    from lagotto.core.errors import LagottoError

    try:
        return created.add_reference(source, progress=bar(quiet))
    except LagottoError as error:
        raise type(error)(
            f"{hub} is made, but has no reference: {error}; "
            f"try again with: lagotto hub add {hub} MODEL --reference"
        ) from error


def tell_encoder(spec: str) -> None:
    """Says what the fetch of a remote encoder takes, and under which licence."""
    from lagotto.core.remote.spec import REPOSITORY
    from lagotto.encoders.known.table import KNOWN_ENCODERS, full_spec, split_precision

    place, precision = split_precision(full_spec(spec))
    if not place.startswith(REPOSITORY):
        return
    from lagotto.encoders.repository import list_encoder

    found = list_encoder(place, precision)
    known = next((item.licence for item in KNOWN_ENCODERS.values() if item.spec == place), "")
    licence = found.licence or known
    is_there = "in the cache" if found.cached else "to be fetched once"
    stated = f", licence {printable(licence)}" if licence else ", which states no licence"
    if not licence and found.cached:  # a cache knows no licences
        stated = ""
    notice(f"encoder {printable(found.spec)}: {found.bytes / 1e6:,.0f} MB, {is_there}{stated}")


def tell_probes(source: str | None, max_probes: int | None) -> None:
    """Says what the fetch of a dataset takes, and under which licence; None is the default one."""
    from lagotto.core.remote.spec import DATASET
    from lagotto.hub.probes.datasets.prepare import default_listing
    from lagotto.hub.probes.datasets.sample import DATASET_SAMPLE

    if source is not None and not source.startswith(DATASET):
        return
    from lagotto.core.remote.hugging_face import is_offline
    from lagotto.hub.probes.datasets.fetch import list_dataset

    listing = default_listing() if source is None else list_dataset(source)
    if listing is None:
        why = "HF_HUB_OFFLINE is set" if is_offline() else "the hub does not answer"
        notice(f"probes: {why}, so the bundled pictures are taken")
        return
    licence = listing.repository.licence
    total = sum(file.size for file in listing.files)
    count = max_probes or DATASET_SAMPLE
    notice(
        f"probes {printable(listing.repository.source)}: up to {count:,} pictures of "
        f"{len(listing.files):,} file{'s' * (len(listing.files) != 1)} ({total / 1e6:,.0f} MB), "
        f"{f'licence {printable(licence)}' if licence else 'which states no licence'}"
    )


def _print_created(
    hub: Path, created: "Hub", references: tuple[str, ...], quiet: bool, as_json: bool
) -> None:
    from lagotto.hub.prepare import reference_notes

    skipped, count = created.skipped(), created.reader.probe_set.source_count()
    if as_json:
        print_json(
            {
                "hub": str(hub),
                "probes": len(created.probes),
                "probe_digest": created.probe_digest,
                "encoder": created.encoder_name,
                "set_aside": [asdict(item) for item in skipped],
                "source_count": None if count is None else count.as_json(),
                "datasets": [item.as_json() for item in created.reader.probe_set.datasets()],
                "references": list(references),
            }
        )
        return
    print_line(f"{hub}: {len(created.probes)} probes, encoder {printable(created.encoder_name)}")
    if references:
        doubts = reference_notes(created.reader)
        told = "" if doubts else ": its labels teach the others"
        print_line(f"reference {printable(', '.join(references))}{told}")
        for doubt in doubts if not quiet else ():
            notice(f"note: {printable(doubt)}")
    if skipped and not quiet:
        notice(f"{len(skipped)} pictures set aside:")
        for item in skipped[:10]:
            notice(f"  {printable(item.source)}: {printable(item.reason)}")
        if len(skipped) > 10:
            notice(f"  and {len(skipped) - 10} more; all in {hub / 'probes' / 'set_aside.jsonl'}")
    for facts in created.reader.probe_set.datasets() if not quiet else ():
        notice(
            f"from {printable(facts.source)} at {facts.commit[:8]}, licence "
            f"{printable(facts.licence) or 'not stated'}: {facts.bytes / 1e6:,.1f} MB fetched"
        )
    if not quiet:
        notice(f"pictures and files: {printable(str(count))}")
        notice(f"next: lagotto hub add {hub} MODELS")
        _offer_reference(hub, references)


def _offer_reference(hub: Path, references: tuple[str, ...]) -> None:
    """Says how words reach unlabelled outputs, where there is no reference yet."""
    from lagotto.hub.ingest.known_references import DEFAULT_REFERENCE, KNOWN_REFERENCES

    if references:
        return
    known = KNOWN_REFERENCES[DEFAULT_REFERENCE]
    notice(
        f"for names of unlabelled outputs: lagotto hub add {hub} {known.spec} --reference "
        f"({known.facts})"
    )
