"""Make artefacts with version 0.1 and store the scores that it gives. Not for later versions.

    python make.py --source CHECKOUT/src --out FOLDER [--parts videos,runs,export,corpus,scores] [--runs NAME,NAME]

CHECKOUT is version 0.1; the environment has its extras ``tensorflow`` and ``dev``, and the weights of BlazePose
(``kineme models pull blazepose``). Each part replaces its earlier output in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

PARTS = ("videos", "runs", "export", "corpus", "scores")
ACTIONS = ("jumping-jack", "sit-down", "wave")
MODEL, REPORT = "model.safetensors", "report.html"
MTIME = 1_750_000_000  # of the videos of the corpus, since rows of changed videos are computed again
CORPUS = "clips/wave/person0[1-3]*.mp4"
LARGE = 100_000  # bytes; larger model files are stored compressed, with coarsely rounded weights
BACKBONE = "efficientnet-lite0"

# Name of each run: its options of `kineme train`.
RUNS: dict[str, str] = {
    "lrcn": "--approach lrcn --set units=4 --frames 6",
    "lrcn-change-over": (
        "--approach lrcn --backbone pixels --set change_over=2 --set projection=6 --set pooling=max --set units=4 "
        "--set dropout=0.1 --frames 5 --fps 6 --size 12x8 --fit letterbox --short refuse"
    ),
    "lrcn-both-ways": (
        "--approach lrcn --backbone pixels --set bidirectional=true --set pooling=mean --set units=3 "
        "--frames 4 --size 8 --fit crop --validation 0 --epochs 200 --learning-rate 0.01"
    ),
    "convlstm": "--approach convlstm --frames 4 --size 32 --learning-rate 0.01",
    "convlstm-one-layer": (
        "--approach convlstm --backbone pixels --set units=3 --frames 5 --fps 5 --size 12 --fit crop "
        "--epochs 200 --patience 200 --learning-rate 0.01"
    ),
    "early-fusion": "--approach early-fusion --frames 4 --size 32x24",
    "slow-fusion": "--approach slow-fusion --frames 8 --size 32 --fit letterbox",
    "late-fusion": "--approach late-fusion --frames 4 --validation 0 --epochs 100 --learning-rate 0.001",
    "late-fusion-mean": (
        "--approach late-fusion --backbone pixels --set merge=mean --set units=12 --set dropout=0 --frames 4 --size 8 "
        "--validation 0 --epochs 200 --learning-rate 0.01 --seed 2"
    ),
    "single-frame": (
        "--approach single-frame --backbone pixels --frames 4 --fps spread --size 8x12 --short loop "
        "--validation 0 --epochs 200"
    ),
    "pose-lstm": "--approach pose-lstm --set units=4 --frames 5 --fps 5",
    "lrcn-efficientnet-lite0": f"--backbone {BACKBONE} --set units=4 --set projection=4 --frames 4 --size 64",
}
TRAINING = "--epochs 40 --patience 40 --batch-size 8 --learning-rate 0.003 --test 0.25 --validation 0.25"
CARRIED = ("lrcn", "lrcn-change-over", "convlstm", "convlstm-one-layer", "late-fusion-mean", "pose-lstm")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--source", type=Path, required=True, help="folder that holds the package in version 0.1")
    parser.add_argument("--out", type=Path, required=True, help="folder of the artefacts")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--runs", default=",".join(RUNS), help="only these, of the parts runs and scores")
    arguments = parser.parse_args()
    use(arguments.source.resolve())
    arguments.out.mkdir(parents=True, exist_ok=True)
    os.chdir(arguments.out)  # no path of this machine gets into an artefact
    runs = arguments.runs.split(",")
    with tempfile.TemporaryDirectory() as work:
        os.environ.update(KINEME_STRIPS=f"{work}/strips", KINEME_LOOKS=f"{work}/looks")
        for part in arguments.parts.split(","):
            if part == "videos":
                make_videos(Path(work))
            if part == "runs":
                for name in runs:
                    make_run(name, Path(work))
            if part == "export":
                command("export", "runs/lrcn", "--out", "lrcn.tflite")
            if part == "corpus":
                make_corpus()
            if part == "scores":
                for name in runs:
                    write_scores(name, Path(work))
                if "lrcn" in runs:
                    write_scores("lrcn.tflite", Path(work))
                    write_corpus_scores(Path(work))


def use(source: Path) -> None:
    """Import the package from this folder, here and in subprocesses, whatever is installed.

    Raises:
        SystemExit: the folder holds another version, or Python imports another one.
    """
    sys.path.insert(0, str(source))
    os.environ["PYTHONPATH"] = str(source)
    told = "import kineme, kineme.version; print(kineme.__file__, kineme.version.__version__)"
    said = subprocess.run([sys.executable, "-c", told], check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    if said != [str(source / "kineme" / "__init__.py"), "0.1.0"]:
        sys.exit(f"{source} does not hold version 0.1.0, or is not what Python imports: {said}")


def command(*arguments: object) -> str:
    """Run a command and return its standard output."""
    print("kineme", *arguments, file=sys.stderr)
    done = subprocess.run(
        [sys.executable, "-m", "kineme", *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


def make_videos(work: Path) -> None:
    """``clips``: three actions of eight drawn people; ``clip.mp4``: one waves, stands and does jumping jacks."""
    drawn = work / "drawn"
    command(
        *("datasets", "make", drawn, "--clips", 24, "--people", 8, "--actions", ",".join(ACTIONS)),
        *("--untrimmed", 1, "--seed", 3),
    )
    shutil.rmtree("clips", ignore_errors=True)
    for video in sorted(drawn.glob("*/person*_01.*")):
        if video.parent.name in ACTIONS:
            small_video(video, Path("clips", video.parent.name, video.stem + ".mp4"), width=80, height=60, quality=28)
    (untrimmed,) = drawn.glob("untrimmed/*.mp4")
    small_video(untrimmed, Path("clip.mp4"), width=240, height=180, quality=28, start_s=4.5, frames=73)


def small_video(
    source: Path, to: Path, *, width: int, height: int, quality: int, start_s: float = 0.0, frames: int = 25
) -> None:
    """Encode a part of a video as H.264, small and with 12 frames a second."""
    to.parent.mkdir(parents=True, exist_ok=True)
    options = {"crf": str(quality), "preset": "veryslow", "threads": "1"}
    with av.open(str(source)) as old, av.open(str(to), "w", options={"movflags": "faststart"}) as new:
        stream = new.add_stream("libx264", rate=12, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        count = 0
        for frame in old.decode(video=0):
            if count == frames or (frame.time - start_s) * 12 < count:
                continue
            picture = frame.reformat(width=width, height=height, format="yuv420p")
            picture.pts, picture.time_base = count, Fraction(1, 12)
            new.mux(stream.encode(picture))
            count += 1
        new.mux(stream.encode(None))


def make_run(name: str, work: Path) -> None:
    """Train a run; shrink its model file if it is large, and drop a large report."""
    out = Path("runs", name)
    shutil.rmtree(out, ignore_errors=True)
    command("train", "clips", *TRAINING.split(), *RUNS[name].split(), "--out", out)
    file = out / MODEL
    if name != "lrcn" and file.stat().st_size > LARGE:
        make_cheap(file)
        content = lzma.compress(file.read_bytes(), preset=9 | lzma.PRESET_EXTREME)
        file.with_suffix(".safetensors.xz").write_bytes(content)
        file.unlink()
    if name != "lrcn" or (out / REPORT).stat().st_size > LARGE:
        (out / REPORT).unlink()


def make_cheap(file: Path) -> None:
    """Replace the weights of a model file by ones that compress well.

    Large tensors are rounded to 31 levels. Those of EfficientNet (13 MB) are replaced by a repeating pattern, and the
    card then says ``finetuned``, since they are no longer the published weights.
    """
    from kineme.files import write_tensors
    from kineme.models.model_file import read_card, read_weights

    card, tensors = read_card(file), dict(read_weights(file))
    document = card.to_json()
    document["finetuned"] = document["config"]["backbone"] == BACKBONE
    for name, tensor in tensors.items():
        if document["finetuned"] and not name.startswith(("lstm/", "logits/", "projection/")):
            tensors[name] = pattern(name, tensor)
        elif tensor.size > 100:
            step = float(np.abs(tensor).max()) / 15
            tensors[name] = (np.round(tensor / step) * step).astype(np.float32)
    write_tensors(file, tensors, {"kineme": json.dumps(document, ensure_ascii=False)})


def pattern(name: str, tensor: np.ndarray) -> np.ndarray:
    """A repeating row of 61 numbers, scaled so that the network neither ignores its input nor amplifies noise."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    if tensor.ndim > 1:  # of a convolution: (height, width, from, to), or (height, width, channels, 1) by channel
        inputs = tensor[..., 0].size if tensor.shape[-1] > 1 else tensor[:, :, 0].size
        values = rng.normal(0, 0.7 * np.sqrt(2 / inputs), 61)
    elif name.endswith(("gamma", "variance")):
        values = rng.uniform(0.95, 1.05, 61)
    else:
        values = rng.normal(0, 0.3, 61)
    return np.resize(values.astype(np.float32), tensor.shape)


