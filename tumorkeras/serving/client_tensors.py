"""The tensors of a served signature: what it reads, what it gives, and whether arrays fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

_STRING = "string"
_NUMPY_NAMES = {"float": "float32", "double": "float64", "half": "float16"}  # else the protocol's name is NumPy's
_INITIALISER = "__saved_model_init_op"
_SIDES = ("inputs", "outputs")


class TensorInfo(NamedTuple):
    """One input or output.

    Attributes
    ----------
    dtype : str
        NumPy's name of it, or ``"string"``: arrays of bytes, dtype object.
    shape : tuple or None
        None is an open dimension; instead of a tuple, an open number of dimensions.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    def __str__(self) -> str:
        return f"{self.dtype} {self.shape if self.shape is not None else '(...)'}"

    @staticmethod
    def of(array: np.ndarray) -> TensorInfo:
        """Describe an array."""
        return TensorInfo(_STRING if array.dtype.kind == "O" else array.dtype.name, array.shape)

    @property
    def numpy_dtype(self) -> np.dtype:
        """The dtype of its arrays; TypeError where NumPy has none."""
        return np.dtype(object if self.dtype == _STRING else self.dtype)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of that shape is one of these."""
        if self.shape is None:
            return True
        return len(self.shape) == len(shape) and all(
            wanted in (None, size) for wanted, size in zip(self.shape, shape, strict=True)
        )

    def without_rows(self) -> np.ndarray:
        """The array of no rows at all."""
        return np.empty((0, *(size or 0 for size in (self.shape or ())[1:])), self.numpy_dtype)


class Signature(NamedTuple):
    """Name -> tensor, of what goes in and of what comes out."""

    inputs: dict[str, TensorInfo]
    outputs: dict[str, TensorInfo]


def read_signatures(signature_def: Mapping[str, Any]) -> dict[str, Signature]:
    """The signatures in the metadata of a model, as JSON has them.

    Examples
    --------
    >>> tensor = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}, {"size": "3"}]}}
    >>> read_signatures({"features": {"inputs": {"inputs": tensor}}})["features"].inputs["inputs"]
    TensorInfo(dtype='float32', shape=(None, 3))
    """
    return {
        name: Signature(*({key: _tensor(info) for key, info in sorted(value.get(side, {}).items())} for side in _SIDES))
        for name, value in sorted(signature_def.items())
        if name != _INITIALISER
    }


def _tensor(info: Mapping[str, Any]) -> TensorInfo:
    name = info["dtype"].removeprefix("DT_").lower()
    shape = info.get("tensor_shape", {})
    sizes = [int(dimension.get("size", 0)) for dimension in shape.get("dim", [])]
    open_rank = shape.get("unknown_rank", False)
    dtype = _NUMPY_NAMES.get(name, name)
    return TensorInfo(dtype, None if open_rank else tuple(None if size < 0 else size for size in sizes))


def fitted_inputs(signature: Signature, given: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], list[str]]:
    """The arrays in the dtypes that the signature reads, and what is wrong with them.

    Shapes beyond the number of rows are for the server to judge.
    """
    read = ", ".join(signature.inputs)
    faults = [f"{name}: is not read; the signature reads {read}" for name in given if name not in signature.inputs]
    faults += [f"{name}: is missing; the signature reads {read}" for name in signature.inputs if name not in given]
    arrays = {}
    for name in [name for name in signature.inputs if name in given]:
        try:
            arrays[name] = _fitted(given[name], signature.inputs[name])
        except (TypeError, ValueError, OverflowError) as error:
            faults.append(f"{name}: {error}")
    rows = {name: len(array) for name, array in arrays.items()}
    if len(set(rows.values())) > 1:
        faults.append(f"rows: {rows} found, expected as many of each")
    return arrays, faults


def _fitted(values: Any, info: TensorInfo) -> np.ndarray:
    if info.dtype == _STRING:
        # Never through NumPy's own dtype of bytes: it drops zeros at the end.
        array = np.asarray(values, dtype=object)
        fitted = np.asarray(np.frompyfunc(_as_bytes, 1, 1)(array), dtype=object)
    else:
        fitted = _as_numbers(np.asarray(values), info.numpy_dtype)
    if fitted.ndim == 0:
        raise ValueError("a single value found, expected an array with a row a sample")
    return fitted


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    if not isinstance(value, bytes):
        raise TypeError(f"{type(value).__name__} found, expected bytes or str")
    return value


def _as_numbers(array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Change the dtype where no number is changed by more than the rounding of floats."""
    kinds = {"f": "fiub", "i": "iub", "u": "iub", "b": "b"}
    if array.dtype.kind not in kinds.get(dtype.kind, ""):
        raise TypeError(f"{array.dtype} found, expected {dtype}")
    with np.errstate(over="ignore"):
        fitted = np.ascontiguousarray(array, dtype=dtype)
    same = np.isfinite(fitted) == np.isfinite(array) if dtype.kind == "f" else fitted == array
    if not same.all():
        raise ValueError(f"holds {array.dtype} values that {dtype} cannot hold")
    return fitted.reshape(array.shape)


def output_faults(signature: Signature, outputs: Mapping[str, np.ndarray], rows: int) -> list[str]:
    """What does not fit between a signature and what was given for some rows."""
    found = ", ".join(outputs) or "none"
    faults = [f"{name}: is missing; the answer has {found}" for name in signature.outputs if name not in outputs]
    for name, info in signature.outputs.items():
        array = outputs.get(name)
        if array is not None and not info.fits(array.shape):
            faults.append(f"{name}: {TensorInfo.of(array)} came, expected {info}")
        elif array is not None and array.shape[:1] != (rows,):
            faults.append(f"{name}: {len(array) if array.ndim else 'no'} rows came for {rows} that were sent")
    return faults
