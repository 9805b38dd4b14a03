"""The sections of ``data_spec.yaml``, a class each; :class:`tumorkeras.DataSpec` puts them together.

The line under a field is its description in the JSON Schema, which editors show while one types.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tumorkeras.spec_base import Section
from tumorkeras.spec_types import (
    Activation,
    AtLeastTwo,
    Augmentation,
    BackboneName,
    DataPath,
    Distinct,
    Fraction,
    MethodName,
    NonNegativeFloat,
    NumbersOnly,
    Part,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
    Seed,
    Strategy,
)


class Input(Section):
    """The array that a model reads: (height, width, channels) or (depth, height, width, channels).

    Examples
    --------
    >>> Input(shape=[128, 160, 1], spacing=[0.1, 0.1], units="mm").spacing
    [0.1, 0.1]
    """

    shape: Annotated[list[PositiveInt], Field(min_length=3, max_length=4)]
    """Depth (z or time) for volumes, then height, width and channels."""
    spacing: Annotated[list[PositiveFloat], Field(min_length=2, max_length=3)] | None = None
    """Size of one step along each axis of shape but channels, in units; 1 by default."""
    units: str = "pixels"
    """Unit of spacing and of positions."""

    @model_validator(mode="after")
    def _spacing_fits_shape(self) -> Self:
        if self.spacing is not None and len(self.spacing) != len(self.shape) - 1:
            raise ValueError(
                f"spacing has {len(self.spacing)} values, but shape has {len(self.shape) - 1} axes beside channels"
            )
        return self


class Rendering(Section):
    """How tracks become volumes: the marker, its brightness, and what leaves the volume."""

    marker: Literal["gaussian", "disk"] = "gaussian"
    """Shape of the spot that marks the cell."""
    size: PositiveFloat = 1.0
    """Standard deviation of the Gaussian or radius of the disk, in pixels of the volume."""
    amplitude: Literal["constant", "speed"] = "constant"
    """Brightness: the same everywhere, or 1 + log2(1 + speed / reference_speed)."""
    reference_speed: PositiveFloat = 1.0
    """Speed, in input.units a frame, at which the brightness is 2."""
    center: Literal["start", "mean", "extent"] = "extent"
    """The point of a track that lies in the middle: first position, mean, or middle of the bounding box."""
    outside: Literal["clip", "drop"] = "clip"
    """A track that leaves the frame is held at its border (clip) or dropped. What fits may still leave it in
    training, where tracks are turned or shifted at random; it is then held at the border."""
    normalise_scale: bool = False
    """Divide each track by its mean step, so that speed alone does not tell the classes."""


class SplitFiles(Section):
    """Lists of sample ids, one id a line, for parts that are fixed by files."""

    train: DataPath | None = None
    """Text file with the ids that train."""
    val: DataPath | None = None
    """Text file with the ids that stop the training."""
    test: DataPath | None = None
    """Text file with the ids kept for the last reading."""


class SplitFractions(Section):
    """Shares of the samples (of the groups, where there is a group column)."""

    train: PositiveFraction = 0.7
    """Share that trains."""
    val: Fraction = 0.15
    """Share that stops the training."""
    test: Fraction = 0.15
    """Share kept for the last reading."""

    @model_validator(mode="after")
    def _sum_to_one(self) -> Self:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train + val + test is {total:g}, not 1")
        return self


class Splits(Section):
    """Which samples train, which stop the training, which are kept for the last reading."""

    fractions: SplitFractions = SplitFractions()
    """Shares of the parts that neither files nor given fixes."""
    files: SplitFiles | None = None
    """Lists of sample ids, which fix every part."""
    given: dict[str, Part] | None = None
    """What each part that the data come with becomes; null keeps the parts train, val and test where they are called
    so. Parts that all become train are mixed and split anew by fractions."""
    group: str | None = None
    """Column of the source's table; samples with the same value stay in the same part and fold. For DICOM files
    "patient" groups by PatientID."""
    duplicates: Literal["apart", "together"] = "apart"
    """Near-duplicate images are samples like any other (apart), or kept in one part and fold (together)."""
    folds: AtLeastTwo = 5
    """Folds of the cross-validation in the comparison."""
    folds_file: DataPath | None = None
    """CSV with the fold of each sample: read where it is there, else written; null: folds are made anew each time."""
    seed: Seed = 0
    """Seed of the random split."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.files is not None and self.given is not None:
            raise ValueError("give files (lists of ids) or given (what the parts of the data become), not both")
        return self


PerAxis = Annotated[list[PositiveInt], Field(min_length=2, max_length=3)]


