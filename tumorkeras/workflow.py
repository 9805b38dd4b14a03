"""The main job: from a spec to models, a comparison, exports, predictions and a report."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from tumorkeras import plots
from tumorkeras.auditing import AuditReport, audit
from tumorkeras.comparison import compare, outer_folds
from tumorkeras.data.agreement import data_hash
from tumorkeras.data.samples import Samples, load_samples
from tumorkeras.errors import DataError, ModelError
from tumorkeras.files import write_whole
from tumorkeras.report import write_report
from tumorkeras.scoring import score, write_predictions
from tumorkeras.serving.export import export
from tumorkeras.spec import DataSpec, Part
from tumorkeras.training import TrainedModel, train

logger = logging.getLogger(__name__)

T = TypeVar("T")

MARK = "run.json"
MOST_CHANGES = 5  # named where a folder belongs to another spec


@dataclass(frozen=True)
class RunResult:
    """What :func:`run` made.

    Parameters
    ----------
    folder : Path
        The output folder, documented in the README.
    audit : AuditReport
        What is wrong with the data. Findings do not end the run; data that cannot be read do.
    models : dict of str to TrainedModel
        By kind: "autoencoder", "classifier".
    comparison : pandas.DataFrame or None
        The comparison table, where the task "classify" was asked for.
    exports : dict of str to Path
        The version folder of each model's SavedModel.
    predictions : pandas.DataFrame
        One row per sample of the part that was read.
    report : Path
        The HTML report.
    seconds : dict of str to float
        Time of each stage in this call.
    """

    folder: Path
    audit: AuditReport
    models: dict[str, TrainedModel]
    comparison: pd.DataFrame | None
    exports: dict[str, Path]
    predictions: pd.DataFrame
    report: Path
    seconds: dict[str, float] = field(default_factory=dict)


def run(spec: DataSpec | str | Path, output: str | Path = "out", *, progress_bar: bool = True) -> RunResult:
    """Audit, train, compare, export, score and report, in this order, all in one folder.

    Started again after a stop it goes on from where it was: finished models are loaded, a training goes on
    from its last epoch, a comparison from its last fold. Nothing is written before the data could be read.

    Parameters
    ----------
    spec : DataSpec or path
        The data and the settings.
    output : path
        The folder of the results.
    progress_bar : bool
        Shown on standard error, and only on a terminal or in a notebook.

    Returns
    -------
    RunResult
        The models, tables and files.

    Raises
    ------
    SpecError, DataError, ModelError
        If the spec or its data are at fault, or the folder holds the run of another spec or other data.
    """
    spec = spec if isinstance(spec, DataSpec) else DataSpec.from_yaml(spec)
    folder = Path(output)
    clock = _Clock()
    samples = clock("data", lambda: load_samples(spec))
    _check_parts(samples)
    _claim(folder, spec, samples)
    findings = clock("audit", lambda: _audit(spec, folder, progress_bar))
    models = _train_all(spec, samples, folder, clock, progress_bar)
    _write_json(folder / "metrics.json", {kind: trained.card.get("metrics") for kind, trained in models.items()})
    comparison = None
    if "classify" in spec.tasks:
        comparison = clock(
            "comparison", lambda: compare(spec, output=folder, samples=samples, progress_bar=progress_bar)
        )
    exports = clock("export", lambda: {kind: _export(trained, folder) for kind, trained in models.items()})
    main = "classifier" if "classifier" in models else "autoencoder"
    predictions = clock("scoring", lambda: _score(exports[main], samples, folder, progress_bar))
    report = clock(
        "report", lambda: write_report(folder / "report.html", samples, models, comparison, predictions, findings)
    )
    return RunResult(folder, findings, models, comparison, exports, predictions, report, clock.seconds)


class _Clock:
    """Runs the stages, says which one is on, and keeps their times."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, work: Callable[[], T]) -> T:
        logger.info("%s ...", stage)
        began = time.monotonic()
        result = work()
        self.seconds[stage] = round(time.monotonic() - began, 1)
        logger.info("%s: %.1f s", stage, self.seconds[stage])
        return result


def _check_parts(samples: Samples) -> None:
    """Every part and fold that the job reads must have samples, before anything is written."""
    counts = {name: int(count) for name, count in samples.counts().items()}
    faults = []
    if not counts["train"]:
        faults.append(f"no sample is in the part 'train'; there are {counts}")
    if not counts["test"] and not counts["val"]:
        faults.append(f"no sample is left to read the result on, in 'test' or 'val'; there are {counts}")
    if "classify" in samples.spec.tasks:
        present = set(samples.table.loc[samples.table["split"] == "train", "class_name"])
        absent = [name for name in samples.classes if name not in present]
        faults += [f"class {name!r} has no sample in the part 'train'" for name in absent]
    if faults:
        raise DataError("splits", faults)
    if "classify" in samples.spec.tasks:
        outer_folds(samples)


