"""`Hub.read`: a question of the reader, in turn with other threads, on the hub as it is now."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from colour_world import World
from lagotto.hub.hub import Hub


def test_a_question_is_answered_for_the_hub_as_it_is_now(hub_copy: Path) -> None:
    with Hub.open(hub_copy) as hub, Hub.open(hub_copy) as other:
        first = hub.models[0]
        assert hub.read(lambda reader: reader.logit_index().column(first, 0)) is not None
        other.remove(first)
        assert hub.read(lambda reader: reader.logit_index().column(first, 0)) is None


def test_questions_of_many_threads_take_turns(world: World) -> None:
    hub = Hub.open(world.hub)
    inside: list[int] = []

    def ask(number: int) -> int:
        def question(reader: object) -> int:
            inside.append(number)
            assert len(inside) == 1, "two threads read at once"
            inside.remove(number)
            return number

        return hub.read(question)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(200))) == list(range(200))


def test_the_status_of_some_models_is_that_in_the_status_of_all(world: World) -> None:
    hub = Hub.open(world.hub)
    names = hub.models[1:3]
    some = hub.read(lambda reader: reader.statuses_of(("nothing", *names)))
    assert some == tuple(model for model in hub.status().models if model.name in names)
