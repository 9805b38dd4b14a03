"""How Sphinx builds the documentation site: ``sphinx-build -W --keep-going -b html docs docs/_build/html``."""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, get_args

from docutils import nodes
from docutils.utils.math import latex2mathml
from numpydoc.xref import DEFAULT_LINKS
from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parent
sys.path[:0] = [str(DOCS.parent), str(DOCS)]
os.environ.update(CUDA_VISIBLE_DEVICES="-1", TF_CPP_MIN_LOG_LEVEL="3", MPLBACKEND="Agg")

import site_links  # noqa: E402

import tumorkeras  # noqa: E402

LONGEST_DEFAULT = 40  # characters


def constants_of(module: str) -> dict[str, str]:
    """The public names of a module that are neither classes nor functions, each with its value in words."""
    kinds = (inspect.isclass, inspect.isroutine, inspect.ismodule)
    values = site_links.public_names(module)
    return {name: _words(value) for name, value in values.items() if not any(is_kind(value) for is_kind in kinds)}


def _words(value: Any) -> str:
    parts = get_args(value) or (value if isinstance(value, (Mapping, tuple, set)) else (value,))
    return ", ".join(f"``{getattr(part, '__name__', None) or repr(part)}``" for part in parts)


project = "tumorkeras"
author = "the tumorkeras authors"
release = version = tumorkeras.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "sphinx_copybutton",
]
exclude_patterns = ["_build", "_templates", "**.ipynb_checkpoints"]
templates_path = ["_templates"]
highlight_language = "none"
suppress_warnings = ["config.cache"]  # of a function in autosummary_context: each build is a whole one
# There may be no notebook yet; the warning has a subtype without a type, which suppress_warnings cannot name.
logging.getLogger("sphinx.sphinx.directives.other").addFilter(lambda record: "empty_glob" not in vars(record).values())

# Names in :func:, :class: and the like must lead somewhere.
nitpicky = True

# Pages and notebooks
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# The reference, a page a public name
autosummary_ignore_module_all = False
autosummary_context = {"top": set(tumorkeras.__all__), "constants_of": constants_of}
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings have them
autodoc_preserve_defaults = True
numpydoc_show_class_members = False  # the methods follow the docstring, each with its own
numpydoc_xref_param_type = True
numpydoc_xref_ignore = "all"  # but for the package's own classes
numpydoc_xref_aliases = site_links.classes()
DEFAULT_LINKS.clear()  # to the sites of Python and NumPy, which a build without network does not know

# The look
html_theme = "pydata_sphinx_theme"
html_title = "tumorkeras"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-high-contrast-light",
}
html_sidebars = {"index": []}
copyright = "tumorkeras authors, Apache-2.0"
copybutton_prompt_text = r">>> |\.\.\. "
copybutton_prompt_is_regexp = True


def on_signature(
    app: Sphinx, what: str, name: str, found: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str, None] | None:
    """Give a class the arguments of its ``__init__``, and short defaults.

    Keras hides those of a layer behind a ``__new__`` that takes any; the sections of a spec are long.
    """
    if what != "class" or not (signature == "(*args, **kwargs)" or hasattr(found, "model_fields")):
        return None
    own = inspect.signature(found if hasattr(found, "model_fields") else partial(found.__init__, None))
    return str(inspect.Signature([_without_types(each) for each in own.parameters.values()])), None


class _Dots:
    def __repr__(self) -> str:
        return "..."


def _without_types(parameter: inspect.Parameter) -> inspect.Parameter:
    given = parameter.default
    short = given if given is parameter.empty or len(repr(given)) < LONGEST_DEFAULT else _Dots()
    return parameter.replace(annotation=parameter.empty, default=short)


def on_skip_member(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the fields of named tuples that say nothing of themselves, and pydantic's own."""
    words = getattr(member, "__doc__", None) or ""
    return True if words.startswith("Alias for field") or name.startswith("model_") else None


def as_mathml(self: Any, node: nodes.Element) -> None:
    """Write an equation as MathML, which browsers draw without a script from elsewhere."""
    block = isinstance(node, nodes.math_block)
    self.body.append(latex2mathml.tex2mathml(node.astext(), as_block=block))
    raise nodes.SkipNode


def setup(app: Sphinx) -> None:
    """Register what is above."""
    app.connect("source-read", site_links.on_source_read)
    app.connect("include-read", site_links.on_include_read)
    app.connect("missing-reference", site_links.on_missing_reference)
    app.connect("autodoc-process-signature", on_signature)
    app.connect("autodoc-skip-member", on_skip_member)
    app.add_html_math_renderer("mathml", (as_mathml, None), (as_mathml, None))
