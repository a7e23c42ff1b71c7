"""Films several people in one place: each does what an own script says, and they cross and hide each other.

Beside the videos it writes what is true of them: where each person is in every frame, and what each does when. People
who are in one scene are in no other but those of the same cast, so casts are groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from drawn_people.actions import STAND
from drawn_people.body import Floats
from drawn_people.figure import Figure
from drawn_people.paint import PER_PIXEL, Image, draw_cuboid
from drawn_people.render import MARGIN, Finish, Person, Shadow, Shot, add_props, place_body, times_of, window
from drawn_people.scene import background
from drawn_people.script import Script, draw_sway, untrimmed_script
from kineme.files import write_csv
from kineme.progress import progress
from kineme.video.write import VideoWriter

FPS = 15
SEGMENTS = ("path", "start_s", "end_s", "label", "group", "labelled_throughout", "person", "person_box")
BOXES = ("path", "person", "time_s", "x0", "y0", "x1", "y1")

Rows = list[tuple[str, ...]]

_LONGEST_S = 16.0
_STATURE = 1.7  # metres, for which the camera is set up
_APART_M = (0.75, 1.1)  # from one person to the next, across
_DEEP_M = 0.6  # and towards the camera, so that nobody walks through another
_IDLE = 0.2  # of the people only stand there
_LEAST_S = 0.5  # of an action that the end of the scene cuts off


@dataclass(frozen=True)
class Member:
    """One person in a scene.

    Args:
        person: who.
        script: what they do.
        x: metres to the side of the middle.
        z: metres towards the camera.
    """

    person: Person
    script: Script
    x: float
    z: float


@dataclass(frozen=True)
class Scene:
    """Several people in one video.

    Args:
        members: from the left to the right.
        shot: how it is filmed.
        duration_s: seconds.
        seed: of all that is drawn at random on the way.
    """

    members: tuple[Member, ...]
    shot: Shot
    duration_s: float
    seed: tuple[int, ...]

    @classmethod
    def draw(
        cls, seed: int, cast: int, take: int, people: int, names: tuple[str, ...], size: tuple[int, int], share: float
    ) -> Scene:
        """Take number ``take`` of a cast of so many ``people``, who may do the actions ``names``.

        Args:
            seed: of the set.
            cast: number of the cast, from 1.
            take: from 1.
            people: 1 to 6.
            names: of actions.
            size: height and width, in pixels.
            share: of the height of the picture that somebody of 1.7 m takes.
        """
        rng = np.random.default_rng([seed, 20, cast, take])
        everybody = [Person.draw(seed, people * (cast - 1) + number + 1) for number in range(people)]
        everybody = [everybody[number] for number in rng.permutation(people)]
        places = np.cumsum(rng.uniform(*_APART_M, people))
        depths = _DEEP_M * (rng.permutation(people) - (people - 1) / 2)
        scripts = [_script(names, person, rng) for person in everybody]
        duration_s = min(_LONGEST_S, *(script.duration_s for script in scripts))
        shot = replace(Shot.draw(rng, *size), share=share, distance=6.0, eye=1.3, feet=0.85, pan=(0.0, 0.0))
        members = [
            Member(person, _until(script, duration_s), float(x - places.mean()), float(z))
            for person, script, x, z in zip(everybody, scripts, places, depths, strict=True)
        ]
        return cls(tuple(members), shot, duration_s, (seed, 21, cast, take))


def _script(names: tuple[str, ...], person: Person, rng: np.random.Generator) -> Script:
    """What a person does; some do nothing."""
    if rng.random() < _IDLE:
        stand = STAND + person.style.pose_offset_C
        return Script(float(rng.uniform(0, 50)), _LONGEST_S, keys=[(-1.0, stand), (_LONGEST_S + 1, stand)])
    return untrimmed_script(names, person.style, rng)


def _until(script: Script, end_s: float) -> Script:
    """A script that ends early."""
    segments = [(start, min(end, end_s), label) for start, end, label in script.segments if start < end_s - _LEAST_S]
    return replace(script, duration_s=end_s, segments=segments)


class SceneFilm:
    """The frames of a scene, and where everybody is in them.

    Args:
        scene: what to film.

    Attributes:
        times_T: of the frames, in seconds.
        boxes_PT4: of each person in each frame: x0, y0, x1, y1 in pixels, of the whole body, hidden or not.
    """

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        rng, shot = np.random.default_rng(scene.seed), scene.shot
        self.times_T = times_of(scene.members[0].script, FPS)
        camera, pan = shot.camera(_STATURE), shot.shifts(self.times_T, scene.duration_s)
        self._figures, self._furniture, self._shadows, boxes = [], [], [], []
        sun = scene.members[0].person.sun
        for member in scene.members:
            person, script = replace(member.person, sun=sun), member.script
            placed = replace(shot, aside=member.x)
            body = place_body(person, script, placed, self.times_T, draw_sway(rng)).moved(np.array([[0, 0, member.z]]))
            light = (np.sign(sun[0]) * -0.75, -0.66)
            figure = Figure(person.appearance, person.build, body, camera, pan, light)
            boxes.append(_boxes(figure, shot))
            self._furniture += add_props(figure, person, script, self.times_T, body, camera)
            self._shadows.append(Shadow(person, body, camera, pan, shot.size))
            self._figures.append(figure)
        self.boxes_PT4 = np.stack(boxes)
        self._pan, self._finish = pan, Finish(shot, rng)

    def frames(self) -> Iterator[Image]:
        """Draw the frames, uint8 RGB (height, width, 3)."""
        shot, first = self._scene.shot, self._scene.members[0].person
        height, width = shot.size
        whole = height + 2 * MARGIN, width + 2 * MARGIN
        scenery = background(first.place, first.place_seed, shot.camera(_STATURE, MARGIN), *whole)
        parts = [part for figure in self._figures for part in figure.parts]
        order = np.argsort(np.stack([part.depth_T for part in parts], axis=1), axis=1, kind="stable")
        for frame in range(len(self.times_T)):
            image = window(scenery, MARGIN - self._pan[frame], height, width)
            for shadow in self._shadows:
                shadow.draw(image, frame)
            for corners, colour in self._furniture:
                draw_cuboid(image, corners + self._pan[frame], colour)
            for part in order[frame]:
                parts[part].draw(image, frame)
            yield self._finish(image)


def _boxes(figure: Figure, shot: Shot) -> Floats:
    """Boxes_T4 around all that is drawn of a person."""
    points_TN2 = np.concatenate([part.outline_TN2 for part in figure.parts], axis=1) / PER_PIXEL
    if shot.flipped:
        points_TN2[..., 0] = shot.size[1] - points_TN2[..., 0]
    return np.concatenate([points_TN2.min(axis=1), points_TN2.max(axis=1)], axis=1)


def rows_of(scene: Scene, film: SceneFilm, name: str, group: str) -> tuple[Rows, Rows]:
    """The rows of :data:`SEGMENTS` and of :data:`BOXES` of a scene."""
    segments: Rows = []
    boxes: Rows = []
    for member, boxes_T4 in zip(scene.members, film.boxes_PT4, strict=True):
        who = f"person{member.person.number:02d}"
        for start_s, end_s, label in member.script.segments:
            at = min(int(np.searchsorted(film.times_T, start_s)), len(film.times_T) - 1)
            box = " ".join(f"{side:.0f}" for side in boxes_T4[at])
            segments.append((name, f"{start_s:.3f}", f"{end_s:.3f}", label, group, "yes", who, box))
        for time_s, box_4 in zip(film.times_T, boxes_T4, strict=True):
            boxes.append((name, who, f"{time_s:.3f}", *(f"{side:.1f}" for side in box_4)))
    return segments, boxes


def write_scenes(
    folder: Path,
    count: int,
    people: int,
    names: tuple[str, ...],
    seed: int,
    size: tuple[int, int],
    *,
    share: float = 0.5,
) -> None:
    """Draw the scenes that are not there yet, and write what is true of all; arguments as of :meth:`Scene.draw`."""
    folder.mkdir(parents=True, exist_ok=True)
    segments: Rows = []
    boxes: Rows = []
    with progress("drawing scenes", count) as advance:
        for number in range(count):
            cast, take = number // 2 + 1, number % 2 + 1
            scene = Scene.draw(seed, cast, take, people, names, size, share)
            film, path = SceneFilm(scene), folder / f"cast{cast:02d}_{take:02d}.mp4"
            found = rows_of(scene, film, path.name, f"cast{cast:02d}")
            segments += found[0]
            boxes += found[1]
            if not path.exists():
                _write(path, film, size)
            advance()
    write_csv(folder / "segments.csv", SEGMENTS, segments)
    write_csv(folder / "boxes.csv", BOXES, boxes)


def _write(path: Path, film: SceneFilm, size: tuple[int, int]) -> None:
    options = {"preset": "superfast", "crf": "22", "threads": "1"}
    with VideoWriter(path, width=size[1], height=size[0], fps=FPS, options=options) as writer:
        for image in film.frames():
            writer.write(image)
