"""The wheel that users install, in an environment that holds nothing but it and its base dependencies."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from kineme.version import __version__

ROOT = Path(__file__).resolve().parents[1]

# Modules that need a backend say so, and the service has an extra; an undeclared dependency would be another error.
IMPORT_ALL = """
import importlib, pkgutil, kineme
from kineme.errors import KinemeError
imported = 0
for module in pkgutil.walk_packages(kineme.__path__, "kineme."):
    try:
        importlib.import_module(module.name)
        imported += 1
    except KinemeError as error:
        assert "pip install 'kineme[tensorflow]'" in str(error), module.name
    except ModuleNotFoundError as error:
        assert module.name.startswith("kineme.serving."), module.name
        assert error.name in ("fastapi", "starlette", "pydantic", "prometheus_client"), error.name
print(imported)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    run_pip_or_skip("build", "--wheel", "--outdir", out, ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The folder of commands of an environment with the wheel and no Keras backend."""
    home = tmp_path_factory.mktemp("empty") / "venv"
    venv.EnvBuilder(symlinks=os.name != "nt").create(home)  # without pip: Kineme must bring the one it calls
    commands = home / ("Scripts" if os.name == "nt" else "bin")
    constraints = ROOT / "constraints.txt"
    run_pip_or_skip("pip", "--python", home, "install", "--quiet", "--constraint", constraints, wheel)
    return commands


def run_pip_or_skip(module, *arguments):
    """Run ``python -m pip`` or what calls it; skip where it finds no index to install from."""
    done = run([sys.executable, "-m", module, *arguments])
    said = done.stdout + done.stderr
    if done.returncode and "connection broken by" in said:
        pytest.skip("pip cannot reach a package index, so nothing can be installed")
    assert done.returncode == 0, said


def run(command, cwd=None):
    """Run a command without what would let it find the source tree instead of what is installed."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        cwd=cwd,
        env={**environment, "PYTHONUTF8": "1"},
        timeout=600,
    )


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    source = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "kineme").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    inside = {name for name in names if name.startswith("kineme/")}
    assert inside == source
    assert {
        "kineme/py.typed",
        "kineme/report/templates/report.html.j2",
        "kineme/report/templates/report.css",
        "kineme/models/data/kinetics400_labels.txt",
    } <= inside
    info = f"kineme-{__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"kineme", info}
    assert f"{info}/licenses/LICENSE" in names


def test_everything_it_needs_is_declared_and_fits_together(installed, tmp_path):
    checked = run([installed / "python", "-m", "pip", "check"])
    assert checked.returncode == 0, checked.stdout + checked.stderr
    imported = run([installed / "python", "-c", IMPORT_ALL], cwd=tmp_path)
    assert imported.returncode == 0, imported.stderr
    assert int(imported.stdout) > 50


def test_it_is_the_wheel_that_runs_and_no_backend_is_there(installed, tmp_path):
    code = "import importlib.util, kineme; print(kineme.__file__, importlib.util.find_spec('keras'))"
    done = run([installed / "python", "-c", code], cwd=tmp_path)
    assert done.stdout.startswith(str(installed.parent)), done.stdout + done.stderr
    assert done.stdout.split()[-1] == "None"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--version"], f"kineme {__version__}"),
        (["--help"], "Usage: kineme"),
        (["models", "list"], "lrcn"),
    ],
)
def test_what_needs_no_video_answers(installed, tmp_path, arguments, says):
    done = run([installed / "kineme", *arguments], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert not done.stderr


def test_it_draws_a_set_and_without_a_backend_training_says_what_to_install(installed, tmp_path):
    options = ["--clips", "6", "--people", "3", "--actions", "wave,squat", "--untrimmed", "0"]
    made = run([installed / "kineme", "datasets", "make", "videos", *options], cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    with (tmp_path / "videos" / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert all((tmp_path / "videos" / row["path"]).stat().st_size for row in rows)
    assert (tmp_path / "videos" / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")

    trained = run([installed / "kineme", "train", "videos", "--out", "run"], cwd=tmp_path)
    assert trained.returncode == 1
    (line,) = [line for line in trained.stderr.splitlines() if not line.startswith("note: ")]
    assert line.startswith("kineme: ")
    assert "pip install 'kineme[tensorflow]'" in line
    assert not (tmp_path / "run").exists()
