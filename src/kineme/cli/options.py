"""Options that several verbs share, and how the text of an option is read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from kineme.errors import UsageError
from kineme.text import file_stem

# Sections of a verb's help; an option that names none is among the first.
CLIP, TRAINING, SPLIT, RUN = "Clip sampling", "How to train", "The split", "The run"
LINKS = "Links and downloads"

Data = Annotated[Path, typer.Argument(help="folder/class/video.*, or a CSV with the columns path and label")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Engine = Annotated[str, typer.Option(help="keras, litert, openvino, or auto: the fastest of those installed.")]
Start = Annotated[
    str | None, typer.Option(help="Start time in the video: seconds or 1:30. All times count from there.")
]
End = Annotated[str | None, typer.Option(help="End time in the video: seconds or 1:30.")]
MaxSize = Annotated[str, typer.Option(help="Maximum size of a download or of standard input.", rich_help_panel=LINKS)]
Cookies = Annotated[
    str | None, typer.Option(metavar="FILE", help="A cookies.txt, for videos that need a login.", rich_help_panel=LINKS)
]
CookiesFromBrowser = Annotated[
    str | None,
    typer.Option(metavar="NAME[:PROFILE]", help="Use the cookies of a browser on this machine.", rich_help_panel=LINKS),
]
Labels = Annotated[
    str | None,
    typer.Option(
        help="Classes by text, with commas between, or a file with one a line: for --model hf:NAME with a text side."
    ),
]
Prompt = Annotated[str | None, typer.Option(help="The sentence for a label of --labels, which stands for its {}.")]
GroupColumn = Annotated[str | None, typer.Option(help="Column of the CSV that names the groups.")]
Backbone = Annotated[str | None, typer.Option(help="Backbone network; each approach has a default.")]

Frames = Annotated[
    int | None, typer.Option(help="Frames per clip.  [default: set by the backbone]", rich_help_panel=CLIP)
]
Fps = Annotated[
    str | None,
    typer.Option(
        help="Frames per second of a clip; or 'spread' over the video.  [default: set by the backbone]",
        rich_help_panel=CLIP,
    ),
]
Size = Annotated[
    str | None,
    typer.Option(
        help="Pixels: 64, or 96x64 for width and height.  [default: 224 where pretrained, else 64]",
        rich_help_panel=CLIP,
    ),
]
Fit = Annotated[
    str | None,
    typer.Option(
        help="stretch, crop, letterbox.  [default: letterbox for landmarks, crop for i3d, else stretch]",
        rich_help_panel=CLIP,
    ),
]
Short = Annotated[
    str | None,
    typer.Option(
        help="Videos shorter than a clip: hold, loop or refuse.  [default: hold, for i3d loop]", rich_help_panel=CLIP
    ),
]
Region = Annotated[
    str | None,
    typer.Option(
        help="Image region of a clip: frame, people, or person (one of them).  [default: frame]",
        rich_help_panel=CLIP,
    ),
]
Brightness = Annotated[
    str | None,
    typer.Option(
        help="auto brightens dark clips, as-is leaves them unchanged.  [default: as-is]", rich_help_panel=CLIP
    ),
]

Epochs = Annotated[int, typer.Option(help="Maximum number of epochs.", rich_help_panel=TRAINING)]
BatchSize = Annotated[
    int | None,
    typer.Option(help="Clips per training step.  [default: 16, or 4 with --finetune]", rich_help_panel=TRAINING),
]
LearningRate = Annotated[float, typer.Option(help="Adam's learning rate.", rich_help_panel=TRAINING)]
Patience = Annotated[
    int, typer.Option(help="Stop after this many epochs without improvement.", rich_help_panel=TRAINING)
]
Augment = Annotated[
    bool, typer.Option(help="Augment training clips: shift, mirror and change brightness.", rich_help_panel=TRAINING)
]
Views = Annotated[
    int | None,
    typer.Option(
        help="Augmented views of each training video behind a frozen backbone.  [default: fewer where slow]",
        rich_help_panel=TRAINING,
    ),
]
Flip = Annotated[
    bool | None,
    typer.Option(help="Mirror half of them.  [default: unless a label says left or right]", rich_help_panel=TRAINING),
]
Finetune = Annotated[
    bool,
    typer.Option(
        "--finetune", help="Also train the pretrained backbone, at smaller learning rates.", rich_help_panel=TRAINING
    ),
]
Log = Annotated[
    list[str] | None,
    typer.Option(
        "--log",
        metavar="NAME",
        help="Also log to tensorboard, mlflow or wandb; may be repeated.",
        rich_help_panel=RUN,
    ),
]
Test = Annotated[float, typer.Option(help="Fraction of the videos to test on.", rich_help_panel=SPLIT)]
Validation = Annotated[float, typer.Option(help="Fraction held out for early stopping.", rich_help_panel=SPLIT)]
LabelledThroughout = Annotated[
    bool,
    typer.Option(
        "--labelled-throughout",
        help="Rows are parts of videos in which all that happens is labelled: the time between them is background.",
        rich_help_panel=SPLIT,
    ),
]
AllowLeaks = Annotated[
    bool,
    typer.Option(
        "--allow-leaks",
        help="Continue even if the same video is on both sides of the split or has two labels.",
        rich_help_panel=SPLIT,
    ),
]


def name_of(data: Path) -> str:
    """What the data is called: its folder, also where it is given as the folder's clips.csv. A name for files, too."""
    data = data.resolve()
    return file_stem(data.parent.name if data.name == "clips.csv" else data.stem)


