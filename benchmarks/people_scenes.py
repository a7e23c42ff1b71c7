"""People in drawn scenes whose truth is known: whether they are found, keep their identities, and what each does.

Scenes of several people who do different actions at once, cross and hide each other; some do nothing. Reported:

- *found*: the share of frames in which a person, hidden or not, has a track's box that overlaps theirs by half.
- *IDF1*: the identity F1 of the tracks (Ristani et al., ECCV 2016), at an overlap of one half, by SciPy's assignment.
- *segment F1*, with ``--train``: of what each person does, at an overlap in time of one half, by a model trained with
  ``--region person`` on the segments of other casts; and the same for a model that sees the whole frame.
- *small*, with ``--small``: the same models on the same test scenes filmed from so far that everybody is 60 pixels high
  in 1280 x 720; what is recognised there as a share of what is recognised of these segments at full height.

Both models have a linear head on joints, chosen on scenes of another seed (100).

    python benchmarks/people_scenes.py --train person frame --small --out benchmarks/results/people-scenes.json
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
from pairs import record, table
from scipy.optimize import linear_sum_assignment

from drawn_people.crowd import BOXES, SEGMENTS, Scene, SceneFilm, rows_of
from drawn_people.make import make_dataset
from kineme import api
from kineme.files import write_csv, write_json
from kineme.people.find import find_people
from kineme.people.tracks import People
from kineme.training.options import TrainOptions, resolve_approach
from kineme.video.spec import Region
from kineme.video.write import VideoWriter

ACTIONS = ("bow", "clap", "kick", "squat", "throw", "walk", "wave")
_SAME = 0.5  # overlap, intersection over union
SMALL_SIZE, SMALL_HEIGHT = (720, 1280), 60  # pixels of a frame, and of a person in it


def main() -> None:
    parser = argparse.ArgumentParser(description="Finding, following and recognising several drawn people.")
    parser.add_argument("--scenes", type=int, default=48)
    parser.add_argument("--people", type=int, default=3, help="in each scene")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", nargs="*", default=(), choices=get_args(Region), help="train on these regions")
    parser.add_argument("--small", action="store_true", help="measure them on people 60 pixels high too")
    parser.add_argument("--work", type=Path, help="folder to keep the scenes and trainings in")
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        work = arguments.work or Path(scratch)
        size = {"width": 640, "height": 360}
        scenes = {"scenes": arguments.scenes, "people_per_scene": arguments.people}
        people = len(ACTIONS)
        make_dataset(
            work / "set",
            clips=people,
            people=people,
            actions=ACTIONS,
            untrimmed=0,
            seed=arguments.seed,
            **size,
            **scenes,
        )
        result = record("numpy", "scipy", scenes=scenes, seed=arguments.seed)
        result |= tracking(work / "set" / "scenes")
        for region in arguments.train:
            result[f"segments_{region}"] = segments(work, region)
            if arguments.small:
                result[f"small_{region}"] = small(work, region, arguments.people, arguments.seed)
    shown = ("found", "idf1", "tracks_per_person", *(name for name in result if name.startswith(("segments", "small"))))
    table(["figure", "value"], [(name, short(result[name])) for name in shown])
    if arguments.out:
        write_json(arguments.out, result)


def short(figure: Any) -> str:
    """A figure in a few words."""
    if not isinstance(figure, dict):
        return f"{figure:.3f}"
    if "small" in figure:
        return f"{short(figure['small'])}; as a share of full height {figure['small_as_a_share']:.3f}"
    low, high = figure["top1_interval"]
    f1 = figure["segments"]["overlaps"]["0.5"]["f1"]
    return f"top-1 {figure['top1']:.3f} ({low:.3f} to {high:.3f}; n {figure['n']}), segment F1 {f1:.3f}"


def tracking(folder: Path) -> dict[str, Any]:
    """How well everybody is found and followed, over all scenes."""
    truth = pl.read_csv(folder / "boxes.csv")
    kept = true = predicted = found = 0
    identities = []
    for (name,), rows in sorted(truth.group_by("path")):
        people = find_people(folder / str(name))
        matches, counts, seen = match(rows, people)
        pairs = linear_sum_assignment(matches, maximize=True)
        kept += int(matches[pairs].sum())
        true += counts[0]
        predicted += counts[1]
        found += seen
        identities.append({"scene": name, "people": len(matches), "tracks": len(people.tracks)})
    return {
        "found": round(found / true, 4),
        "idf1": round(2 * kept / (true + predicted), 4),
        "tracks_per_person": sum(one["tracks"] for one in identities) / sum(one["people"] for one in identities),
        "identities": identities,
    }


def match(rows: pl.DataFrame, people: People) -> tuple[np.ndarray, tuple[int, int], int]:
    """How many looks each true person shares with each track, how many there are of both, and how many are found."""
    persons = sorted(set(rows["person"]))
    boxes_PT4 = np.stack([rows.filter(pl.col("person") == one)["x0", "y0", "x1", "y1"].to_numpy() for one in persons])
    times_T = rows.filter(pl.col("person") == persons[0])["time_s"].to_numpy()
    matches = np.zeros((len(persons), max(1, len(people.tracks))), int)
    predicted = found = 0
    for time_s in people.times_T:
        frame = int(np.searchsorted(times_T, time_s + 1e-3) - 1)
        here = [number for number, one in enumerate(people.tracks) if is_seen(one, time_s)]
        predicted += len(here)
        overlaps = np.array(
            [[overlap(box, people.tracks[one].box_at(time_s)) for one in here] for box in boxes_PT4[:, frame]]
        )
        same = overlaps.reshape(len(persons), len(here)) >= _SAME
        found += int(same.any(axis=1).sum())
        matches[:, here] += same
    return matches, (len(persons) * len(people.times_T), predicted), found


def is_seen(track: Any, time_s: float) -> bool:
    """Whether a track has a box then, found or expected."""
    return bool(np.isclose(track.times_T, time_s).any())


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    return shared / (float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared)


def segments(work: Path, region: Region) -> dict[str, Any]:
    """What a model says of each person in scenes whose cast it has not seen."""
    approach, config, spec = resolve_approach("late-fusion", {"backbone": "movenet", "head": "linear"})
    run = api.train(
        work / "set" / "scenes" / "segments.csv",
        work / region,
        approach=approach,
        config=config,
        spec=replace(spec, region=region, frames=16, fps=8.0),
        options=TrainOptions(),
        overwrite=True,
    )
    return shortened(run.metrics["test"] | {"segments": run.metrics["segments"]})


def shortened(metrics: Any) -> dict[str, Any]:
    """The figures that are reported, with their counts and intervals."""
    found = {name: metrics[name] for name in ("n", "top1", "top1_interval") if name in metrics}
    if "segments" in metrics:
        found["segments"] = {name: metrics["segments"][name] for name in ("videos", "groups", "overlaps")}
    return found


def small(work: Path, region: Region, people: int, seed: int) -> dict[str, Any]:
    """The same model on its test scenes, filmed from afar, beside what it made of them at full height."""
    split = pl.read_csv(work / region / "split.csv")
    names = sorted({Path(path).name for path in split.filter(pl.col("split") == "test")["path"]})
    folder = draw_small(work / "small", names, people, seed)
    near = api.evaluate(work / region, work / "set" / "scenes" / "segments.csv", split="test")
    far = api.evaluate(work / region, folder / "segments.csv", split="all")
    return {
        "pixels_high": SMALL_HEIGHT,
        "tracking": {name: value for name, value in tracking(folder).items() if name != "identities"},
        "full_height": shortened(near),
        "small": shortened(far),
        "small_as_a_share": round(far["top1"] / near["top1"], 4),
    }


def draw_small(folder: Path, names: Collection[str], people: int, seed: int) -> Path:
    """Those scenes once more, from afar."""
    folder.mkdir(parents=True, exist_ok=True)
    of_segments, of_boxes = [], []
    for name in names:
        group, take = name.removesuffix(".mp4").split("_")
        share = SMALL_HEIGHT / SMALL_SIZE[0]
        scene = Scene.draw(seed, int(group.removeprefix("cast")), int(take), people, ACTIONS, SMALL_SIZE, share)
        film, path = SceneFilm(scene), folder / name
        found = rows_of(scene, film, name, group)
        of_segments += found[0]
        of_boxes += found[1]
        if not path.exists():
            with VideoWriter(path, width=SMALL_SIZE[1], height=SMALL_SIZE[0], fps=15) as writer:
                for frame in film.frames():
                    writer.write(frame)
    write_csv(folder / "segments.csv", SEGMENTS, of_segments)
    write_csv(folder / "boxes.csv", BOXES, of_boxes)
    return folder


if __name__ == "__main__":
    main()
