"""The calls and persistent ids of a pickle of torch come in; records of its tensors go out."""

from collections.abc import Callable

from lagotto.models.checkpoints.pickles.inert import (
    DICT,
    AnyTensor,
    GlobalName,
    InertTensor,
    Record,
    Storage,
    UnreadableError,
    UnreadTensor,
    Value,
)

MAX_CONVERTED_BYTES = 256 << 20
"""Bytes of texts and pairs that calls copy, in all: a short pickle may repeat a long call."""

_PAIR_BYTES = 64

STORAGE_TYPES = {
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "BoolStorage": "bool",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "",
    "QInt8Storage": "qint8",
    "QUInt8Storage": "quint8",
    "QInt32Storage": "qint32",
    "QUInt4x2Storage": "quint4x2",
    "QUInt2x4Storage": "quint2x4",
    "Float8_e4m3fnStorage": "float8_e4m3fn",
    "Float8_e5m2Storage": "float8_e5m2",
}
"""Names of the classes of storages, with the names of their types in torch."""

_BAD_STORAGE = (
    "its pickle names a storage in a form that torch does not write; save it again with torch.save"
)
_BAD_TENSOR = (
    "its pickle builds a tensor in a form that torch does not write; save it again with torch.save"
)
_LISTS = frozenset({"list", "set", "frozenset", "tuple", "collections.deque", "bytearray"})
_DICTS = frozenset({"collections.OrderedDict", "builtins.dict"})
_SPLIT = (".DTensor", ".ShardedTensor", ".Shard")
_PATHS = ("pathlib.", "pathlib._local.")
_UNREAD = {
    "torch._utils._rebuild_qtensor": "a quantised tensor",
    "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
    "torch._utils._rebuild_sparse_csr_tensor": "a sparse tensor",
    "torch._utils._rebuild_nested_tensor": "a nested tensor",
    "torch._utils._rebuild_wrapper_subclass": "a tensor of a class of its own",
    "torch._utils._rebuild_meta_tensor_no_storage": "a tensor on the meta device, without values",
    "torch._utils._rebuild_device_tensor_from_numpy": "a tensor of another device (XLA or MTIA)",
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": "a tensor of another device",
    "torch._utils._rebuild_xla_tensor": "a tensor of another device (XLA)",
    "torch._utils._rebuild_mlc_tensor": "a tensor of another device (MLC)",
}


