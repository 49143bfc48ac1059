"""The module of a framework comes in; what it can run networks on goes out, and how it is told.

The files that are named after a framework import it, and hand it over: nothing is imported here.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from lagotto.core.devices.placement import CPU, Runtime, cuda_number, nvidia_gpus
from lagotto.core.devices.use import DeviceUse, OutOfDeviceMemoryError, says_out_of_memory
from lagotto.core.errors import LagottoError, reason

_PROVIDER = "CUDAExecutionProvider"
_CPU_PROVIDER = "CPUExecutionProvider"
_FULL_PRECISION = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
"""float32 as on the CPU, not rounded to 10 bits; no search that tries kernels for each shape."""

ONNX_REMEDY = "onnxruntime-gpu (pip uninstall onnxruntime; pip install onnxruntime-gpu)"
TORCH_REMEDY = "a torch with CUDA (https://pytorch.org/get-started)"

_Result = TypeVar("_Result")


def onnx_runtime(onnxruntime: Any) -> Runtime:
    """What onnxruntime can run graphs on: by its providers, and the GPUs whose device files are
    here."""
    has_cuda = _PROVIDER in onnxruntime.get_available_providers()
    version = str(onnxruntime.__version__)
    return Runtime("onnxruntime", version, has_cuda, nvidia_gpus(), ONNX_REMEDY)


def onnx_providers(device: str) -> list[Any]:
    """The providers of a session for a device; operators that CUDA lacks run on the CPU."""
    if device == CPU:
        return [_CPU_PROVIDER]
    options = {"device_id": str(cuda_number(device)), **_FULL_PRECISION}
    return [(_PROVIDER, options), _CPU_PROVIDER]


def open_onnx(
    use: DeviceUse,
    onnxruntime: Any,
    open_session: Callable[[list[Any]], Any],
    error: type[LagottoError],
) -> Any:
    """A session on the device that is asked for.

    A build with CUDA gives a session without it, in silence, where a library or the driver fails.

    Args:
        use: The device.
        onnxruntime: The module.
        open_session: Opens the session with a list of providers.
        error: What is raised if the device cannot be used.
    """
    if use.requested == CPU:
        return open_session(onnx_providers(CPU))
    device = use.open(onnx_runtime(onnxruntime), error)
    if device == CPU:
        return open_session(onnx_providers(CPU))
    try:
        session = open_session(onnx_providers(device))
    except LagottoError as problem:
        if not says_out_of_memory(problem):
            raise
        use.refuse("the weights do not fit into its free memory", error)
        return open_session(onnx_providers(CPU))
    if _PROVIDER in session.get_providers():
        return session
    use.refuse("onnxruntime could not start CUDA (its libraries, cuDNN or the driver fail)", error)
    return session


def torch_runtime(torch: Any) -> Runtime:
    """What torch can run networks on."""
    gpus = tuple(range(torch.cuda.device_count())) if torch.cuda.is_available() else ()
    return Runtime(
        "torch", str(torch.__version__), torch.version.cuda is not None, gpus, TORCH_REMEDY
    )


def move_torch(use: DeviceUse, torch: Any, network: Any, error: type[LagottoError]) -> Any:
    """The network on the device that is asked for, in float32; raises `error` if it cannot be."""
    if use.requested == CPU or use.open(torch_runtime(torch), error) == CPU:
        return network
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    try:
        return network.to(use.device)
    except (RuntimeError, AssertionError) as problem:
        use.refuse(reason(problem), error)
        return network.to(CPU)


def run_on_device(use: DeviceUse, torch: Any, run: Callable[[], _Result]) -> _Result:
    """What `run` gives; a GPU whose memory is used up is an OutOfDeviceMemoryError."""
    if not use.is_gpu:
        return run()
    try:
        return run()
    except RuntimeError as problem:
        if not says_out_of_memory(problem):
            raise
        torch.cuda.empty_cache()
        raise OutOfDeviceMemoryError(reason(problem)) from problem
