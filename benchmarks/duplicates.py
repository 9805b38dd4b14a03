"""How well near-duplicates are found from pixels, and how fast: Markdown tables and a contact sheet.

    TUMORKERAS_DATA=... python benchmarks/duplicates.py [quality planted others scale picture ...]

Recall and precision on the labelled copies of ``busi``, with the curve around the bound that is used; recall of copies
that are planted among the images, a change at a time; what is found where the data have no copies; seconds and memory
at 1,000, 10,000 and 100,000 pictures, each in a process of its own. The picture goes to docs/images/duplicates.png.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pandas as pd

from tumorkeras.auditing.duplicates import duplicate_findings
from tumorkeras.data.similarity import SIDE, duplicate_groups, near_duplicates, thumbnail
from tumorkeras.data.similarity.candidates import candidates
from tumorkeras.data.similarity.comparison import (
    LEAST_FLIPPED,
    aligned_similarity,
    bounds_at,
    detail_of,
    plain_similarity,
)
from tumorkeras.metrics.intervals import bootstrap

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "duplicates.png"
PLANTED = 100
Change = Callable[[np.ndarray], np.ndarray]


def data_folder() -> Path:
    """The folder of the real data."""
    return Path(os.environ.get("TUMORKERAS_DATA") or Path(__file__).parents[2] / "shared" / "data")


def busi() -> tuple[pd.DataFrame, list[np.ndarray]]:
    """The table of the ultrasound images, with a file's name, and the images, grey."""
    table = pd.read_csv(data_folder() / "busi" / "images.csv")
    table["file"] = table["image"] + ".jpg"
    return table, [grey(data_folder() / "busi" / "images" / name) for name in table["file"]]


def bccd() -> tuple[list[str], list[np.ndarray]]:
    """Names and images, grey, of the blood cells."""
    files = sorted((data_folder() / "bccd" / "JPEGImages").glob("*.jpg"))
    return [file.name for file in files], [grey(file) for file in files]


def lidc() -> tuple[pd.DataFrame, np.ndarray]:
    """Table and volumes (n, depth, height, width) of the nodules, in the table's order: training part first."""
    table = pd.read_csv(data_folder() / "lidc_nodules" / "nodules.csv")
    with np.load(data_folder() / "lidc_nodules" / "nodules32.npz") as arrays:
        volumes = np.concatenate([arrays["train_images"], arrays["val_images"]])
    order = np.argsort((table["split"] != "train").to_numpy(), kind="stable")
    return table.iloc[order].reset_index(drop=True), volumes


def grey(path: Path) -> np.ndarray:
    """An image file as grey values."""
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise SystemExit(f"{path}: cannot be read; is TUMORKERAS_DATA the folder of the real data?")
    return image


def thumbnails_of(images: list[np.ndarray] | np.ndarray) -> np.ndarray:
    """Thumbnails of images or volumes without a channel axis."""
    return np.stack([thumbnail(image[..., None]) for image in images])


# ---------------------------------------------------------------------------------------------- changes of a copy


def slicewise(change: Change) -> Change:
    """A change of an image, made for each slice where it is a volume."""
    return lambda image: change(image) if image.ndim == 2 else np.stack([change(one) for one in image])


def resized(factor: float) -> Change:
    """Another size."""
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
    return slicewise(lambda image: cv2.resize(image, None, fx=factor, fy=factor, interpolation=how))


def recompressed(quality: int) -> Change:
    """Through JPEG."""

    def change(image: np.ndarray) -> np.ndarray:
        code = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        return cv2.imdecode(code, cv2.IMREAD_GRAYSCALE)

    return slicewise(change)


def brighter(gain: float, offset: float) -> Change:
    """Other brightness and contrast, cut at 0 and 255 as a file has it."""
    return lambda image: np.clip(image * gain + offset, 0, 255).astype("uint8")


