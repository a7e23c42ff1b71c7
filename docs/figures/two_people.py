"""The pictures of chapter 7 with two people: who is found, what lies between them, and a clip of each."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from guide_paths import Frames, Numbers, right_video, show
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from style import WIDTH, Theme, save

Array = NDArray[np.float32]

_HEIGHT = 224  # pixels, of the frames that the pose network is shown
_RATE, _SECONDS = 8, 2.5


def side_by_side() -> tuple[Frames, list[float]]:
    """Two drawn people, one of them in a mirror, as if in one room."""
    from kineme.video.clips import read_sampled_video
    from kineme.video.spec import ClipSpec

    spec = ClipSpec(height=_HEIGHT, width=298)
    left, right = (read_sampled_video(right_video(label), spec) for label in ("sit-down", "stand-up"))
    count = min(len(left.times_s), len(right.times_s))
    middle = slice(60, 238)  # the person stands there
    frames = [left.frames_NHWC[:count, :, middle], right.frames_NHWC[:count, :, middle][:, :, ::-1]]
    return np.concatenate(frames, axis=2), left.times_s[:count].tolist()


def two_people(theme: Theme) -> Figure:
    """Frames with everybody who is found; without the weights, the frames."""
    from kineme.models import weights
    from kineme.models.backbones.people_encoder import PeopleFinder
    from kineme.people.tracker import Tracker
    from kineme.report.skeleton import draw_skeleton

    frames_NHWC, times = side_by_side()
    files = weights.find("movenet")
    drawn = list(frames_NHWC)
    if files:
        finder = PeopleFinder(files, Tracker())
        for number, time_s in enumerate(times):
            for pose in finder.find(np.ascontiguousarray(frames_NHWC[number]), time_s):
                drawn[number] = draw_skeleton(drawn[number], pose)
    figure, axes = theme.subplots(WIDTH, 2.6, 2, 4)
    for one, at in zip(axes.ravel(), np.linspace(2, len(drawn) - 3, 8).astype(int), strict=True):
        show(one, drawn[at])
    return figure


def clips_of_each(theme: Theme) -> Figure:
    """A frame with everybody's box, and beside it the clip of each person; without the weights, the frame alone."""
    from kineme.models import weights
    from kineme.people.find import find_people
    from kineme.people.region import region_ticks
    from kineme.report.person_colours import colour_of
    from kineme.video.spec import ClipSpec
    from kineme.video.write import VideoWriter

    frames_NHWC, _ = side_by_side()
    count, height, width, _ = frames_NHWC.shape
    figure = Figure(figsize=(WIDTH, 2.4), layout="constrained")
    grid = figure.add_gridspec(2, 7)
    whole = figure.add_subplot(grid[:, :3])
    show(whole, frames_NHWC[count // 2])
    if not weights.find("movenet"):
        return figure
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "two.mp4"
        with VideoWriter(path, width=width - width % 2, height=height, fps=count / _SECONDS) as writer:
            for frame_HWC in frames_NHWC:
                writer.write(np.ascontiguousarray(frame_HWC[:, : width - width % 2]))
        spec = ClipSpec(fps=4.0, height=96, width=96, region="person")
        from_the_left = sorted(find_people(path).tracks[:2], key=lambda one: one.box_at(_SECONDS / 2)[0])
        for row, track in enumerate(from_the_left):
            x0, y0, x1, y1 = track.box_at(_SECONDS / 2)
            colour = [part / 255 for part in colour_of(track.id)]
            whole.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=2))
            for column, (_, frame_HWC) in enumerate(list(region_ticks(path, spec, track=track.id))[-4:]):
                one = figure.add_subplot(grid[row, 3 + column])
                show(one, frame_HWC)
                for spine in one.spines.values():
                    spine.set(visible=True, edgecolor=colour, linewidth=2)
    return figure