def make_corpus() -> None:
    """``corpus``: the results of ``kineme batch`` on three videos."""
    shutil.rmtree("corpus", ignore_errors=True)
    for video in Path().glob(CORPUS):
        os.utime(video, (MTIME, MTIME))
    command("batch", CORPUS, "--model", "runs/lrcn", "--out", "corpus", "--workers", 1)


@contextmanager
def whole(name: str, work: Path) -> Iterator[Path]:
    """A model's run folder, with the model file unpacked."""
    folder = Path("runs", name)
    if name.endswith(".tflite"):
        yield Path(name)
    elif (folder / MODEL).exists():
        yield folder
    else:
        copy = work / "whole" / name
        shutil.copytree(folder, copy, dirs_exist_ok=True)
        (copy / MODEL).write_bytes(lzma.decompress((copy / (MODEL + ".xz")).read_bytes()))
        yield copy


def write_scores(name: str, work: Path) -> None:
    """``scores/NAME.json``: the output of a model, in Python and on the command line."""
    import kineme

    with whole(name, work) as path:
        model = kineme.load(path)
        found: dict[str, Any] = {"labels": list(model.labels), "predict": {}, "json": {}, "stream": {}}
        for engine in ("keras", "auto"):
            if engine == "keras" and name.endswith(".tflite"):
                continue
            print(name, engine, file=sys.stderr)
            found["predict"][engine] = prediction(model.predict("clip.mp4", engine=engine))
            found["json"][engine] = json.loads(
                command("predict", "clip.mp4", "--model", path, "--engine", engine, "--json", "--top", 3)
            )
            del found["json"][engine]["timing"]
        for mode in modes_of(name.removesuffix(".tflite")):
            engine = "auto" if name.endswith(".tflite") else "keras"
            found["stream"][mode] = streamed(model, mode, engine)
        if not name.endswith((".tflite", BACKBONE)):  # one cannot be evaluated, the other takes long
            found["evaluate"] = json.loads(command("evaluate", path, "clips", "--json"))
            for sentences in ("interval_method", "warnings"):
                del found["evaluate"][sentences]
            if name == "pose-lstm":  # its frames are shuffled in an order that depends on the path of the video
                del found["evaluate"]["orders"]["shuffled"], found["evaluate"]["motion_reliance"]
        write_document(name, found)


