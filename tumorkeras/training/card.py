"""What a trained model shows of itself in a notebook: its card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tumorkeras import markup
from tumorkeras.curves import curves
from tumorkeras.estimates import COUNTED
from tumorkeras.markup import Cell, Row
from tumorkeras.training.live import in_minutes

if TYPE_CHECKING:
    from tumorkeras.training.folder import TrainedModel

HASH = 12  # characters of a hash that tell data apart


def card_of(trained: TrainedModel) -> str:
    """Kind, classes, metrics with intervals, thresholds, data, versions, and how it learnt."""
    card = trained.card
    parts = [markup.facts(_facts(trained), "Model"), *_metrics(card.get("metrics"))]
    parts.append(curves(trained.history))
    parts.append(markup.details("the spec, as YAML", markup.preformatted(trained.spec.to_yaml())))
    return markup.card(f"{card.get('name', trained.spec.name)}: {card['kind']}", parts)


def _facts(trained: TrainedModel) -> list[tuple[str, str]]:
    card = trained.card
    shape, parameters, seconds = card.get("input_shape"), card.get("parameters"), card.get("seconds_to_train")
    counts = [f"{count:,} {part}" for part, count in card.get("counts", {}).items()]
    versions = [f"{name} {version}" for name, version in card.get("versions", {}).items()]
    best = len(trained.history)
    trained_for = f"{best} epoch{'' if best == 1 else 's'}" + (f" in {in_minutes(seconds)}" if seconds else "")
    return [
        ("classes", ", ".join(card["classes"])),
        ("input", " x ".join(map(str, shape)) if shape else ""),
        ("parameters", f"{parameters:,}" if parameters else ""),
        ("samples", ", ".join(counts)),
        ("threshold", _threshold(card)),
        ("temperature", f"{card['temperature']['value']:.3g}, fitted to val" if "temperature" in card else ""),
        ("anchors", f"meet {card['anchor_recall']:.3f} of the training boxes" if "anchor_recall" in card else ""),
        ("pretraining", str(card.get("pretraining", ""))),
        ("training", f"{trained_for}, seed {card['seed']}" if "seed" in card else trained_for),
        ("data", f"SHA-256 {card['data_sha256'][:HASH]}..." if card.get("data_sha256") else ""),
        ("versions", ", ".join(versions)),
        ("folder", "" if trained.folder is None else str(trained.folder)),
    ]


def _threshold(card: Mapping[str, Any]) -> str:
    if "threshold" not in card:
        return ""
    return f"{card['threshold']:.3g}, {'tuned on val' if 'tuned_on_validation' in card else 'not tuned'}"


def _metrics(metrics: Mapping[str, Any] | None) -> list[str]:
    """Those of all classes together; those of single ones are folded."""
    if not metrics:
        return []
    rows = {name: _row(name, value) for name, value in metrics["values"].items()}
    overall = [row for name, row in rows.items() if _is_overall(name)]
    columns = ["metric", "value", "n"]
    parts = [markup.table(columns, overall or list(rows.values()), f"Metrics on the part {metrics['part']}")]
    if overall and len(overall) < len(rows):
        rest = [row for name, row in rows.items() if not _is_overall(name)]
        parts.append(markup.details("by class", markup.table(columns, rest, "Metrics of single classes")))
    read = f"Read on the part {metrics['part']}, with 95 % intervals."
    if metrics.get("stopped_by_this_part"):
        read += " The same part stopped the training: the figures are a little too good."
    return [*parts, markup.paragraph(read, "soft")]


def _is_overall(name: str) -> bool:
    return name not in COUNTED and "[" not in name and (" of " not in name or name.endswith((" of all", "all classes")))


def _row(name: str, metric: Mapping[str, Any]) -> Row:
    n = metric.get("n")
    words = name.removesuffix(" of all").removesuffix(" of all classes").replace("_", " ")
    show = markup.count if name.partition("[")[0] in COUNTED else markup.estimate
    figure = show(metric["value"], metric.get("low"), metric.get("high"))
    return Row([Cell(words), figure, Cell("" if n is None else f"{n:,.0f}", number=True)])
