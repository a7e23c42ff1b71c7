"""The default on clips that are darker than those it learned from: UT-Interaction, set 1, two sequences left out.

Two sequences at a time are tested on models trained on the eight others as filmed: as filmed, and darkened as a camera
at night would show them. Every value is taken to the power of 5, then noise of a sensor is added, of several strengths.
All figures are of the same models. Two, because not every sequence has all classes. After that power most values are 0
to 8 of 255, so noise of 2 grey levels hides arms and hands from people too.

    python benchmarks/dark.py DATA --out benchmarks/results/dark.json

DATA is a folder with a clips.csv of the columns path, label, group (the sequence) and set. The folder given by --work
keeps the darkened clips and every training that is finished. See ``ut_interaction.py`` for the source of the data.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from pairs import record

import kineme
from kineme.cli.output import print_table
from kineme.dataset.table import ClipTable
from kineme.files import write_json
from kineme.training.metrics import accuracy_with_interval
from kineme.training.trials import parse_candidate
from kineme.video.decode import read_frames
from kineme.video.write import VideoWriter

GAMMA = 5.0  # power
NOISES = (0.0, 0.5, 1.0, 2.0)  # standard deviations, in grey levels of 255


def main() -> None:
    parser = argparse.ArgumentParser(description="The default on darkened clips, on people never seen.")
    parser.add_argument("data", type=Path, help="folder with clips.csv")
    parser.add_argument("--candidate", default="i3d+movenet", help="the backbones of the linear head")
    parser.add_argument("--set", default="set1", help="value of the column set")
    parser.add_argument(
        "--noise", nargs="*", type=float, default=NOISES, help="standard deviations, grey levels of 255"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/dark"), help="folder of clips and trainings")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    table = kineme.scan(arguments.data, fold_column="set")
    table = replace(table, rows=table.rows.filter(pl.col("fold") == arguments.set))
    tables = {"as filmed": table}
    for noise in arguments.noise:
        tables[f"darkened, noise {noise:g}"] = darkened(table, arguments.work / f"noise-{noise:g}", noise)
    rights: dict[str, list[bool]] = {light: [] for light in tables}
    groups: list[str] = []
    sequences = table.rows["group"].unique().sort().to_list()
    for tested in zip(sequences[::2], sequences[1::2], strict=True):
        model = kineme.load(learn(table, tested, arguments.candidate, arguments.work / f"without-{'-'.join(tested)}"))
        for light, its in tables.items():
            rows = its.rows.filter(pl.col("group").is_in(tested))
            rights[light] += [
                model.predict(path).label == label for path, label in rows.select("path", "label").iter_rows()
            ]
        groups += rows["group"].to_list()
    result = record("keras", "tensorflow", "scikit-learn", candidate=arguments.candidate, gamma=GAMMA)
    result["rows"] = [
        {"light": light, "n": len(groups), **accuracy_with_interval(np.array(rights[light]), groups)}
        for light in tables
    ]
    columns = ("light", "top1", "top1_interval", "n")
    print_table(list(columns), [[str(row[name]) for name in columns] for row in result["rows"]])
    if arguments.out:
        write_json(arguments.out, result)


def learn(table: ClipTable, tested: Sequence[str], backbones: str, folder: Path) -> Path:
    """The run folder of a training on all groups but these."""
    if not (folder / "metrics.json").exists():
        candidate = parse_candidate(f"late-fusion:{backbones},head=linear", {"brightness": "auto"})
        side = pl.when(pl.col("group").is_in(tested)).then(pl.lit("test")).otherwise(pl.lit("train"))
        kineme.train(
            replace(table, rows=table.rows.with_columns(side.alias("split"))),
            folder,
            approach=candidate.approach_name,
            config=candidate.config,
            spec=candidate.spec,
            validation=0.0,
            overwrite=True,
        )
    return folder


def darkened(table: ClipTable, folder: Path, noise: float) -> ClipTable:
    """The same clips, filmed at night."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, path in enumerate(map(Path, table.rows["path"])):
        dark = folder / f"{path.stem}.mp4"
        if not dark.exists():
            darken(path, dark, noise, np.random.default_rng([0, number]))
        paths.append(str(dark))
    return replace(table, rows=table.rows.with_columns(pl.Series("path", paths)))


def darken(source: Path, target: Path, noise: float, generator: np.random.Generator) -> None:
    """Write a darkened copy of a video, at its own times."""
    level_256 = 255 * (np.arange(256) / 255) ** GAMMA
    frames = list(read_frames(source))
    height, width, _ = frames[0].pixels_HWC.shape
    rate = (len(frames) - 1) / (frames[-1].pts_s - frames[0].pts_s)
    with VideoWriter(target, width=width, height=height, fps=rate, options={"crf": "10"}) as video:
        for frame in frames:
            noisy_HWC = level_256[frame.pixels_HWC] + generator.normal(0, noise, frame.pixels_HWC.shape)
            video.write(np.clip(np.rint(noisy_HWC), 0, 255).astype(np.uint8), frame.pts_s)


if __name__ == "__main__":
    main()
