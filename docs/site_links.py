"""Where links of pages, notebooks and docstrings lead on the site; what leads nowhere is left for Sphinx to report."""

from __future__ import annotations

import inspect
import os
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent

# Files of the repository that are pages of the site.
PAGES = {ROOT / f"{name.upper()}.md": DOCS / f"{name}.md" for name in ("changelog", "contributing")}
PAGES[ROOT / "README.md"] = DOCS / "index.md"
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")


def rooms() -> list[str]:
    """The modules that the reference has a page for."""
    listed = (DOCS / "reference.rst").read_text(encoding="utf-8").partition(":template:")[2].splitlines()[1:]
    return [f"tumorkeras.{line.strip()}" for line in listed if line.strip()]


def public_names(module: str) -> dict[str, Any]:
    """The public names of a module: those of ``__all__``, else what is written in it without a leading underscore."""
    home = import_module(module)
    named = getattr(home, "__all__", None) or [
        name for name, value in vars(home).items() if name[0] != "_" and getattr(value, "__module__", "") == module
    ]
    return {name: getattr(home, name) for name in named}


def classes() -> dict[str, str]:
    """The public classes by their bare names, for the types in docstrings."""
    places = ["tumorkeras", *rooms()]
    return {name: f"{place}.{name}" for place in reversed(places) for name in _classes_of(place)}


def _classes_of(module: str) -> list[str]:
    return [name for name, value in public_names(module).items() if inspect.isclass(value)]


def on_source_read(app: Sphinx, page: str, source: list[str]) -> None:
    """Lead the links of a page or notebook to README and the like to their pages."""
    folder = Path(app.env.doc2path(page)).resolve().parent
    source[0] = _moved(source[0], folder, folder)


def on_include_read(app: Sphinx, path: Path, page: str, source: list[str]) -> None:
    """Lead the links of README and the like, which lie beside ``docs``, as the pages that include them need it."""
    source[0] = _moved(source[0], ROOT, DOCS)


def _moved(text: str, folder: Path, page_folder: Path) -> str:
    def moved(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link[1]))
        return Path(os.path.relpath(PAGES.get(target, target), page_folder)).as_posix()

    return LINK.sub(moved, text)


def on_missing_reference(
    app: Sphinx, env: BuildEnvironment, node: nodes.Element, text: nodes.Element
) -> nodes.Node | None:
    """Lead a reference to the page of the object that it means, whatever module it is imported from there.

    An object of the package without a page stays text.
    """
    if node.get("refdomain") != "py":
        return None
    found = _object(node["reftarget"], node["refdoc"].rpartition("/")[2], node.get("py:module"))
    if found is None:
        return None
    domain = env.domains.python_domain
    for name in domain.objects:
        if name.rpartition(".")[2] == found.__name__ and _named(name) is found:
            return domain.resolve_xref(env, node["refdoc"], app.builder, node["reftype"], name, node, text)
    return text


def _object(target: str, page: str, module: str | None) -> Any:
    """What a reference means: by its full name, or a name of the module where the documented object is written."""
    home = getattr(_named(page), "__module__", None)
    names = [target, *(f"{place}.{target}" for place in (module, home) if place)]
    return next((found for name in names if hasattr(found := _named(name), "__name__")), None)


def _named(name: str) -> Any:
    """The object of the package with a full name; None where there is none."""
    if not name.startswith("tumorkeras"):
        return None
    module, _, rest = name.rpartition(".")
    try:
        return import_module(name)
    except ImportError:
        pass
    holder = _named(module)
    return getattr(holder, rest, None) if isinstance(holder, ModuleType) else vars(holder or object).get(rest)
