"""A hub as the command line names it comes in; the open hub goes out, fetched if it must be."""

from pathlib import Path
from typing import TYPE_CHECKING

from lagotto.cli.output import notice, printable
from lagotto.cli.terminal.progress import open_progress

if TYPE_CHECKING:
    from lagotto.hub.hub import Hub

ENCODER_HELP = (
    "A name of `lagotto encoders`, hf:ORG/NAME[@REV], open_clip:ARCH/TAG, a folder with an ONNX "
    "dual encoder in the Hugging Face layout, or bundled; #fp16 or #quantized behind it."
)


def open_hub(hub: Path | str, encoder: str | None = None, *, quiet: bool = False) -> "Hub":
    """A hub by its folder or its address; what was fetched for it goes to stderr."""
    from lagotto.hub.hub import Hub

    opened = Hub.open(hub, encoder, progress=open_progress(quiet))
    for line in () if quiet else opened.origin_notes:
        notice(f"note: {printable(line)}")
    if opened.fetched_bytes and not quiet:
        notice(f"fetched {opened.fetched_bytes / 1e6:.1f} MB: {printable(opened.name)}")
    return opened


def open_own_hub(hub: Path, encoder: str | None = None, *, quiet: bool = False) -> "Hub":
    """A hub that is to be written to; raises HubError for the address of a published one."""
    from lagotto.hub.publish.address import check_folder

    check_folder(hub)
    return open_hub(hub, encoder, quiet=quiet)
