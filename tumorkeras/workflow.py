"""The main job: from a spec to models, a comparison, exports, predictions and a report."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from tumorkeras import markup, plots
from tumorkeras.auditing import AuditReport, audit
from tumorkeras.comparison import compare
from tumorkeras.files import write_whole
from tumorkeras.jobs.claim import claim
from tumorkeras.jobs.goals import GOALS, examples_of
from tumorkeras.jobs.prepared import Job, prepare
from tumorkeras.report import Content, write_report
from tumorkeras.report.headline import headline
from tumorkeras.scoring import write_predictions
from tumorkeras.serving.export import export
from tumorkeras.spec import DataSpec
from tumorkeras.training import TrainedModel, train

logger = logging.getLogger(__name__)


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
        By kind: "autoencoder", "classifier", "detector".
    comparison : pandas.DataFrame or None
        The comparison table, where the task "classify" was asked for.
    exports : dict of str to Path
        The version folder of each model's SavedModel.
    predictions : pandas.DataFrame
        One row per sample of the part that was read; of a detector one row a detection, and one without a class for
        an image without any.
    report : Path
        The HTML report.
    seconds : dict of str to float
        Time of each stage in this call.
    also : dict of str to RunResult
        The jobs that the spec names in its field ``also``, by their names.
    """

    folder: Path
    audit: AuditReport
    models: dict[str, TrainedModel]
    comparison: pd.DataFrame | None
    exports: dict[str, Path]
    predictions: pd.DataFrame
    report: Path
    seconds: dict[str, float] = field(default_factory=dict)
    also: dict[str, RunResult] = field(default_factory=dict)

    def __repr__(self) -> str:
        # The tables and the audit would fill pages.
        return f"<RunResult {self.folder}: {', '.join(self.models)}; report in {self.report}>"

    def _repr_html_(self) -> str:
        found = [(name, f"{value} {note}") for name, value, note in headline(self.models)]
        exports = [(f"export of the {kind}", str(path)) for kind, path in self.exports.items()]
        files = [("report", str(self.report)), *exports]
        spent = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in self.seconds.items())
        scored = f"{len(self.predictions):,} rows, {self.folder / 'predictions.parquet'}"
        pairs = [*found, ("audit", self.audit.summary), *files, ("predictions", scored), ("time", spent)]
        pairs += [(f"also: {name}", str(other.report)) for name, other in self.also.items()]
        return markup.card(f"Run in {self.folder}", [markup.facts(pairs, "Results")])


def run(spec: DataSpec | str | Path, output: str | Path = "out", *, progress: bool = True) -> RunResult:
    """Audit, train, compare, export, score and report, in this order, all in one folder.

    Started again after a stop it goes on from where it was: finished models are loaded, a training goes on
    from its last epoch, a comparison from its last fold. Nothing is written before the data could be read. The jobs
    of the specs under ``also`` follow in subfolders of their names, and the report shows them.

    Parameters
    ----------
    spec : DataSpec or path
        The data and the settings.
    output : path
        The folder of the results.
    progress : bool
        Shown on standard error, and only on a terminal or in a notebook.

    Returns
    -------
    RunResult
        The models, tables and files.

    Raises
    ------
    SpecError, DataError, ModelError
        If the spec or its data are at fault, or the folder holds the run of another spec or other data.

    Examples
    --------
    ::

        result = run("data_spec.yaml", "out")
        result.models["classifier"], result.comparison, result.report

    What is wrong with a spec is said before any work:

    >>> run(DataSpec.from_dict({"name": "cells", "input": {"shape": [8, 8, 1]},
    ...     "source": {"kind": "image_folder", "path": "nowhere"}}))
    Traceback (most recent call last):
    tumorkeras.errors.DataError: nowhere: there is no such folder
    """
    job = prepare(spec if isinstance(spec, DataSpec) else DataSpec.from_yaml(spec), Path(output))
    for each in job.all():
        claim(each.folder, each.spec, each.samples)
    return _do(job, progress)[0]


def _do(job: Job, progress: bool) -> tuple[RunResult, Content]:
    """The stages of a job, then the jobs beside it, then its report."""
    spec, samples, folder, clock = job.spec, job.samples, job.folder, job.clock
    logger.info("%s, into %s", spec.name, folder)
    findings = clock("audit", lambda: _audit(spec, folder, progress))
    models = _train_all(job, progress)
    _write_json(folder / "metrics.json", {kind: trained.card.get("metrics") for kind, trained in models.items()})
    comparison = None
    if "classify" in spec.tasks:
        comparison = clock("comparison", lambda: compare(spec, output=folder, samples=samples, progress=progress))
    exports = clock("export", lambda: {kind: _export(trained, job) for kind, trained in models.items()})
    predictions = clock("scoring", lambda: _predict(job, exports[job.kind], progress))
    beside = {name: _do(other, progress) for name, other in job.also.items()}
    content = Content(
        folder / "report.html",
        samples,
        models,
        comparison,
        predictions,
        findings,
        job.images if "autoencoder" in models else None,
        {name: shown for name, (_, shown) in beside.items()},
    )
    report = clock("report", lambda: write_report(content))
    also = {name: result for name, (result, _) in beside.items()}
    result = RunResult(folder, findings, models, comparison, exports, predictions, report, clock.seconds, also)
    return result, content


def _audit(spec: DataSpec, folder: Path, progress: bool) -> AuditReport:
    # Without its times: a run that is started again leaves the same files.
    report = replace(audit(spec, progress=progress), seconds={})
    found = report.to_dict()
    del found["seconds"]
    _write_json(folder / "audit.json", found)
    logger.info("%s", report.summary)
    return report


def _train_all(job: Job, progress: bool) -> dict[str, TrainedModel]:
    models: dict[str, TrainedModel] = {}
    for kind in job.kinds:
        place = job.folder / "models" / f"{job.spec.name}_{kind}"
        options: dict[str, Any] = {
            "initial": models["autoencoder"] if kind == job.kind and job.pretrained else None,
            "samples": job.samples if kind == job.kind else job.images,
            "progress": progress,
        }
        models[kind] = job.clock(kind, lambda k=kind, p=place, o=options: train(job.spec, k, p, **o))  # type: ignore[misc]
        _draw_curves(models[kind], place / "plots")
    return models


def _draw_curves(trained: TrainedModel, folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    write_whole(folder / "learning_curves.png", plots.to_png(plots.learning_curves(trained.history)))


def _export(trained: TrainedModel, job: Job) -> Path:
    """The export of this very model, told by its card; made where there is none yet."""
    assert trained.folder is not None
    place = job.folder / "exports"
    for path in sorted((place / trained.folder.name).glob("*/assets.extra/model_card.json"), reverse=True):
        card = json.loads(path.read_text(encoding="utf-8"))
        if {name: value for name, value in card.items() if name != "export"} == trained.card:
            return path.parents[1]
    samples = job.images if trained.card["kind"] == "autoencoder" else job.samples
    return export(trained, place, samples=examples_of(samples))


def _predict(job: Job, exported: Path, progress: bool) -> pd.DataFrame:
    predictions = GOALS[job.kind].predict(exported, job.samples, job.part, progress)
    write_predictions(predictions, job.folder / "predictions.parquet")
    return predictions


def _write_json(path: Path, content: object) -> None:
    write_whole(path, json.dumps(content, indent=2, ensure_ascii=False))
