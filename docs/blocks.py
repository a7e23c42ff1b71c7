"""The code blocks of the pages: finds them, runs those that are to be run, and checks all of them.

A page holds code in three ways, and in no other:

``{run}``
    is run when the site is built, in a folder of the page's own, and what it prints is shown beneath it.
``{shown} REASON``
    is not run, for the given reason. It is still checked: the command line must accept a command of ``kineme``, and
    Python must compile.
``{literalinclude}`` and ``{code-cell}``
    come from files that tests run, or are run by MyST-NB.

    python docs/blocks.py           checks every page, and runs nothing
    python docs/blocks.py PAGE...   runs the blocks of these pages and prints what they print
    python docs/blocks.py --all     runs those of all pages, unless they have been

This file needs no Sphinx, so that a test can use it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from command_check import shell_problems
from markdown_it import MarkdownIt
from two_at_a_time import run_two_at_a_time

DOCS = Path(__file__).resolve().parent
GENERATED = DOCS / "_generated"
TIMEOUT_S = 1800

# Why a block is not run, and the note that readers see above it, if any.
REASONS = {
    "internet": "",
    "camera": "Needs a camera or a live stream.",
    "gpu": "Needs a GPU.",
    "hours": "",
    "others": "",
    "yours": "",
    "installs": "",
}
LANGUAGES = ("shell", "python")
PLAIN = ("text", "csv", "bibtex")  # fences that show something that is not code
INCLUDED = ("{literalinclude}", "{code-cell}")


@dataclass(frozen=True)
class Block:
    """A block of code on a page.

    Args:
        page: the file.
        line: where it begins, from 1.
        kind: ``"run"`` or ``"shown"``.
        language: ``"shell"`` or ``"python"``.
        code: the text.
        options: of the directive. ``fails``: it must fail, to show an error. ``until``: it stays in the background
            until the end of the page, and the page continues when it has printed this text. ``quiet``: its output is
            not shown; ``no-code``: only the output is shown.
        reason: why a shown block is not run.
    """

    page: Path
    line: int
    kind: str
    language: str
    code: str
    options: dict[str, str]
    reason: str = ""

    @property
    def place(self) -> str:
        """File and line, for messages."""
        return f"{self.page.relative_to(DOCS.parent).as_posix()}:{self.line}"


class BlockError(Exception):
    """A block is wrong, or could not be run; the text says which and why."""


def pages() -> list[Path]:
    """All pages of the site."""
    parts = ("start", "guide", "howto", "reference", "about")
    return [DOCS / "index.md", *(page for part in parts for page in sorted((DOCS / part).rglob("*.md")))]


def fences(page: Path, text: str | None = None, first: int = 0) -> Iterator[tuple[int, str, str]]:
    """Line, info string and content of every fenced block of a page, also of those inside directives."""
    if text is None:
        text = page.read_text(encoding="utf-8")
        if text.startswith("---\n"):  # front matter
            end = text.index("\n---", 3) + 4
            first, text = text[:end].count("\n"), text[end:]
    for token in MarkdownIt().parse(text):
        if token.type == "code_block":
            raise BlockError(f"{page}:{first + token.map[0] + 1}: an indented code block; use a fence")
        if token.type == "fence":
            line = first + token.map[0] + 1
            yield line, token.info.strip(), token.content
            name = token.info.split()[0] if token.info.split() else ""
            if name.startswith("{") and name not in ("{run}", "{shown}", *INCLUDED):
                yield from fences(page, token.content, line)


def blocks(page: Path) -> list[Block]:
    """The blocks ``{run}`` and ``{shown}`` of a page.

    Raises:
        BlockError: one cannot be understood.
    """
    found = []
    for line, info, content in fences(page):
        name, _, argument = info.partition(" ")
        if name in ("{run}", "{shown}"):
            found.append(_block(page, line, name.strip("{}"), argument.strip(), content))
    return found


def _block(page: Path, line: int, kind: str, argument: str, content: str) -> Block:
    options = {}
    lines = content.splitlines()
    while lines and (option := re.fullmatch(r":([a-z-]+):\s*(.*)", lines[0])):
        options[option[1]] = option[2]
        lines.pop(0)
    language = options.pop("language", "shell") if kind == "shown" else argument or "shell"
    block = Block(
        page, line, kind, language, "\n".join(lines).strip("\n"), options, argument if kind == "shown" else ""
    )
    if language not in LANGUAGES:
        raise BlockError(f"{block.place}: {language!r} is not one of the languages {', '.join(LANGUAGES)}")
    if kind == "shown" and argument not in REASONS:
        raise BlockError(f"{block.place}: {argument!r} is not one of the reasons {', '.join(REASONS)}")
    if unknown := set(options) - {"fails", "until", "quiet", "no-code"}:
        raise BlockError(f"{block.place}: there is no option {unknown.pop()!r}")
    return block


# Checks


def problems(page: Path) -> list[str]:
    """What is wrong with the code of a page: blocks of no known kind, commands and Python that cannot be."""
    try:
        found = [
            f"{page.relative_to(DOCS.parent).as_posix()}:{line}: a block of {info or 'code'!r} that nothing runs; "
            "make it {run}, {shown} or {literalinclude}"
            for line, info, _ in fences(page)
            if not info.startswith("{") and (info.split() or [""])[0] not in PLAIN
        ]
        return found + [problem for block in blocks(page) for problem in _problems(block)]
    except BlockError as error:
        return [str(error)]


def _problems(block: Block) -> list[str]:
    if block.language == "python":
        try:
            compile(block.code, block.place, "exec", dont_inherit=True)
        except SyntaxError as error:
            return [f"{block.place}: {error}"]
        return []
    return [f"{block.place}: {problem}" for problem in shell_problems(block.code)]


# Running


def results(page: Path) -> list[str]:
    """What each ``{run}`` block of a page printed; they are run unless they have been.

    A page may say ``after: OTHER`` in its front matter: it then begins with all that the other page made.

    Raises:
        BlockError: a block failed, or did not although it should.
    """
    cache = GENERATED / "results" / f"{_name(page).replace('/', '-')}.json"
    known = json.loads(cache.read_text(encoding="utf-8")) if cache.is_file() else {"key": ""}
    wanted = [block for block in blocks(page) if block.kind == "run"]
    if wanted and known["key"] != key(page):
        printed = _run_page(page, wanted)
        known = {"key": key(page), "printed": printed}
        cache.parent.mkdir(parents=True, exist_ok=True)
        cache.write_text(json.dumps(known, indent=1), encoding="utf-8")
    return known["printed"] if wanted else []


def is_fresh(page: Path) -> bool:
    """Whether nothing would have to be run for this page."""
    cache = GENERATED / "results" / f"{_name(page).replace('/', '-')}.json"
    if not any(block.kind == "run" for block in blocks(page)):
        return True
    return cache.is_file() and json.loads(cache.read_text(encoding="utf-8"))["key"] == key(page)


def key(page: Path) -> str:
    """Changes whenever the output of the page's blocks may: with the blocks, the package and the page before it."""
    other = _after(page)
    parts = [key(other) if other else "", _sources()]
    parts += [json.dumps([block.language, block.code, block.options]) for block in blocks(page) if block.kind == "run"]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@functools.cache
