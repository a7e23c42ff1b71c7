"""Writes, at the start of a build, what pages include from code: ``docs/_generated/parts`` and a diagram.

``cli.md`` is every verb's help, ``benchmark-NAME.md`` a table from ``benchmarks/results/NAME.json``; the approaches,
backbones and weights have tables of their own; ``citation.md`` names the version. The picture ``packages`` is drawn
from the imports of ``src/kineme``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import benchmark_tables
import cli_help
import model_tables
import package_diagram
from sphinx.application import Sphinx

from kineme.version import __version__

PARTS = Path(__file__).parents[1] / "_generated" / "parts"
CITATION = f"""```bibtex
@software{{kineme,
  title   = {{Kineme: recognising human actions in videos}},
  author  = {{{{The Kineme maintainers}}}},
  version = {{{__version__}}},
  year    = {{2026}}
}}
```
"""


def write(app: Sphinx | None = None) -> None:
    """Write all parts; one that has not changed is left alone, so that its page need not be built anew."""
    parts = {"citation": CITATION, "cli": cli_help.page(), **model_tables.parts(), **benchmark_tables.parts()}
    PARTS.mkdir(parents=True, exist_ok=True)
    for name, text in parts.items():
        path = PARTS / f"{name}.md"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
    package_diagram.draw()


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the parts before any page is read."""
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
