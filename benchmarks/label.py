"""What proposals save whoever labels: key strokes for each true segment with and without, and how good the labels are.

A labeller that is simulated knows the truth, and reacts late: Space comes a quarter of a second after an action begins
and ends, give or take a tenth. Without proposals a segment costs Space twice, and a digit where the class is another
than before. With proposals, the labeller watches the video as well: while a proposal is shown that is none, R rejects
it; one with a wrong label is corrected by a digit; at the end Shift and Y, counted as one, accepts all others. What the
model has missed is labelled as without. Both press V, K and X once in each video. A proposal is right to the labeller
if it overlaps a true segment of its label by half (intersection over union).
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from drawn_people.make import make_dataset
from kineme import api
from kineme.files import write_csv
from kineme.prediction.result import Segment
from kineme.prediction.segment_score import SegmentScore, score_segments
from kineme.serving.labelling.work import propose
from kineme.video.probe import probe

ACTIONS = ["wave", "squat", "run", "jumping-jack"]
EACH_VIDEO = 3  # V, K and X
LATE_S, SPREAD_S = 0.25, 0.1
RIGHT = 0.5
OVERLAPS = (0.5, 0.7)


def iou(one: Segment, other: Segment) -> float:
    both = min(one.end_s, other.end_s) - max(one.start_s, other.start_s)
    return max(0.0, both) / (max(one.end_s, other.end_s) - min(one.start_s, other.start_s))


def by_hand(true: list[Segment], current: str, rng: np.random.Generator) -> tuple[list[Segment], int, str]:
    """What is labelled by keys alone, the strokes, and the class that is chosen at the end."""
    made, strokes = [], 0
    for one in true:
        strokes += 2 + (one.label != current)
        current = one.label
        start, end = np.array([one.start_s, one.end_s]) + rng.normal(LATE_S, SPREAD_S, 2)
        made.append(Segment(max(0.0, float(start)), max(float(start) + 0.1, float(end)), one.label, 1.0))
    return made, strokes, current


def with_proposals(
    true: list[Segment], proposals: list[Segment], current: str, rng: np.random.Generator
) -> tuple[list[Segment], int, str]:
    """The same with proposals."""
    best = {number: max(true, key=lambda one: iou(one, found)) for number, found in enumerate(proposals)}
    overlaps = {number: iou(best[number], found) for number, found in enumerate(proposals)}
    taken: set[int] = set()
    verdicts = []
    for number in sorted(best, key=lambda number: -overlaps[number]):
        if overlaps[number] < RIGHT or id(best[number]) in taken:
            verdicts.append((number, "reject"))
        else:
            taken.add(id(best[number]))
            verdicts.append((number, "accept" if proposals[number].label == best[number].label else "correct"))
    verdict = dict(verdicts)
    kept = [number for number in verdict if verdict[number] != "reject"]
    made = [Segment(proposals[n].start_s, proposals[n].end_s, best[n].label, 1.0) for n in kept]
    strokes = sum(one != "accept" for one in verdict.values()) + ("accept" in verdict.values())
    missed = [one for one in true if id(one) not in taken]
    more, hand, current = by_hand(missed, current, rng)
    return made + more, strokes + hand, current


def truth_of(table: Path) -> dict[Path, list[Segment]]:
    videos: dict[Path, list[Segment]] = {}
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            one = Segment(float(row["start_s"]), float(row["end_s"]), row["label"], 1.0)
            videos.setdefault(table.parent / row["path"], []).append(one)
    return {video: sorted(ones, key=lambda one: one.start_s) for video, ones in sorted(videos.items())}


def measure(work: Path, people: int, labelled: int, approach: str | None, backbone: str | None) -> dict[str, Any]:
    if not (work / "set").is_dir():
        make_dataset(work / "set", clips=len(ACTIONS), people=people, actions=ACTIONS, untrimmed=people, seed=7)
    truth = truth_of(work / "set" / "untrimmed" / "segments.csv")
    first, rest = list(truth)[:labelled], list(truth)[labelled:]
    rows = [
        [video, one.start_s, one.end_s, one.label, video.name.partition("_")[0], "yes"]
        for video in first
        for one in truth[video]
    ]
    write_csv(work / "labels.csv", ["path", "start_s", "end_s", "label", "group", "labelled_throughout"], rows)
    if not (work / "run").is_dir():
        api.train(
            work / "labels.csv", work / "run", approach=approach, config={"backbone": backbone} if backbone else None
        )
    results: dict[str, Any] = {"videos": len(rest), "segments": sum(len(truth[video]) for video in rest)}
    for name in ("without", "with"):
        rng, current, strokes = np.random.default_rng(0), "", 0
        scores = {overlap: SegmentScore() for overlap in OVERLAPS}
        for video in rest:
            if name == "with":
                found = propose(str(work / "run"), str(video), lambda share: None)["proposals"]
                found = sorted(found, key=lambda one: one["confidence"])
                shown = [Segment(one["start_s"], one["end_s"], one["label"], one["confidence"]) for one in found]
                made, more, current = with_proposals(truth[video], shown, current, rng)
            else:
                made, more, current = by_hand(truth[video], current, rng)
            strokes += more + EACH_VIDEO
            length_s = probe(video).duration_s
            for overlap in OVERLAPS:
                scores[overlap] += score_segments(truth[video], made, length_s, overlap=overlap)
        per = strokes / results["segments"]
        own = (strokes - EACH_VIDEO * len(rest)) / results["segments"]
        results[name] = {
            "strokes_per_segment": round(own, 3),
            "with_those_of_each_video": round(per, 3),
            **{f"f1_at_{overlap}": round(score.f1, 4) for overlap, score in scores.items()},
        }
    own, plain = (results[name]["strokes_per_segment"] for name in ("with", "without"))
    results["ratio"] = round(own / plain, 3)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=24, help="people, each with a long video of their own")
    parser.add_argument(
        "--labelled", type=int, default=10, help="of these, labelled by hand before the model is trained"
    )
    parser.add_argument("--approach", help="what is trained; by default that of kineme train")
    parser.add_argument("--backbone", help="and on which backbone")
    parser.add_argument("--work", type=Path, help="keep what is made here")
    parser.add_argument("--json", type=Path, help="write the result there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        results = measure(work, options.people, options.labelled, options.approach, options.backbone)
    print(json.dumps(results, indent=2))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