def push() -> tuple[list[dict[int, Array]], list[float]]:
    """Joints of two stick figures seen from the side: the first pushes the second, who steps back."""
    times = (np.arange(round(_RATE * _SECONDS)) / _RATE).tolist()
    people = []
    for time_s in times:
        reach = float(np.clip((time_s - 0.5) / 0.5, 0, 1) - np.clip((time_s - 1.3) / 0.6, 0, 1))
        back = float(np.clip((time_s - 0.9) / 0.8, 0, 1))
        first = _standing(0.0, 1, reach)
        second = _standing(0.5 + 0.5 * back, -1, 0.0)
        people.append({1: first, 2: second})
    return people, times


def _standing(x: float, faces: int, reach: float) -> Array:
    """Joints (17, 3) of somebody seen from the side, 100 pixels high, who stretches out both hands by a share."""
    from kineme.models.backbones.movenet import JOINTS

    places = {"nose": (0.05, -0.95), "eye": (0.04, -0.97), "ear": (0.0, -0.96), "shoulder": (0.0, -0.8)}
    places |= {"hip": (0.0, -0.5), "knee": (0.02, -0.25), "ankle": (0.0, 0.0)}
    hand = np.array((0.02, -0.48)) + reach * (np.array((0.42, -0.78)) - np.array((0.02, -0.48)))
    places |= {"wrist": tuple(hand), "elbow": (0.5 * hand[0] - 0.02 * (1 - reach), -0.64 - 0.13 * reach)}
    joints = np.zeros((17, 3), np.float32)
    for number, name in enumerate(JOINTS):
        side, part = [*name.split(), "nose"][:2] if " " in name else ("middle", name)
        aside = {"left": 0.02, "right": -0.02, "middle": 0.0}[side]
        across, up = places[part]
        joints[number] = 100 * (x + faces * across + aside), 200 + 100 * up, 0.9
    return joints


def pair_distances(theme: Theme) -> Figure:
    """Two stick figures with three distances between them, and these over time."""
    from kineme.models.backbones.movenet import JOINTS, MOST_PEOPLE, SKELETON
    from kineme.models.backbones.people_features import PARTS, PERSON, people_features

    people, times = push()
    features_TD = people_features(people, times)
    first_distance, hand = MOST_PEOPLE * PERSON + 6, PARTS.index(("right wrist",))
    shown = {"head": (0, theme.blue), "shoulders": (1, theme.orange), "hand": (hand, theme.green)}
    figure, axes = theme.subplots(WIDTH, 2.7, 1, 2)
    at = 7
    for joints_JC in people[at].values():
        for first, last in SKELETON.connections:
            if last > JOINTS.index("right ear"):
                axes[0].plot(*joints_JC[[first, last], :2].T, color=theme.ink, linewidth=2.5, solid_capstyle="round")
        axes[0].plot(*joints_JC[JOINTS.index("left ear"), :2], "o", color=theme.ink, markersize=15, clip_on=False)
    wrist_2 = people[at][1][JOINTS.index("right wrist"), :2]
    for part, colour in shown.values():
        end_2 = np.mean([people[at][2][JOINTS.index(name), :2] for name in PARTS[part]], axis=0)
        axes[0].plot(*np.stack((wrist_2, end_2)).T, color=colour, linewidth=1.6, linestyle=(0, (3, 1.5)))
    axes[0].invert_yaxis()
    axes[0].set_aspect("equal")
    axes[0].axis("off")
    for name, (part, colour) in shown.items():
        curve_T = features_TD[:, first_distance + hand * len(PARTS) + part]
        axes[1].plot(times, curve_T, color=colour, label=f"hand to {name}")
    axes[1].vlines(times[at], 0, 1.5, color=theme.faint, linewidth=0.8)
    axes[1].set(xlabel="s", ylabel="body sizes", ylim=(0, 2.2))
    axes[1].legend(loc="upper left")
    return figure


def main(folder: Path) -> Numbers:
    """Draw them all."""
    save(two_people, "two-people", folder)
    save(clips_of_each, "clips-of-each", folder)
    save(pair_distances, "pair-distances", folder)
    return {}
