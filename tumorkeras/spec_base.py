"""What every section of ``data_spec.yaml`` has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the spec: unknown fields are refused, values are fixed once read.

    Examples
    --------
    >>> class Zoom(Section):
    ...     factor: float = 1.0
    >>> Zoom(factor=2).factor
    2.0
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )
