"""The notebooks of the guide run, from the very pages that are built, with tiny sizes."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[1] / "docs"
sys.path.insert(0, str(DOCS / "figures"))

import guide_notebooks  # noqa: E402


@pytest.mark.parametrize("name", guide_notebooks.CHAPTERS)
def test_the_page_is_a_notebook_of_prose_and_code_that_compiles(name: str) -> None:
    document = json.loads(json.dumps(guide_notebooks.notebook(DOCS / "guide" / name)))
    cells = document["cells"]
    assert [cell["cell_type"] for cell in cells].count("code") >= 6
    assert cells[0]["source"].startswith("# CNN + LSTM")
    for cell in cells:
        if cell["cell_type"] == "code":
            compile(cell["source"], name, "exec")
        else:
            assert "```" not in cell["source"], cell["source"]  # nothing that only Sphinx understands
            assert "{n}" not in cell["source"], cell["source"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both find the same videos; the first draws them."""
    return tmp_path_factory.mktemp("guide")


@pytest.mark.parametrize("name", guide_notebooks.CHAPTERS)
def test_the_notebook_runs_from_the_first_cell_to_the_last(name: str, folder: Path) -> None:
    code = guide_notebooks.code_of(DOCS / "guide" / name)
    environment = {**os.environ, "KINEME_GUIDE_LEAN": "1", "KINEME_GUIDE_DATA": str(folder / "pairs")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "top-1 reversed" in done.stdout
