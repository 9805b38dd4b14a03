"""The sections of ``data_spec.yaml``, a class each; :class:`tumorkeras.DataSpec` puts them together.

The line under a field is its description in the JSON Schema, which editors show while one types.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tumorkeras.spec_types import (
    Activation,
    AnnotationForm,
    AtLeastTwo,
    Augmentation,
    DataPath,
    Distinct,
    Fraction,
    Method,
    MotionKind,
    NonNegativeFloat,
    Number,
    NumbersOnly,
    Odd,
    OpenFraction,
    Part,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
    Seed,
)


class Section(BaseModel):
    """A part of the spec: unknown fields are refused, values are fixed once read."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class SimulationSource(Section):
    """Tracks simulated by :func:`tumorkeras.simulate_motility`, one class a kind of motion."""

    kind: Literal["simulation"] = "simulation"
    """Tells this source from the others."""
    motions: Annotated[list[MotionKind], Field(min_length=1), Distinct] = [
        "random_walk",
        "levy_flight",
        "fractional_brownian",
    ]
    """The kinds of motion, each a class."""
    samples_per_class: PositiveInt = 300
    """Tracks simulated a kind."""
    frames: AtLeastTwo = 101
    """Positions a track; equal to the depth, input.shape[0]."""
    hurst: OpenFraction = 0.7
    """Hurst exponent of the fractional Brownian motion: above 0.5 persistent, below it turning back."""
    alpha: Annotated[float, Field(gt=1, le=2), NumbersOnly] = 1.5
    """Exponent of the Levy flight's step lengths: the smaller, the longer the rare steps."""
    mean_step: PositiveFloat = 5.0
    """Mean step of every kind, in input.units a frame."""
    seed: Seed = 0
    """Seed of the simulation."""


class TrackPair(Section):
    """Two matrices without header, a row a cell and a column a frame."""

    x: DataPath
    """CSV of the x positions."""
    y: DataPath
    """CSV of the y positions, row by row the cells of x."""


class TrackTable(Section):
    """One CSV in long form: a row a cell and frame."""

    path: DataPath
    """The CSV file, with a header."""
    class_column: str = "class"
    """Column with the class of the cell."""
    track_column: str = "track"
    """Column with the cell's name; names may start anew in each class."""
    time_column: str = "t"
    """Column with the time or frame number."""
    x_column: str = "x"
    """Column with the x position."""
    y_column: str = "y"
    """Column with the y position."""


class TrackGroups(Section):
    """A CSV that names the group (experiment, patient) of each track."""

    path: DataPath
    """The CSV file, with a header."""
    file_column: str = "file"
    """Column with the class name, as under pairs or in table."""
    row_column: str = "row"
    """Column with the row in the paired files, from 0, or the track's name in table."""
    group_column: str = "experiment"
    """Column with the group."""


class TracksSource(Section):
    """Positions of cells over time, read from paired matrices or from a long table."""

    kind: Literal["tracks"] = "tracks"
    """Tells this source from the others."""
    pairs: dict[str, TrackPair] | None = None
    """A pair of matrices a class, by the class's name; either pairs or table is given."""
    table: TrackTable | None = None
    """One long CSV with all classes; either pairs or table is given."""
    groups: TrackGroups | None = None
    """Which tracks belong together, so that no group is split between parts."""
    frames: AtLeastTwo | None = None
    """First frames that are kept; shorter tracks are left out; null takes the length of the shortest."""
    samples_per_class: PositiveInt | None = None
    """Tracks drawn a class; null takes all."""
    seed: Seed = 0
    """Seed of the draw."""

    @model_validator(mode="after")
    def _one_layout(self) -> Self:
        if (self.pairs is None) == (self.table is None):
            raise ValueError("give either pairs (X and Y matrices a class) or table (one long CSV)")
        if self.pairs is not None and not self.pairs:
            raise ValueError("pairs names no class")
        return self


class NpzSource(Section):
    """Volumes in one ``.npz`` file with the keys ``{part}_images`` and ``{part}_labels``."""

    kind: Literal["npz"] = "npz"
    """Tells this source from the others."""
    path: DataPath
    """The .npz file."""
    table: DataPath | None = None
    """CSV with a row a volume, for groups and sizes; with a column split, in the order of each part."""


