"""The directive ``{picture} NAME``: a picture that was made by code, for light and for dark pages.

It takes ``NAME-light`` and ``NAME-dark`` from ``docs/_generated/figures``, or ``NAME`` alone where one file suits
both. Alternative text is required; what stands inside becomes the caption.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FOLDER = Path(__file__).parents[1] / "_generated" / "figures"
SUFFIXES = (".svg", ".png", ".webp", ".gif")


class Picture(SphinxDirective):
    """See the file's docstring."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"alt": directives.unchanged_required, "width": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        name = self.arguments[0]
        if not self.options.get("alt"):
            raise self.error(f"picture {name}: needs alternative text, :alt:")
        figure = nodes.figure("", classes=["picture"])
        for end, shown in (("", []), ("-light", ["only-light"]), ("-dark", ["only-dark"])):
            files = [f"{name}{end}{suffix}" for suffix in SUFFIXES if (FOLDER / f"{name}{end}{suffix}").is_file()]
            if files:
                image = nodes.image(uri=f"/_generated/figures/{files[0]}", alt=self.options["alt"], classes=shown)
                if "width" in self.options:
                    image["width"] = self.options["width"]
                figure += image
        if not figure.children:
            raise self.error(f"picture {name}: not in docs/_generated/figures; `make docs` draws it")
        if self.content:
            caption = nodes.caption()
            text = self.parse_content_to_nodes()
            caption += text[0].children if text else []
            figure += caption
        self.set_source_info(figure)
        return [figure]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("picture", Picture)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
