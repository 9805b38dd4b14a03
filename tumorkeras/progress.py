"""The progress bar of long work: in a terminal and in a notebook, silent when piped."""

from __future__ import annotations

import sys
import warnings
from typing import Any

from tqdm import TqdmWarning

with warnings.catch_warnings():
    warnings.simplefilter("ignore", TqdmWarning)  # a notebook without ipywidgets has a bar of text instead
    from tqdm.auto import tqdm


def in_notebook() -> bool:
    """Whether what is displayed is seen in a notebook, that is whether IPython runs in a kernel; imports nothing.

    Examples
    --------
    >>> in_notebook()
    False
    """
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def progress_bar(total: int | None, description: str, unit: str, *, shown: bool = True, initial: int = 0) -> Any:
    """A ``tqdm`` bar on standard error, drawn where somebody can see it.

    Parameters
    ----------
    total : int or None
        Units of work in all, where that is known.
    description, unit : str
        What is done, and in what it is counted.
    shown : bool
        False for no bar anywhere.
    initial : int
        Units that were done before.

    Examples
    --------
    >>> with progress_bar(3, "scoring", "sample") as bar:
    ...     for _ in range(3):
    ...         _ = bar.update()
    """
    # A notebook's standard error is no terminal, but the widget is seen there.
    visible = sys.stderr.isatty() or in_notebook()
    return tqdm(total=total, desc=description, unit=unit, initial=initial, disable=not (shown and visible))
