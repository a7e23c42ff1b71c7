"""Checks the documentation: links of the built site, spelling, style.

    python docs/check.py

Links are those of the built pages, anchors too; addresses elsewhere are listed with ``--outside`` and not opened.
Spelling is codespell's and a list of American forms; style is proselint's, on the sentences without code.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import blocks
from markdown_it import MarkdownIt

BUILT = blocks.DOCS / "_build" / "html"
TEXT = ("{note}", "{tip}", "{warning}", "{admonition}", "{dropdown}", "{picture}")  # directives with sentences in them
# What this site says the British way, and what it must not say.
AMERICAN = {
    "analyze": "analyse",
    "behavior": "behaviour",
    "center": "centre",
    "color": "colour",
    "favorite": "favourite",
    "fulfill": "fulfil",
    "gray": "grey",
    "labeled": "labelled",
    "labeling": "labelling",
    "modeled": "modelled",
    "neighbor": "neighbour",
    "normalize": "normalise",
    "optimize": "optimise",
    "optimizer": "optimiser",
    "organize": "organise",
    "recognize": "recognise",
    "summarize": "summarise",
    "visualize": "visualise",
}
# proselint's checks that do not suit: Sphinx sets curly quotation marks and dots itself; spelling, and words that stand
# twice, are looked at here; it takes "64 x 64" for a word twice, "early-fusion" for an adverb, "for ever" for old, and
# the verb "resume" for the noun.
NOT_WANTED = (
    "archaism",
    "dates_times",
    "lexical_illusions",
    "misc.phrasal_adjectives",
    "spelling",
    "typography.diacritical_marks",
    "typography.punctuation",
    "typography.symbols",
    "weasel_words.very",
)


class _Page(HTMLParser):
    """The anchors and links of a built page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.without_alt: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is linked, and what can be."""
        found = dict(attrs)
        self.anchors |= {found[name] or "" for name in ("id", "name") if name in found}
        self.links += [found[name] or "" for name in ("href", "src") if name in found]
        if tag == "img" and not found.get("alt"):
            self.without_alt.append(found.get("src") or "")


def links() -> tuple[list[str], list[str]]:
    """What is wrong with the links of the built site, and the addresses elsewhere."""
    pages = {path: _Page(path.read_text(encoding="utf-8")) for path in sorted(BUILT.rglob("*.html"))}
    wrong, outside = [], set()
    for path, page in pages.items():
        name = path.relative_to(BUILT)
        wrong += [f"{name}: the picture {src} has no alternative text" for src in page.without_alt]
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                outside.add(link)
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                wrong.append(f"{name}: {link} leads nowhere")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].anchors:
                wrong.append(f"{name}: {link}: there is no such place on the page")
    return wrong, sorted(outside)


def prose(page: Path) -> str:
    """The sentences of a page without code, a line of text for each line of the file."""
    lines = page.read_text(encoding="utf-8").splitlines()
    kept = [""] * len(lines)
    for first, text in _sentences(page):
        for number, line in enumerate(text.splitlines()):
            kept[min(first + number, len(kept) - 1)] += line + " | "
    return "\n".join(line.rstrip(" |") for line in kept) + "\n"


def _sentences(page: Path, text: str | None = None, first: int = 0) -> Iterator[tuple[int, str]]:
    if text is None:
        text = page.read_text(encoding="utf-8")
        if text.startswith("---\n"):
            end = text.index("\n---", 3) + 4
            first, text = text[:end].count("\n"), text[end:]
    for token in MarkdownIt().enable("table").parse(text):
        line = first + (token.map[0] if token.map else 0)
        if token.type == "inline":
            words = "".join(
                child.content if child.type == "text" else "\n" if child.type.endswith("break") else " CODE "
                for child in token.children or []
                if child.type in ("text", "softbreak", "hardbreak", "code_inline")
            )
            yield line, re.sub(r"\$[^$]+\$|\{[a-z-]+\}|\]\{.*?\}", " ", words)
        elif token.type == "fence" and (token.info.split() or [""])[0] in TEXT:
            yield from _sentences(page, re.sub(r"(?m)^:[a-z-]+:", "", token.content), line + 1)


def spelling() -> list[str]:
    """What codespell finds in the sentences, and American forms."""
    wrong = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for page in blocks.pages():
            text = prose(page)
            where = page.relative_to(blocks.DOCS).as_posix()
            for number, line in enumerate(text.splitlines(), 1):
                for word in re.findall(r"\b[a-z]+\b", line):  # titles of papers, in capitals, keep their spelling
                    if british := AMERICAN.get(word) or AMERICAN.get(re.sub(r"(s|d|ed)$", "", word)):
                        wrong.append(f"{where}:{number}: {word}: in British, {british}")
                if twice := re.search(r"\b([a-z]+) \1\b", line):
                    wrong.append(f"{where}:{number}: {twice[0]}: a word twice")
            (folder / where.replace("/", "--")).write_text(text, encoding="utf-8")
        command = [sys.executable, "-m", "codespell_lib", "--builtin", "clear,rare", str(folder)]
        found = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        wrong += [line.replace(f"{folder}/", "").replace("--", "/") for line in found.splitlines()]
    return wrong


def style() -> list[str]:
    """What proselint finds in the sentences."""
    from proselint.checks import __register__ as checks
    from proselint.registry import CheckRegistry
    from proselint.tools import LintFile

    CheckRegistry().register_many(checks)
    wrong = []
    for page in blocks.pages():
        for found in LintFile(page.name, prose(page)).lint():
            result = found.check_result
            if not result.check_path.startswith(NOT_WANTED):
                where = page.relative_to(blocks.DOCS).as_posix()
                wrong.append(f"{where}:{found.pos[0]}: {result.check_path}: {result.message}")
    return wrong


def main() -> None:
    """Say all that is wrong; exit with 1 where something is."""
    wrong, outside = links()
    if "--outside" in sys.argv:
        print(*outside, sep="\n")
        return
    wrong += spelling() + style()
    print(*wrong, sep="\n")
    print(f"{len(wrong)} things are wrong" if wrong else "links, spelling and style are right")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
