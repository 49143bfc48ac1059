"""Sources of pictures, an encoder and a size come in; a folder with a probe set goes out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from lagotto.core.arguments.one_or_many import OnePathOrMany, as_path, as_sources
from lagotto.core.errors import ProbeError, UsageError
from lagotto.core.files import replacing
from lagotto.core.images import decode_picture
from lagotto.core.progress import Progress, Silent
from lagotto.core.remote.spec import DATASET
from lagotto.core.temporary.draft import drafted
from lagotto.core.types import Credit, JsonObject, JsonValue
from lagotto.encoders.background.words import background_words, embed_background, embed_words
from lagotto.encoders.base import Encoder
from lagotto.encoders.known.table import DEFAULT_ENCODER
from lagotto.encoders.registry import check_encoder_spec, load_encoder
from lagotto.hub.curation.candidates import Pool, embed_candidates
from lagotto.hub.curation.check import ProbeCheck, check_probes
from lagotto.hub.curation.choose import choose_covering
from lagotto.hub.curation.dead_leaves import draw_dead_leaves
from lagotto.hub.curation.exclusion import UNSAFE, Exclusions, find_exclusions
from lagotto.hub.curation.generated import (
    DIFFUSERS,
    GeneratedSet,
    generated_rows,
    has_safety_checker,
    pipeline_folder,
)
from lagotto.hub.curation.licences import NOT_STATED, check_licences, require_licence, with_credit
from lagotto.hub.curation.write import (
    SetRow,
    to_webp,
    write_licences,
    write_report,
    write_rows_of_set,
)
from lagotto.hub.probes.datasets.prepare import prepare_sources
from lagotto.hub.probes.datasets.sample import DatasetSample
from lagotto.hub.probes.probe_set import read_candidates
from lagotto.hub.query.probe_weights import ProbeSpace
from lagotto.hub.reports.contact_sheet import SheetRow, Tile, draw_contact_sheet

DEAD_LEAVES = "dead-leaves"
"""The source that is drawn: it shows nothing, and may be used for anything."""

OURS = "CC0-1.0"
_LOOKED_AT = 10
"""Pictures of a dataset that are looked at for each one that is chosen."""

_SHEET_ROWS, _SHEET_TILES = 40, 8


@dataclass(frozen=True, slots=True)
class MadeSet:
    """A set that was made: how many pictures it has and were looked at, and what they show.

    `left_out` counts those that were excluded, by reason; `repeats` those nearly the same as one
    that was chosen; `skipped` those that could not be read.
    """

    folder: Path
    probes: int
    candidates: int
    skipped: int
    left_out: dict[str, int]
    repeats: int
    check: ProbeCheck | None
    licences: dict[str, int]

    def as_json(self) -> JsonObject:
        """The fields by name; the coverage word by word is in the report."""
        check = None
        if self.check is not None:
            check = {**self.check.as_json()}
            del check["coverage"]
        return {
            "folder": str(self.folder),
            "probes": self.probes,
            "candidates": self.candidates,
            "skipped": self.skipped,
            "left_out": {**self.left_out},
            "repeats": self.repeats,
            "check": check,
            "licences": {**self.licences},
        }


@dataclass(frozen=True, slots=True)
class SetOptions:
    """How a probe set is made.

    `candidates` is the size of a random sample of the pictures to look at, None for all of those on
    disk and ten times the set of a dataset. `seed` is that of the draw and of drawn pictures.
    `licence` and `author` are of the pictures whose source states none. `accept` takes pictures
    whose licence nobody states.
    """

    candidates: int | None = None
    seed: int = 0
    licence: str = ""
    author: str = ""
    accept: bool = False


def make_probes(
    out: Path | str,
    sources: OnePathOrMany,
    size: int,
    encoder: Encoder | str = DEFAULT_ENCODER,
    options: SetOptions | None = None,
    *,
    progress: Progress | None = None,
) -> MadeSet:
    """Chooses pictures that cover many concepts, and writes them as a probe set.

    Pictures that the encoder takes for faces, text or unsafe ones are left out, and so are near
    repeats. The folder appears when it is complete; the same input gives the same bytes.

    Args:
        out: Where the set is written; nothing may be there.
        sources: One or many: image folders, .jsonl, .parquet or .tar files, datasets
            `hf:datasets/ORG/NAME`; or one that draws, alone: `dead-leaves`, or
            `diffusers:FOLDER`, a text-to-image pipeline, one picture a common noun.
        size: How many pictures to choose; fewer where there are fewer.
        encoder: What looks at the pictures: an encoder, or where one is.
        options: How the set is made.
        progress: Told of the work.

    Returns:
        What was made, and what it shows.

    Raises:
        UsageError: Something is at the path, a source is not found, the size is below 2, or
            pictures state no licence and are not accepted so.
        ProbeError: Fewer than two pictures are left, or a pipeline draws none.
        MissingExtraError: A pipeline needs the extra `diffusers`.

    Example:
        >>> make_probes("probes/", "photos/", 600, "clip").check.shown  # doctest: +SKIP
        812
    """
    folder, meter, how = as_path(out, "set folder"), progress or Silent(), options or SetOptions()
    _check_new(folder, size)
    given = as_sources(sources, "sources")
    if DEAD_LEAVES in map(str, given):
        if len(given) > 1:
            raise UsageError(f"{DEAD_LEAVES} is drawn, not chosen; give it alone")
        return make_dead_leaves(folder, size, how.seed, meter)
    drawing = [str(source) for source in given if str(source).startswith(DIFFUSERS)]
    if drawing:
        if len(given) > 1:
            raise UsageError(f"{drawing[0]} draws, and nothing is chosen; give it alone")
        return make_generated(folder, drawing[0], size, how, meter)
    remote = any(isinstance(s, str) and s.startswith(DATASET) for s in given)
    if isinstance(encoder, str):
        check_encoder_spec(encoder)
    wanted = how.candidates or (_LOOKED_AT * size if remote else None)
    found, _ = prepare_sources(given, wanted, how.seed, meter, accept=how.accept)
    loaded = load_encoder(encoder) if isinstance(encoder, str) else encoder
    return _make(folder, found, size, loaded, how, meter)


def _make(
    folder: Path,
    sources: Sequence[Path | DatasetSample],
    size: int,
    encoder: Encoder,
    options: SetOptions,
    progress: Progress,
) -> MadeSet:
    facts = [source.facts for source in sources if isinstance(source, DatasetSample)]
    candidates, _ = read_candidates(sources)
    stated = Credit(options.licence, options.author)
    candidates = [with_credit(item, facts, stated) for item in candidates]
    if not options.accept:
        check_licences(candidates, facts)
    pool = embed_candidates(candidates, encoder, progress)
    background = embed_background(encoder, progress)
    space = ProbeSpace(pool.embeddings, background, encoder.info.logit_scale)
    exclusions = find_exclusions(space, encoder)
    allowed = np.array([not reason for reason in exclusions.reasons])
    progress.start("choosing", size, "pictures")
    choice = choose_covering(space, allowed, size, progress)
    progress.finish()
    if len(choice.chosen) < 2:
        raise ProbeError(
            f"of {len(pool.candidates)} pictures {len(choice.chosen)} are left "
            f"({_listed(exclusions)}, {choice.repeats} near repeats); give more pictures"
        )
    check = check_probes(_part(space, choice.chosen), background_words(), background)
    with drafted(folder) as draft:
        rows = _rows(pool, choice.chosen, progress)
        counts = write_rows_of_set(draft, folder.name, rows)
        write_licences(draft, counts)
        _write_sheet(draft, pool, choice.chosen, check)
        by_licence: dict[str, int] = {}
        for (name, _), count in counts.items():
            by_licence[name or NOT_STATED] = by_licence.get(name or NOT_STATED, 0) + count
        made = MadeSet(
            *(folder, len(choice.chosen), len(pool.candidates), len(pool.skipped)),
            *(exclusions.counts(), choice.repeats, check, by_licence),
        )
        write_report(draft, _report(made, pool, exclusions, encoder, check))
    return made


def check_pictures(
    sources: OnePathOrMany,
    encoder: Encoder | str,
    vocabulary: Sequence[str] | None = None,
    *,
    progress: Progress | None = None,
) -> ProbeCheck:
    """What pictures that are no hub's show: `Hub.check_probes` for a set.

    Args:
        sources: As for `make_probes`.
        encoder: What looks at them.
        vocabulary: The words to look for; None for the common nouns.
        progress: Told of the work.

    Raises:
        UsageError: A source is not found.
        ProbeError: No two pictures can be read.
    """
    meter = progress or Silent()
    if isinstance(encoder, str):
        check_encoder_spec(encoder)
    found, _ = prepare_sources(as_sources(sources, "sources"), None, 0, meter)
    loaded = load_encoder(encoder) if isinstance(encoder, str) else encoder
    pool = embed_candidates(read_candidates(found)[0], loaded, meter)
    background = embed_background(loaded, meter)
    space = ProbeSpace(pool.embeddings, background, loaded.info.logit_scale)
    if vocabulary is None:
        return check_probes(space, background_words(), background)
    return check_probes(space, vocabulary, embed_words(loaded, vocabulary))


def make_dead_leaves(folder: Path, size: int, seed: int, progress: Progress) -> MadeSet:
    """Draws a set of dead leaves; the same seed gives the same bytes."""
    progress.start("drawing", size, "pictures")

    def rows() -> Iterator[SetRow]:
        for number in range(size):
            picture = draw_dead_leaves(seed * 1_000_003 + number)
            name = f"{DEAD_LEAVES}/{seed}/{number:06d}.webp"
            yield SetRow(to_webp(picture), name, (), f"{DEAD_LEAVES}/{seed}", "Lagotto", OURS)
            progress.advance(1)

    with drafted(folder) as draft:
        counts = write_rows_of_set(draft, folder.name, rows())
        progress.finish()
        write_licences(draft, counts)
        made = MadeSet(folder, size, size, 0, {}, 0, None, {OURS: size})
        write_report(draft, made.as_json())
    return made


def make_generated(
    folder: Path, source: str, size: int, options: SetOptions, progress: Progress
) -> MadeSet:
    """Draws a set by a text-to-image pipeline; our encoder looks at none of the pictures.

    Those that the pipeline's own safety checker calls unsafe are left out, so there may be fewer.

    Raises:
        UsageError: The pipeline is not found or refused, or no licence is given or accepted.
        ProbeError: The pipeline draws no picture, or fewer than two are left.
    """
    if not options.accept:
        require_licence(options.licence, f"pictures of {source}")
    pipeline = pipeline_folder(source)
    name = source.removeprefix(DIFFUSERS)
    asked = GeneratedSet(name, size, options.seed, options.licence, options.author)
    with drafted(folder) as draft:
        drawn = generated_rows(pipeline, asked, progress)
        counts = write_rows_of_set(draft, folder.name, (row for row in drawn if row is not None))
        kept = counts.total()
        if kept < 2:
            raise ProbeError(
                f"of {size} pictures {kept} are left: {source} calls the others unsafe; give more "
                "(--size), another seed, or another pipeline"
            )
        write_licences(draft, counts)
        licences = {options.licence or NOT_STATED: kept}
        left_out = {UNSAFE: size - kept} if has_safety_checker(pipeline) else {}
        made = MadeSet(folder, kept, size, 0, left_out, 0, None, licences)
        write_report(draft, {**made.as_json(), "folder": folder.name})
    return made


def _check_new(folder: Path, size: int) -> None:
    if folder.exists() or folder.is_symlink():
        raise UsageError(f"{folder} exists already; choose another name, or delete it first")
    if size < 2:
        raise UsageError(f"size {size} is too small; give at least 2")


def _listed(exclusions: Exclusions) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in exclusions.counts().items())


def _part(space: ProbeSpace, chosen: Sequence[int]) -> ProbeSpace:
    return ProbeSpace(space.probes[np.array(chosen)], space.background, space.logit_scale)


def _rows(pool: Pool, chosen: Sequence[int], progress: Progress) -> Iterator[SetRow]:
    progress.start("writing", len(chosen), "pictures")
    for number in chosen:
        candidate = pool.candidates[number]
        image = to_webp(decode_picture(candidate.load()))
        name, credit = candidate.source, candidate.credit
        origin = credit.origin or name
        yield SetRow(image, name, candidate.captions, origin, credit.author, credit.licence)
        progress.advance(1)
    progress.finish()


def _write_sheet(folder: Path, pool: Pool, chosen: Sequence[int], check: ProbeCheck) -> None:
    """The surest pictures of nouns that are shown, and then of some that are not."""
    ordered = sorted(check.words, key=lambda word: -word.probability)
    most = _SHEET_ROWS * _SHEET_TILES
    step = max(1, len(ordered) // most)
    picked = ordered[::step][:most]
    rows = []
    for start in range(0, len(picked), _SHEET_TILES):
        words = picked[start : start + _SHEET_TILES]
        tiles = tuple(_tile(pool, chosen[word.probe], 100 * word.probability) for word in words)
        rows.append(SheetRow("  |  ".join(word.word for word in words), tiles))
    with replacing(folder / "contact_sheet.pdf") as temporary:  # no picture: it is no probe
        undated = {"creationDate": None, "modDate": None, "title": "probe set"}
        draw_contact_sheet(rows).save(temporary, "PDF", **undated)


def _tile(pool: Pool, number: int, percent: float) -> Tile:
    picture: Image.Image = decode_picture(pool.candidates[number].load())
    return Tile(picture, percent, percent >= 10)


def _report(
    made: MadeSet, pool: Pool, exclusions: Exclusions, encoder: Encoder, check: ProbeCheck
) -> JsonObject:
    named: list[JsonValue] = [
        {"source": candidate.source, "reason": reason}
        for candidate, reason in zip(pool.candidates, exclusions.reasons, strict=True)
        if reason
    ]
    unread: list[JsonValue] = [
        {"source": item.source, "reason": item.reason} for item in pool.skipped
    ]
    return {
        **made.as_json(),
        "folder": made.folder.name,
        "encoder": encoder.info.name,
        "encoder_fingerprint": encoder.info.fingerprint,
        "excluded": named,
        "unread": unread,
        "coverage": check.as_json()["coverage"],
    }
