"""Models that lie on other storage: brought here for the time of a job."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tumorkeras.errors import MissingExtraError, ModelError

_MARK = "://"


@contextmanager
def brought_here(model: Any) -> Iterator[Any]:
    """Give the folder of an export that a URL names, and any other model as it is.

    Parameters
    ----------
    model : str, or any other model
        ``s3://bucket/exports/lesions/3``, or what else fsspec and its packages open.

    Raises
    ------
    ModelError
        If there is no such folder, or it cannot be read.
    MissingExtraError
        If fsspec is not installed, or not the package for this kind of storage.

    Examples
    --------
    >>> with brought_here("exports/lesions") as model:
    ...     model
    'exports/lesions'
    """
    if not isinstance(model, str) or _MARK not in model:
        yield model
        return
    if find_spec("fsspec") is None:
        raise MissingExtraError("fsspec", "remote")
    with tempfile.TemporaryDirectory(prefix="tumorkeras-model-") as folder:
        place = Path(folder, *model.rstrip("/").split("/")[-2:])  # so that name and version stay
        _fetch(model, place)
        yield place


def _fetch(url: str, place: Path) -> None:
    import fsspec

    try:
        storage, path = fsspec.url_to_fs(url)
        if not storage.isdir(path):
            raise ModelError(f"{url}: there is no such folder; expected an export (NAME/VERSION or NAME)")
        storage.get(path.rstrip("/") + "/", f"{place}/", recursive=True)
    except ImportError as error:  # s3fs, gcsfs ...
        raise MissingExtraError(str(error.name or error), "remote") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{url}: cannot be read: {error}") from None
