"""What `tumorkeras init` and `tumorkeras audit` say of data that nobody described: table and picture of docs/data.md.

    TUMORKERAS_DATA=... python benchmarks/audit.py [--output docs/images/audit.png]

For each folder a spec is written by `init` into a temporary folder and audited as it is; the table of motility features
is audited by itself. The table of findings goes to standard output, as Markdown.
"""

from __future__ import annotations

import argparse
import logging
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import matplotlib

matplotlib.use("Agg")

import cv2
import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tumorkeras.auditing import AuditReport, Finding, audit
from tumorkeras.files import write_whole
from tumorkeras.layout import init
from tumorkeras.plots.style import COLORS, GREY, INK, finish, to_png

OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "audit.png"
FOLDERS = ("busi", "bccd", "lidc_nodules", "motility")
FEATURES = "motility_features"
SHOWN = ("error", "warning")
ALSO = ("no_batch_effect", "without_objects")  # notes that answer a question
LONGEST = 170  # characters of a title


def data_folder() -> Path:
    found = Path(os.environ.get("TUMORKERAS_DATA", ""))
    if not (found / FOLDERS[0]).is_dir():
        raise SystemExit("set TUMORKERAS_DATA to the folder that holds busi/, bccd/ ...")
    return found


def audited(data: Path) -> dict[str, tuple[AuditReport, float]]:
    """The report of each data set, and the seconds that it took."""
    reports = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in FOLDERS:
            spec = init(data / name, Path(folder, f"{name}.yaml"))
            began = time.perf_counter()
            reports[name] = audit(spec, progress=False), time.perf_counter() - began
    began = time.perf_counter()
    table = audit(data / FEATURES / f"{FEATURES}.csv", label="class", group="experiment", progress=False)
    return {**reports, FEATURES: (table, time.perf_counter() - began)}


def rows(name: str, report: AuditReport, seconds: float) -> list[str]:
    chosen = [found for found in report.findings if found.severity in SHOWN or found.code in ALSO]
    lines = [f"| {name} | {found.severity} | {shortened(found.title)} |" for found in chosen]
    return [*lines, f"| {name} | | {report.summary.partition(': ')[2]}; {seconds:.0f} s |"]


def shortened(title: str) -> str:
    text = " ".join(title.split()).replace("|", "\\|")
    return text if len(text) <= LONGEST else text[: LONGEST - 4].rsplit(" ", 1)[0] + " ..."


def finding(report: AuditReport, code: str) -> Finding:
    return next(found for found in report.findings if found.code == code)


# ---------------------------------------------------------------------------------------------------------- picture


def draw_pair(data: Path, report: AuditReport, ax: Any) -> None:
    """The picture that is both benign and malignant."""
    pair = finding(report, "same_picture_in_two_classes").figures["pairs"][0]
    images = [
        cv2.imread(str(data / "busi" / "images" / pair[side]), cv2.IMREAD_GRAYSCALE) for side in ("first", "second")
    ]
    height = 300
    scaled = [cv2.resize(image, (round(image.shape[1] * height / image.shape[0]), height)) for image in images]
    ax.imshow(np.hstack([scaled[0], np.full((height, 12), 255, "uint8"), scaled[1]]), cmap="gray")
    finish(ax, "One picture, two labels")
    ax.set_axis_off()
    middles = [scaled[0].shape[1] / 2, scaled[0].shape[1] + 12 + scaled[1].shape[1] / 2]
    for middle, side in zip(middles, ("first", "second"), strict=True):
        words = f"{pair[side]}\n{pair[f'{side}_class']}"
        ax.text(middle, height + 12, words, ha="center", va="top", fontsize=8.5, color=INK)


PROBES = [
    ("lidc_nodules", "object_size", "CT nodules: size"),
    ("lidc_nodules", "intensity", "CT nodules: brightness"),
    ("busi", "object_size", "ultrasound: size of the box"),
    ("busi", "border", "ultrasound: border strip"),
    ("motility", "frames", "cells: number of frames"),
    ("motility", "mean_step", "cells: mean step"),
]


