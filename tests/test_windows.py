"""What differs on Windows and can be tested anywhere: drive letters, names of files, line ends."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kineme.files import write_text
from kineme.models.hub.snapshot import hub_name
from kineme.models.registry import is_folder, library_of
from kineme.scale.sources import is_address
from kineme.sources.kinds import scheme
from kineme.text import file_stem

SOURCES = Path(__file__).resolve().parents[1] / "src"


@pytest.mark.parametrize("path", [r"C:\videos\clip.mp4", "C:/videos/clip.mp4", r"c:clip.mp4", r"\\server\share\a.mp4"])
def test_a_drive_letter_is_no_scheme_of_an_address(path):
    assert scheme(path) == ""
    assert not is_address(path)
    assert library_of(path) is None


def test_a_folder_of_a_network_may_be_on_a_drive():
    for name in (r"hf:C:\models\x", "hf:C:/models/x", r"hf:\\server\share\x", r"hf:.\x"):
        assert is_folder(name)
        assert library_of(name) is not None
    assert not is_folder("hf:owner/name")
    assert hub_name("hf:owner/name") == "owner/name"


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("What? 12:30 <a|b>", "What  12 30  a b"),
        ("NUL", "_NUL"),
        ("con.tar", "_con.tar"),
        ("COM1 ", "_COM1"),
        ("Konzert", "Konzert"),
        ("ends in dots...", "ends in dots"),
        ("...", "video"),
    ],
)
def test_names_of_files_that_windows_takes(name, stem):
    assert file_stem(name, windows=True) == stem
    assert file_stem(name, windows=False) == name.strip()


def test_text_files_are_the_same_bytes_everywhere(tmp_path, monkeypatch):
    monkeypatch.setattr("os.linesep", "\r\n")
    write_text(tmp_path / "a.csv", "a,ü\n1,2\n")
    assert (tmp_path / "a.csv").read_bytes() == "a,ü\n1,2\n".encode()


def test_output_of_programs_is_read_in_a_named_encoding():
    """The linter knows this of files (PLW1514) and not of subprocesses."""
    calls = re.compile(r"subprocess\.(?:run|Popen|check_output)\((?:[^()]|\([^()]*\))*\)")
    wrong = [
        f"{path.name}: {call[0][:80]}"
        for path in SOURCES.rglob("*.py")
        for call in calls.finditer(path.read_text("utf-8"))
        if "text=True" in call[0] and "encoding=" not in call[0]
    ]
    assert wrong == []