class TorchBuilder:
    """Gives tensors for the calls by which torch rebuilds them, and records for all others."""

    def __init__(self, load_storage: Callable[[bytes], Storage] | None = None) -> None:
        """Has no storages yet; `load_storage` reads those that lie in the pickle as bytes."""
        self._load_storage = load_storage
        self._converted_bytes = 0
        self.storages: dict[str, Storage] = {}

    def call(self, function: GlobalName, arguments: tuple[Value, ...]) -> Value:
        """The value that stands for the result of a call; nothing is called."""
        name = function.name
        if name in _UNREAD:
            return UnreadTensor(_UNREAD[name])
        builder = _BUILDERS.get(name)
        if builder is not None:
            return builder(arguments)
        if name == "torch._tensor._rebuild_from_type_v2":
            return self._from_type(arguments)
        if name == "torch.storage._load_from_bytes" and self._load_storage is not None:
            match arguments:
                case (bytes() as data,):
                    self._spend(len(data))
                    return self._load_storage(data)
        if name == "_codecs.encode":
            return self._encode(arguments)
        if name in _DICTS:
            return self._dict(arguments)
        if name.startswith("torch.distributed.") and name.endswith(_SPLIT):
            return UnreadTensor("a piece of a tensor that is split over several devices")
        if name.removeprefix("builtins.") in _LISTS and len(arguments) < 2:
            return _list(name, arguments)
        if name.startswith(_PATHS):
            return self._path(arguments)
        if name in ("copyreg._reconstructor", "copyreg.__newobj__"):
            return self._of_class(arguments)
        return Record(name, arguments)

    def persistent(self, identity: Value) -> Value:
        """The storage, or the class, that a persistent id names."""
        if not isinstance(identity, tuple) or not identity:
            raise UnreadableError(_BAD_STORAGE)
        kind, *rest = identity
        if kind == "module" and rest and isinstance(rest[0], GlobalName):
            return rest[0]  # the class of a module, which old files keep with its source
        if kind != "storage" or len(rest) < 4:
            raise UnreadableError(_BAD_STORAGE)
        storage_type, key, location, count = rest[:4]
        dtype = _storage_type(storage_type)
        if not isinstance(key, str) or not isinstance(location, str) or not _is_size(count):
            raise UnreadableError(_BAD_STORAGE)
        start = _view_start(rest[4]) if len(rest) > 4 else 0
        storage = Storage(key, dtype, count, location, start)
        self.storages.setdefault(key, storage)
        return storage

    def _from_type(self, arguments: tuple[Value, ...]) -> Value:
        """A tensor of a subclass: the call by which torch rebuilds it, its class, its state."""
        match arguments:
            case (GlobalName() as function, _, tuple() as inner, *_) if (
                function.name in _BUILDERS or function.name in _UNREAD
            ):
                return self.call(function, inner)
        return UnreadTensor("a tensor of a class of its own")

    def _encode(self, arguments: tuple[Value, ...]) -> Value:
        """Bytes, which protocol 2 writes as a text in Latin-1."""
        match arguments:
            case (str() as text, "latin1" | "latin-1" | "iso-8859-1"):
                self._spend(len(text))
                return text.encode("latin-1")
        return Record("_codecs.encode", arguments)

    def _dict(self, arguments: tuple[Value, ...]) -> Value:
        """A dict; old pickles make it of a list of pairs."""
        listed = arguments[0] if arguments and isinstance(arguments[0], list) else []
        self._spend(len(listed) * _PAIR_BYTES)
        pairs = [pair for pair in listed if isinstance(pair, list | tuple) and len(pair) == 2]
        return Record(DICT, pairs=[(key, value) for key, value in pairs])

    def _path(self, arguments: tuple[Value, ...]) -> Value:
        parts = [part for part in arguments if isinstance(part, str)]
        self._spend(sum(map(len, parts)))
        if len(parts) != len(arguments):
            return Record("pathlib.Path", arguments)
        return "/".join(parts).replace("//", "/")

    def _spend(self, count: int) -> None:
        self._converted_bytes += count
        if self._converted_bytes > MAX_CONVERTED_BYTES:
            raise UnreadableError(
                "its pickle repeats itself without end; save the state dict alone"
            )

    def _of_class(self, arguments: tuple[Value, ...]) -> Value:
        """An object of the class that is named first."""
        if arguments and isinstance(arguments[0], GlobalName):
            return self.call(arguments[0], ())
        return Record("copyreg._reconstructor", arguments)


def _storage_type(value: Value) -> str:
    name = value.name.rpartition(".")[2] if isinstance(value, GlobalName) else ""
    if name not in STORAGE_TYPES:
        raise UnreadableError(_BAD_STORAGE)
    return STORAGE_TYPES[name]


def _is_size(value: Value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _view_start(view: Value) -> int:
    """Where a storage begins in that of its key; old files have views of storages."""
    match view:
        case None:
            return 0
        case (_, int() as start, int()) if _is_size(start):
            return start
    raise UnreadableError(_BAD_STORAGE)


def _tensor(arguments: tuple[Value, ...]) -> AnyTensor:
    match arguments:
        case (Storage() as storage, offset, shape, strides, *_):
            return InertTensor(storage, storage.dtype, offset, shape, strides)
    raise UnreadableError(_BAD_TENSOR)


def _typed_tensor(arguments: tuple[Value, ...]) -> AnyTensor:
    """A tensor that names its own type: its storage holds bytes."""
    match arguments:
        case (Storage() as storage, offset, shape, strides, _, _, GlobalName() as dtype, *_):
            return InertTensor(storage, dtype.name.removeprefix("torch."), offset, shape, strides)
    raise UnreadableError(_BAD_TENSOR)


def _parameter(arguments: tuple[Value, ...]) -> Value:
    """The tensor of a parameter."""
    if not arguments:
        raise UnreadableError(_BAD_TENSOR)
    return arguments[0]


def _first(arguments: tuple[Value, ...]) -> Value:
    return arguments[0] if arguments else None


def _list(name: str, arguments: tuple[Value, ...]) -> Value:
    """The list itself, not a copy of it: a set or tuple is read as its list."""
    if arguments and isinstance(arguments[0], list | tuple | bytes):
        return arguments[0]
    return Record(name, arguments) if arguments else []


_BUILDERS: dict[str, Callable[[tuple[Value, ...]], Value]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.nn.parameter.Buffer": _parameter,
    "torch.autograd.variable.Variable": _parameter,
    "torch.Size": _first,
    "torch.jit._pickle.build_intlist": _first,
    "torch.jit._pickle.build_doublelist": _first,
    "torch.jit._pickle.build_boollist": _first,
    "torch.jit._pickle.build_tensorlist": _first,
    "torch.jit._pickle.restore_type_tag": _first,
}