class ImageTable(Section):
    """A CSV with a row an image: classes, parts, groups."""

    path: DataPath
    """The CSV file, with a header."""
    image_column: str = "image"
    """Column with the image's file name, with or without its ending, relative to the folder of the images."""
    class_column: str | None = None
    """Column with the class; null: none."""
    split_column: str | None = None
    """Column with the part that the data come with; null: none."""


class ImageFolderSource(Section):
    """Images or volumes, each with one class: of its folder, or from a table.

    With an ``input.shape`` of three axes every file is an image: PNG, JPEG, TIFF, DICOM, npy. With four axes it is a
    volume: NIfTI, a folder that holds a DICOM series, multi-frame DICOM, TIFF of several pages, npy, video.
    """

    kind: Literal["image_folder"] = "image_folder"
    """Tells this source from the others."""
    path: DataPath
    """The folder that holds the images."""
    levels: Literal["class", "split/class", "class/split", "none"] = "class"
    """What the folders under path stand for; "none" where they mean nothing."""
    table: ImageTable | None = None
    """A table with a row an image; its class and part stand above those of the folders."""

    @model_validator(mode="after")
    def _one_part(self) -> Self:
        if "split" in self.levels and self.table is not None and self.table.split_column is not None:
            raise ValueError(
                f"levels is {self.levels} and table.split_column is given; the parts come from one of them"
            )
        return self


class DetectionSource(Section):
    """Images with a box around every object."""

    kind: Literal["detection"] = "detection"
    """Tells this source from the others."""
    path: DataPath
    """The folder that holds the images."""
    annotations: DataPath
    """The boxes: a file or folder of any form that :func:`tumorkeras.read_annotations` reads."""
    format: AnnotationForm = "auto"
    """Form of the annotations; auto looks at them."""
    columns: dict[str, str] | None = None
    """For a CSV whose columns have names of their own: what each of image, class, xmin ... is called there."""
    table: ImageTable | None = None
    """A table with a row an image, for parts, groups, and images without objects."""
    unlisted: Literal["unlabelled", "no_objects"] = "unlabelled"
    """What an image is that neither annotations nor table name: unlabelled, and left out, or without objects."""


class RegionsSource(DetectionSource):
    """The marked regions of images, each a sample with the class of its box."""

    kind: Literal["regions"] = "regions"  # type: ignore[assignment]
    """Tells this source from the others."""
    margin: NonNegativeFloat = 0.1
    """What is added around a box on each side, as a share of its longer side."""


Source = Annotated[
    SimulationSource | TracksSource | NpzSource | ImageFolderSource | DetectionSource | RegionsSource,
    Field(discriminator="kind"),
]


class Input(Section):
    """The array that a model reads: (height, width, channels) or (depth, height, width, channels)."""

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


class Rescale(Section):
    """``x * scale + offset``."""

    step: Literal["rescale"] = "rescale"
    """Tells this step from the others."""
    scale: Number = 1 / 255
    """Factor; the default turns 8-bit values into 0 to 1."""
    offset: Number = 0.0
    """Added after the factor."""


class Standardize(Section):
    """Zero mean and unit variance, each sample by itself."""

    step: Literal["standardize"] = "standardize"
    """Tells this step from the others."""


class Normalize(Section):
    """``(x - mean) / std`` with given values, one or one a channel."""

    step: Literal["normalize"] = "normalize"
    """Tells this step from the others."""
    mean: Annotated[list[Number], Field(min_length=1)]
    """Mean of the training images: one for all channels, or one a channel."""
    std: Annotated[list[PositiveFloat], Field(min_length=1)]
    """Standard deviation of the training images: one for all channels, or one a channel."""


class IntensityWindow(Section):
    """``low`` becomes 0, ``high`` becomes 1, what lies outside is clipped; the windows of CT."""

    step: Literal["window"] = "window"
    """Tells this step from the others."""
    low: Number
    """Value that becomes 0: level - width / 2."""
    high: Number
    """Value that becomes 1: level + width / 2."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _refuse_reversed(self.low, self.high)
        return self


class PercentileWindow(Section):
    """A window between two percentiles of each sample."""

    step: Literal["percentile_window"] = "percentile_window"
    """Tells this step from the others."""
    low: Annotated[float, Field(ge=0, le=100), NumbersOnly] = 1.0
    """Percentile that becomes 0."""
    high: Annotated[float, Field(ge=0, le=100), NumbersOnly] = 99.0
    """Percentile that becomes 1."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _refuse_reversed(self.low, self.high)
        return self


