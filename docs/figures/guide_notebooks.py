"""Turns the chapters that are notebooks into ``.ipynb`` files for plain Jupyter and Colab.

A page is MyST Markdown; plain Jupyter knows Markdown and code. So pictures are left out, of included code only the
place is told, boxes become quotations, and transcripts, numbers and links to other pages become text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from guide_paths import DOCS, GENERATED, NOTEBOOKS

CHAPTERS = ("09-convlstm.md", "10-lrcn.md")
_FENCE = re.compile(r"^(`{3,})\{([\w-]+)\}[ ]*(.*?)\n(.*?)^\1[ ]*$\n?", re.MULTILINE | re.DOTALL)


def cells(page: Path) -> Iterator[tuple[str, str]]:
    """``("code", text)`` and ``("markdown", text)`` of a page, in order."""
    text = page.read_text(encoding="utf-8")
    if text.startswith("---\n"):
        text = text[text.index("\n---\n", 3) + 5 :]
    prose = ""
    at = 0
    for fence in _FENCE.finditer(text):
        prose += text[at : fence.start()]
        at = fence.end()
        if fence[2] == "code-cell":
            if prose.strip():
                yield "markdown", _plain(prose).strip()
            prose = ""
            yield "code", fence[4].strip("\n")
        else:
            prose += _instead(page, fence[2], fence[3], fence[4])
    prose += text[at:]
    if prose.strip():
        yield "markdown", _plain(prose).strip()


def code_of(page: Path) -> str:
    """All code cells of a page as one program."""
    return "\n\n".join(text for kind, text in cells(page) if kind == "code")


def _instead(page: Path, name: str, argument: str, content: str) -> str:
    """What a directive is in plain Markdown."""
    body = re.sub(r"\A(?::[\w-]+:.*\n)+", "", content).strip()
    if name == "admonition":
        return "\n> **{}.** {}\n".format(argument, body.replace("\n", "\n> "))
    if name == "literalinclude" and argument.endswith(".py"):
        return f"\n(`{argument.split('../')[-1]}`, in the repository)\n"
    printed = page.parent / argument
    if name == "literalinclude" and printed.is_file():
        return f"\n~~~text\n{printed.read_text(encoding='utf-8').strip()}\n~~~\n"
    return ""


def _plain(text: str) -> str:
    numbers = {}
    file = GENERATED / "numbers.json"
    if file.is_file():
        numbers = json.loads(file.read_text(encoding="utf-8"))
    text = re.sub(r"\{n\}`(\w+)`", lambda found: str(numbers.get(found[1], ["…"])[0]), text)
    text = re.sub(r"\[([^\]]*)\]\([\w./-]+\.md(?:#[\w-]+)?\)", r"\1", text)
    return re.sub(r" *\{download\}`[^`]*` [^.]*\.", "", text)


def notebook(page: Path) -> dict[str, object]:
    """The document of an ``.ipynb`` file, without outputs."""
    rows = []
    for number, (kind, text) in enumerate(cells(page)):
        row: dict[str, object] = {"cell_type": kind, "id": f"cell-{number}", "metadata": {}, "source": text}
        rows.append(row | ({"execution_count": None, "outputs": []} if kind == "code" else {}))
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": rows, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def write_all() -> None:
    """Write them beside the other things that are made."""
    NOTEBOOKS.mkdir(parents=True, exist_ok=True)
    for name in CHAPTERS:
        page = DOCS / "guide" / name
        text = json.dumps(notebook(page), indent=1, ensure_ascii=False) + "\n"
        target = NOTEBOOKS / f"{page.stem}.ipynb"
        if not target.is_file() or target.read_text(encoding="utf-8") != text:
            target.write_text(text, encoding="utf-8")
