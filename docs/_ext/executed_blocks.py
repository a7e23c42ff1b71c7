"""The directives ``{run}`` and ``{shown}``: code with its output, and code that is only shown."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

sys.path.insert(0, str(Path(__file__).parents[1]))

import blocks

COLUMNS = 100


class Run(SphinxDirective):
    """Code that was run when the site was built, with its output."""

    optional_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "fails": directives.flag,
        "no-code": directives.flag,
        "quiet": directives.flag,
        "until": directives.unchanged_required,
    }

    def run(self) -> list[nodes.Node]:
        page = Path(self.env.doc2path(self.env.docname))
        number = self.env.temp_data.setdefault("executed_blocks", 0)
        self.env.temp_data["executed_blocks"] = number + 1
        try:
            printed = blocks.results(page)[number]
        except blocks.BlockError as error:
            raise self.error(str(error)) from error
        code = nodes.literal_block("\n".join(self.content), "\n".join(self.content))
        code["language"] = (self.arguments or ["shell"])[0]
        box = nodes.container("", classes=["run"])
        if "no-code" not in self.options:
            box += code
        if printed and "quiet" not in self.options:
            printed = "\n".join(_folded(line) for line in printed.splitlines())
            output = nodes.literal_block(printed, printed, classes=["output"])
            output["language"] = "text"
            box += output
        return [box]


class Shown(SphinxDirective):
    """Code that is not run, with a note where readers need one."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {"language": directives.unchanged}

    def run(self) -> list[nodes.Node]:
        reason = blocks.REASONS.get(self.arguments[0])
        if reason is None:
            raise self.error(f"{self.arguments[0]}: choose a reason of {', '.join(blocks.REASONS)}")
        code = nodes.literal_block("\n".join(self.content), "\n".join(self.content))
        code["language"] = self.options.get("language", "shell")
        note = [nodes.paragraph("", reason, classes=["needs"])] if reason else []
        return [nodes.container("", *note, code, classes=["shown"])]


def _folded(line: str) -> str:
    """A sentence that is wider than the page in lines of its own; a row of a table as it is."""
    if len(line) <= COLUMNS or "   " in line.strip():
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(line, COLUMNS, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _outdated(app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]) -> list[str]:
    """Pages that have not changed, but whose output may have."""
    return [
        name
        for name in env.found_docs - added - changed
        if (page := Path(env.doc2path(name))).suffix == ".md" and page.is_file() and not blocks.is_fresh(page)
    ]


def _check(app: Sphinx, env: BuildEnvironment, names: Iterable[str]) -> None:
    """Refuse to build pages with code that nothing runs or checks."""
    from sphinx.util import logging

    for page in blocks.pages():
        for problem in blocks.problems(page):
            logging.getLogger(__name__).warning(problem, type="blocks")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("run", Run)
    app.add_directive("shown", Shown)
    app.connect("env-get-outdated", _outdated)
    app.connect("env-before-read-docs", _check)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
