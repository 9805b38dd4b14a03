"""Where samples come from: the section ``source`` of ``data_spec.yaml``, a class each kind."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from tumorkeras.spec_base import Section
from tumorkeras.spec_types import (
    AnnotationForm,
    AtLeastTwo,
    DataPath,
    Distinct,
    Fraction,
    LesionKind,
    MotionKind,
    NonNegativeFloat,
    NumbersOnly,
    OpenFraction,
    PositiveFloat,
    PositiveFraction,
    PositiveInt,
    Seed,
)


class SimulationSource(Section):
    """Tracks simulated by :func:`tumorkeras.simulate_motility`, one class a kind of motion.

    Examples
    --------
    >>> SimulationSource(samples_per_class=100).motions[0]
    'random_walk'
    """

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
    """Positions of cells over time, read from paired matrices or from a long table.

    Examples
    --------
    >>> source = TracksSource(pairs={"musc": {"x": "musc_x.csv", "y": "musc_y.csv"}})
    >>> source.pairs["musc"].x
    'musc_x.csv'
    """

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
    """Volumes in one ``.npz`` file with the keys ``{part}_images`` and ``{part}_labels``.

    Examples
    --------
    >>> NpzSource(path="nodules.npz").kind
    'npz'
    """

    kind: Literal["npz"] = "npz"
    """Tells this source from the others."""
    path: DataPath
    """The .npz file."""
    table: DataPath | None = None
    """CSV with a row a volume, for groups and sizes; with a column split, in the order of each part."""


class ImageTable(Section):
    """A CSV with a row an image: classes, parts, groups.

    Examples
    --------
    >>> ImageTable(path="labels.csv", class_column="diagnosis").image_column
    'image'
    """

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

    Examples
    --------
    >>> ImageFolderSource(path="scans").kind
    'image_folder'
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


class Tiles(Section):
    """Overlapping tiles that large images are cut into at the full resolution of their files."""

    size: Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
    """(height, width) of a tile in pixels of the file; equal to those of input.shape they are not scaled."""
    overlap: Annotated[int, Field(ge=0), NumbersOnly] = 64
    """Pixels that neighbours share: as large as the objects, so that each of them lies whole in some tile."""
    visible: PositiveFraction = 0.5
    """Share of an object's area that a tile shows for its part there to be an object; else it is background. An
    object that no tile shows so much of is one where most of it is shown."""
    empty: NonNegativeFloat | None = None
    """Tiles without objects in the training part, at most so many for each tile with objects; null keeps all."""
    seed: Seed = 0
    """Seed of the draw of tiles without objects."""

    @model_validator(mode="after")
    def _overlap_below_size(self) -> Self:
        if self.overlap >= min(self.size):
            raise ValueError(f"overlap: {self.overlap} is not below the shorter side of a tile, {min(self.size)}")
        return self


class DetectionSource(Section):
    """Images with a box around every object.

    Examples
    --------
    >>> DetectionSource(path="images", annotations="boxes.csv").format
    'auto'
    """

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
    class_map: dict[str, str] | None = None
    """What classes of the annotations become, as {benign: lesion, malignant: lesion} for one class; others stay."""
    table: ImageTable | None = None
    """A table with a row an image, for parts, groups, and images without objects."""
    unlisted: Literal["unlabelled", "no_objects"] = "unlabelled"
    """What an image is that neither annotations nor table name: unlabelled, and left out, or without objects."""
    tiles: Tiles | None = None
    """How images far larger than input.shape are cut, for samples that are images; null: each is read as a whole."""


class RegionsSource(DetectionSource):
    """The marked regions of images, each a sample with the class of its box.

    Examples
    --------
    >>> RegionsSource(path="images", annotations="boxes.csv", margin=0.2).margin
    0.2
    """

    kind: Literal["regions"] = "regions"  # type: ignore[assignment]
    """Tells this source from the others."""
    margin: NonNegativeFloat = 0.1
    """What is added around a box on each side, as a share of its longer side."""


class PhantomsSource(Section):
    """Ultrasound with lesions in the size of input.shape, simulated by :func:`tumorkeras.simulate_ultrasound`.

    Examples
    --------
    >>> PhantomsSource(samples=50).lesions
    ['benign', 'malignant']
    """

    kind: Literal["phantoms"] = "phantoms"
    """Tells this source from the others."""
    samples: PositiveInt = 300
    """Images; the first ones stay the same when there are more."""
    lesions: Annotated[list[LesionKind], Field(min_length=1), Distinct] = ["benign", "malignant"]
    """The kinds of lesions, each a class and equally frequent."""
    most: Annotated[int, Field(ge=1, le=20), NumbersOnly] = 3
    """Most lesions in an image; most images have one."""
    without: Fraction = 0.2
    """Share of the images without a lesion."""
    depth_mm: Annotated[float, Field(ge=10, le=200), NumbersOnly] = 40.0
    """Depth that the height of the image shows, in millimetres."""
    frequency_mhz: Annotated[float, Field(ge=1, le=40), NumbersOnly] = 10.0
    """Of the pulse: the higher, the finer the speckle, and the stronger the shadows."""
    blur_mm: Annotated[float, Field(ge=0, le=5), NumbersOnly] = 0.3
    """Standard deviation of the lesions' border, in millimetres: the larger, the harder to see."""
    calipers: bool = False
    """Burn a cross into the image at each end of each lesion, as sonographers do."""
    seed: Seed = 0
    """Seed of the simulation."""


Source = Annotated[
    SimulationSource | TracksSource | NpzSource | ImageFolderSource | DetectionSource | RegionsSource | PhantomsSource,
    Field(discriminator="kind"),
]

BOXED = (DetectionSource, PhantomsSource)  # sources with a box around every object
UNCLASSED = ("detection", "phantoms")  # kinds of them whose images have objects of a class, and none of their own