def spec_changes(frames: int | None, fps: str | None, size: str | None, **named: str | None) -> dict[str, Any]:
    """The fields of a clip spec that options change; ``named`` are those that are given as they are in the spec.

    Raises:
        UsageError: one of them cannot be read.
    """
    changes: dict[str, Any] = {"frames": frames, **named}
    if fps is not None and fps != "spread":
        try:
            changes["fps"] = float(fps)
        except ValueError:
            raise UsageError(f"--fps {fps}: give a number of frames a second, or 'spread'") from None
    if size is not None:
        try:
            sides = [int(side) for side in size.lower().split("x")]
            changes["width"], changes["height"] = sides if len(sides) == 2 else sides * 2
        except ValueError:
            raise UsageError(f"--size {size}: give pixels, as 64, or 96x64 for width and height") from None
    changes = {name: value for name, value in changes.items() if value is not None}
    return changes | ({"fps": None} if fps == "spread" else {})


def parse_part(start: str | None, end: str | None) -> tuple[float, float | None]:
    """``--start`` and ``--end`` in seconds.

    Raises:
        UsageError: one is no time, or nothing lies between them.
    """
    start_s, end_s = parse_seconds("--start", start or "0"), parse_seconds("--end", end) if end else None
    if end_s is not None and end_s <= start_s:
        raise UsageError(f"--end {end}: must come after --start {start or 0}")
    return start_s, end_s


def parse_seconds(option: str, text: str) -> float:
    """``"90"``, ``"1:30"`` or ``"1:02:03.5"`` in seconds.

    Raises:
        UsageError: it is another value; the line names ``option``.
    """
    if not re.fullmatch(r"(\d+:)?(\d+:)?\d+(\.\d*)?", text):
        raise UsageError(f"{option} {text}: give seconds, or minutes and seconds such as 1:30")
    seconds = 0.0
    for part in text.split(":"):
        seconds = 60 * seconds + float(part)
    return seconds


def parse_duration(option: str, text: str) -> float:
    """``"90"``, ``"90s"``, ``"10m"`` or ``"1.5h"`` in seconds.

    Raises:
        UsageError: it is another value, or empty; the line names ``option``.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip().lower())
    seconds = float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]] if match else 0.0
    if not seconds:
        raise UsageError(f"{option} {text}: give a time such as 90s, 10m or 2h")
    return seconds


def parse_size(option: str, text: str) -> int:
    """``"500M"``, ``"2G"`` or a number of bytes.

    Raises:
        UsageError: it is another value, or empty; the line names ``option``.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmg]?)i?b?", text.strip().lower())
    size = int(float(match[1]) * 1024 ** " kmg".index(match[2] or " ")) if match else 0
    if size < 1:
        raise UsageError(f"{option} {text}: give a size such as 500M or 2G")
    return size


def parse_pairs(option: str, text: str | None) -> dict[str, str]:
    """``"path=Datei,label=Übung"`` as a dictionary.

    Raises:
        UsageError: a part is no pair; the line names ``option``.
    """
    pairs = {}
    for part in text.split(",") if text else []:
        name, _, value = part.partition("=")
        if not name.strip() or not value.strip():
            raise UsageError(f"{option} {text}: give pairs such as path=Datei,label=Übung")
        pairs[name.strip()] = value.strip()
    return pairs
