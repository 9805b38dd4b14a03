"""What a spec shows of itself in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tumorkeras import markup

if TYPE_CHECKING:
    from tumorkeras.spec import DataSpec


def card_of(spec: DataSpec) -> str:
    """What the data are, what is to be learnt of them, and how; the whole spec as YAML is folded below."""
    source = spec.source.model_dump(mode="json", exclude_defaults=True)
    training = spec.training
    spacing = "" if spec.input.spacing is None else f", {_by(spec.input.spacing)} {spec.input.units} apart"
    pairs = [
        ("tasks", ", ".join(spec.tasks)),
        ("input", f"{_by(spec.input.shape)}{spacing}"),
        ("classes", ", ".join(spec.classes) if spec.classes else "as the source has them"),
        ("source", _in_words({"kind": spec.source.kind, **source})),
        ("parts", _parts(spec)),
        ("preprocessing", ", ".join(step.step for step in spec.preprocessing)),
        ("training", f"{training.epochs} epochs at most, batches of {training.batch_size}, seed {training.seed}"),
        ("augmentation", ", ".join(training.augment)),
    ]
    described = markup.paragraph(spec.description, "soft") if spec.description else ""
    whole = markup.details("as YAML", markup.preformatted(spec.to_yaml()))
    return markup.card(f"Data spec {spec.name}", [described, markup.facts(pairs, "Data spec"), whole])


def _by(sides: Any) -> str:
    return " x ".join(f"{side:g}" for side in sides)


def _parts(spec: DataSpec) -> str:
    splits = spec.splits
    if splits.files is not None:
        words = "from lists of ids"
    else:
        shares = splits.fractions.model_dump().items()
        words = ", ".join(f"{name} {100 * share:.3g} %" for name, share in shares)
    return words + (f", {splits.group} kept together" if splits.group else "")


def _in_words(values: Mapping[str, Any]) -> str:
    """Fields and what they are set to, nested ones in brackets."""
    words = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            words.append(f"{name} ({_in_words(value)})")
        elif value is not None:
            words.append(f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    return "; ".join(words)
