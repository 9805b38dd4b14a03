"""What a table of patients shows: its rows, and what splits its columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from tumorkeras.errors import SpecError
from tumorkeras.spec_base import Section
from tumorkeras.spec_faults import describe_faults
from tumorkeras.spec_file import read_mapping

READY_MADE = ("breast_cancer",)


class CohortRow(Section):
    """A column of the clinical table as it is shown: in categories, cut into ranges, or as a number.

    Examples
    --------
    >>> row = CohortRow(label="Tumour size", column="size", cut=(20, 50), scale=0.1, unit="cm")
    >>> row.cut
    (20.0, 50.0)
    """

    label: str = Field(min_length=1)
    """What the reader sees."""
    column: str = Field(min_length=1)
    """In the clinical table."""
    categories: dict[str | int | float | bool, str] | None = None
    """What its values mean, in the order of the table; null: the values as they are."""
    cut: tuple[float, ...] | None = Field(default=None, min_length=1)
    """Where a number is cut into ranges, rising, in the unit shown: [35] gives "<= 35" and "> 35"."""
    scale: float = Field(default=1.0, gt=0)
    """What a number is multiplied by first, such as 0.1 from millimetres to centimetres."""
    unit: str = ""
    """Of the numbers shown."""
    summary: Literal["median_iqr", "median_range", "mean_sd"] | None = None
    """Of a number that is not cut; null: median and quartiles of numbers, counts of everything else."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [name for name in ("categories", "cut", "summary") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given; a row has one of them at most")
        if self.cut is not None and list(self.cut) != sorted(set(self.cut)):
            raise ValueError(f"cut: {list(self.cut)} does not rise")
        return self


class CohortSpec(Section):
    """The rows of a table of patients, and what its columns are split by.

    Examples
    --------
    >>> spec = CohortSpec(rows=[{"label": "Age", "column": "age"}], group={"label": "Sex", "column": "sex"})
    >>> spec.group.label, spec.tests
    ('Sex', True)
    """

    rows: tuple[CohortRow, ...] = Field(min_length=1)
    """From top to bottom."""
    group: CohortRow | None = None
    """What splits the patients into columns; null: one column of all."""
    tests: bool = True
    """Show the p-value of each row between the groups."""
    skip_missing: bool = False
    """Leave out rows whose column the clinical table does not have, or has without a value; else that is an error."""

    @model_validator(mode="after")
    def _labels_differ(self) -> Self:
        labels = [row.label for row in (*self.rows, *((self.group,) if self.group else ()))]
        if twice := sorted({label for label in labels if labels.count(label) > 1}):
            raise ValueError(f"label: {', '.join(twice)} stands twice")
        return self

    @classmethod
    def of(cls, given: CohortSpec | Mapping[str, Any] | str | Path) -> CohortSpec:
        """A spec, its values, the path of its YAML file, or the name of one that comes with the package.

        Raises
        ------
        SpecError
            Naming every field that is wrong.

        Examples
        --------
        >>> [row.label for row in CohortSpec.of("breast_cancer").rows][:3]
        ['Age', 'Age group', 'Menopausal status']
        """
        if isinstance(given, CohortSpec):
            return given
        name = "cohort"
        if isinstance(given, str) and given in READY_MADE:
            given = Path(str(files("tumorkeras.cohort") / f"{given}.yaml"))
        if not isinstance(given, Mapping):
            name, given = str(given), read_mapping(given)
        try:
            return cls.model_validate(dict(given))
        except ValidationError as error:
            raise SpecError(name, describe_faults(error, cls)) from None

    def shown(self, columns: Iterable[str]) -> tuple[list[CohortRow], list[CohortRow]]:
        """The rows, the group among them, whose column is there, and those whose is not."""
        known = set(columns)
        rows = [*self.rows, *([self.group] if self.group else [])]
        return [row for row in rows if row.column in known], [row for row in rows if row.column not in known]
