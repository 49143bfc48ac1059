"""A hub with a reference model, as pages show it."""

from pathlib import Path

from colour_world import TRAINED, World, build_trained_hub
from taught_world import copy_of
from web_server import served


def test_a_hit_says_which_labelled_output_led_to_it(world: World, tmp_path: Path) -> None:
    hub = copy_of(build_trained_hub(world, tmp_path), tmp_path / "taught", None, "all_eight")
    with served(hub.folder) as site:
        page = site.client.get("/?q=cyan&behaviour_only=1").text
    logit = TRAINED["all_eight"].colours.index("cyan")
    assert f'found through <a href="/m/all_eight/{logit}">all_eight:{logit} “cyan”</a>' in page
    assert "</a> (believed: reference), the same concept with probability" in page
