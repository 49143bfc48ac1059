"""Batches that fit the memory of a device, and what is said when it is not as asked for."""

from collections.abc import Callable
from typing import Any

import pytest

from gpu_fakes import NO_MEMORY, cuda_torch
from lagotto.core.devices.placement import Runtime
from lagotto.core.devices.runtimes import move_torch, run_on_device
from lagotto.core.devices.use import DeviceUse, OutOfDeviceMemoryError, says_out_of_memory
from lagotto.core.errors import EncoderError, ModelError

HERE = Runtime("onnxruntime", "1.22", True, (0,), "x")
GONE = Runtime("onnxruntime", "1.22", True, (), "x")


def room_for(rows: int, seen: list[int]) -> Callable[[slice], list[int]]:
    def run(piece: slice) -> list[int]:
        count = piece.stop - piece.start
        seen.append(count)
        if count > rows:
            raise OutOfDeviceMemoryError(NO_MEMORY)
        return list(range(piece.start, piece.stop))

    return run


def test_batches_are_halved_until_they_fit_and_stay_so() -> None:
    told: list[str] = []
    use = DeviceUse("cuda", told.append)
    assert use.open(HERE, ModelError) == "cuda:0"
    seen: list[int] = []
    found = use.run(40, 32, room_for(5, seen), ModelError)
    assert [row for part in found for row in part] == list(range(40))
    assert seen == [32, 16, 8, *[4] * 10]
    seen.clear()
    assert len(use.run(9, 32, room_for(5, seen), ModelError)) == 3
    assert seen == [4, 4, 1]
    assert told == list(use.notes)
    assert len(told) == 1, "said once"
    assert "does not hold 32 rows at a time; batches are halved" in told[0]


def test_a_row_that_does_not_fit_alone_is_an_error_of_one_line() -> None:
    use = DeviceUse("cuda")
    use.open(HERE, ModelError)
    with pytest.raises(ModelError, match="cuda:0 has too little free memory for one picture: Fail"):
        use.run(3, 4, room_for(0, []), ModelError)


def test_on_the_cpu_batches_stay_as_they_are() -> None:
    seen: list[int] = []
    DeviceUse().run(70, 32, room_for(99, seen), ModelError)
    assert seen == [32, 32, 6]


def test_what_is_not_there_is_an_error_and_auto_falls_back() -> None:
    with pytest.raises(EncoderError, match="no NVIDIA GPU is seen"):
        DeviceUse("cuda").open(GONE, EncoderError)
    use = DeviceUse("auto")
    assert use.open(GONE, EncoderError) == "cpu"
    assert use.notes == ("device auto is the CPU here: no NVIDIA GPU is seen on this machine",)
    assert not use.is_gpu


def test_a_driver_that_fails_is_an_error_and_auto_falls_back() -> None:
    use = DeviceUse("cuda:0")
    use.open(HERE, ModelError)
    with pytest.raises(ModelError, match="'cuda:0' cannot be used: no libcudnn; run it with"):
        use.refuse("no libcudnn", ModelError)
    auto = DeviceUse("auto")
    auto.open(HERE, ModelError)
    auto.refuse("no libcudnn", ModelError)
    assert auto.device == "cpu"
    assert auto.notes == ("device auto is the CPU here: cuda:0 cannot be used: no libcudnn",)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (NO_MEMORY, True),
        ("CUDA out of memory. Tried to allocate 20.00 MiB", True),
        ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", True),
        ("Non-zero status code returned while running Conv", False),
    ],
)
def test_memory_that_is_used_up_is_known_by_its_words(text: str, is_one: bool) -> None:
    assert says_out_of_memory(RuntimeError(text)) == is_one


class Network:
    """A network of torch, as far as it is moved."""

    def __init__(self, *, fits: bool = True) -> None:
        self.fits, self.device = fits, "cpu"

    def to(self, device: str) -> "Network":
        if device != "cpu" and not self.fits:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")
        self.device = device
        return self


def test_a_network_of_torch_is_moved_and_computes_in_full_precision() -> None:
    torch, use = cuda_torch(), DeviceUse("cuda")
    moved: Any = move_torch(use, torch, Network(), ModelError)
    assert (moved.device, use.device) == ("cuda:0", "cuda:0")
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
    stays: Any = move_torch(DeviceUse(), torch, Network(), ModelError)
    assert stays.device == "cpu"


def test_weights_of_torch_that_do_not_fit_go_to_the_cpu_by_auto_alone() -> None:
    with pytest.raises(ModelError, match="cannot be used: CUDA out of memory"):
        move_torch(DeviceUse("cuda"), cuda_torch(), Network(fits=False), ModelError)
    use = DeviceUse("auto")
    moved: Any = move_torch(use, cuda_torch(), Network(fits=False), ModelError)
    assert (moved.device, use.device) == ("cpu", "cpu")


def test_a_run_of_torch_without_memory_lets_its_cache_go() -> None:
    torch, use = cuda_torch(), DeviceUse("cuda")
    move_torch(use, torch, Network(), ModelError)

    def fail(text: str) -> Callable[[], None]:
        def run() -> None:
            raise RuntimeError(text)

        return run

    with pytest.raises(OutOfDeviceMemoryError):
        run_on_device(use, torch, fail("CUDA out of memory"))
    assert torch.emptied == 1
    with pytest.raises(RuntimeError, match="another"):
        run_on_device(use, torch, fail("another"))
    with pytest.raises(RuntimeError, match="CUDA out of memory"):  # not its device: not its law
        run_on_device(DeviceUse(), torch, fail("CUDA out of memory"))
