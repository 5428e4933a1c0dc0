"""How Sphinx builds the documentation: `make docs`, or `sphinx-build -W docs build/docs`."""

from __future__ import annotations

import warnings
from typing import Any

from matplotlib.figure import Figure
from sphinx_gallery.scrapers import figure_rst

from evolift.posedata.version import __version__

project = "evolift"
author = "evolift maintainers"
project_copyright = "2026, evolift maintainers"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
]
templates_path = ["_templates"]
exclude_patterns = ["**/runs", "gallery/*.md", "gallery/*.rst", "sg_execution_times.rst"]
html_theme = "furo"
html_title = f"evolift {release}"
html_theme_options = {
    "source_repository": "https://github.com/evolift/evolift/",
    "source_branch": "main",
    "source_directory": "docs/",
}
suppress_warnings = ["config.cache"]  # of the function in `sphinx_gallery_conf`, which cannot be pickled
smartquotes = False  # they make a dash of the two of a flag
highlight_language = "text"
default_role = "code"  # docstrings have their code in single backquotes

myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
toc_object_entries = False
napoleon_google_docstring = True
napoleon_use_ivar = True
napoleon_use_rtype = False
# jaxtyping's shapes are no names that could be linked to.
nitpicky = False


def figures_of_the_package(block: Any, variables: dict[str, Any], settings: dict[str, Any]) -> str:
    """Show each figure that a block of an example made; the package makes them without pyplot."""
    shown = variables.setdefault("__shown__", set())
    paths = []
    for value in list(variables["example_globals"].values()):
        if isinstance(value, Figure) and id(value) not in shown:
            shown.add(id(value))
            paths.append(next(variables["image_path_iterator"]))
            value.savefig(paths[-1], dpi=100)
    return figure_rst(paths, settings["src_dir"])


sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "auto_gallery",
    "filename_pattern": r"\.py",
    "within_subsection_order": "FileNameSortKey",
    "image_scrapers": (figures_of_the_package,),
    "min_reported_time": 1,
    "download_all_examples": False,
    "show_memory": False,
    "remove_config_comments": True,
    "abort_on_example_error": True,
}

# PyTorch and lightning warn about machines, not about these pages.
warnings.filterwarnings("ignore", module="lightning")
