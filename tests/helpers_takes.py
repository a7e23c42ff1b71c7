"""Different takes that look alike: poses held or slowly taken, screen recordings, a camera that never moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from helpers_scenes import save
from numpy.typing import NDArray

from drawn_people.actions import STAND, pose
from drawn_people.render import Person, Shot, frames
from drawn_people.scene import background
from drawn_people.script import Script

Frames = Iterator[NDArray[np.uint8]]

POSES = {
    "tree": pose(arms=(0, 164, 0, 10), l_leg=(2, 3.5, 8, 4), r_leg=(40, 40, 40, 100)),
    "warrior": pose(arms=(0, 88, 0, 4), l_leg=(30, 16, 8, 40), r_leg=(-20, 16, 8, 6)),
    "forward-fold": pose(arms=(24, 5, 0, 8), legs=(0, 1, 6, 3), hinge=60, bend=40, nod=8),
}
SCREENS = ("type", "scroll", "menu")
CROWDS = ("empty", "one", "two")
_FPS = 15


def pose_take(person: int, label: str, take: int, *, slow: bool) -> Frames:
    """One take of a person who holds a pose, or slowly takes it, before a camera on a tripod."""
    rng = np.random.default_rng([7, person, list(POSES).index(label), take, slow])
    who = Person.draw(11, person)
    seconds = float(rng.uniform(4, 6))
    held, rest = (key + rng.normal(0, 0.8, len(key)) for key in (POSES[label], STAND))
    script = Script(10.0 + person * 8, seconds)
    if slow:
        start = float(rng.uniform(0.2, 0.8))
        end = start + float(rng.uniform(2.2, 3.2))
        script.keys = [(-0.5, rest), (start, rest), (end, held), (seconds + 1, held)]
    else:
        script.keys = [(-0.5, held), (seconds + 1, held)]
    return frames(who, script, _tripod(person), _FPS, rng)


def screen_take(program: int, what: str, take: int) -> Frames:
    """A recording of a program's window: somebody types, scrolls or opens a menu."""
    place, rng = np.random.default_rng([5, program]), np.random.default_rng([6, program, SCREENS.index(what), take])
    paper, ink = [((250, 250, 250), 40), ((30, 32, 40), 210), ((240, 236, 220), 40)][program]
    window = np.full((360, 480, 3), paper, np.uint8)
    window[:22] = (90, 120, 180)
    window[22:, :90] = place.integers(150, 220, 3)
    for row in range(9):
        cv2.putText(window, f"item{place.integers(100)}", (6, 50 + row * 30), 0, 0.4, (20, 20, 20), 1)
    words = place if what == "menu" else rng
    lines = ["".join(chr(97 + int(letter)) for letter in words.integers(0, 26, 50)) for _ in range(60)]
    first, opens, left = (int(rng.integers(*span)) for span in ((0, 30), (8, 20), (100, 380)))
    mouse, speed = rng.uniform([100, 60], [400, 300]), rng.normal(0, 3, 2)
    for number in range(60):
        image = window.copy()
        offset = first + (number // 6 if what == "scroll" else 0)
        for row in range(9 if what == "type" else 15):
            line = lines[(offset + row) % 60]
            line = line[: number // 2 + 2] if what == "type" and row == 8 else line
            cv2.putText(image, line, (100, 42 + row * 21), 0, 0.42, (ink, ink, ink), 1, cv2.LINE_AA)
        if what == "menu" and number > opens:
            chosen = (number - opens) // 8 % 6
            image[22:150, left : left + 90] = (200, 200, 210)
            image[24 + chosen * 20 : 44 + chosen * 20, left : left + 90] = (120, 150, 220)
        speed = 0.9 * (speed + rng.normal(0, 1, 2))
        mouse = (mouse + speed).clip([95, 30], [470, 350])
        arrow = (mouse + np.array([[0, 0], [0, 14], [4, 11], [10, 10]])).astype(np.int32)
        cv2.fillPoly(image, [arrow], (255, 255, 255))
        cv2.polylines(image, [arrow], True, (0, 0, 0))
        yield image


def camera_take(place: int, crowd: str, take: int) -> Frames:
    """What a fixed camera sees of a place at one time: nobody, or people who walk past far away."""
    who = Person.draw(21, place)
    seen = background(who.place, who.place_seed, _tripod(place + 50).camera(1.7), 240, 320).astype(np.float32)
    rng = np.random.default_rng([8, place, CROWDS.index(crowd), take])
    light = 1 + rng.normal(0, 0.01)
    people = [
        (rng.uniform(20, 300), rng.choice([-1, 1]) * rng.uniform(1.2, 3.5), rng.uniform(130, 190), rng.uniform(14, 30))
        for _ in range(CROWDS.index(crowd))
    ]
    for number in range(60):
        image = np.clip(seen * light + rng.normal(0, 2.0, seen.shape), 0, 255).astype(np.uint8)
        for x, speed, y, height in people:
            at, body = (int(x + speed * number), int(y)), (max(2, int(height / 4)), int(height / 2))
            cv2.ellipse(image, at, body, 0, 0, 360, (70, 60, 90), -1, cv2.LINE_AA)
            cv2.circle(image, (at[0], int(y - height * 0.65)), max(2, int(height / 6)), (200, 160, 130), -1)
        yield image


def _tripod(number: int) -> Shot:
    shot = Shot.draw(np.random.default_rng([99, number]), 240, 320)
    return replace(shot, pan=(0.0, 0.0), shake=np.zeros_like(shot.shake), flipped=False, noise=2.0)


def save_take(path: Path, taken: Frames) -> Path:
    """Write a take."""
    return save(path, taken, fps=_FPS)