def cropped(top: float, bottom: float, left: float, right: float) -> Change:
    """Without these shares of the rows and columns, but at least one where a share is asked for."""

    def change(image: np.ndarray) -> np.ndarray:
        height, width = image.shape[-2:]
        cuts = [
            int(np.ceil(share * side))
            for share, side in zip((top, bottom, left, right), (height, height, width, width), strict=True)
        ]
        return image[..., cuts[0] : height - cuts[1], cuts[2] : width - cuts[3]]

    return change


CHANGES: dict[str, Change] = {
    "the same": np.copy,
    "half the size": resized(0.5),
    "1.5 times the size": resized(1.5),
    "JPEG, quality 40": recompressed(40),
    "flipped left-right": lambda image: image[..., ::-1],
    "flipped up-down": lambda image: image[..., ::-1, :],
    "turned by 180 degrees": lambda image: image[..., ::-1, ::-1],
    "brightness x 1.3 + 20": brighter(1.3, 20),
    "contrast x 0.6": brighter(0.6, 0),
    "gamma 0.7": lambda image: (255 * (image / 255) ** 0.7).astype("uint8"),
    "cropped by 5 %, middle kept": cropped(0.025, 0.025, 0.025, 0.025),
    "cropped by 5 %, one corner kept": cropped(0.05, 0, 0.05, 0),
    "cropped by 5 % on all four sides": cropped(0.05, 0.05, 0.05, 0.05),
    "half the size, JPEG 40, flipped, cropped 5 %": lambda image: recompressed(40)(
        resized(0.5)(np.ascontiguousarray(cropped(0.025, 0.025, 0.025, 0.025)(image)[..., ::-1]))
    ),
}


# --------------------------------------------------------------------------------------------------------- tables


