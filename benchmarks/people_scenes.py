"""People in drawn scenes whose truth is known: whether they are found, keep their identities, and what each does.

Scenes of several people who do different actions at once, cross and hide each other; some do nothing. Reported:

- *found*: the share of frames in which a person, hidden or not, has a track's box that overlaps theirs by half.
- *IDF1*: the identity F1 of the tracks (Ristani et al., ECCV 2016), at an overlap of one half, by SciPy's assignment.
- *segment F1*, with ``--train``: of what each person does, at an overlap in time of one half, by a model trained with
  ``--region person`` on the segments of other casts; and the same for a model that sees the whole frame.

    python benchmarks/people_scenes.py --scenes 12 --out benchmarks/results/people-scenes.json
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import polars as pl
from pairs import record, table
from scipy.optimize import linear_sum_assignment

from drawn_people.make import make_dataset
from kineme import api
from kineme.files import write_json
from kineme.people.find import find_people
from kineme.people.tracks import People
from kineme.training.options import TrainOptions
from kineme.video.spec import Region

ACTIONS = ("bow", "clap", "kick", "squat", "throw", "walk", "wave")
_SAME = 0.5  # overlap, intersection over union


def main() -> None:
    parser = argparse.ArgumentParser(description="Finding, following and recognising several drawn people.")
    parser.add_argument("--scenes", type=int, default=12)
    parser.add_argument("--people", type=int, default=3, help="in each scene")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", nargs="*", default=(), choices=get_args(Region), help="train on these regions")
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
    table(
        ["figure", "value"], [(name, str(result[name])) for name in ("found", "idf1", "identities") if name in result]
    )
    if arguments.out:
        write_json(arguments.out, result)


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
    approach, config, spec = api.resolve_approach("late-fusion", {"backbone": "efficientnet-lite0", "head": "linear"})
    run = api.train(
        work / "set" / "scenes" / "segments.csv",
        work / region,
        approach=approach,
        config=config,
        spec=replace(spec, region=region, frames=16, fps=8.0),
        options=TrainOptions(),
        overwrite=True,
    )
    test = run.metrics["test"]
    return {name: test[name] for name in ("n", "top1", "top1_interval", "segments") if name in test}


if __name__ == "__main__":
    main()
