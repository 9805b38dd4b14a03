"""A job whose spec and data were read and found good: nothing was written yet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.errors import SpecError
from tumorkeras.jobs.clock import Clock
from tumorkeras.jobs.goals import Kind, check_samples, main_kind, read_part
from tumorkeras.spec import DataSpec, Part
from tumorkeras.training.recipes import RECIPES

# In the folder of a job: no job beside it may be called so.
TAKEN = {
    *("models", "exports", "comparison_folds", "run.json", "report.html", "audit.json", "metrics.json"),
    *("comparison.csv", "predictions.parquet"),
}


@dataclass(frozen=True)
class Job:
    """What a job works on.

    Parameters
    ----------
    spec : DataSpec
    folder : Path
        Where its results go.
    kind : {"autoencoder", "classifier", "detector"}
        Of its main model.
    samples : Samples or DetectionSamples
        What the main model learns from and is read on.
    clock : Clock
        Times of its stages.
    also : dict of str to Job
        The jobs that the spec names beside its own, by their names.
    """

    spec: DataSpec
    folder: Path
    kind: Kind
    samples: Any
    clock: Clock
    also: dict[str, Job]

    @property
    def pretrained(self) -> bool:
        """Whether the main model starts from the autoencoder."""
        return RECIPES[self.kind].starts_from_autoencoder(self.spec)

    @property
    def kinds(self) -> list[Kind]:
        """The models in the order of their training."""
        first = self.pretrained or "autoencode" in self.spec.tasks
        return list(dict.fromkeys([*(["autoencoder"] if first else []), self.kind]))  # type: ignore[list-item]

    @cached_property
    def images(self) -> Samples:
        """What the autoencoder learns from: of a detector's data, the images without their boxes."""
        return self.samples if isinstance(self.samples, Samples) else load_samples(self.spec)

    @property
    def part(self) -> Part:
        """The part that results are read on."""
        return read_part(self.samples)

    def all(self) -> Iterator[Job]:
        """The job and those beside it, in the order of their work."""
        yield self
        for job in self.also.values():
            yield from job.all()


def prepare(spec: DataSpec, folder: Path) -> Job:
    """Read the data of a spec and of the specs that it names, and see that each job can be done.

    Raises
    ------
    SpecError
        If a spec is at fault, names itself, or two jobs have one name.
    DataError
        If data cannot be read, or are not enough.
    """
    return _prepared(spec, folder, _read_also(spec, ()))


def _prepared(spec: DataSpec, folder: Path, also: list[tuple[DataSpec, list[Any]]]) -> Job:
    clock, kind = Clock(), main_kind(spec)
    samples = clock("data", lambda: RECIPES[kind].load(spec))
    check_samples(samples, kind)
    jobs = {other.name: _prepared(other, folder / other.name, more) for other, more in also}
    return Job(spec, folder, kind, samples, clock, jobs)


def _read_also(spec: DataSpec, above: tuple[str, ...]) -> list[tuple[DataSpec, list[Any]]]:
    """The specs beside one, each with those beside it; ``above`` are the files that led here."""
    names, faults, found = {spec.name}, [], []
    for k, given in enumerate(spec.also):
        path = os.path.realpath(spec.resolve(given))
        if path in above:
            faults.append(f"also[{k}]: {given} names, in the end, itself")
            continue
        if not os.path.isfile(path):
            faults.append(f"also[{k}]: there is no file {spec.resolve(given)}; leave the field out for this job alone")
            continue
        other = DataSpec.from_yaml(spec.resolve(given))
        if other.name in names | TAKEN:
            whose = "that of one of the results" if other.name in TAKEN else "another job's"
            faults.append(f"also[{k}]: the name of {given}, {other.name}, is {whose}; give it one of its own")
        names.add(other.name)
        found.append((other, _read_also(other, (*above, path))))
    if faults:
        raise SpecError(f"spec {spec.name}", faults)
    return found