class AutoencoderSection(Section):
    """The arguments of :func:`tumorkeras.build_autoencoder`."""

    filters: Annotated[list[PositiveInt], Field(min_length=1)] = [8, 16, 32]
    """Filters of each convolution of the encoder; the decoder mirrors them."""
    pool: PositiveInt | PerAxis = 2
    """Max-pooling after each convolution: one number, or one a spatial axis."""
    bottleneck: PositiveInt | None = 64
    """Length of the code; null leaves the code a feature map."""
    tied: bool = True
    """The decoder uses the transposed kernels of the encoder."""
    activation: Activation = "relu"
    """Activation of the hidden layers."""
    padding: Literal["same", "valid"] = "same"
    """Padding of the convolutions."""
    weight_decay: NonNegativeFloat = 0.0
    """Lambda of the L2 penalty on the kernels."""
    sparsity: NonNegativeFloat = 0.0
    """Weight of the penalty on the code's activity."""
    noise: NonNegativeFloat = 0.0
    """Standard deviation of the noise added in training (denoising)."""
    epochs: PositiveInt | None = None
    """Most epochs of the autoencoder; null takes training.epochs."""


class ClassifierSection(Section):
    """The arguments of :func:`tumorkeras.build_classifier`."""

    filters: Annotated[list[PositiveInt], Field(min_length=1)] = [8, 16, 32]
    """Filters of each convolution."""
    stride: PositiveInt = 1
    """Stride of the first convolution in height and width; 2 is faster and sees less detail."""
    pool: PositiveInt | PerAxis = 2
    """Max-pooling after each convolution: one number, or one a spatial axis ([1, 2, 2] keeps time as it is)."""
    dense: Annotated[list[PositiveInt], Field(min_length=1)] = [64, 32]
    """Units of each dense layer of the head."""
    dropout: Annotated[float, Field(ge=0, lt=1), NumbersOnly] = 0.3
    """Share of units dropped after each dense layer in training."""
    activation: Activation = "relu"
    """Activation of the hidden layers."""
    padding: Literal["same", "valid"] = "same"
    """Padding of the convolutions."""
    weight_decay: NonNegativeFloat = 0.0
    """Weight of the L2 penalty on the kernels."""
    pretraining: Literal["none", "autoencoder"] = "autoencoder"
    """Where the first weights of the convolutions come from."""
    sensitivity: PositiveFraction | None = None
    """Wanted sensitivity for the second of two classes: the threshold of the model's card is tuned on the validation
    part; null keeps 0.5."""
    frozen: bool | str = False
    """Which of these convolutions are not trained: none, all (true), or all up to the named one, such as conv_2."""
    layer_decay: PositiveFraction = 1.0
    """Learning rate of the last convolution as a share of the head's, of the one before it as a share of that, ..."""
    unfreeze_every: PositiveInt | None = None
    """Epochs after which the last convolution begins to learn, after as many more the one before it; null: at once."""

    @model_validator(mode="after")
    def _frozen_is_a_convolution(self) -> Self:
        names = [f"conv_{k + 1}" for k in range(len(self.filters))]
        if isinstance(self.frozen, str) and self.frozen not in names:
            raise ValueError(f"frozen: {self.frozen!r} is neither true nor false nor one of {', '.join(names)}")
        if self.frozen in (True, names[-1]) and self.unfreeze_every is not None:
            raise ValueError(
                "unfreeze_every: all convolutions are frozen, none would begin to learn; give one of the two"
            )
        return self


class AnchorsSection(Section):
    """The anchors of the proposal network, as the audit's plan gives them."""

    strides: Annotated[list[PositiveInt], Field(min_length=1)]
    """Pixels of the canvas a cell of each level, from fine to coarse: powers of two from 4 on."""
    sizes: Annotated[list[Annotated[list[PositiveFloat], Field(min_length=1)]], Field(min_length=1)]
    """Square roots of areas in pixels of the canvas, a list a level, all of one length."""
    ratios: Annotated[list[PositiveFloat], Field(min_length=1)]
    """Height over width."""

    @model_validator(mode="after")
    def _levels_agree(self) -> Self:
        if len(self.sizes) != len(self.strides):
            raise ValueError(f"sizes are of {len(self.sizes)} levels, strides of {len(self.strides)}")
        if len({len(own) for own in self.sizes}) > 1:
            raise ValueError("sizes has lists of different lengths; one head reads every level")
        if any(stride < 4 or stride & (stride - 1) for stride in self.strides) or self.strides != sorted(self.strides):
            raise ValueError(f"strides {self.strides} are not rising powers of two from 4 on")
        return self


