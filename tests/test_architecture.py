"""The house rules: imports go downward, the package starts light, the public names are there."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

import tumorkeras

PACKAGE = Path(tumorkeras.__file__).parent
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")

# A room (a module or folder of the package) may import rooms of a lower tier and of its own.
TIERS = [
    {
        "changes",
        "curves",
        "errors",
        "estimates",
        "files",
        "markup",
        "palette",
        "machine",
        "progress",
        "standard_error",
        "spec",
        "spec_faults",
        "spec_file",
        "spec_base",
        "spec_card",
        "spec_sections",
        "spec_sources",
        "spec_steps",
        "spec_types",
        "anchors",
        "boxes",
    },
    {"cohort", "data", "layers", "metrics"},
    {"models"},
    {"training", "features", "explain"},
    {"comparison", "serving", "auditing"},
    {"scoring"},
    {"plots", "report", "jobs", "workflow", "cli", "installation", "layout", "starting", "__main__"},
]
TIER = {room: tier for tier, rooms in enumerate(TIERS) for room in rooms}
STRANGERS = [
    {"data", "layers"},
    {"data", "metrics"},
    {"layers", "metrics"},
]  # of one tier, and yet never together
ROOMS_OF_PLOTS = TIERS[0] | {"metrics", "plots"}
WITHOUT_TENSORFLOW = TIERS[0] | {"cohort", "metrics", "plots"}
KERAS_CV = {"layers", "models"}
TENSORFLOW = {"tensorflow", "keras", "keras_cv", "tf_keras"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(path: Path) -> tuple[str, ...]:
    """Full dotted names that a file imports, anywhere in it; ``from a import b`` gives ``a.b``."""
    return tuple(_imports_of(path))


def _imports_of(path: Path) -> Iterator[str]:
    package = ("tumorkeras", *path.relative_to(PACKAGE).parent.parts)
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def uses_of(path: Path, packages: set[str]) -> list[str]:
    """Which of other people's packages a file imports."""
    return [f"imports {name}" for name in sorted(packages & {name.split(".")[0] for name in imports_of(path)})]


def rooms_imported(path: Path) -> set[str]:
    named = [name.split(".") for name in imports_of(path)]
    return {parts[1] if len(parts) > 1 else "" for parts in named if parts[0] == "tumorkeras"}


def fault_of(room: str, imported: str) -> str | None:
    """Why ``room`` may not import ``imported``; None where it may."""
    if imported == room:
        return None
    if imported not in TIER:
        return f"{room} imports tumorkeras.{imported}, which is no room of the plan"
    if TIER[imported] > TIER[room] or {room, imported} in STRANGERS:
        return f"{room} imports {imported}, which does not stand below it"
    if room == "plots" and imported not in ROOMS_OF_PLOTS:
        return f"plots imports {imported}; it draws what it is given"
    return None


def import_faults(path: Path) -> list[str]:
    room = room_of(path)
    if room not in TIER:
        return [f"{room} has no place in the plan of tests/test_architecture.py"]
    return [fault for other in sorted(rooms_imported(path)) if (fault := fault_of(room, other))]


def assert_kept(rule: Callable[[Path], list[str]]) -> None:
    """Fail with all that a rule finds in any file of the package; one test a rule, for there are many files."""
    faults = [f"{path.relative_to(PACKAGE).as_posix()}: {fault}" for path in FILES for fault in rule(path)]
    assert not faults, "\n".join(faults)


def test_imports_go_downward():
    assert_kept(import_faults)


def test_the_plan_refuses_what_it_should():
    """The rule itself, on imports that must and must not be."""
    assert fault_of("models", "layers") is None
    assert fault_of("workflow", "plots") is None
    assert fault_of("layers", "data")
    assert fault_of("data", "layers")
    assert fault_of("metrics", "training")
    assert fault_of("serving", "scoring")
    assert fault_of("plots", "data")
    assert fault_of("cli", "DataSpec")  # through the package's root: name the room


def test_keras_cv_stays_in_layers_and_models():
    assert_kept(lambda path: uses_of(path, {"keras_cv"}) if room_of(path) not in KERAS_CV else [])


def test_bars_are_made_in_one_place():
    assert_kept(lambda path: uses_of(path, {"tqdm"}) if path != PACKAGE / "progress.py" else [])


def test_rooms_without_tensorflow_import_none():
    rooms = WITHOUT_TENSORFLOW
    assert_kept(lambda path: uses_of(path, TENSORFLOW) if room_of(path) in rooms else [])


def prints_of(path: Path) -> list[str]:
    calls = [node.func for node in ast.walk(tree_of(path)) if isinstance(node, ast.Call)]
    return [f"line {call.lineno} prints" for call in calls if isinstance(call, ast.Name) and call.id == "print"]


def test_library_code_does_not_print():
    assert_kept(prints_of)


def test_the_files_are_found():
    """Else no rule could be broken."""
    assert {PACKAGE / "errors.py", PACKAGE / "models" / "classifier.py"} <= set(FILES)


@pytest.mark.parametrize(
    "statement",
    [
        "import tumorkeras",
        "from tumorkeras import DataSpec",
        "import tumorkeras; dir(tumorkeras); tumorkeras.__version__",
        "import tumorkeras.errors, tumorkeras.metrics",
        "import tumorkeras.features.columns, tumorkeras.metrics.scorers",  # what processes of the tuning load
        "from tumorkeras import plots",
        "from tumorkeras import simulate_motility; simulate_motility('random_walk', 1, frames=3)",
    ],
)
def test_starts_without_tensorflow(statement):
    check = f"{statement}\nimport sys\nsys.exit(' '.join({TENSORFLOW!r} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=PACKAGE.parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_import_alone_loads_no_other_package():
    check = "import sys; before = set(sys.modules); import tumorkeras; print(*(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert not {"numpy", "pandas", "pydantic", "yaml", "scipy"} & set(done.stdout.split())


# ---------------------------------------------------------------------------------------- public names


@pytest.mark.parametrize("name", tumorkeras.__all__)
def test_every_public_name_resolves(name):
    value = getattr(tumorkeras, name)
    assert value.__doc__
    assert isinstance(value, ModuleType) == (name in {"explain", "plots"})


def test_no_public_name_is_the_name_of_a_module():
    """Importing a module puts it on the package, in the place of a function of the same name."""
    modules = {room_of(path) for path in FILES}
    assert modules & set(tumorkeras.__all__) <= {"explain", "plots"}


def test_public_names_for_type_checkers_are_the_public_names():
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    (guarded,) = [node for node in tree.body if isinstance(node, ast.If)]
    imports = [node for node in guarded.body if isinstance(node, ast.ImportFrom)]
    seen = {alias.asname: node.module for node in imports for alias in node.names}
    homes = {name: f"tumorkeras.{home}" for name, home in tumorkeras._HOMES.items()}
    assert seen == homes | {"explain": "tumorkeras", "plots": "tumorkeras"}


def test_dir_lists_the_public_names():
    assert set(tumorkeras.__all__) | {"__version__"} <= set(dir(tumorkeras))


def test_unknown_names_are_no_attributes():
    with pytest.raises(AttributeError, match="module 'tumorkeras' has no attribute 'tumour'"):
        _ = tumorkeras.tumour


def test_the_version_is_the_one_of_the_package(checkout):
    import configparser

    setup = configparser.ConfigParser()
    setup.read(checkout / "setup.cfg")
    assert tumorkeras.__version__ in (setup["metadata"]["version"], "0+unknown")


def test_the_package_tells_type_checkers_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()
