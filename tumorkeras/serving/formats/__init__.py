"""Further formats of an export, for runtimes other than TensorFlow: ONNX, LiteRT and OpenVINO.

They lie in ``NAME/VERSION/formats`` and have the signature ``serving_default``, without outputs of strings.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tumorkeras.data.agreement import fits
from tumorkeras.errors import MissingExtraError, ModelError, first_line, shortened
from tumorkeras.serving.formats import litert, onnx, openvino
from tumorkeras.serving.formats.base import (
    DEFAULT,
    Arrays,
    CannotConvertError,
    Format,
    Frozen,
    Runner,
    frozen,
)
from tumorkeras.serving.formats.checks import held
from tumorkeras.serving.quiet import quiet
from tumorkeras.serving.warm_up import Request

__all__ = ["FOLDER", "FORMATS", "check_formats", "load_format", "write_formats"]

FOLDER = "formats"
FORMATS: dict[str, Format] = {"onnx": onnx.FORMAT, "litert": litert.FORMAT, "openvino": openvino.FORMAT}


def check_formats(formats: Sequence[str]) -> None:
    """See, before any work, that there are such formats and the packages that write them.

    Raises
    ------
    ModelError
        If there is no such format.
    MissingExtraError
        If the packages of the extra ``formats`` are not installed.

    Examples
    --------
    >>> check_formats(["onnx"])
    >>> check_formats(["coreml"])
    Traceback (most recent call last):
    tumorkeras.errors.ModelError: export: formats: there is no 'coreml'; there are 'onnx', 'litert', 'openvino'
    """
    for kind in _chosen(Path("export"), formats).values():
        _check_installed({**kind.packages, **kind.converters})


def write_formats(export: Path, formats: Sequence[str], requests: Sequence[Request]) -> dict[str, dict[str, float]]:
    """Write ``serving_default`` of an export in further formats, each run and held against the export's own answers.

    All are written, or none.

    Parameters
    ----------
    export : Path
        ``NAME/VERSION``, with the SavedModel.
    formats : sequence of {"onnx", "litert", "openvino"}
        ``formats/model.onnx``, ``formats/model.tflite``, ``formats/model.xml`` with ``formats/model.bin``.
    requests : sequence of Request
        With their answers; those of ``serving_default`` are run, in batches of 1, of 3 and of their own size.

    Returns
    -------
    dict of str to dict of str to float
        Format -> output -> largest difference.

    Raises
    ------
    ModelError
        If there is no such format, no SavedModel or no request to run, or a format does not have what the model needs
        or answers differently (see :func:`tumorkeras.serving.compare.compare`): every format's reason.
    MissingExtraError
        If the packages of the extra ``formats`` are not installed.

    Examples
    --------
    >>> write_formats(Path("exports/cells/1"), ["onix"], [])
    Traceback (most recent call last):
    ...
    tumorkeras.errors.ModelError: exports/cells/1: formats: there is no 'onix'; there are 'onnx', 'litert', 'openvino'
    """
    export, wanted = Path(export), _chosen(export, formats)
    if not wanted:
        return {}
    asked = [each for each in requests if each.signature == DEFAULT and each.outputs]
    if not asked:
        raise ModelError(f"{export}: no request of {DEFAULT!r} with its answer, against which a format could be held")
    check_formats(formats)
    with quiet():
        model = frozen(export)
    differences, faults = {}, []
    with _draft(export) as draft:
        for name, kind in wanted.items():
            differences[name], found = _written(kind, model, draft, asked)
            faults += [f"{name}: {fault}; {_way_out(name)}" for fault in found]
        if faults:
            raise ModelError(f"{export}: cannot be had in every format; none was written", faults)
        (export / FOLDER).mkdir(exist_ok=True)
        for file in [file for kind in wanted.values() for file in kind.files]:
            (draft / file).replace(export / FOLDER / file)
    return differences


def load_format(
    export: Path, runtime: str, threads: int | None = None
) -> Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]:
    """Load what :func:`write_formats` wrote; TensorFlow does not compute anything then.

    Parameters
    ----------
    export : Path
        ``NAME/VERSION``.
    runtime : {"onnx", "litert", "openvino"}
    threads : int, optional
        That one call may use; by default what the runtime thinks best.

    Returns
    -------
    callable
        From the inputs of ``serving_default``, name -> array (batch, ...) float32, to its outputs, name -> array
        (batch, ...). It may be called from several threads. It raises ModelError on inputs that do not fit.

    Raises
    ------
    ModelError
        If there is no such runtime, ``threads`` is not positive, or the format was not written or cannot be read.
    MissingExtraError
        If the packages of the extra ``formats`` are not installed.

    Examples
    --------
    >>> load_format(Path("exports/lesions/1"), "onnx")
    Traceback (most recent call last):
    tumorkeras.errors.ModelError: exports/lesions/1/formats/model.onnx: is not there; export with format='onnx'
    """
    kind = _chosen(Path(export), [runtime])[runtime]
    file = Path(export) / FOLDER / kind.files[0]
    if threads is not None and threads < 1:
        raise ModelError(f"{file}", [f"threads: {threads} found, expected a positive integer"])
    if not file.is_file():
        raise ModelError(f"{file}: is not there; export with format={runtime!r}")
    _check_installed(kind.packages)
    return _checked(str(file), _loaded(kind, file, threads))


def _chosen(export: Path, formats: Sequence[str]) -> dict[str, Format]:
    there = ", ".join(map(repr, FORMATS))
    faults = [f"formats: there is no {name!r}; there are {there}" for name in formats if name not in FORMATS]
    if faults:
        raise ModelError(str(export), faults)
    return {name: FORMATS[name] for name in formats}


def _check_installed(packages: Mapping[str, str]) -> None:
    for module, package in packages.items():
        if find_spec(module) is None:
            raise MissingExtraError(package, "formats")


@contextmanager
def _draft(export: Path) -> Iterator[Path]:
    """A folder beside the formats, so that files are moved and not copied; in the end it is gone."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=".formats-", dir=export))
    except OSError as error:
        raise ModelError(f"{export}: cannot be written ({error.strerror}); give another") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _written(
    kind: Format, model: Frozen, draft: Path, requests: Sequence[Request]
) -> tuple[dict[str, float], list[str]]:
    try:
        with quiet():
            kind.write(model, draft)
    except CannotConvertError as error:
        return {}, [str(error)]
    file = draft / kind.files[0]
    differences, faults = held(_checked(file.name, _loaded(kind, file, threads=1)), requests)
    return differences, [", ".join(shortened(faults, most=1))] if faults else []


