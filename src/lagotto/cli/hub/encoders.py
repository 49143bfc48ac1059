"""`lagotto encoders`: the encoders that have a short name, and which are on this machine."""

from dataclasses import asdict

from lagotto.cli.hub.commands import JSON
from lagotto.cli.output import notice, print_json, print_table


def encoders(as_json: bool = JSON) -> None:
    """List the encoders that have a short name, with size and licence, and what is cached.

    Example: lagotto encoders
    """
    from lagotto.encoders.known.table import DEFAULT_ENCODER, KNOWN_ENCODERS
    from lagotto.encoders.repository import cached_encoders

    cached = cached_encoders()
    if as_json:
        listed = [
            {
                **asdict(known),
                "default": name == DEFAULT_ENCODER,
                "cached_commit": cached[name][0] if name in cached else None,
                "cached_bytes": cached[name][1] if name in cached else 0,
            }
            for name, known in KNOWN_ENCODERS.items()
        ]
        print_json({"encoders": [*listed]})
        return
    rows = [
        [
            f"{name}{' (default)' if name == DEFAULT_ENCODER else ''}",
            known.spec,
            f"{known.megabytes:,} MB",
            known.licence,
            f"{known.imagenet:.1f} %",
            f"{cached[name][1] / 1e6:,.0f} MB ({cached[name][0][:8]})" if name in cached else "no",
        ]
        for name, known in KNOWN_ENCODERS.items()
    ]
    columns = ["name", "repository", "about", "licence", "ImageNet", "cached"]
    print_table(columns, rows, frozenset({"about", "ImageNet"}))
    notice("smaller ones: #fp16 or #quantized behind a name, where the repository has them")
    notice("bundled: the small encoder of the demo; it knows drawings of its own kind, no photos")
