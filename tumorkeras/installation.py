"""What is installed here, what it runs on, and what is missing for what."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from importlib import metadata
from typing import Any, NamedTuple

import psutil
from packaging.requirements import Requirement

from tumorkeras.errors import first_line
from tumorkeras.machine import processors

PACKAGE = "tumorkeras"
#: What an extra is for; those that are not here are for people who work on the package.
EXTRAS = {
    "medical": "DICOM, NIfTI and compressed TIFF",
    "cohort": "the table of patients",
    "embedding": "UMAP in plots of features",
    "formats": "exports as ONNX, LiteRT and OpenVINO",
    "remote": "models by URL",
    "spark": "scoring on a cluster",
    "notebooks": "the notebooks, with progress bars and live curves",
}


class Installed(NamedTuple):
    """A package that is asked for.

    Attributes
    ----------
    name : str
    wanted : str
        The tested range, such as ``">=2.21,<2.22"``.
    found : str or None
        The version that is here; None where there is none.
    """

    name: str
    wanted: str
    found: str | None

    @property
    def ok(self) -> bool:
        """Whether it is here, and in the range."""
        return self.found is not None and Requirement(f"{self.name}{self.wanted}").specifier.contains(self.found, True)

    def __str__(self) -> str:
        if self.found is None:
            return f"{self.name} is not installed"
        return f"{self.name} {self.found}" + ("" if self.ok else f", tested with {self.wanted}")


@dataclass(frozen=True)
class Health:
    """What :func:`doctor` found.

    Attributes
    ----------
    system : dict of str to str
        Python, machine, processors, memory, devices.
    packages : list of Installed
        Those that the package cannot do without.
    extras : dict of str to list of Installed
        The others, by the extra that brings them.
    faults : list of str
        What keeps the package from working, and how to mend it.
    """

    system: dict[str, str]
    packages: list[Installed]
    extras: dict[str, list[Installed]]
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing keeps the package from working; extras may be missing."""
        return not self.faults

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        found = asdict(self)
        found["packages"] = {each.name: each.found for each in self.packages}
        found["extras"] = {name: {each.name: each.found for each in parts} for name, parts in self.extras.items()}
        return {"ok": self.ok, **found}

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> Iterator[str]:
        width = max(map(len, [*self.system, *self.extras]))
        yield from (f"{name:<{width}}  {value}" for name, value in self.system.items())
        yield f"{'packages':<{width}}  {', '.join(map(str, self.packages))}"
        yield ""
        yield from (f"{name:<{width}}  {_said(name, parts)}" for name, parts in self.extras.items())
        yield ""
        unknown = f"{PACKAGE} is not installed: what it needs is not known"
        yield from self.faults or ["all that is needed is here" if self.packages else unknown]


def doctor() -> Health:
    """Look at the installation: versions, devices, extras, and what is missing for what.

    Returns
    -------
    Health
        Its text is what ``tumorkeras doctor`` prints; ``ok`` says whether the package can work. The ranges are those
        of the package's own metadata.

    Examples
    --------
    >>> health = doctor()
    >>> health.ok, sorted(health.system)
    (True, ['devices', 'machine', 'memory', 'processors', 'python', 'tumorkeras'])
    """
    needed, extras = _required()
    faults = [f"{each}; pip install '{each.name}{each.wanted}'" for each in needed if not each.ok]
    devices = _tried("TensorFlow does not start", _devices, faults)
    _tried("OpenCV does not start", _opencv, faults)
    system = {
        PACKAGE: _version(PACKAGE) or "a checkout that is not installed",
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "processors": str(processors()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "devices": devices or "none",
    }
    return Health(system, needed, extras, faults)


def _required() -> tuple[list[Installed], dict[str, list[Installed]]]:
    """Packages without which nothing works, and those of each extra, by the metadata of the installation."""
    asked = [Requirement(text) for text in (metadata.requires(PACKAGE) if _version(PACKAGE) else None) or []]
    needed = [each for each in asked if _is_asked_for(each, extra="")]
    extras = {name: [each for each in asked if _is_asked_for(each, name) and each not in needed] for name in EXTRAS}
    return list(map(_installed, needed)), {name: list(map(_installed, parts)) for name, parts in extras.items()}


def _is_asked_for(asked: Requirement, extra: str) -> bool:
    return asked.marker is None or asked.marker.evaluate({"extra": extra})


def _installed(asked: Requirement) -> Installed:
    # The two builds of OpenCV share a folder; the one without windows is as good.
    found = _version(asked.name) or (_version("opencv-python-headless") if asked.name == "opencv-python" else None)
    return Installed(asked.name, str(asked.specifier), found)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _tried(heading: str, step: Callable[[], str], faults: list[str]) -> str | None:
    """What a step gives; None where it fails, which is a fault then."""
    try:
        return step()
    except Exception as error:  # whatever a broken installation raises
        faults.append(f"{heading}: {first_line(error)}")
        return None


def _devices() -> str:
    from tumorkeras.starting import start_tensorflow

    start_tensorflow()
    import tensorflow as tf

    return ", ".join(device.name.removeprefix("/physical_device:") for device in tf.config.list_physical_devices())


def _opencv() -> str:
    try:
        import cv2
    except ImportError as error:
        if "libGL" in str(error) or "libgthread" in str(error):
            raise ImportError(f"{error}; use opencv-python-headless, as the README says") from None
        raise
    return cv2.__version__


def _said(extra: str, parts: list[Installed]) -> str:
    """What an extra is for, and whether it is here."""
    missing = [str(each) for each in parts if not each.ok]
    if not parts:
        return f"{EXTRAS[extra]}: not known, for the package is not installed"
    if not missing:
        return f"{EXTRAS[extra]}: here"
    return f"{EXTRAS[extra]}: {'; '.join(missing)} (pip install '{PACKAGE}[{extra}]')"
