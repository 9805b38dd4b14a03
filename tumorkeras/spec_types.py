"""The kinds of values that fields of a spec hold: choices, numbers within limits, paths."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticKnownError, core_schema

MotionKind = Literal["random_walk", "levy_flight", "fractional_brownian"]
LesionKind = Literal["benign", "malignant"]
Part = Literal["train", "val", "test"]
Task = Literal["autoencode", "classify", "detect"]
Augmentation = Literal["flip", "rotate", "shift", "crop", "intensity", "speckle"]
AnnotationForm = Literal[
    "auto",
    "voc",
    "voc_inclusive",
    "coco",
    "csv",
    "csv_relative",
    "yolo",
    "masks",
    "instance_masks",
    "folders",
    "lists",
]
Activation = Literal["relu", "elu", "tanh", "sigmoid", "linear", "gelu", "silu", "leaky_relu", "maxout"]
ClassMethod = Literal[
    "majority",
    "trivial",
    "svm_linear",
    "svm_poly",
    "svm_rbf",
    "ann",
    "random_forest",
    "cnn",
    "autoencoder_cnn",
    "cnn_ensemble",
]
BoxMethod = Literal[
    "prior",
    "rcnn",
    "rcnn_autoencoder",
    "fast_rcnn",
    "detector",
    "detector_autoencoder",
]
Method = Literal[ClassMethod, BoxMethod]
Backbone = Literal["csp_darknet", "autoencoder"]

ONE_MACHINE = (
    "on Keras 3 fit fails under MultiWorkerMirroredStrategy (keras-team/keras#20585); "
    "mirrored trains on all GPUs of one machine"
)

Item = TypeVar("Item", bound=Hashable)


def _refuse_bool(value: Any) -> Any:
    if isinstance(value, bool):  # Python counts True as 1; in a spec it is a slip
        raise PydanticKnownError("int_type")
    return value


def _refuse_repeats(items: list[Item]) -> list[Item]:
    repeated = dict.fromkeys(item for item in items if items.count(item) > 1)
    if repeated:
        raise ValueError(f"{', '.join(map(str, repeated))} stands more than once")
    return items


def _refuse_even(size: int) -> int:
    if size % 2 == 0:
        raise ValueError(f"{size} is not odd, so the window would have no middle")
    return size


def _refuse_workers(value: Any) -> Any:
    if value == "multi_worker_mirrored":
        raise ValueError(f"multi_worker_mirrored is not there: {ONE_MACHINE}")
    return value


def _offered(names: Any) -> Any:
    """Text for which editors offer these names. Others may be registered too, so what uses the name knows them all."""
    return Field(min_length=1, json_schema_extra={"anyOf": [{"enum": list(get_args(names))}, {"type": "string"}]})


# The constraint comes before the validator: the other way round pydantic drops it from the JSON Schema.
NumbersOnly = BeforeValidator(_refuse_bool)
Distinct = AfterValidator(_refuse_repeats)
Odd = AfterValidator(_refuse_even)
MethodName = Annotated[str, _offered(Method)]
BackboneName = Annotated[str, _offered(Backbone)]
PositiveInt = Annotated[int, Field(gt=0), NumbersOnly]
AtLeastTwo = Annotated[int, Field(ge=2), NumbersOnly]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1), NumbersOnly]
Strategy = Annotated[Literal["none", "mirrored"], BeforeValidator(_refuse_workers)]
Number = Annotated[float, NumbersOnly]
PositiveFloat = Annotated[float, Field(gt=0), NumbersOnly]
NonNegativeFloat = Annotated[float, Field(ge=0), NumbersOnly]
PositiveFraction = Annotated[float, Field(gt=0, le=1), NumbersOnly]
Fraction = Annotated[float, Field(ge=0, le=1), NumbersOnly]
OpenFraction = Annotated[float, Field(gt=0, lt=1), NumbersOnly]


class DataPath(str):
    """A file named in a spec, told apart from other strings so that saving can keep it right.

    Examples
    --------
    >>> DataPath("images") == "images", isinstance(DataPath("images"), str)
    (True, True)
    """

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Text of at least one character."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(min_length=1))

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Text, called a path where a fault is described."""
        return {**handler(schema), "x-words": "a path"}