def _way_out(name: str) -> str:
    return f"leave {name!r} out and use the SavedModel" + ("" if name == "onnx" else " or 'onnx'")


def _loaded(kind: Format, file: Path, threads: int | None) -> Runner:
    try:
        with quiet():
            return kind.load(file, threads)
    except Exception as error:  # of as many classes as there are runtimes
        raise ModelError(f"{file}: cannot be read ({first_line(error)})") from None


def _checked(name: str, runner: Runner) -> Callable[[Mapping[str, np.ndarray]], Arrays]:
    def run(inputs: Mapping[str, np.ndarray]) -> Arrays:
        given = {each: np.ascontiguousarray(values, np.float32) for each, values in inputs.items()}
        faults = list(_input_faults(runner, given))
        if faults:
            raise ModelError(name, faults)
        try:
            return runner.run(given)
        except Exception as error:  # of as many classes as there are runtimes
            shapes = ", ".join(f"{each} {values.shape}" for each, values in given.items())
            raise ModelError(f"{name}: cannot be run on {shapes} ({first_line(error)})") from None

    return run


def _input_faults(runner: Runner, given: Mapping[str, np.ndarray]) -> Iterator[str]:
    """Not every runtime sees to it: OpenVINO takes any shape where one size is open."""
    yield from (f"{name}: is missing" for name in runner.inputs if name not in given)
    for name, values in given.items():
        shape = runner.inputs.get(name)
        if shape is None:
            yield f"{name}: is no input; there are {', '.join(runner.inputs)}"
        elif not fits(values.shape, shape):
            yield f"{name}: shape {values.shape} found, expected {shape}, None being any"
