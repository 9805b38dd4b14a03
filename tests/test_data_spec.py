"""The spec of the default data, which also explains every field a spec may have."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter

from tumorkeras.spec import DataSpec, Section, SimulationSource
from tumorkeras.spec_sections import (
    AutoencoderSection,
    ClassifierSection,
    Comparison,
    DetectorSection,
    Rendering,
    Splits,
    Training,
)
from tumorkeras.spec_sources import (
    Source,
)
from tumorkeras.spec_steps import (
    ContrastLimitedEqualization,
    IntensityWindow,
    LeeFilter,
    LogCompression,
    Normalize,
    PercentileWindow,
    Rescale,
    Standardize,
)


def off_blocks(text: str) -> list[dict[str, Any]]:
    """What is commented out, block by block: `# text` explains, `#name` and `#  name` are off."""
    blocks: list[list[str]] = [[]]
    for line in text.splitlines():
        if re.match(r"#(\w|  )", line):
            blocks[-1].append(line[1:])
        elif blocks[-1]:
            blocks.append([])
    return [yaml.safe_load("\n".join(lines)) for lines in blocks if lines]


@pytest.fixture(scope="module")
def written(checkout) -> str:
    return (checkout / "data_spec.yaml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def variants(checkout, written) -> list[DataSpec]:
    """The spec as it stands, and with each block in the place of its namesakes."""
    base = yaml.safe_load(written)
    return [DataSpec.from_dict({**base, **block}, folder=checkout) for block in [{}, *off_blocks(written)]]


def test_the_default_spec_is_the_simulated_motion(checkout):
    spec = DataSpec.from_yaml(checkout / "data_spec.yaml")
    assert (spec.name, spec.source.kind, spec.source.samples_per_class) == ("simulated_motion", "simulation", 200)
    assert (spec.source.frames, spec.input.shape, spec.input.spacing) == (48, [48, 32, 32, 1], [1, 8, 8])


def test_the_job_beside_the_default_is_a_detector_of_its_own(checkout):
    spec = DataSpec.from_yaml(checkout / "data_spec.yaml")
    (beside,) = [DataSpec.from_yaml(spec.resolve(path)) for path in spec.also]
    assert (beside.name, beside.tasks, beside.source.kind) == ("phantoms", ["detect"], "phantoms")
    assert beside.also == []


def test_the_default_spec_shows_the_defaults_or_names_them(checkout):
    path = checkout / "data_spec.yaml"
    spec, lines = DataSpec.from_yaml(path), path.read_text().splitlines()
    defaults = (
        SimulationSource(),
        Splits(),
        Rendering(),
        AutoencoderSection(),
        ClassifierSection(),
        DetectorSection(),
        Training(),
        Comparison(),
    )
    shown = (
        spec.source,
        spec.splits,
        spec.rendering,
        spec.autoencoder,
        spec.classifier,
        spec.detector,
        spec.training,
        spec.comparison,
    )
    for ours, default in zip(shown, defaults, strict=True):
        for name, value in ours:
            usual = getattr(default, name)
            if value == usual:
                continue
            said = f"; by default {'null' if usual is None else usual}"
            assert any(line.strip().startswith(f"{name}: ") and line.endswith(said) for line in lines), name
    assert spec.preprocessing == []


def test_the_steps_are_shown_with_their_defaults(variants):
    (steps,) = [spec.preprocessing for spec in variants if len(spec.preprocessing) > 1]
    assert steps == [
        LeeFilter(),
        LogCompression(),
        ContrastLimitedEqualization(),
        IntensityWindow(low=-160, high=240),
        PercentileWindow(),
        Rescale(),
        Normalize(mean=[0.33], std=[0.22]),
        Standardize(),
    ]


def test_every_source_is_shown(variants):
    kinds = TypeAdapter(Source).json_schema()["discriminator"]["mapping"]
    assert {spec.source.kind for spec in variants} == set(kinds)
    assert len(variants) == 12


def sections_in(value: Any) -> list[Section]:
    """Every section inside ``value``, itself included."""
    if isinstance(value, Section):
        return [value, *(section for _, field in value for section in sections_in(field))]
    if isinstance(value, dict):
        value = list(value.values())
    return [section for item in value for section in sections_in(item)] if isinstance(value, list) else []


def test_every_field_of_every_section_is_written_out(variants):
    written_out: dict[type[Section], set[str]] = {}
    for section in (section for spec in variants for section in sections_in(spec)):
        written_out.setdefault(type(section), set()).update(section.model_fields_set)
    kinds = {kind for kind in all_subclasses(Section) if kind.__module__.startswith("tumorkeras.spec")}
    assert set(written_out) == kinds
    absent = {kind.__name__: set(kind.model_fields) - fields for kind, fields in written_out.items()}
    assert not {name: fields for name, fields in absent.items() if fields}


def all_subclasses(kind: type) -> set[type]:
    return {sub for child in kind.__subclasses__() for sub in {child, *all_subclasses(child)}}


def test_every_field_is_explained_in_its_line(written):
    """Each field has a comment beside it where it first stands, but for sections and repeats."""
    explained, bare = set(), []
    for line in written.splitlines():
        match = re.match(r"#?\s*(?:- )?(\w+):(.*)", line)
        if line.startswith("# ") or not match or not match[2].strip():
            continue
        if "  # " in line:
            explained.add(match[1])
        elif match[1] not in explained:
            bare.append(line)
    assert [line for line in bare if line.lstrip("# ").split(":")[0] not in {"preprocessing"}] == []


def test_the_real_data_named_in_it_is_there(variants, data_folder):
    named = [(spec, path) for spec in variants for path in spec.paths().values() if "TUMORKERAS_DATA" in path]
    assert len(named) >= 12
    assert [path for spec, path in named if not spec.resolve(path).exists()] == []
