"""TensorFlow through its C library, without its Python package: the entry to the loader that TF Serving has.

Nothing but ctypes and NumPy is imported here, and nothing of this package: the file is read by a process that must
stay free of both.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]

_STRING, _BYTES_OF_STRING = 7, 24
#: TF_DataType -> dtype.
_DTYPES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    9: "int64",
    10: "bool",
    17: "uint16",
    19: "float16",
    22: "uint32",
    23: "uint64",
}
_TYPES = {dtype: number for number, dtype in _DTYPES.items()}
#: TF_Code -> name.
_CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)


class _Buffer(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocator", ctypes.c_void_p)]


class _Output(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


_POINTER, _TEXT, _INT, _SIZE = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_size_t
#: Function -> what it gives, what it takes.
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "TF_NewStatus": (_POINTER, []),
    "TF_GetCode": (_INT, [_POINTER]),
    "TF_Message": (_TEXT, [_POINTER]),
    "TF_NewSessionOptions": (_POINTER, []),
    "TF_NewGraph": (_POINTER, []),
    "TF_GetAllOpList": (ctypes.POINTER(_Buffer), []),
    "TF_LoadSessionFromSavedModel": (_POINTER, [_POINTER] * 2 + [_TEXT, _POINTER, _INT] + [_POINTER] * 3),
    "TF_GraphOperationByName": (_POINTER, [_POINTER, _TEXT]),
    "TF_SessionRun": (None, [_POINTER] * 4 + [_INT] + [_POINTER] * 2 + [_INT, _POINTER, _INT] + [_POINTER] * 2),
    "TF_AllocateTensor": (_POINTER, [_INT, _POINTER, _INT, _SIZE]),
    "TF_DeleteTensor": (None, [_POINTER]),
    "TF_TensorData": (_POINTER, [_POINTER]),
    "TF_TensorType": (_INT, [_POINTER]),
    "TF_NumDims": (_INT, [_POINTER]),
    "TF_Dim": (ctypes.c_int64, [_POINTER, _INT]),
    "TF_StringInit": (None, [_POINTER]),
    "TF_StringCopy": (None, [_POINTER, _TEXT, _SIZE]),
    "TF_StringGetDataPointer": (_POINTER, [_POINTER]),
    "TF_StringGetSize": (_SIZE, [_POINTER]),
}


class CLibraryError(RuntimeError):
    """What TensorFlow said against a call."""


class CLibrary:
    """The C library of TensorFlow.

    Parameters
    ----------
    path : str
        ``libtensorflow_cc.so.2``.

    Raises
    ------
    OSError
        If it cannot be loaded.
    AttributeError
        If it lacks a function.
    """

    def __init__(self, path: str) -> None:
        self._c = ctypes.CDLL(path)
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(self._c, name)
            function.restype, function.argtypes = result, arguments
        self._status = self._c.TF_NewStatus()

    def unknown(self, ops: list[str]) -> list[str]:
        """Which of these ops are not TensorFlow's own."""
        buffer = self._c.TF_GetAllOpList().contents
        known = set(_names_in(ctypes.string_at(buffer.data, buffer.length)))
        return [op for op in ops if op not in known]

    def load(self, export: str) -> None:
        """Load the graph tagged ``serve`` and its variables."""
        tags = (_TEXT * 1)(b"serve")
        self._graph = self._c.TF_NewGraph()
        options = self._c.TF_NewSessionOptions()
        self._session = self._c.TF_LoadSessionFromSavedModel(
            options, None, export.encode(), tags, 1, self._graph, None, self._status
        )
        self._raise()

    def run(self, inputs: Arrays, tensors: Mapping[str, Mapping[str, str]]) -> Arrays:
        """Run one signature: ``tensors`` says which tensor of the graph each input and output is."""
        given = [self._tensor(values) for values in inputs.values()]
        fed = self._places(tensors["inputs"][name] for name in inputs)
        fetched = self._places(tensors["outputs"].values())
        results = (_POINTER * len(fetched))()
        self._c.TF_SessionRun(
            *(self._session, None, fed, (_POINTER * len(given))(*given), len(given)),
            *(fetched, results, len(fetched), None, 0, None, self._status),
        )
        try:
            self._raise()
            return {name: self._array(tensor) for name, tensor in zip(tensors["outputs"], results, strict=True)}
        finally:
            for tensor in [*given, *filter(None, results)]:
                self._c.TF_DeleteTensor(tensor)

    def _raise(self) -> None:
        code = self._c.TF_GetCode(self._status)
        if code:
            name = _CODES[code] if code < len(_CODES) else f"code {code}"
            message = self._c.TF_Message(self._status).decode("utf-8", "replace")
            raise CLibraryError(f"{name}: {message}")

    def _places(self, names: Iterable[str]) -> Any:
        places = []
        for name in names:
            operation, _, index = name.partition(":")
            found = self._c.TF_GraphOperationByName(self._graph, operation.encode())
            if not found:
                raise CLibraryError(f"NOT_FOUND: there is no {operation!r} in the graph")
            places.append(_Output(found, int(index or 0)))
        return (_Output * len(places))(*places)

    def _tensor(self, values: np.ndarray) -> int:
        shape = (ctypes.c_int64 * values.ndim)(*values.shape)
        if values.dtype == object:
            return self._strings(values, shape)
        values = np.ascontiguousarray(values)
        tensor = self._c.TF_AllocateTensor(_TYPES[values.dtype.name], shape, values.ndim, values.nbytes)
        if values.nbytes:
            ctypes.memmove(self._c.TF_TensorData(tensor), values.ctypes.data, values.nbytes)
        return tensor

    def _strings(self, values: np.ndarray, shape: Any) -> int:
        # The strings themselves are left to the end of the process, for the graph may hold on to them.
        tensor = self._c.TF_AllocateTensor(_STRING, shape, values.ndim, _BYTES_OF_STRING * values.size)
        start = self._c.TF_TensorData(tensor)
        for number, value in enumerate(values.flat):
            place = start + number * _BYTES_OF_STRING
            self._c.TF_StringInit(place)
            self._c.TF_StringCopy(place, value, len(value))
        return tensor

    def _array(self, tensor: int) -> np.ndarray:
        shape = tuple(self._c.TF_Dim(tensor, axis) for axis in range(self._c.TF_NumDims(tensor)))
        number, start = self._c.TF_TensorType(tensor), self._c.TF_TensorData(tensor)
        size = int(np.prod(shape, dtype=np.int64))
        if number == _STRING:
            values = np.empty(size, dtype=object)
            values[:] = [self._string(start + place * _BYTES_OF_STRING) for place in range(size)]
            return values.reshape(shape)
        if number not in _DTYPES:
            raise CLibraryError(f"UNIMPLEMENTED: an output has the TF_DataType {number}, which is not read here")
        dtype = np.dtype(_DTYPES[number])
        raw = ctypes.string_at(start, size * dtype.itemsize) if size else b""
        return np.frombuffer(raw, dtype).reshape(shape)

    def _string(self, place: int) -> bytes:
        return ctypes.string_at(self._c.TF_StringGetDataPointer(place), self._c.TF_StringGetSize(place))


def _names_in(op_list: bytes) -> Iterator[str]:
    """Names of a serialised ``OpList``: field 1 of each message in field 1, written first."""
    place = 0
    while place < len(op_list):
        length, start = _varint(op_list, place + 1)
        size, first = _varint(op_list, start + 1)
        yield op_list[first : first + size].decode()
        place = start + length


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while message[place] >= 128:
        value |= (message[place] & 127) << shift
        place, shift = place + 1, shift + 7
    return value | message[place] << shift, place + 1
