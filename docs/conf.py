"""The settings of Sphinx; see docs/README.md."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers.special import TextLexer

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS / "_ext"), str(DOCS / "figures")]

from kineme.version import __version__

project = "Kineme"
copyright = "the Kineme maintainers"  # noqa: A001 (Sphinx's name)
author = "the Kineme maintainers"
version = release = __version__
language = "en-GB"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "executed_blocks",
    "picture",
    "guide_numbers",
    "from_code",
]
exclude_patterns = ["_build", "_generated", "README.md", "figures", "Thumbs.db", ".DS_Store"]

# Pages. A link to a heading of another page is PAGE.md#heading-in-small-letters.
myst_enable_extensions = ["attrs_block", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
smartquotes_action = "qDe"  # quotation marks, dashes, ellipses

# Notebooks are executed at build; what has not changed comes from the cache.
nb_execution_mode = "cache"
nb_execution_cache_path = str(DOCS / "_generated" / "notebooks")
os.environ.setdefault("KINEME_GUIDE_DATA", str(DOCS / "_generated" / "guide" / "pairs"))
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True

# The API, from docstrings.
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
nitpicky = True
# Types of other packages, since this site is built with no network, and parts of the package that have no page.
nitpick_ignore_regex = [
    ("py:.*", r"(np|numpy|NDArray|polars|pl|fractions|threading|collections|typing|os|pathlib|av)\b.*"),
    ("py:.*", r"(Path|Any|Iterator|Iterable|Generator|Sequence|Callable|Literal|Self|Fraction|VideoFrame|optional)"),
    ("py:.*", r"kineme\.(dataset|models|prediction|training|video)\.(?!.*(Model|Prediction|ClipSpec)$).*"),
    ("py:.*", r"(Pathlike|FrameOrder|Exported|OnPacket|OnProgress|VideoFault|WindowEncoder)"),
    ("py:.*", r"(AutoOptions|Explanation|PeopleStream|The distinct labels|sorted|compare)"),
    ("py:.*", r"kineme\.(sources|people)\..*"),
    ("py:(meth|attr)", r"(kineme\.model\.Model\.open_set_score|timeline_settings)"),
]

html_theme = "furo"
html_title = "Kineme"
html_static_path = ["_static"]
html_css_files = ["kineme.css"]
html_show_copyright = False
html_copy_source = False
html_show_sourcelink = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2368b0", "color-brand-content": "#2368b0"},
    "dark_css_variables": {"color-brand-primary": "#6fb1f4", "color-brand-content": "#6fb1f4"},
    "navigation_with_keys": True,
}
pygments_style = "friendly"
pygments_dark_style = "github-dark"

copybutton_exclude = ".linenos, .gp, .go"
copybutton_selector = "div:not(.output):not(.plain) > div.highlight > pre"


def _keep_together(app: Any, document: nodes.document) -> None:
    """No line ends within "97 %" or "92 to 100"."""
    for text in list(document.findall(nodes.Text)):
        if not isinstance(text.parent, (nodes.FixedTextElement, nodes.literal, nodes.raw)):
            kept = re.sub(r"(?<=\d) (?=%|to \d)|(?<=\d to) (?=\d)", "\u00a0", text)
            text.parent.replace(text, nodes.Text(kept))


def setup(app: Any) -> None:
    """Show tables as the plain text they are, and figures in one piece."""
    app.add_lexer("csv", TextLexer)
    app.connect("doctree-read", _keep_together)
