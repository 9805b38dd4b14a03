"""DataSpec: what ``data_spec.yaml`` may say, checked before any work begins."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self, get_args

import yaml
from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, model_validator

from tumorkeras.errors import SpecError
from tumorkeras.spec_base import (
    Section,
)
from tumorkeras.spec_faults import describe_faults
from tumorkeras.spec_file import read_mapping
from tumorkeras.spec_sections import (
    AutoencoderSection,
    ClassifierSection,
    Clinical,
    Comparison,
    DetectorSection,
    Input,
    Rendering,
    Splits,
    Training,
)
from tumorkeras.spec_sources import (
    BOXED,
    UNCLASSED,
    DetectionSource,
    ImageFolderSource,
    ImageTable,
    NpzSource,
    PhantomsSource,
    RegionsSource,
    SimulationSource,
    Source,
    TracksSource,
)
from tumorkeras.spec_steps import (
    PreprocessingStep,
)
from tumorkeras.spec_types import (
    ONE_MACHINE,
    Activation,
    ClassMethod,
    DataPath,
    Distinct,
    Method,
    MotionKind,
    Part,
    Task,
)

__all__ = [
    "BOXED",
    "ONE_MACHINE",
    "SMALLEST_PHANTOM",
    "UNCLASSED",
    "Activation",
    "DataPath",
    "DataSpec",
    "DetectionSource",
    "ImageFolderSource",
    "ImageTable",
    "Input",
    "Method",
    "MotionKind",
    "NpzSource",
    "Part",
    "PhantomsSource",
    "RegionsSource",
    "Section",
    "SimulationSource",
    "TracksSource",
    "Training",
]

# For sections that are wrong, so that the others can be held against each other.
STAND_IN: dict[str, Any] = {"name": "x", "source": {"kind": "simulation"}, "input": {"shape": [1, 1, 1]}}
SMALLEST_PHANTOM = 32  # pixels a side: below it lesions are dots
VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)\}|(?P<plain>\w+))")


class DataSpec(Section):
    """What a data set is and what is to be made of it, as read from ``data_spec.yaml``.

    Parameters
    ----------
    name : str
        Used for the model folders and the exports: letters, digits, ``_``, ``-`` and ``.``.
    source : one of the classes of :mod:`tumorkeras.spec_sources`
        Where the samples come from; told apart by ``kind``.
    input : Input
        Shape and spacing of what the models read.
    classes : list of str, optional
        Names of the classes; their order gives the class ids from 0. By default the order of the source.
    tasks, splits, rendering, preprocessing, autoencoder, classifier, detector, training, comparison, clinical, also
        The other fields and sections, each with defaults that work; ``data_spec.yaml`` explains every field.

    Raises
    ------
    SpecError
        From :meth:`from_yaml` and :meth:`from_dict`, with every fault and its path in the file.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "motion", "source": {"kind": "simulation"},
    ...                            "input": {"shape": [101, 48, 48, 1]}})
    >>> spec.training.epochs
    20
    >>> DataSpec.from_dict(spec.to_dict()) == spec
    True
    >>> DataSpec.from_dict({**spec.to_dict(), "training": {"epochs": -3}})
    Traceback (most recent call last):
    tumorkeras.errors.SpecError: spec: training.epochs: -3 is not a positive integer
    """

    name: Annotated[
        str,
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
            json_schema_extra={"x-words": "a name of letters, digits, '_', '-' and '.'"},
        ),
    ]
    """Used for the model folders and the exports."""
    description: str = ""
    """Free text, carried into the reports."""
    tasks: Annotated[list[Task], Field(min_length=1), Distinct] = Field(["autoencode", "classify"])
    """What is to be learnt; by default all that the source has the answers for."""
    source: Source
    """Where the samples come from; told apart by kind."""
    input: Input
    """Shape and spacing of what the models read."""
    classes: Annotated[list[str], Field(min_length=1), Distinct] | None = None
    """Names of the classes, in the order of their ids from 0; null takes the order of the source."""
    splits: Splits = Splits()
    """Which samples train, which stop the training, which are kept for the last reading."""
    rendering: Rendering = Rendering()
    """How tracks become volumes."""
    preprocessing: list[PreprocessingStep] = Field([])
    """Layers at the entrance of every model, in this order."""
    autoencoder: AutoencoderSection = AutoencoderSection()
    """The autoencoder."""
    classifier: ClassifierSection = ClassifierSection()
    """The classifier."""
    detector: DetectorSection = DetectorSection()
    """The detector."""
    training: Training = Training()
    """How models are fitted."""
    comparison: Comparison = Comparison()
    """The rows of the comparison table."""
    clinical: Clinical | None = None
    """A clinical table, carried for tables of the cohort: its file and column are checked, nothing else is read."""
    also: Annotated[list[DataPath], Distinct] = Field([])
    """Specs of further jobs that tumorkeras run does after this one, each in a folder of its name."""

    _folder: Path = PrivateAttr(default_factory=Path)

    def __eq__(self, other: object) -> bool:
        """Whether the content is the same; the folder that a spec was read from is not part of it."""
        return self.model_dump() == other.model_dump() if isinstance(other, DataSpec) else NotImplemented

    @model_validator(mode="before")
    @classmethod
    def _tasks_of_the_source(cls, values: Any) -> Any:
        if not isinstance(values, dict) or "tasks" in values or not _is_without_class(values.get("source")):
            return values
        boxed = values["source"].get("kind") in UNCLASSED
        return {**values, "tasks": ["detect"] if boxed else ["autoencode"]}

    @model_validator(mode="after")
    def _sections_fit(self, info: ValidationInfo) -> Self:
        wrong = (info.context or {}).get("wrong", set())
        rules = [
            (self._shape_faults, {"source", "input"}),
            (self._class_faults, {"source", "tasks", "classes"}),
            (self._split_faults, {"source", "splits"}),
            (self._augment_faults, {"source", "input", "training"}),
            (self._comparison_faults, {"tasks", "comparison", "clinical"}),
        ]
        faults = [fault for rule, sections in rules if not sections & wrong for fault in rule()]
        if faults:
            raise ValueError("\n".join(faults))
        return self

    def _comparison_faults(self) -> Iterator[str]:
        comparison, valid = self.comparison, get_args(ClassMethod)
        strange = [name for name in comparison.methods or [] if name not in valid]
        if strange and "classify" in self.tasks:
            yield f"comparison.methods: {', '.join(strange)} is of boxes; of classes there are {', '.join(valid)}"
        if self.clinical is None and any("clinical" in name.split("+") for name in comparison.features):
            yield "comparison.features: clinical needs the section clinical, which names the table"

    def _shape_faults(self) -> Iterator[str]:
        source, shape = self.source, self.input.shape
        image, volume = "height, width, channels", "depth, height, width, channels"
        if isinstance(source, ImageFolderSource):
            return  # images or volumes, as the files are
        axes = image if isinstance(source, BOXED) else volume
        if len(shape) != len(axes.split()):
            yield f"input.shape: {shape} is not {len(axes.split())} axes, as {source.kind} gives: {axes}"
        elif isinstance(source, SimulationSource | TracksSource):
            if source.frames not in (None, shape[0]):
                yield f"input.shape[0]: {shape[0]} is not source.frames, which is {source.frames}"
            if shape[3] != 1:
                yield f"input.shape[3]: {shape[3]} is not 1, the channels of a rendered track"
        elif isinstance(source, PhantomsSource):
            if min(shape[:2]) < SMALLEST_PHANTOM:
                yield f"input.shape: {shape} is too small for lesions; height and width are {SMALLEST_PHANTOM} or more"
            if shape[2] not in (1, 3):
                yield f"input.shape[2]: {shape[2]} is not 1 (grey) or 3 (the same in red, green and blue)"

    def _class_faults(self) -> Iterator[str]:
        known: list[str] | None = None
        if isinstance(self.source, SimulationSource):
            known = list(self.source.motions)
        elif isinstance(self.source, PhantomsSource):
            known = list(self.source.lesions)
        elif isinstance(self.source, TracksSource) and self.source.pairs:
            known = list(self.source.pairs)
        classes = self.classes or known
        if known and classes and set(classes) != set(known):
            yield f"classes: {', '.join(classes)} are not the classes of the source: {', '.join(known)}"
        if "detect" in self.tasks and self.source.kind not in UNCLASSED:
            yield f"tasks: {self.source.kind} has no images with boxes to detect; source.kind detection has"
        if "classify" not in self.tasks:
            return
        if classes and len(classes) < 2:
            yield f"tasks: classify needs at least 2 classes, found {classes[0]} alone"
        if self.source.kind in UNCLASSED:
            yield f"tasks: {self.source.kind} has no class an image to classify; source.kind regions has one a box"

    def _split_faults(self) -> Iterator[str]:
        kind, splits = self.source.kind, self.splits
        if kind not in ("simulation", "tracks", "phantoms"):
            return
        if splits.given is not None:
            yield f"splits.given: {kind} has no parts of its own"
        if splits.group is not None:
            hint = "; groups of tracks go into source.groups" if kind != "phantoms" else ""
            yield f"splits.group: {kind} has no table with columns{hint}"
        if splits.duplicates == "together" and kind != "phantoms":
            yield f"splits.duplicates: {kind} has no images that could be alike; leave it apart"

    def _augment_faults(self) -> Iterator[str]:
        tracks = isinstance(self.source, SimulationSource | TracksSource)
        volumes = len(self.input.shape) == 4
        unfit = {"crop", "intensity", "speckle"} if tracks else {"crop"} if volumes else set()
        for name in self.training.augment:
            if name in unfit:
                yield f"training.augment: {name} is for images{'' if name == 'crop' else ' and volumes'}"

    @property
    def folder(self) -> Path:
        """The folder that relative paths of this spec start from."""
        return self._folder

    @classmethod
    def from_dict(cls, values: dict[str, Any], folder: str | Path = ".", name: str = "spec") -> Self:
        """Make a spec of plain values; relative paths start at ``folder``, faults are headed by ``name``."""
        try:
            spec = cls.model_validate(values)
        except ValidationError as error:
            raise SpecError(name, [*describe_faults(error, cls), *cls._between_right_sections(values, error)]) from None
        spec._folder = Path(folder)
        return spec

    @classmethod
    def _between_right_sections(cls, values: dict[str, Any], error: ValidationError) -> list[str]:
        """What pydantic leaves unchecked once a field is wrong: whether the other sections fit each other."""
        wrong = {str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}
        if not wrong:
            return []
        right = {field: value for field, value in values.items() if str(field) not in wrong}
        try:
            cls.model_validate({**STAND_IN, **right}, context={"wrong": wrong})
        except ValidationError as between:
            return describe_faults(between, cls)
        return []

    @classmethod
    def from_yaml(cls, path: str | Path) -> Self:
        """Read a spec from a YAML (or JSON) file; relative paths start at the file's folder."""
        return cls.from_dict(read_mapping(path), folder=Path(path).parent, name=str(path))

    def changed(self, **fields: Any) -> Self:
        """The spec with other values in some fields; a mapping changes only those fields of a section that it names.

        Raises
        ------
        SpecError
            With every fault of the new values.

        Examples
        --------
        >>> spec = DataSpec.from_dict({"name": "motion", "source": {"kind": "simulation"},
        ...                            "input": {"shape": [101, 48, 48, 1]}, "training": {"epochs": 5}})
        >>> longer = spec.changed(name="longer", training={"epochs": 40})
        >>> longer.name, longer.training.epochs, longer.source == spec.source
        ('longer', 40, True)
        """
        return self.from_dict(_merged(self.to_dict(), fields), self.folder, name=self.name)

    def to_dict(self) -> dict[str, Any]:
        """Plain Python values, as JSON has them."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """JSON text that :meth:`from_yaml` reads back."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    def to_yaml(self) -> str:
        """YAML text that :meth:`from_yaml` reads back."""
        return _dump(self.to_dict())

    def save(self, path: str | Path) -> Path:
        """Write the spec as YAML; relative paths are rewritten so that they stay right from there."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_dump(self._moved(self.model_dump(), path.parent)), encoding="utf-8")
        return path

    def _moved(self, value: Any, folder: Path) -> Any:
        if isinstance(value, dict):
            return {key: self._moved(item, folder) for key, item in value.items()}
        if isinstance(value, list):
            return [self._moved(item, folder) for item in value]
        if not isinstance(value, DataPath):
            return value
        if value.startswith(("$", "~")) or Path(value).is_absolute():
            return str(value)
        # realpath: `..` through a linked folder would lead elsewhere than it reads
        moved = os.path.relpath(os.path.join(os.path.realpath(self.folder), value), os.path.realpath(folder))
        return Path(moved).as_posix()

    def paths(self) -> dict[str, str]:
        """Every path that the spec names, by its field: ``{"source.path": "images"}``."""
        return dict(_paths(self.model_dump()))

    def resolve(self, given: str) -> Path:
        """Fill in ``${VARIABLES}`` and start at the spec's folder: the file that a path of this spec means.

        Raises
        ------
        SpecError
            If an environment variable in the path is not set; all such paths of the spec are named at once.
        """
        if _unset(given):
            needy = {field: path for field, path in self.paths().items() if _unset(path)} or {"path": given}
            faults = [
                f"{field}: {path} needs the environment variable {', '.join(_unset(path))}, which is not set"
                for field, path in needy.items()
            ]
            raise SpecError(f"spec {self.name}", faults)
        filled = VARIABLE.sub(lambda match: os.environ[match["braced"] or match["plain"]], given)
        return self.folder / os.path.expanduser(filled)

    def __repr__(self) -> str:
        """In a line: with every default it would be a page."""
        shape = " x ".join(map(str, self.input.shape))
        return f"<DataSpec {self.name}: {self.source.kind}, input {shape}, to {' and '.join(self.tasks)}>"

    __str__ = __repr__

    def _repr_html_(self) -> str:
        from tumorkeras.spec_card import card_of

        return card_of(self)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        """JSON Schema of ``data_spec.yaml``, for editors that complete and check while typing."""
        schema = cls.model_json_schema()
        schema["description"] = schema["description"].partition("\n")[0]
        return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _is_without_class(source: Any) -> bool:
    """Whether the samples of a source, read from a file and not checked yet, have no class."""
    if not isinstance(source, dict):
        return False
    table = source.get("table")
    in_table = isinstance(table, dict) and table.get("class_column") is not None
    return source.get("kind") in UNCLASSED or (source.get("levels") == "none" and not in_table)


def _merged(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The values with some changed, mappings field by field."""
    found = dict(values)
    for name, change in changes.items():
        both = isinstance(found.get(name), dict) and isinstance(change, Mapping)
        found[name] = _merged(found[name], change) if both else change
    return found


def _dump(values: dict[str, Any]) -> str:
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True)


def _paths(value: Any, field: str = "") -> Iterator[tuple[str, DataPath]]:
    if isinstance(value, DataPath):
        yield field, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _paths(item, f"{field}.{key}" if field else key)
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from _paths(item, f"{field}[{place}]")


def _unset(path: str) -> list[str]:
    names = [match["braced"] or match["plain"] for match in VARIABLE.finditer(path)]
    return [name for name in names if name not in os.environ]