def _claim(folder: Path, spec: DataSpec, samples: Samples) -> None:
    """Make the folder, or see that it belongs to the same run; only then is anything written."""
    mark = folder / MARK
    identity = {"spec": spec.to_dict(), "data_sha256": data_hash(samples)}
    if mark.is_file():
        changes = _changes(_read_mark(mark), identity)
        if changes:
            heading = f"{folder} holds the run of another spec or other data; choose another output folder"
            raise ModelError(heading, changes)
        return
    if folder.exists() and not folder.is_dir():
        raise ModelError(str(folder), ["is a file; choose another output folder"])
    # A kill while the mark was written leaves its draft alone in the folder.
    if folder.exists() and any(path.name != f".{MARK}.new" for path in folder.iterdir()):
        raise ModelError(str(folder), ["is not empty and holds no run; choose another output folder"])
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(mark, identity)


def _read_mark(mark: Path) -> dict[str, Any]:
    try:
        found = json.loads(mark.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict) or "data_sha256" not in found:
        raise ModelError(str(mark), ["is not the mark of a run; choose another output folder"])
    return found


def _changes(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What differs between two identities, field by field."""
    old, new = dict(_fields(before.get("spec"))), dict(_fields(now["spec"]))
    changed = [name for name in old | new if old.get(name) != new.get(name)]
    lines = [f"{name}: it was {old.get(name)!r}, now it is {new.get(name)!r}" for name in changed[:MOST_CHANGES]]
    if len(changed) > MOST_CHANGES:
        lines.append(f"and {len(changed) - MOST_CHANGES} more fields")
    if not changed and before["data_sha256"] != now["data_sha256"]:
        lines.append("the spec is the same, but the data are not")
    return lines


def _fields(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for name, item in value.items():
            yield from _fields(item, f"{path}.{name}" if path else str(name))
    else:
        yield path, value


def _audit(spec: DataSpec, folder: Path, progress_bar: bool) -> AuditReport:
    report = audit(spec, progress_bar=progress_bar)
    found = report.to_dict()
    del found["seconds"]  # a run that is started again leaves the same file
    _write_json(folder / "audit.json", found)
    logger.info("%s", report.summary)
    return report


def _train_all(
    spec: DataSpec, samples: Samples, folder: Path, clock: _Clock, progress_bar: bool
) -> dict[str, TrainedModel]:
    models: dict[str, TrainedModel] = {}

    def add(kind: Any, initial: TrainedModel | None = None) -> None:
        place = folder / "models" / f"{spec.name}_{kind}"
        models[kind] = clock(
            kind,
            lambda: train(spec, kind, place, initial=initial, samples=samples, progress_bar=progress_bar),
        )
        _draw_curves(models[kind], place / "plots")

    pretrained = "classify" in spec.tasks and spec.classifier.pretraining == "autoencoder"
    if "autoencode" in spec.tasks or pretrained:
        add("autoencoder")
    if "classify" in spec.tasks:
        add("classifier", models["autoencoder"] if pretrained else None)
    return models


def _draw_curves(trained: TrainedModel, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    write_whole(folder / "learning_curves.png", plots.to_png(plots.learning_curves(trained.history)))


def _export(trained: TrainedModel, folder: Path) -> Path:
    """The export of this very model, told by its card; made where there is none yet."""
    assert trained.folder is not None
    place = folder / "exports"
    for card in sorted((place / trained.folder.name).glob("*/assets.extra/model_card.json"), reverse=True):
        if json.loads(card.read_text(encoding="utf-8")) == trained.card:
            return card.parents[1]
    return export(trained, place)


def _score(exported: Path, samples: Samples, folder: Path, progress_bar: bool) -> pd.DataFrame:
    """Predictions of the part that is read, from the export itself, beside the true classes."""
    part: Part = "test" if samples.counts()["test"] else "val"
    predictions = score(exported, samples, split=part, progress_bar=progress_bar)
    predictions.insert(2, "true_class", samples.part(part).table["class_name"].to_numpy())
    write_predictions(predictions, folder / "predictions.parquet")
    return predictions


def _write_json(path: Path, content: object) -> None:
    write_whole(path, json.dumps(content, indent=2, ensure_ascii=False))
