"""One table of detectors that were trained on the same images and read on the same others."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tumorkeras.comparison.detection_methods import BASELINE, DEFAULT_DETECTORS, DETECTION_METHODS
from tumorkeras.comparison.detection_store import ARRAYS, DetectorResult, DetectorStore
from tumorkeras.comparison.figures import CONFIDENCE
from tumorkeras.comparison.names import names_in, repeated, unknown
from tumorkeras.comparison.resources import Watch
from tumorkeras.data.agreement import data_hash
from tumorkeras.data.detection import DetectionSamples, load_detection
from tumorkeras.errors import DataError, SpecError
from tumorkeras.estimates import Estimates
from tumorkeras.files import write_whole
from tumorkeras.metrics import compare_detections, detection_metrics, tune_threshold
from tumorkeras.metrics.detection_checks import read_scenes
from tumorkeras.progress import progress_bar
from tumorkeras.spec import DataSpec
from tumorkeras.training.recipes import THRESHOLD

logger = logging.getLogger(__name__)

METRICS = {
    "AP50": "AP50",
    "froc": "FROC mean",
    "sensitivity": "sensitivity",
    "false_positives": "false positives per image",
}
ENDS = ("", "_low", "_high")
SECTIONS = ("input", "preprocessing", "autoencoder", "detector", "training")


def compare_detectors(
    spec: DataSpec | str | Path,
    methods: Sequence[str] | None = None,
    output: str | Path | None = None,
    *,
    samples: DetectionSamples | None = None,
    progress: bool = True,
) -> pd.DataFrame:
    """Train several detectors on the part "train" and read them on the same held-out images.

    All of them are stopped, and their thresholds tuned, by the part "val", and read once on the part "test" ("val"
    where there is no test).

    Parameters
    ----------
    spec : DataSpec or path
        The data and the settings, with the task "detect".
    methods : sequence of str, optional
        The rows of the table; "prior" is added at the top where it is missing. By default "prior", "rcnn",
        "rcnn_autoencoder" and "detector":

        - ``"prior"``: where the training boxes usually are, the same in every image;
        - ``"rcnn"``: regions are proposed without learning, cropped and classified one by one, see
          :func:`tumorkeras.comparison.train_region_classifier`;
        - ``"rcnn_autoencoder"``: the same, its convolutions first learnt by an autoencoder of the training crops;
        - ``"fast_rcnn"``: the spec's detector with these proposals instead of its own;
        - ``"detector"``: the spec's detector;
        - ``"detector_autoencoder"``: the same with the encoder of the spec's autoencoder, which is trained first on
          the training images, as its backbone.
    output : path, optional
        A folder for ``comparison.csv`` and what each method found. A comparison that was stopped goes on with the
        methods that are missing when it is started again with the same folder.
    samples : DetectionSamples, optional
        Already loaded samples of ``spec``.
    progress : bool
        Shown on standard error, and only on a terminal or in a notebook.

    Returns
    -------
    pandas.DataFrame
        One row per method, in the order given:

        - ``method``;
        - ``AP50``; ``froc``, the mean sensitivity at 1/8 to 8 false positives an image; ``sensitivity`` and
          ``false_positives`` (an image) from ``threshold`` on, each over all classes as
          :func:`tumorkeras.metrics.detection_metrics` has them, with ``<metric>_low`` and ``<metric>_high``, the ends
          of its 95 % bootstrap interval over images, or groups where the spec names them;
        - ``threshold``, the score with the largest F1 on "val", or 0.5 where that part has no object;
        - ``p_value``, two-sided, of a paired bootstrap of its AP50 against that of the best method, NaN for the best;
          ``p_value_baseline``, the same against "prior";
        - ``seconds`` to train; ``peak_memory_mb``, the largest resident memory above that before the training;
        - ``samples``, the images that were read;
        - ``error``, why a method failed, "" where it did not. Its figures are NaN, and the next call with the
          same folder tries again.

        ``attrs``: ``"caveat"``, how to read the figures; ``"best"``, its row that the others are tested against;
        ``"confidence"``; ``"part"``, the one that was read.

    Raises
    ------
    SpecError
        If the spec cannot be read or has no task "detect", or a method is unknown.
    DataError
        If the data cannot be read, no training image has an object, or there is neither "val" nor "test".
    ModelError
        If ``output`` holds a comparison of other data or settings.

    Examples
    --------
    >>> spec = DataSpec.from_dict({"name": "lesions", "source": {"kind": "phantoms", "samples": 20},
    ...     "input": {"shape": [64, 64, 1]}})
    >>> table = compare_detectors(spec, ["prior"])
    >>> table[["method", "samples", "error"]].values.tolist(), table.attrs["part"]
    ([['prior', 3, '']], 'test')

    References
    ----------
    Figure 1 of doi 10.18280/ts.360510: R-CNN, Fast R-CNN and Faster R-CNN.
    """
    spec = spec if isinstance(spec, DataSpec) else DataSpec.from_yaml(spec)
    names = _checked_methods(spec, methods)
    samples = replace(load_detection(spec) if samples is None else samples, spec=spec)
    parts = _parts_of(samples)
    store = DetectorStore(None if output is None else Path(output), _fingerprint(samples))
    errors = _run(names, parts, store, progress)
    results = {method: store[method] for method in names if method not in errors}
    table = _table(names, parts, results, errors)
    if output is not None:
        write_whole(Path(output) / "comparison.csv", table.to_csv(index=False))
    return Estimates.of(table)


@dataclass(frozen=True)
class _Parts:
    """What trains, what stops and tunes (None where there is none), and what is read, with its truth."""

    training: DetectionSamples
    validation: DetectionSamples | None
    read: DetectionSamples
    part: str
    truth: dict[str, NDArray]

    @property
    def classes(self) -> list[str]:
        return list(self.read.classes)

    @property
    def tunes(self) -> bool:
        """Whether a threshold can be tuned."""
        return self.validation is not None and self.validation.most_objects > 0


def _parts_of(samples: DetectionSamples) -> _Parts:
    counts = samples.counts()
    faults = [] if counts["val"] or counts["test"] else ["there is neither a part 'val' nor a part 'test' to read"]
    if not counts["train"]:
        faults.append("no image is in the part 'train'")
    elif not samples.part("train").most_objects:
        faults.append("no image of the part 'train' has an object; a detector learns from boxes")
    if faults:
        raise DataError("compare_detectors", [f"{fault}; the images of each part: {dict(counts)}" for fault in faults])
    part = "test" if counts["test"] else "val"
    read = samples.part(part)
    validation = samples.part("val") if counts["val"] else None
    return _Parts(samples.part("train"), validation, read, part, read.truth())


def _checked_methods(spec: DataSpec, methods: Sequence[str] | None) -> list[str]:
    methods = spec.comparison.methods or DEFAULT_DETECTORS if methods is None else methods
    names = names_in(methods)
    faults = [] if "detect" in spec.tasks else [f"tasks: {', '.join(spec.tasks)}; expected detect among them"]
    faults += [f"methods: {fault}" for fault in unknown(names, DETECTION_METHODS) + repeated(names)]
    if faults:
        raise SpecError("compare_detectors", faults)
    return names if BASELINE in names else [BASELINE, *names]


def _fingerprint(samples: DetectionSamples) -> str:
    """What a method finds depends on; which other methods are compared is not among it."""
    settings = samples.spec.model_dump(mode="json", include=set(SECTIONS))
    digest = hashlib.sha256(json.dumps([data_hash(samples), list(samples.classes), settings], sort_keys=True).encode())
    digest.update(samples.sizes[samples.rows].astype("int64").tobytes())  # boxes are in pixels of the files
    return digest.hexdigest()


def _run(methods: list[str], parts: _Parts, store: DetectorStore, progress: bool) -> dict[str, str]:
    """Train what the store lacks; why each method that failed did so."""
    errors: dict[str, str] = {}
    with progress_bar(len(methods), "compare", "method", shown=progress) as bar:
        for method in methods:
            bar.set_description(method)
            if method not in store:
                try:
                    store.add(_result(method, parts, progress))
                except Exception as error:  # one method's fault, of any kind, does not end the others
                    logger.warning("%s failed: %s", method, error)
                    logger.debug("%s", method, exc_info=True)
                    errors[method] = f"{type(error).__name__}: {error}"
            bar.update()
    return errors


def _result(method: str, parts: _Parts, progress: bool) -> DetectorResult:
    with Watch() as watch:
        find = DETECTION_METHODS[method](parts.training, parts.validation, progress)
    answer = find(parts.read)
    read_scenes(method, parts.truth, answer, parts.classes)  # refuses what is no detection before it is kept
    threshold = THRESHOLD
    if parts.validation is not None and parts.tunes:
        tuned_on = answer if parts.part == "val" else find(parts.validation)
        threshold = tune_threshold(parts.validation.truth(), tuned_on, parts.classes).threshold
    found = {name: np.asarray(answer[name]) for name in ARRAYS}
    return DetectorResult(method, round(watch.seconds, 3), round(watch.peak_memory_mb, 1), float(threshold), found)


def _table(
    methods: list[str], parts: _Parts, results: dict[str, DetectorResult], errors: dict[str, str]
) -> pd.DataFrame:
    figures = {method: _figures(result, parts) for method, result in results.items()}
    precise = {method: own["AP50"] for method, own in figures.items() if np.isfinite(own["AP50"])}
    best = max(precise, key=lambda method: precise[method], default=None)
    nothing = {f"{metric}{end}": np.nan for metric in METRICS for end in ENDS}
    rows = []
    for method in methods:
        row = {"method": method, **figures.get(method, nothing)}
        for name in ("threshold", "seconds", "peak_memory_mb"):
            row[name] = getattr(results[method], name) if method in results else np.nan
        row["p_value"] = _p_value(results, method, best, parts)
        row["p_value_baseline"] = _p_value(results, method, BASELINE, parts)
        row |= {"samples": len(parts.read), "error": errors.get(method, "")}
        rows.append(row)
    table = pd.DataFrame(rows)
    table.attrs = {
        "caveat": _caveat(len(results), best, parts),
        "best": None if best is None else methods.index(best),
        "confidence": CONFIDENCE,
        "part": parts.part,
    }
    return table


def _figures(result: DetectorResult, parts: _Parts) -> dict[str, float]:
    table = detection_metrics(
        parts.truth,
        result.found,
        parts.classes,
        groups=parts.read.groups,
        threshold=result.threshold,
        confidence=CONFIDENCE,
    )
    overall = table.xs(table.attrs["overall"], level="class")
    lines = overall.loc[list(METRICS.values()), ["value", "low", "high"]].to_numpy("float64")
    return {
        f"{metric}{end}": float(value)
        for metric, line in zip(METRICS, lines, strict=True)
        for end, value in zip(ENDS, line, strict=True)
    }


def _p_value(results: dict[str, DetectorResult], method: str, other: str | None, parts: _Parts) -> float:
    """Of the AP50 of two methods; NaN where one of them failed, or they are the same."""
    if other is None or method == other or not {method, other} <= set(results):
        return np.nan
    found, others = results[method].found, results[other].found
    return compare_detections(parts.truth, found, others, parts.classes, groups=parts.read.groups).p_value


def _caveat(methods: int, best: str | None, parts: _Parts) -> str:
    if best is None:
        return "No method gave a figure."
    units = "images" if parts.read.groups is None else "groups of images"
    said = [
        f"One training a method: the intervals and p values are over {units}, and say nothing of how another training "
        "would differ.",
        f"The p values are not corrected for the number of comparisons ({methods - 1}), and {best} was picked as the "
        "best on these same images: read them as a ranking, not as proof.",
    ]
    if parts.part == "val":
        said.append("There is no part 'test': the part 'val', which is read, also stopped and tuned the methods.")
    if not parts.tunes:
        said.append(f"No object is in a part 'val': the threshold is {THRESHOLD}, untuned.")
    return " ".join(said)
