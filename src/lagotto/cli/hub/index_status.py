"""The status of a low-rank index comes in; lines and notices for the terminal go out."""

from pathlib import Path
from typing import TYPE_CHECKING

from lagotto.cli.output import notice, print_line, printable
from lagotto.hub.store.layout import HubLayout

if TYPE_CHECKING:
    from lagotto.hub.hub import Hub
    from lagotto.hub.index.low_rank_file import IndexStatus


def print_index(hub: Path, index: "IndexStatus") -> None:
    """Prints the size of an index, and whether searches use it."""
    if index.state == "unreadable":
        print_line(f"index     not used: {printable(index.reason)}")
        return
    size = f"{index.bytes / 1e6:.1f} MB, {index.ratio:.1f} times smaller than the descriptors"
    detail = f"rank {index.rank}, {index.captured:.0%} of their variance"
    print_line(f"index     {index.state}: {size} ({detail})")
    if index.state == "stale":
        print_line(f"  not used: {index.reason}; make it anew with: lagotto hub index {hub}")


def notify_index(hub: "Hub") -> None:
    """Prints a notice if the hub has an index that its searches cannot use."""
    if not HubLayout(hub.folder).low_rank.exists():
        return
    first = hub.reader.logit_index().approximation
    if first is not None and first.index is None:
        notice(f"note: {printable(first.unusable)}")
