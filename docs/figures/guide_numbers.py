"""The role ``{n}`name```: a number that a run of the guide gave, with the command that it comes from as its title."""

from __future__ import annotations

import html
import json
from typing import Any

from docutils import nodes
from guide_paths import GENERATED
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxRole


class Number(SphinxRole):
    """See the file's docstring; an unknown name is a warning."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """The number as text."""
        file = GENERATED / "numbers.json"
        self.env.note_dependency(str(file))
        numbers = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        if self.text not in numbers:
            message = f"there is no number {self.text!r}; `python docs/figures/make.py` makes them"
            return [nodes.problematic(self.rawtext, self.rawtext)], [
                self.inliner.reporter.error(message, line=self.lineno)
            ]
        text, command = numbers[self.text]
        if self.env.app.builder.format != "html":
            return [nodes.Text(text)], []
        marked = f'<span class="number" title="{html.escape(command)}">{html.escape(text)}</span>'
        return [nodes.raw("", marked, format="html")], []


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the role."""
    app.add_role("n", Number())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
