"""A hub as the command line names it comes in; the open hub goes out, fetched if it must be."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lagotto.cli.output import notice, printable
from lagotto.cli.terminal.progress import open_progress
from lagotto.core.devices.placement import check_device
from lagotto.core.devices.use import DEVICE_LOG

if TYPE_CHECKING:
    from lagotto.hub.hub import Hub

ENCODER_HELP = (
    "A name of `lagotto encoders`, hf:ORG/NAME[@REV], open_clip:ARCH/TAG, a folder with an ONNX "
    "dual encoder in the Hugging Face layout, or bundled; #fp16 or #quantized behind it."
)


DEVICE = typer.Option(
    "cpu",
    metavar="cpu|cuda|cuda:N|auto",
    help="Where networks run: cpu; cuda or cuda:N, an NVIDIA GPU (needs onnxruntime-gpu; models "
    "then reach its driver); auto, a GPU where one can be used.",
)


class _DeviceNotices(logging.Handler):
    """Says what becomes of a device on stderr, each thing once."""

    def __init__(self) -> None:
        super().__init__()
        self._told: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Prints the message of a record."""
        text = record.getMessage()
        if text not in self._told:
            self._told.add(text)
            notice(f"note: {printable(text)}")


def checked_device(device: str, *, quiet: bool) -> str:
    """The value of --device; notes on devices go to stderr from now on, unless it is to be quiet.

    Raises UsageError for a name that is none.
    """
    DEVICE_LOG.handlers = [logging.NullHandler() if quiet else _DeviceNotices()]
    DEVICE_LOG.propagate = False
    return check_device(device)


def open_hub(
    hub: Path | str, encoder: str | None = None, device: str = "cpu", *, quiet: bool = False
) -> "Hub":
    """A hub by its folder or its address; what was fetched for it goes to stderr."""
    from lagotto.hub.hub import Hub

    opened = Hub.open(hub, encoder, device=device, progress=open_progress(quiet))
    for line in () if quiet else opened.origin_notes:
        notice(f"note: {printable(line)}")
    if opened.fetched_bytes and not quiet:
        notice(f"fetched {opened.fetched_bytes / 1e6:.1f} MB: {printable(opened.name)}")
    return opened


def open_own_hub(
    hub: Path, encoder: str | None = None, device: str = "cpu", *, quiet: bool = False
) -> "Hub":
    """A hub that is to be written to; raises HubError for the address of a published one."""
    from lagotto.hub.publish.address import check_folder

    check_folder(hub)
    return open_hub(hub, encoder, device, quiet=quiet)