def _refuse_reversed(low: float | None, high: float | None) -> None:
    if low is not None and high is not None and low >= high:
        raise ValueError(f"low is {low:g}, not below high, {high:g}")


class LogCompression(Section):
    """Logarithmic compression of echo amplitudes to 0 to 1."""

    step: Literal["log_compression"] = "log_compression"
    """Tells this step from the others."""
    dynamic_range: Annotated[float, Field(gt=0, le=300), NumbersOnly] | None = 60.0
    """Decibels below the peak that become 0; null with a gain."""
    gain: PositiveFloat | None = None
    """log(1 + gain x) / log(1 + gain) in place of decibels; null: decibels."""
    peak: PositiveFloat | None = None
    """Value that becomes 1; null takes the largest of each sample."""

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.dynamic_range is None) == (self.gain is None):
            raise ValueError("give one of dynamic_range and gain, and null for the other")
        return self


class LeeFilter(Section):
    """The Lee speckle filter over a square (cubic) window of ``size`` pixels."""

    step: Literal["lee_filter"] = "lee_filter"
    """Tells this step from the others."""
    size: Annotated[int, Field(ge=3), NumbersOnly, Odd] = 5
    """Side of the window in pixels, odd."""
    looks: PositiveFloat | None = None
    """Number of looks of noise that multiplies (before log compression); null: noise that is added, estimated."""


class ContrastLimitedEqualization(Section):
    """Contrast-limited adaptive histogram equalisation (CLAHE) to 0 to 1; volumes slice by slice."""

    step: Literal["equalize"] = "equalize"
    """Tells this step from the others."""
    tiles: PositiveInt = 8
    """Tiles along height and along width, each equalised by itself."""
    clip_limit: PositiveFloat = 2.0
    """Most that a bin counts, in mean counts: the larger, the more contrast and noise."""
    bins: AtLeastTwo = 256
    """Bins of the histograms."""
    low: Number | None = None
    """Centre of the first bin; null takes the smallest value of each sample."""
    high: Number | None = None
    """Centre of the last bin; null takes the largest value of each sample."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        _refuse_reversed(self.low, self.high)
        return self


PreprocessingStep = Annotated[
    Rescale
    | Standardize
    | Normalize
    | IntensityWindow
    | PercentileWindow
    | LogCompression
    | LeeFilter
    | ContrastLimitedEqualization,
    Field(discriminator="step"),
]


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


class Training(Section):
    """How models are fitted."""

    epochs: PositiveInt = 20
    """Most passes over the training part."""
    batch_size: PositiveInt = 32
    """Samples a step."""
    learning_rate: PositiveFloat = 1e-3
    """First learning rate of the optimizer."""
    patience: PositiveInt = 5
    """Epochs without a better validation loss after which training stops."""
    augment: Annotated[list[Augmentation], Distinct] = ["flip", "rotate"]
    """Random changes of the training samples: flip, rotate, shift; intensity and speckle of images and volumes; crop of
    images."""
    class_weights: bool = True
    """Weigh rare classes up."""
    seed: Seed = 0
    """Seed of the weights, the order and the augmentation."""


class Comparison(Section):
    """The rows of the comparison table; its folds are ``splits.folds``."""

    methods: Annotated[list[Method], Field(min_length=1), Distinct] = [
        "majority",
        "trivial",
        "svm_linear",
        "svm_poly",
        "ann",
        "cnn",
        "autoencoder_cnn",
    ]
    """The methods, a row each."""


class Clinical(Section):
    """A clinical table, one row per patient, told apart by ``id_column``.

    It is carried along for tables of the cohort. Loading the samples checks that the file has the column;
    nothing else is read from it.
    """

    path: DataPath
    """The CSV file, with a header; checked when the samples are loaded, and not used in training."""
    id_column: str
    """Column with the patient's id."""