def _sources() -> str:
    """Of everything that blocks run. KINEME_DOCS_KEEP=1 leaves it out: while writing, old output will do."""
    if os.environ.get("KINEME_DOCS_KEEP"):
        return "kept"
    root = DOCS.parent
    files = sorted([*(root / "src").rglob("*.py"), *(root / "examples").glob("*.py"), root / "constraints.txt"])
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _name(page: Path) -> str:
    return page.relative_to(DOCS).with_suffix("").as_posix()


def _after(page: Path) -> Path | None:
    said = re.match(r"---\n(?:.*\n)*?after: (\S+)\n(?:.*\n)*?---\n", page.read_text(encoding="utf-8"))
    if not said:
        return None
    other = (page.parent / f"{said[1]}.md").resolve()
    if not other.is_file():
        raise BlockError(f"{page}: after: {said[1]}: there is no page {other}")
    return other


def _run_page(page: Path, wanted: list[Block]) -> list[str]:
    folder = GENERATED / "work" / _name(page)
    shutil.rmtree(folder, ignore_errors=True)
    if other := _after(page):
        results(other)
        # Files are replaced, never written into, so the two folders can share them.
        shutil.copytree(GENERATED / "work" / _name(other), folder, copy_function=os.link, symlinks=True)
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "examples").exists():
        (folder / "examples").symlink_to(DOCS.parent / "examples", target_is_directory=True)
    printed, background = [], []
    try:
        for block in wanted:
            print(f"{block.place}: {block.code.splitlines()[0]}", file=sys.stderr, flush=True)
            if "until" in block.options:
                process, text = _start(block, folder)
                background.append(process)
            else:
                text = _run(block, folder)
            printed.append(_tidy(text, folder))
    finally:
        for process in background:
            process.terminate()
            process.wait(30)
    return printed


