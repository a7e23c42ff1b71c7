"""The documentation's sources: code that nothing runs, commands that do not exist, links that lead nowhere."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / "docs" / "blocks.py").is_file():
    pytest.skip("the documentation is not part of this distribution", allow_module_level=True)

sys.path.insert(0, str(ROOT / "docs"))
blocks = importlib.import_module("blocks")

APPROACHES = ("single_frame", "late_fusion", "early_fusion", "slow_fusion", "convlstm", "lrcn", "pose_lstm")


def test_every_block_of_code_is_run_or_checked():
    assert [problem for page in blocks.pages() for problem in blocks.problems(page)] == []


def test_a_block_that_nothing_runs_and_a_wrong_command_are_found(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "DOCS", tmp_path / "docs")
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()

    def told(text: str) -> list[str]:
        page.write_text(text, encoding="utf-8")
        return blocks.problems(page)

    assert told("# Title\n\n```text\na folder\n```\n\n```{run}\nkineme train a --approach lrcn | head -1\n```\n") == []
    assert "nothing runs" in told("```python\nprint(1)\n```\n")[0]
    assert "nothing runs" in told(":::{note}\n:::\n\n````{note}\n```shell\nls\n```\n````\n")[0]
    assert "indented" in told("Text.\n\n    some code\n")[0]
    assert "--epoch" in told("```{shown} hours\nFEW=1 kineme train data \\\n  --epoch 3\n```\n")[0]
    assert "folly" in told("```{run}\nls && kineme folly > out.txt\n```\n")[0]
    assert "never closed" in told("```{run} python\nprint(\n```\n")[0]
    assert "reasons" in told("```{shown} laziness\nls\n```\n")[0]


def test_lines_that_a_terminal_overwrites_are_left_out(tmp_path):
    printed = "decoding: 1/9, about 40 s left\ndecoding: 2/9, about 3 min left, 1 clips/s\ndecoding: 9/9\ndone\n"
    assert blocks._tidy(printed, tmp_path) == "decoding: 9/9\ndone"


def test_the_commands_of_the_readme_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert text.count("\n") <= 150
    commands = [line.strip() for line in text.splitlines() if line.startswith("    kineme ")]
    commands += re.findall(r"`(kineme [^`]+)`", text)
    assert len(commands) > 10
    assert [problem for line in commands for problem in blocks.shell_problems(line)] == []


def test_links_of_the_sources_lead_somewhere():
    wrong = []
    for page in [*blocks.pages(), ROOT / "docs" / "README.md", ROOT / "examples" / "README.md"]:
        for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                wrong.append(f"{page.name}: {target}")
    assert wrong == []


def test_included_code_is_still_in_its_file():
    wrong = []
    for page in blocks.pages():
        for line, info, content in blocks.fences(page):
            kind, _, target = info.partition(" ")
            if kind != "{literalinclude}" or "_generated" in target:
                continue
            text = (page.parent / target).read_text(encoding="utf-8")
            options = dict(re.findall(r"^:([a-z-]+): *\"?(.*?)\"?$", content, re.M))
            if name := options.get("pyobject"):
                text = _source_of(text, name)
            marks = [options[one] for one in ("start-at", "start-after", "end-at", "end-before") if one in options]
            wrong += [f"{page.name}:{line}: {mark}" for mark in marks or [""] if not text or mark not in text]
    assert wrong == []


def _source_of(text: str, name: str) -> str:
    """The source of a function or class, ``Outer.inner``; empty if it is missing."""
    body: list[ast.stmt] = ast.parse(text).body
    for part in name.split("."):
        found = next((node for node in body if getattr(node, "name", None) == part), None)
        if not isinstance(found, ast.FunctionDef | ast.ClassDef):
            return ""
        body = found.body
    return ast.get_source_segment(text, found) or ""


def test_the_names_of_the_api_page_exist():
    text = (ROOT / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    found = re.findall(r"^\.\. auto\w+:: (\S+)\n(?:   :members:(.*)\n)?", text, re.M)
    assert len(found) > 30
    wrong = []
    for name, members in found:
        value = pkgutil.resolve_name(name)
        names = [one.strip() for one in members.split(",") if one.strip()]
        wrong += [
            f"{name}.{one}"
            for one in names
            if not hasattr(value, one) and one not in getattr(value, "__dataclass_fields__", ())
        ]
    assert wrong == []


@pytest.mark.parametrize("name", APPROACHES)
def test_an_example_is_short_and_says_what_it_shows(name):
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8")
    assert text.count("\n") < 60
    compile(text, name, "exec")
    assert f"python examples/{name}.py [FOLDER]" in text
    assert "What is particular to this approach" in " ".join(text.split())


@pytest.mark.slow
def test_an_example_runs_on_a_folder(tmp_path):
    from helpers_dataset import make_videos

    videos = make_videos(tmp_path / "videos", people=6)
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "lrcn.py", videos, "--epochs", "1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"^top-1 [01]\.\d\d on \d+ videos; shuffled", done.stdout, re.MULTILINE)
    assert re.search(r"^ *\d\.\d\d s  to-(left|right) +#+$", done.stdout, re.MULTILINE)