def write_corpus_scores(work: Path) -> None:
    """``scores/corpus.json``: the output of resuming the corpus, and of its summary."""
    shutil.copytree("corpus", work / "corpus")
    again = ("batch", CORPUS, "--model", "runs/lrcn", "--out", work / "corpus", "--json")
    summary = json.loads(command("batch", "--summary", "--out", work / "corpus", "--json"))
    found = {"resumed": json.loads(command(*again)), "summary": summary}
    for document in (*found.values(), *summary["labels"]):
        for place_or_time in ("out", "files", "picture", "start_s", "seconds" if "kept" in document else ""):
            document.pop(place_or_time, None)
    write_document("corpus", found)


def write_document(name: str, document: dict[str, Any]) -> None:
    """Write ``scores/NAME.json``, each row of numbers on one line."""
    Path("scores").mkdir(exist_ok=True)
    text = re.sub(r"\[[^][{}]+\]", lambda row: " ".join(row[0].split()), json.dumps(short(document), indent=1))
    Path("scores", f"{name}.json").write_text(text + "\n", encoding="utf-8")


def modes_of(run: str) -> tuple[str, ...]:
    """The stream modes that a model supports; one that spreads its frames over a whole video supports none."""
    return () if "--fps spread" in RUNS[run] else ("exact", "carried") if run in CARRIED else ("exact",)


def prediction(result: Any) -> dict[str, Any]:
    """A prediction as a JSON document, not rounded to four digits as ``--json`` is."""
    return {
        "label": result.label,
        "probabilities_K": result.probabilities_K.tolist(),
        "window_times_W2": result.window_times_W2.tolist(),
        "window_probabilities_WK": result.window_probabilities_WK.tolist(),
        "segments": [[one.start_s, one.end_s, one.label, one.confidence] for one in result.segments],
    }


def streamed(model: Any, mode: str, engine: str) -> list[float]:
    """The last probabilities of a stream that is given every frame of the video."""
    with av.open("clip.mp4") as container, model.stream(mode=mode, engine=engine) as stream:
        for frame in container.decode(video=0):
            probabilities_K = stream.push(frame.to_ndarray(format="rgb24"), frame.time)
        return probabilities_K.tolist()


def short(document: Any) -> Any:
    """Numbers with eight digits after the point."""
    if isinstance(document, float):
        return round(document, 8)
    if isinstance(document, dict):
        return {key: short(value) for key, value in document.items()}
    return [short(value) for value in document] if isinstance(document, list) else document


if __name__ == "__main__":
    main()