def _arguments(block: Block) -> list[str]:
    if block.language == "python":
        return [sys.executable, "-c", block.code]
    return ["bash", "-euo", "pipefail", "-c", block.code]


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return {
        **os.environ,
        "PATH": path,
        "COLUMNS": "100",
        "MPLBACKEND": "Agg",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONWARNINGS": "ignore",
        "TERM": "dumb",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }


def _run(block: Block, folder: Path) -> str:
    try:
        done = _finish(block, folder)
    except subprocess.TimeoutExpired:
        raise BlockError(f"{block.place}: not done after {TIMEOUT_S} s") from None
    if (done.returncode != 0) != ("fails" in block.options):
        said = textwrap.indent(done.stdout[-3000:], "    ")
        raise BlockError(f"{block.place}: ended with exit code {done.returncode}:\n{said}")
    return done.stdout


def _finish(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        _arguments(block),
        cwd=folder,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=TIMEOUT_S,
        check=False,
    )


def _start(block: Block, folder: Path) -> tuple[subprocess.Popen[str], str]:
    """Leave a block running; gives what it printed up to the words it was to be waited for."""
    log = folder / f".background-{block.line}.txt"
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            [*_arguments(block)[:-1], f"exec {block.code}"],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            text=True,
        )
    for _ in range(1200):
        text = log.read_text(encoding="utf-8")
        if block.options["until"] in text:
            return process, text
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    raise BlockError(f"{block.place}: has not printed {block.options['until']!r}:\n{text}")


def _tidy(text: str, folder: Path) -> str:
    """Without what belongs to this machine: its paths, and what a terminal would have drawn over."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.splitlines()]
    text = "\n".join(line for line in lines if not re.search(r": \d+/\d+, about \d+ (s|min|h) left", line))
    return text.replace(f"{folder}/", "").replace(str(Path.home()), "~").strip("\n")


def run_all() -> None:
    """Run the blocks of all pages, two pages at a time."""
    afters = {_name(page): _after(page) for page in pages()}
    run_two_at_a_time(
        {_name(page): functools.partial(results, page) for page in pages()},
        {name: [_name(other)] for name, other in afters.items() if other},
    )


def main() -> None:
    """Check all pages, or run some."""
    if sys.argv[1:] == ["--all"]:
        try:
            run_all()
        except BlockError as error:
            sys.exit(str(error))
    elif sys.argv[1:]:
        for name in sys.argv[1:]:
            for text in results(Path(name).resolve()):
                print(text, end="\n\n")
    else:
        found = [problem for page in pages() for problem in problems(page)]
        print(*found, sep="\n")
        sys.exit(bool(found))


if __name__ == "__main__":
    main()