def table_of(header: str, rows: list[list[object]]) -> str:
    """A Markdown table."""
    names = header.split(" | ")
    lines = [names, ["---"] * len(names), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def labelled(groups: pd.Series) -> np.ndarray:
    """Pairs of places (m, 2), the smaller first, that the labels say are copies."""
    names = groups.to_numpy()
    return np.argwhere(np.triu(names[:, None] == names[None], 1))


def recall_and_precision(groups: pd.Series, found: np.ndarray) -> list[str]:
    """Both figures with 95 % intervals; what labels or found pairs join is drawn as a whole."""
    true = {tuple(pair) for pair in labelled(groups)}
    hit = {tuple(pair) for pair in found}
    unit = duplicate_groups(len(groups), pd.DataFrame(sorted(true | hit), columns=["first", "second"]))
    counts = np.zeros((len(groups), 3))
    for column, pairs in enumerate((true & hit, true, hit)):
        np.add.at(counts[:, column], [first for first, _ in pairs], 1)

    def figures(weights: np.ndarray) -> np.ndarray:
        both, of, all_found = (weights @ counts).T
        return np.stack([both / of, both / all_found], axis=1)

    result = bootstrap(figures, len(groups), groups=unit)
    rows = zip(result.value, result.low, result.high, strict=True)
    return [f"{value:.3f} ({low:.3f}-{high:.3f})" for value, low, high in rows]


def quality() -> str:
    """Recall and precision on ``busi``, and the curve."""
    table, images = busi()
    groups = table["dup_group"]
    thumbnails = thumbnails_of(images)
    pairs = near_duplicates(thumbnails)
    rows: list[list[object]] = []
    for part in ("train and val", "train", "val"):
        kept = np.flatnonzero(table["split"].isin(part.split(" and ")))
        found = near_duplicates(thumbnails[kept])[["first", "second"]].to_numpy()
        part_groups = groups.iloc[kept].reset_index(drop=True)
        figures = recall_and_precision(part_groups, found)
        rows.append([part, len(kept), len(labelled(part_groups)), len(found), *figures])
    text = table_of("busi | images | labelled pairs | found pairs | recall | precision", rows)
    same = groups.to_numpy()[pairs["first"]] == groups.to_numpy()[pairs["second"]]
    names = table["file"].to_numpy()
    unlabelled = [
        f"{names[a]}, {names[b]} ({s:.3f}, {c})" for a, b, s, c in pairs[~same].itertuples(index=False, name=None)
    ]
    text += "\nFound, not labelled: " + "; ".join(unlabelled) + "\n"
    findings = duplicate_findings(table["file"], pairs, table["split"], table["class"])
    text += "".join(f"\n- {finding.severity}, `{finding.code}`: {finding.title}" for finding in findings)
    return text + "\n\n" + curve(groups, thumbnails)


def curve(groups: pd.Series, thumbnails: np.ndarray) -> str:
    """Recall and precision on busi, and pairs found in the other sets, by the distance from unrelated pairs."""
    sets = [thumbnails, thumbnails_of(bccd()[1]), thumbnails_of(lidc()[1])]
    measured = []
    for some in sets:
        detail, pairs = detail_of(some), candidates(some)
        pairs = pairs[pairs["rank"] < 5]
        measured.append((detail, pairs, plain_similarity(detail, pairs), aligned_similarity(detail, pairs)))
    true = {tuple(pair) for pair in labelled(groups)}
    rows: list[list[object]] = []
    for distance in (4.0, 4.25, 4.5, 4.75, 5.0, 5.5, 6.0, 7.0):
        found = []
        for detail, pairs, plain, aligned in measured:
            least = bounds_at(detail, distance)
            near = (plain >= least.plain) | (aligned >= least.aligned)
            near &= (pairs["flip"] == 0) | (np.maximum(plain, aligned) >= LEAST_FLIPPED)
            found.append({tuple(pair) for pair in pairs.loc[near, ["first", "second"]].to_numpy()})
        both = len(true & found[0])
        figures = [f"{both / len(true):.3f}", f"{both / len(found[0]):.3f}"]
        rows.append([distance, *figures, len(found[1]), len(found[2])])
    return table_of(
        "standard deviations above unrelated pairs | recall, busi | precision, busi | pairs, bccd | pairs, lidc", rows
    )


def planted() -> str:
    """Recall of planted copies, a kind at a time: the originals stay, copies of 100 are added."""
    rng = np.random.default_rng(0)
    sets = {"busi": busi()[1], "bccd": bccd()[1], "lidc": list(lidc()[1])}
    chosen = {name: np.sort(rng.choice(len(images), PLANTED, replace=False)) for name, images in sets.items()}
    originals = {name: thumbnails_of(images) for name, images in sets.items()}
    rows: list[list[object]] = []
    for kind, change in CHANGES.items():
        row: list[object] = [kind]
        for name, images in sets.items():
            copies = thumbnails_of([change(images[k]) for k in chosen[name]])
            row += planted_figures(originals[name], chosen[name], copies)
        rows.append(row)
    header = "copies | " + " | ".join(f"{name}: recall | told as | other new pairs" for name in sets)
    return table_of(header, rows)


def planted_figures(originals: np.ndarray, chosen: np.ndarray, copies: np.ndarray) -> list[object]:
    """Share of the copies found with their original, as what, and pairs of a copy with another picture."""
    before = near_duplicates(originals)
    pairs = near_duplicates(np.concatenate([originals, copies]))
    source = np.concatenate([np.arange(len(originals)), chosen])
    fresh = pairs[pairs["second"] >= len(originals)]
    first, second = source[fresh["first"]], source[fresh["second"]]
    hit = fresh[(first == second) & (fresh["first"] < len(originals))]
    group = duplicate_groups(len(originals), before)
    others = int((group[first] != group[second]).sum())
    told = hit["change"].value_counts()
    words = ", ".join(f"{name} {count}" for name, count in told.items())
    return [f"{len(hit) / len(chosen):.2f}", words, others]


def others() -> str:
    """What is found where there is little to find."""
    table, volumes = lidc()
    names, cells = bccd()
    crops = [cv2.resize(volume[16], (64, 64), interpolation=cv2.INTER_CUBIC) for volume in volumes]
    dark = [(image // 40).astype("uint8") for image in busi()[1][:200]]
    noise = list(np.random.default_rng(0).integers(0, 256, (200, 64, 64)).astype("uint8"))
    sets: dict[str, list[np.ndarray] | np.ndarray] = {
        "bccd, all": cells,
        "lidc, volumes 32 x 32 x 32": volumes,
        "lidc, middle slices 64 x 64": crops,
        "busi, 200 divided by 40 (dark)": dark,
        "200 images of noise": noise,
        "200 constant images": [np.full((64, 64), k, "uint8") for k in range(200)],
    }
    rows: list[list[object]] = []
    for name, images in sets.items():
        pairs = near_duplicates(thumbnails_of(images))
        shown = ""
        if name.startswith("lidc"):
            exams = table["exam_id"].to_numpy()
            shown = f"{int((exams[pairs['first']] == exams[pairs['second']]).sum())} of one exam"
        if name.startswith("bccd"):
            shown = "; ".join(f"{names[a]} and {names[b]}" for a, b in pairs[["first", "second"]].to_numpy())
        if name.startswith("busi"):
            bright = near_duplicates(thumbnails_of(busi()[1][:200]))
            shown = f"{len(bright)} in the images as they are"
        rows.append([name, len(images), len(pairs), shown])
    return table_of("data | images | pairs found | which", rows)


# ---------------------------------------------------------------------------------------------------------- scale


def surrogates(count: int, seed: int = 0, side: int = 64) -> np.ndarray:
    """Images (count, side, side) uint8 that nobody copied: random, with the amplitudes that natural images have."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    values = np.fft.irfft2(np.fft.rfft2(rng.standard_normal((count, side, side)).astype("float32")) / frequency**1.5)
    low, high = values.min((1, 2), keepdims=True), values.max((1, 2), keepdims=True)
    return ((values - low) / (high - low) * 255).astype("uint8")


def measure(count: int) -> dict[str, float]:
    """Seconds, memory and recall with 1 % of the pictures copies of others, a change after the other."""
    kinds = list(CHANGES)[1:]
    copies = count // 100
    made = [surrogates(min(2000, count - copies - start), start) for start in range(0, count - copies, 2000)]
    thumbnails = np.concatenate([thumbnails_of(part) for part in made])
    changed = [CHANGES[kinds[k % len(kinds)]](made[0][k % len(made[0])]) for k in range(copies)]
    thumbnails = np.concatenate([thumbnails, thumbnails_of(changed)])
    del made
    start, cpu = time.perf_counter(), time.process_time()
    pairs = near_duplicates(thumbnails)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    hit = (pairs["second"] - (count - copies) == pairs["first"]) & (pairs["second"] >= count - copies)
    return {
        "seconds": seconds,
        "cpu": cpu,
        "peak": peak / 1e6,
        "recall": float(hit.sum()) / copies,
        "others": int((~hit).sum()),
    }


def scale() -> str:
    """Seconds and memory by the number of pictures."""
    rows: list[list[object]] = []
    for count in (1_000, 10_000, 100_000):
        command = [sys.executable, __file__, "--measure", str(count)]
        found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        times = [f"{found['seconds']:.1f}", f"{found['cpu']:.1f}"]
        rows.append([f"{count:,}", *times, f"{found['peak']:.1f}", f"{found['recall']:.3f}", found["others"]])
    start = time.perf_counter()
    images = busi()[1][:100]
    read = time.perf_counter()
    thumbnails_of(images)
    each = (time.perf_counter() - read) / 100 * 1000
    header = "pictures | seconds | processor seconds | peak memory, GB | recall of 1 % planted | other pairs"
    reading = (read - start) / len(busi()[0]) * 1000
    return table_of(header, rows) + f"\nA thumbnail takes {each:.2f} ms, reading an image of busi {reading:.1f} ms.\n"


# -------------------------------------------------------------------------------------------------------- picture


def picture() -> str:
    """The contact sheet: pictures in two classes, and copies that were planted across a split."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    table, images = busi()
    table = table[["file", "class", "split"]]
    rng = np.random.default_rng(3)
    sources = rng.choice(np.flatnonzero(table["split"] == "train"), len(SHOWN), replace=False)
    copies = [CHANGES[kind](images[k]) for kind, k in zip(SHOWN, sources, strict=True)]
    names = [f"planted_{k + 1}.jpg" for k in range(len(copies))]
    classes = table["class"].to_numpy()[sources]
    table = pd.concat([table, pd.DataFrame({"file": names, "class": classes, "split": "val"})], ignore_index=True)
    images = [*images, *copies]
    pairs = near_duplicates(thumbnails_of(images))
    findings = {found.code: found for found in duplicate_findings(table["file"], pairs, table["split"], table["class"])}
    mixed = findings["same_picture_in_two_classes"].figures["pairs"][:4]
    crossing = findings["near_duplicates_across_split"].figures["pairs"]
    chosen = sorted(
        (pair for pair in crossing if pair["second"] in names), key=lambda pair: names.index(pair["second"])
    )
    # Where the original has near-duplicates of its own, the most similar one is shown.
    chosen = list({pair["second"]: pair for pair in reversed(chosen)}.values())[::-1]
    rows = dict(zip(table["file"], range(len(table)), strict=True))
    figure = plt.figure(figsize=(12, 1.95 * (1 + -(-len(chosen) // 4)) + 0.9), layout="constrained")
    figure.get_layout_engine().set(h_pad=0.18)  # room for the words below the images
    halves = figure.subfigures(2, 1, height_ratios=[1, -(-len(chosen) // 4)])
    draw(halves[0], "The same picture in two classes", mixed, "_class", rows, images)
    draw(halves[1], "Copies planted across a split", chosen, "_part", rows, images)
    source = "Images: Al-Dhabyani et al., Data in Brief 28:104863 (2020)"
    figure.text(0.995, 0.985, source, fontsize=7, color="0.4", ha="right", va="top")
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=100)
    return f"{PICTURE.name}: {len(mixed)} pairs in two classes, {len(chosen)} of {len(SHOWN)} planted copies\n"


SHOWN = [
    "half the size",
    "JPEG, quality 40",
    "flipped left-right",
    "flipped up-down",
    "brightness x 1.3 + 20",
    "cropped by 5 %, middle kept",
    "cropped by 5 %, one corner kept",
    "cropped by 5 % on all four sides",
]


def draw(figure, title: str, pairs: list[dict], told: str, rows: dict[str, int], images: list[np.ndarray]) -> None:
    """Pairs side by side, four a row."""
    figure.suptitle(title, fontsize=11, x=0.01, ha="left", weight="bold")
    height = -(-len(pairs) // 4)
    axes = figure.subplots(height, 8, squeeze=False)
    for axis in axes.ravel():
        axis.axis("off")
    for number, pair in enumerate(pairs):
        for side, name in enumerate(("first", "second")):
            axis = axes[number // 4, number % 4 * 2 + side]
            axis.imshow(images[rows[pair[name]]], cmap="gray", vmin=0, vmax=255, aspect="auto")
            axis.set_title(f"{pair[name].removesuffix('.jpg')}\n{pair[name + told]}", fontsize=7.5)
        left = axes[number // 4, number % 4 * 2]
        found = f"{pair['change']}, {pair['similarity']:.3f}"
        words = left.text(0, -0.04, found, fontsize=7.5, va="top", transform=left.transAxes)
        words.set_in_layout(False)  # else it pushes the columns apart


PARTS = {"quality": quality, "planted": planted, "others": others, "scale": scale, "picture": picture}


def main() -> None:
    """Print the tables that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all without")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(arguments.measure)))
        return
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    print(f"Thumbnails of {SIDE} x {SIDE} pixels.\n")
    for name in arguments.parts or PARTS:
        print(f"### {name}\n\n{PARTS[name]()}", flush=True)


if __name__ == "__main__":
    main()
