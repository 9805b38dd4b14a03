"""Volumes from ``.npz`` files with the keys ``{part}_images`` and ``{part}_labels``."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from tumorkeras.data.tables import read_table
from tumorkeras.errors import DataError

LARGEST = 4 * 2**30  # bytes, declared before anything is unpacked


def read_npz_volumes(
    path: str | Path, shape: tuple[int, ...], table: str | Path | None = None
) -> tuple[pd.DataFrame, np.ndarray]:
    """Volumes of every part in a file, with a table of their ids, parts and labels.

    Parameters
    ----------
    path : path
        A ``.npz`` file; pickled objects in it are refused, never loaded.
    shape : tuple of int
        (depth, height, width, channels) that each volume must have; a missing channel axis is added when
        ``channels`` is 1.
    table : path, optional
        A CSV with a row a volume. With a ``split`` column its rows are matched part by part, in order.

    Returns
    -------
    samples : pandas.DataFrame
        ``id``, ``given_split``, ``label`` and the columns of ``table``.
    volumes : numpy.ndarray
        (n, depth, height, width, channels) in the file's dtype.

    Raises
    ------
    DataError
        If the file is missing, is no npz, holds pickled objects, lacks labels, or a shape does not fit.

    Examples
    --------
    >>> import tempfile; path = Path(tempfile.mkdtemp()) / "volumes.npz"
    >>> np.savez(path, test_images=np.zeros((2, 8, 8, 8), "uint8"), test_labels=np.array([0, 1]))
    >>> samples, volumes = read_npz_volumes(path, (8, 8, 8, 1))
    >>> samples.values.tolist(), volumes.shape
    ([['test/0', 'test', 0], ['test/1', 'test', 1]], (2, 8, 8, 8, 1))
    """
    path = Path(path)
    arrays = _load(path)
    parts = [key.removesuffix("_images") for key in arrays if key.endswith("_images")]
    if not parts:
        raise DataError(str(path), [f"has no key that ends in _images; it has {list(arrays)}"])
    faults = [fault for part in parts for fault in _part_faults(part, arrays, shape)]
    if not faults and not sum(len(arrays[f"{part}_images"]) for part in parts):
        faults = [f"holds no volume in {', '.join(parts)}"]
    if faults:
        raise DataError(str(path), faults)
    volumes = np.concatenate([arrays[f"{part}_images"].reshape(-1, *shape) for part in parts])
    samples = pd.concat([_part_table(part, arrays) for part in parts], ignore_index=True)
    if table is not None:
        samples = _joined(samples, Path(table), parts)
    return samples, volumes


def _load(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise DataError(str(path), ["there is no such file"])
    if not zipfile.is_zipfile(path):
        raise DataError(str(path), ["is no .npz file; write it with numpy.savez or numpy.savez_compressed"])
    _check_size(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            found = {key: archive[key] for key in archive.files}
    except (ValueError, zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError) as error:
        reason = "holds pickled Python objects, which are refused: loading them could run code; save plain arrays"
        fault = reason if "allow_pickle" in str(error) else f"cannot be read: {error}"
        raise DataError(str(path), [fault]) from None
    # What is no .npy in the archive comes as bytes.
    return {key: array for key, array in found.items() if isinstance(array, np.ndarray) and array.ndim}


def _check_size(path: Path) -> None:
    """Refuse an archive that declares more than can be meant; a lie is caught when it is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # said where it is read
    if unpacked > LARGEST:
        fault = f"holds {unpacked / 2**30:.1f} GB unpacked, more than the {LARGEST // 2**30} GB read at once"
        raise DataError(str(path), [f"{fault}; give each volume as a file, with source.kind image_folder"])


def _part_faults(part: str, arrays: dict[str, np.ndarray], shape: tuple[int, ...]) -> list[str]:
    images, labels = arrays[f"{part}_images"], arrays.get(f"{part}_labels")
    accepted = [shape] + ([shape[:-1]] if shape[-1] == 1 else [])
    faults = []
    if images.shape[1:] not in accepted:
        faults.append(f"{part}_images has volumes of shape {images.shape[1:]}, input.shape is {shape}")
    if images.dtype.kind not in "uif":
        faults.append(f"{part}_images has dtype {images.dtype}, expected numbers")
    elif not np.isfinite(images).all():
        bad = np.flatnonzero(~np.isfinite(images.reshape(len(images), -1)).all(axis=1))
        found = "1 volume holds" if len(bad) == 1 else f"{len(bad)} volumes hold"
        faults.append(f"{part}_images: {found} NaN or infinity, the first is number {bad[0]}")
    if labels is None:
        return [*faults, f"there is no key {part}_labels"]
    if labels.dtype.kind not in "ui" or labels.size != len(images) or (labels.size and labels.min() < 0):
        faults.append(f"{part}_labels has {labels.size} {labels.dtype} values, expected {len(images)} class ids from 0")
    return faults


def _part_table(part: str, arrays: dict[str, np.ndarray]) -> pd.DataFrame:
    labels = arrays[f"{part}_labels"].reshape(-1).astype("int64")
    ids = [f"{part}/{k}" for k in range(len(labels))]
    return pd.DataFrame({"id": ids, "given_split": part, "label": labels})


def _joined(samples: pd.DataFrame, path: Path, parts: list[str]) -> pd.DataFrame:
    extra = read_table(path)
    if "split" in extra:
        extra = pd.concat([extra[extra["split"] == part] for part in parts], ignore_index=True)
    if len(extra) != len(samples):
        raise DataError(str(path), [f"has {len(extra)} rows for the {len(samples)} volumes; expected one a volume"])
    if "label" in extra and (extra["label"].to_numpy() != samples["label"].to_numpy()).any():
        raise DataError(str(path), ["its labels differ from those of the volumes: the rows are in another order"])
    new = [name for name in extra.columns if name not in samples.columns and name != "split"]
    return samples.join(extra[new])
