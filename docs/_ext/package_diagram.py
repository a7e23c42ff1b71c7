"""Draws the folders of the package and who imports whom, from the imports in the source."""

from __future__ import annotations

import ast
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "figures"))

from picture import FOLDER
from style import Theme, save

SOURCE = Path(__file__).parents[2] / "src" / "kineme"
# In the order in which data flows; what is found in the source beside these is drawn after them.
ORDER = [
    *(
        "video",
        "sources",
        "dataset",
        "models",
        "people",
        "prediction",
        "training",
        "exporters",
        "report",
        "serving",
        "scale",
    ),
    "cli",
]
NAME = "packages"


def imports() -> dict[tuple[str, str], int]:
    """How many modules of one folder import from another, at the top of a file or within a function."""
    found: Counter[tuple[str, str]] = Counter()
    for path in SOURCE.rglob("*.py"):
        here = path.relative_to(SOURCE).parts[0]
        if here.endswith(".py"):
            continue
        reached = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                modules = [node.module]
            reached |= {module.split(".")[1] for module in modules if module.startswith("kineme.")}
        for there in reached:
            if (SOURCE / there).is_dir() and there != here:
                found[here, there] += 1
    return dict(found)


def sizes() -> dict[str, tuple[int, int]]:
    """Files and lines of each folder."""
    folders = sorted(path.name for path in SOURCE.iterdir() if path.is_dir() and any(path.rglob("*.py")))
    return {
        name: (
            len(files := list((SOURCE / name).rglob("*.py"))),
            sum(file.read_text(encoding="utf-8").count("\n") for file in files),
        )
        for name in [*(one for one in ORDER if one in folders), *(one for one in folders if one not in ORDER)]
    }


def draw() -> None:
    """Draw it, unless it is drawn already."""
    edges, folders = imports(), sizes()
    seen = json.dumps([sorted(edges.items()), sorted(folders.items())])
    note = FOLDER / f"{NAME}.txt"
    if note.is_file() and note.read_text(encoding="utf-8") == seen and (FOLDER / f"{NAME}-dark.svg").is_file():
        return

    def make(theme: Theme) -> Any:
        step, top, half = 0.42, 0.55, 0.14
        names = list(folders)
        width, height = 6.0, top + step * len(names) + 0.15
        figure, axes = theme.canvas(width, height)
        left = 2.55
        column = {name: left + step * number for number, name in enumerate(names)}
        row = {name: height - top - step * (number + 0.5) for number, name in enumerate(names)}
        for name in names:
            files, lines = folders[name]
            axes.text(1.0, row[name], f"{name}/", ha="right", va="center", weight="bold")
            said = f"{files} files, {lines:,} lines"
            axes.text(1.1, row[name], said, ha="left", va="center", color=theme.faint, size=7.5)
            axes.text(column[name], height - top + 0.02, name, rotation=38, ha="left", va="bottom", size=8.5)
            axes.plot([left - half, column[names[-1]] + half], [row[name] - step / 2] * 2, color=theme.line, lw=0.6)
        for (here, there), count in edges.items():
            colour = theme.blue if names.index(there) < names.index(here) else theme.red
            radius = 0.045 + 0.085 * min(1.0, count / 12)
            axes.add_patch(_circle((column[there], row[here]), radius, colour))
        for name in names:
            axes.plot(column[name], row[name], marker="s", ms=5, color=theme.line)
        return figure

    save(make, NAME, FOLDER)
    note.write_text(seen, encoding="utf-8")


def _circle(centre: tuple[float, float], radius: float, colour: str) -> Any:
    from matplotlib.patches import Circle

    return Circle(centre, radius, facecolor=colour, edgecolor="none")