def draw_probes(reports: dict[str, tuple[AuditReport, float]], ax: Any) -> None:
    """How well the class is told without looking at what should tell it."""
    found = [(words, finding(reports[name][0], code).figures) for name, code, words in PROBES]
    places = np.arange(len(found))[::-1]
    values = np.array([figures["auc"] for _, figures in found])
    reach = np.array([[figures["auc"] - figures["low"], figures["high"] - figures["auc"]] for _, figures in found]).T
    ax.errorbar(values, places, xerr=reach.clip(0), fmt="o", color=COLORS[1], capsize=3, markersize=5)
    ax.axvline(0.5, color=GREY, linewidth=0.8, linestyle="dashed")
    ax.set_yticks(places, [words for words, _ in found])
    ax.set_xlim(0.4, 1.02)
    finish(ax, "The class told without the object", "AUC, 95 % interval of all probes at once", grid="x")


def pooled_folds_of_one_class(table: pd.DataFrame) -> float:
    """What a naive cross-validation gives that leaves out one experiment, which holds one class only."""
    features = table.drop(columns=["class", "experiment", "Well/XY", "cell_id"])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    labels = (table["class"] == "wt").to_numpy()
    scores = cross_val_predict(
        model, features, labels, groups=table["experiment"], cv=LeaveOneGroupOut(), method="predict_proba"
    )
    return float(roc_auc_score(labels, scores[:, 1]))


def draw_batches(data: Path, report: AuditReport, ax: Any) -> float:
    """Random folds against folds of whole experiments, and the naive form beside them."""
    figures = finding(report, "no_batch_effect").figures
    naive = pooled_folds_of_one_class(pd.read_csv(data / FEATURES / f"{FEATURES}.csv"))
    lines = [
        ("random folds", figures["random_value"], figures["random_low"], figures["random_high"], COLORS[0]),
        (
            f"one experiment of each\nclass held out ({figures['folds']} pairs)",
            figures["held_out_mean"],
            figures["held_out_least"],
            figures["held_out_largest"],
            COLORS[0],
        ),
        ("one experiment held out,\nfolds of one class pooled", naive, naive, naive, GREY),
    ]
    for place, (_, value, low, high, color) in enumerate(lines):
        ax.errorbar(value, -place, xerr=[[value - low], [high - value]], fmt="o", color=color, capsize=3, markersize=5)
        ax.text(value, 0.18 - place, f"{value:.3f}", ha="center", fontsize=8.5, color=INK)
    ax.set_yticks([-place for place in range(len(lines))], [name for name, *_ in lines])
    ax.set(xlim=(0.4, 1.0), ylim=(-2.5, 0.6))
    finish(ax, "No batch effect; the last row would lie", "AUC: 95 % interval; range of the pairs", grid="x")
    return naive


def draw(data: Path, reports: dict[str, tuple[AuditReport, float]], output: Path) -> float:
    figure, axes = plt.subplots(1, 3, figsize=(12.5, 3.1), layout="constrained", width_ratios=[1.25, 1, 1])
    draw_pair(data, reports["busi"][0], axes[0])
    draw_probes(reports, axes[1])
    naive = draw_batches(data, reports[FEATURES][0], axes[2])
    write_whole(output, to_png(figure, dpi=130))
    return naive


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    output = parser.parse_args().output
    logging.getLogger("tumorkeras").setLevel(logging.ERROR)
    data = data_folder()
    reports = audited(data)
    print("| data | severity | what the audit says |\n| --- | --- | --- |")
    for name, (report, seconds) in reports.items():
        print("\n".join(rows(name, report, seconds)))
    naive = draw(data, reports, output)
    print(f"\nPooling the folds of one class on {FEATURES}: AUC {naive:.3f}.")


if __name__ == "__main__":
    main()