class DetectorSection(Section):
    """The arguments of :func:`tumorkeras.build_detector`."""

    backbone: BackboneName = "csp_darknet"
    """What reads the image: a small CSPDarkNet with random weights, another backbone that is registered, or the encoder
    of the spec's autoencoder, trained first on the images without their boxes."""
    frozen: bool | Literal["P2", "P3", "P4", "P5"] = False
    """What of the backbone is not trained: nothing, everything (true), or all up to the end of a level."""
    fusion: Literal["top_down", "deepest"] = "top_down"
    """Join shallow and deep maps from stride 4 up, or use the deepest alone."""
    fusion_width: PositiveInt = 64
    """Channels of each level of the pyramid."""
    anchors: AnchorsSection | None = None
    """Anchors of the proposal network; null proposes some from the training boxes."""
    rpn_proposals: PositiveInt = 200
    """Regions an image that the head reads."""
    head: Literal["level", "volume"] = "level"
    """Reads a region from the level that fits its size, or from all of them, stacked as depth, by Conv3D blocks."""
    region_size: PositiveInt = 7
    """Bins of a region along each axis."""
    filters: Annotated[list[PositiveInt], Field(min_length=1)] = [16, 32]
    """Filters of each Conv3D block of the head volume."""
    dense: Annotated[list[PositiveInt], Field(min_length=1)] = [256, 128]
    """Units of each dense layer of the head."""
    dropout: Annotated[float, Field(ge=0, lt=1), NumbersOnly] = 0.3
    """Share of units dropped after each dense layer in training."""
    score_threshold: Annotated[float, Field(ge=0, lt=1), NumbersOnly] = 0.05
    """Smallest score of a detection."""
    nms_iou: PositiveFraction = 0.5
    """IoU from which on the weaker of two detections of a class is dropped."""
    max_detections: PositiveInt = 100
    """Most detections an image."""
    epochs: PositiveInt | None = None
    """Most epochs of the detector; null takes training.epochs."""


class Training(Section):
    """How models are fitted.

    Examples
    --------
    >>> Training(epochs=5).batch_size
    32
    """

    epochs: PositiveInt = 20
    """Most passes over the training part."""
    batch_size: PositiveInt = 32
    """Samples a step, on all devices together."""
    learning_rate: PositiveFloat = 1e-3
    """First learning rate of the optimizer."""
    patience: PositiveInt = 5
    """Epochs without a better validation loss after which training stops."""
    augment: Annotated[list[Augmentation], Distinct] = ["flip", "rotate"]
    """Random changes of the training samples: flip, rotate, shift; intensity and speckle of images and volumes; crop of
    images."""
    class_weights: bool = True
    """Weigh rare classes up; of a classifier."""
    weight_decay: NonNegativeFloat = 1e-4
    """Decay of the weights a step, times the learning rate; of a detector."""
    seed: Seed = 0
    """Seed of the weights, the order and the augmentation."""
    # Left out of what is written and compared where it is none: a training that is not distributed stays the same one.
    strategy: Annotated[Strategy, Field(exclude_if=lambda value: value == "none")] = "none"
    """Where the training runs: none for one device, mirrored for all GPUs of one machine, which share each batch."""


class Comparison(Section):
    """The rows of the comparison table; its folds are ``splits.folds``."""

    methods: Annotated[list[MethodName], Field(min_length=1), Distinct] | None = None
    """The methods; null takes the usual ones of the task. The baselines are always there."""
    features: Annotated[list[str], Field(min_length=1), Distinct] = ["hand-made"]
    """What the classical methods read, a row of the table each: hand-made, autoencoder (learnt in each fold), clinical,
    or several joined by +."""
    trials: PositiveInt = 10
    """Settings tried for each classical method, on inner folds of the training fold."""
    network_trials: PositiveInt = 1
    """Settings tried for each network, by the loss on the part that stops it; the first are those of this spec."""
    metric: Literal["accuracy", "auc"] = "accuracy"
    """The figure by which settings of classical methods are chosen, and methods ranked and tested."""


class Clinical(Section):
    """A clinical table, one row per patient, told apart by ``id_column``.

    Loading the samples checks that the file has the column. Its columns enter a comparison where
    ``comparison.features`` asks for them.
    """

    path: DataPath
    """The CSV file, with a header; checked when the samples are loaded, and read by a comparison that asks for it."""
    id_column: str
    """Column with the patient's id."""
    sample_column: str = "id"
    """Column of the samples' own table with the same id."""
    columns: Annotated[list[str], Field(min_length=1), Distinct] | None = None
    """Columns that a comparison may read, as numbers or categories; null takes all but the id, the diagnosis too where
    it is among them."""
