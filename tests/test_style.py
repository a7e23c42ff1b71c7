"""The style of the texts that users read: phrases that must be read twice do not come back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CLAUSE = r"\bwhat (?:is|was|are|were|has|had|does|did|it|they|you|comes|came|lies)\b"

# pattern, better words
HABITS = [
    (r"\b(?:each|every) other one\b", "every other NOUN"),
    (r"\bof the web\b", "name the thing: a URL, a site"),
    (r"\b(?:comes|came|come) trained\b", "pretrained"),
    (r"\bnam(?:e|es|ed|ing) [^.|]{0,40}\bright(?:ly)?\b", "classified correctly"),
    (r"\bWith nothing else said\b", "By default"),
    (r"\bof the (?:Adam )?optimiser\.", "Adam's learning rate"),
    (r"\b(?:br[eo]aks?|broken?|breaking) off\b", "is interrupted, disconnects"),
    (r"\b(?:is|are|was|were|be|being|gets?) told\b|\btells? of\b|\btold of\b", "is reported, shows"),
    (r"^ +\w+: told\b", "called with"),
    (r"\bbr[eo]aks? down\b|\bbroke down\b", "crashes"),
    (r"\bnothing known\b", "no known action"),
    (r"\b(?:go|goes|went) on\b", "continues, resumes"),
    (r"\b(?:is|are) (?-i:none)\b", "is not a NOUN"),
    (r"\bstrips? (?:of|over)\b", "a timeline"),
    (r"\bwho is who\b", "groups, a tracker"),
    (r"\b(?:to|that) stop by\b", "early stopping"),
    (r"\bnothing else is said\b|\bin one go\b", "by default, at once"),
    (r"\bknown happens\b|\bon every way out\b", "background; however it ends"),
    (r"\b(?:put|puts|putting) aside\b", "moved"),
    (r"\bhonest (?:figure|split)s?\b", "split by group"),
    (r": likewise\b", "repeat the meaning"),
    (CLAUSE, "a noun"),
]


def messages_and_docstrings() -> tuple[str, str]:
    messages, docstrings = [], []
    for path in sorted((ROOT / "src" / "kineme").rglob("*.py")):
        for node in ast.walk(tree := ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Expr(value=ast.Constant(value=str(text)) as docstring):
                    docstrings.append(text)
                    docstring.value = ""
        messages += [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and _is_text(node.value)]
    pages = [page for ending in ("html", "j2") for page in sorted((ROOT / "src" / "kineme").rglob(f"*.{ending}"))]
    code = r"\{[%{#].*?[%}#]\}|<!--.*?-->"
    without_code = (re.sub(code, " ", page.read_text(encoding="utf-8"), flags=re.S) for page in pages)
    return "\n\n".join([*messages, *without_code]), "\n\n".join(docstrings)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and " " in value


def documentation() -> str:
    pages: Iterator[Path] = (path for path in (ROOT / "docs").rglob("*.md") if not path.parent.name.startswith("_"))
    others = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "benchmarks/README.md", "examples/README.md")
    texts = [path.read_text(encoding="utf-8") for path in [*(ROOT / one for one in others), *sorted(pages)]]
    without_questions = (re.sub(r"\bWhat [^?|.]*\?", "", text) for text in texts)
    return "\n\n".join(re.sub(r"^( *)(`{3,}).*?^\1\2", "", text, flags=re.S | re.M) for text in without_questions)


@pytest.fixture(scope="module")
def texts() -> tuple[str, str, str]:
    return (*messages_and_docstrings(), documentation())


@pytest.mark.parametrize(("habit", "better"), HABITS, ids=[better for _, better in HABITS])
def test_texts_are_plain(texts, habit: str, better: str) -> None:
    for where, text in zip(("messages and pages", "docstrings", "docs"), texts, strict=True):
        found = [
            " ".join(text[max(0, one.start() - 60) : one.end() + 60].split())
            for one in re.finditer(habit.replace(" ", r"\s+"), text, flags=re.I | re.M)
        ]
        assert not found, f"{where}: better: {better}; found:\n" + "\n".join(found)
