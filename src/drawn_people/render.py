"""Films a script: a person, their place and the camera's own variation become frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from drawn_people.body import INDEX, Build, Floats, Skeleton, skeleton
from drawn_people.figure import Appearance, Figure
from drawn_people.paint import (
    FACES,
    Camera,
    Colour,
    Image,
    across,
    clouds,
    cuboid,
    draw_cuboid,
    pick,
    shade,
)
from drawn_people.scene import PLACES, background
from drawn_people.script import Script, Style, draw_sway

MARGIN = 24  # pixels of background beyond the frame, for pans


@dataclass(frozen=True)
class Person:
    """One person and the place they are filmed in: a group of the data set."""

    number: int
    build: Build
    appearance: Appearance
    style: Style
    place: int
    place_seed: tuple[int, int, int]
    sun: tuple[float, float]  # metres of shadow for each metre of height, to x and z
    things: Colour  # of chair and box
    box_size: tuple[float, float, float]

    @classmethod
    def draw(cls, seed: int, number: int) -> Person:
        """Person ``number`` of the set made with ``seed``."""
        rng = np.random.default_rng([seed, 1, number])
        return cls(
            number=number,
            build=Build.draw(rng),
            appearance=Appearance.draw(rng),
            style=Style.draw(rng),
            place=(number * 5 + seed) % len(PLACES),
            place_seed=(seed, 2, number),
            sun=(float(rng.uniform(-0.6, 0.6)), float(rng.uniform(-0.35, 0.05))),
            things=pick(rng, (176, 136, 90), (110, 74, 50), (70, 110, 150), (160, 60, 56), (210, 206, 196)),
            box_size=(float(rng.uniform(0.26, 0.34)), float(rng.uniform(0.22, 0.32)), float(rng.uniform(0.22, 0.32))),
        )


@dataclass(frozen=True)
class Shot:
    """How one video is taken: nothing here depends on what the person does."""

    size: tuple[int, int]  # height and width in pixels
    share: float  # of the height of the picture that the standing person takes
    feet: float  # where the feet are, as a share of the height
    aside: float  # metres the person stands aside from the middle
    distance: float
    eye: float  # height of the camera in metres
    pan: tuple[float, float]  # pixels in all, at most MARGIN - 6
    shake: Floats  # waves of the hand that holds the camera
    flipped: bool
    gain: tuple[float, float, float]  # brightness of red, green and blue
    gamma: float
    noise: float  # grey levels
    blurred: bool

    @classmethod
    def draw(cls, rng: np.random.Generator, height: int, width: int) -> Shot:
        """Choose at random."""
        level = float(rng.uniform(0.78, 1.12))
        tint = rng.normal(1, 0.04, 3)
        unit = height / 240
        pan = rng.uniform(-1, 1, 2) * (rng.random() < 0.5) * np.array([14.0, 4.0])
        shake = np.stack(
            [rng.uniform(1.5, 7, (2, 2)), rng.uniform(0, 6.3, (2, 2)), rng.uniform(0, 0.9, (2, 2)) * unit], axis=-1
        )
        return cls(
            size=(height, width),
            share=float(rng.uniform(0.62, 0.76)),
            feet=float(rng.uniform(0.89, 0.94)),
            aside=float(rng.uniform(-0.3, 0.3)),
            distance=float(rng.uniform(3.8, 5.2)),
            eye=float(rng.uniform(0.95, 1.4)),
            pan=(float(pan[0]), float(pan[1])),
            shake=shake,
            flipped=bool(rng.random() < 0.5),
            gain=(float(level * tint[0]), float(level * tint[1]), float(level * tint[2])),
            gamma=float(rng.uniform(0.85, 1.2)),
            noise=float(rng.uniform(0.5, 5.0)),
            blurred=bool(rng.random() < 0.35),
        )

    def camera(self, stature: float, margin: float = 0) -> Camera:
        """The camera, for a picture with ``margin`` pixels more on each side."""
        height, width = self.size
        scale = self.share * height / stature  # pixels per metre at the person
        horizon = self.feet * height - self.eye * scale
        return Camera(scale * self.distance, self.eye, self.distance, width / 2 + margin, horizon + margin)

    def shifts(self, times_T: Floats, duration_s: float) -> Floats:
        """Shift of the picture in pixels at each time, ``(T, 2)``: a slow pan and the shake of a hand."""
        share = times_T / duration_s - 0.5
        shift = share[:, None] * np.array(self.pan)
        for axis in (0, 1):
            for speed, phase, size in self.shake[axis]:
                shift[:, axis] += size * np.sin(speed * times_T + phase)
        return np.asarray(shift)


def frames(person: Person, script: Script, shot: Shot, fps: float, rng: np.random.Generator) -> Iterator[Image]:
    """Draw the frames of a video, uint8 RGB ``(height, width, 3)``, one every ``1 / fps`` seconds."""
    times = times_of(script, fps)
    figure, body, pan = _figure(person, script, shot, times, rng)
    camera = shot.camera(person.build.stature)
    furniture = add_props(figure, person, script, times, body, camera)
    order = np.argsort(np.stack([part.depth_T for part in figure.parts], axis=1), axis=1, kind="stable")
    shadow = Shadow(person, body, camera, pan, shot.size)
    finish = Finish(shot, rng)
    height, width = shot.size
    scenery = background(
        person.place,
        person.place_seed,
        shot.camera(person.build.stature, MARGIN),
        height + 2 * MARGIN,
        width + 2 * MARGIN,
    )
    for frame in range(len(times)):
        image = window(scenery, MARGIN - pan[frame], height, width)
        shadow.draw(image, frame)
        for corners, colour in furniture:
            draw_cuboid(image, corners + pan[frame], colour)
        for part in order[frame]:
            figure.parts[part].draw(image, frame)
        yield finish(image)


def times_of(script: Script, fps: float) -> Floats:
    """The instants of the frames of a video, in seconds."""
    return np.arange(max(1, round(script.duration_s * fps))) / fps


def _figure(
    person: Person, script: Script, shot: Shot, times: Floats, rng: np.random.Generator
) -> tuple[Figure, Skeleton, Floats]:
    """The person's parts in all frames, the poses, and the shift of the picture."""
    body = place_body(person, script, shot, times, draw_sway(rng))
    pan = shot.shifts(times, script.duration_s)
    camera = shot.camera(person.build.stature)
    light = (np.sign(person.sun[0]) * -0.75, -0.66)
    return Figure(person.appearance, person.build, body, camera, pan, light), body, pan


def window(picture: Image, corner: Floats, height: int, width: int) -> Image:
    """Cut out a window at a corner between pixels; bilinear, and much faster than a general warp."""
    x, y = np.floor(corner).astype(int)
    right, down = corner - [x, y]
    kernel = np.outer([1 - down, down], [1 - right, right])
    return np.ascontiguousarray(
        cv2.filter2D(picture[y : y + height + 1, x : x + width + 1], -1, kernel, anchor=(0, 0))[:height, :width]
    )


def place_body(person: Person, script: Script, shot: Shot, times: Floats, sway: Floats) -> Skeleton:
    """The poses, placed so that the middle of the way is where the shot wants the person."""
    angles = script.angles(times, sway)
    body = skeleton(person.build, angles)
    way = body.joints["pelvis"][:, [0, 2]]
    room = 0.36 * shot.size[1] / shot.size[0] * person.build.stature / shot.share  # metres to either side, and in depth
    extent = (way.max(axis=0) - way.min(axis=0)) / [room, 1.5]
    if extent.max() > 1:
        body = skeleton(person.build, angles, travel=float(1 / extent.max()))
        way = body.joints["pelvis"][:, [0, 2]]
    middle = (way.max(axis=0) + way.min(axis=0)) / 2
    if angles[:, INDEX["plant"]].min() > 0:  # on the floor: the middle of the body, not of the way
        middle = (body.joints["head"][0, [0, 2]] + body.joints["l_ankle"][0, [0, 2]]) / 2
    return body.moved(np.array([[shot.aside - middle[0], 0.0, -middle[1]]]))


def add_props(
    figure: Figure, person: Person, script: Script, times: Floats, body: Skeleton, camera: Camera
) -> list[tuple[Floats, Colour]]:
    """Add what moves to the figure's parts; returns projected boxes of the furniture, back to front."""
    furniture: list[tuple[Floats, Colour]] = []
    if "chair" in script.props and script.seated_s is not None:
        at = int(np.clip(np.searchsorted(times, script.seated_s), 0, len(times) - 1))
        furniture += _chair(person, script.facing, body.joints["pelvis"][at], camera)
    if "box" in script.props:
        held = np.zeros(len(times), bool)
        for start, end, prop in script.held:
            if prop == "box":
                held |= (times >= start) & (times < end)
                moment = start if np.isfinite(start) else end
        rest = int(np.clip(np.searchsorted(times, moment), 0, len(times) - 1))
        centre = np.where(held[:, None], body.hands, body.hands[rest]) + 0.07 * _ahead(script.facing)
        _solid(figure, person.box_size, centre, script.facing, (196, 152, 100), tape=(226, 206, 160))
        top = float(centre[rest, 1]) - person.box_size[1] / 2
        if top > 0.03:  # something for the box to stand on
            size = (person.box_size[0] + 0.1, top, person.box_size[2] + 0.1)
            foot = np.broadcast_to(centre[rest] * [1, 0, 1] + [0, top / 2, 0], centre.shape)
            _solid(figure, size, foot, script.facing, shade(person.things, 0.62))
    for prop, radius, colour in (("ball", 0.055, (226, 120, 40)), ("cup", 0.035, (236, 236, 230))):
        if prop in script.props:
            _hand_prop(figure, person, script, times, body, prop, radius, colour)
    return furniture


def _ahead(facing: float) -> Floats:
    """The direction in which the person looks, along the floor."""
    return np.array([np.sin(np.deg2rad(facing)), 0.0, np.cos(np.deg2rad(facing))])


def _chair(person: Person, facing: float, pelvis: Floats, camera: Camera) -> list[tuple[Floats, Colour]]:
    forward = _ahead(facing)
    sideways = np.array([forward[2], 0, -forward[0]])
    seat_y = float(pelvis[1]) - 0.062 * person.build.stature
    middle = np.array([pelvis[0], 0, pelvis[2]]) + forward * 0.07
    boxes = []
    for along in (-0.19, 0.19):
        for aside in (-0.18, 0.18):
            boxes.append(((0.045, seat_y, 0.045), middle + forward * along + sideways * aside + [0, seat_y / 2, 0]))
    boxes.append(((0.45, 0.05, 0.46), middle + np.array([0, seat_y - 0.025, 0])))
    back = middle - forward * 0.23
    for aside in (-0.19, 0.19):
        boxes.append(((0.04, 0.46, 0.04), back + sideways * aside + [0, seat_y + 0.23, 0]))
    boxes.append(((0.43, 0.2, 0.04), back + np.array([0, seat_y + 0.36, 0])))
    boxes.sort(key=lambda box: box[1][2] + 0.3 * box[1][1])
    return [(camera.project(cuboid(size, centre, facing))[0], person.things) for size, centre in boxes]


def _solid(
    figure: Figure,
    size: tuple[float, float, float],
    centre_T3: Floats,
    facing: float,
    colour: Colour,
    tape: Colour | None = None,
) -> None:
    """Add a box that hides what is behind it, with a band across where ``tape`` is a colour."""
    corners = cuboid(size, centre_T3, facing)
    depth = centre_T3[:, 2] + 0.02
    for numbers, light in FACES:
        face = corners[:, list(numbers)]
        flat = figure.flat(face).astype(float)
        one, two = flat[:, 1] - flat[:, 0], flat[:, 2] - flat[:, 0]
        shown = one[:, 0] * two[:, 1] - one[:, 1] * two[:, 0] < 0
        figure.add_points(face, shade(colour, light), depth, shown)
        if tape is not None:
            figure.add_points(across(face), shade(tape, light), depth + 1e-4, shown)


def _hand_prop(
    figure: Figure,
    person: Person,
    script: Script,
    times: Floats,
    body: Skeleton,
    prop: str,
    radius: float,
    colour: Colour,
) -> None:
    """Add a ball or a cup: in the hand while held; a ball flies on when let go."""
    fist = body.joints["l_fist" if person.style.left_handed else "r_fist"]
    centre, shown = fist.copy(), np.zeros(len(times), bool)
    for start, end, kind in script.held:
        if kind != prop:
            continue
        shown |= (times >= start) & (times < end)
        if prop == "ball" and np.isfinite(end):
            release = int(np.clip(np.searchsorted(times, end), 0, len(times) - 1))
            flying = (times >= end) & (times < end + 1.2)
            since = (times - end)[:, None]
            path = fist[release] + since * (5.5 * _ahead(script.facing) + [0, 1.6, 0]) - [0, 4.9, 0] * since**2
            path[:, 1] = np.maximum(path[:, 1], radius)
            centre, shown = np.where(flying[:, None], path, centre), shown | flying
    depth = np.where(centre[:, 2] > body.joints["waist"][:, 2] - 0.1, centre[:, 2] + 0.1, centre[:, 2])
    first = len(figure.parts)
    if prop == "cup":
        up = np.array([0, 0.055, 0])
        side = np.array([0.036, 0, 0])
        points = np.stack(
            [centre + up + side, centre + up - side, centre - up + side * 0.8, centre - up - side * 0.8], axis=1
        )
        figure.add_points(points, colour, depth)
        figure.add_points(
            points[:, [0, 2]].repeat(2, axis=1) * 0.6 + points[:, [1, 3]].repeat(2, axis=1) * 0.4,
            shade(colour, 0.85),
            depth + 1e-4,
        )
    else:
        figure.add_ball(centre, radius, colour, depth)
    figure.parts[first:] = [replace(part, shown_T=shown) for part in figure.parts[first:]]


_BONES = (
    ("l_hip", "l_knee", 0.09), ("l_knee", "l_ankle", 0.06), ("l_ankle", "l_toe", 0.05), ("r_hip", "r_knee", 0.09),
    ("r_knee", "r_ankle", 0.06), ("r_ankle", "r_toe", 0.05), ("pelvis", "collar", 0.2), ("l_shoulder", "l_elbow", 0.05),
    ("l_elbow", "l_fist", 0.045), ("r_shoulder", "r_elbow", 0.05), ("r_elbow", "r_fist", 0.045),
    ("collar", "head", 0.13),
)  # fmt: skip


class Shadow:
    """The soft shadow of the body on the floor."""

    def __init__(self, person: Person, body: Skeleton, camera: Camera, pan: Floats, size: tuple[int, int]) -> None:
        self._size = size
        slant = np.array([person.sun[0], 0.0, person.sun[1]])
        points = np.stack([body.joints[name] for bone in _BONES for name in bone[:2]], axis=1)
        points = points * [1, 0, 1] + points[..., 1:2] * slant
        flat, scale = camera.project(points)
        self._lines = np.rint((flat + pan[:, None]) / 2 * 8).astype(np.int32)
        self._thick = np.maximum(1, np.rint(np.array([bone[2] for bone in _BONES]) * float(scale.mean()) / 2)).astype(
            int
        )
        self._strength = 0.42

    def draw(self, image: Image, frame: int) -> None:
        """Darken the floor of frame number ``frame``."""
        height, width = self._size
        lines = self._lines[frame]
        top = int(max(0, lines[:, 1].min() / 8 - 8))
        if top >= height // 2 - 2:
            return
        mask = np.zeros((height // 2 - top, width // 2), np.uint8)
        for number, thick in enumerate(self._thick):
            start, end = lines[2 * number], lines[2 * number + 1]
            cv2.line(
                mask,
                (int(start[0]), int(start[1]) - 8 * top),
                (int(end[0]), int(end[1]) - 8 * top),
                255,
                int(thick),
                cv2.LINE_AA,
                3,
            )
        mask = cv2.blur(cv2.blur(mask, (7, 4)), (5, 3))
        mask = 255 - cv2.convertScaleAbs(mask, alpha=self._strength)
        floor = image[2 * top : 2 * (height // 2)]
        light = cv2.cvtColor(cv2.resize(mask, (floor.shape[1], floor.shape[0])), cv2.COLOR_GRAY2RGB)
        cv2.multiply(floor, light, floor, scale=1 / 255)


class Finish:
    """What lens and sensor do to a picture: softness, light level, tint, noise, mirror."""

    def __init__(self, shot: Shot, rng: np.random.Generator) -> None:
        self._shot = shot
        levels = (np.arange(256) / 255)[:, None] ** shot.gamma * np.array(shot.gain) * 255
        self._table = np.clip(levels, 0, 255).astype(np.uint8)[None]
        height, width = shot.size
        grain = rng.normal(0, shot.noise, (height + 32, width + 32, 1)) + rng.normal(
            0, shot.noise * 0.4, (height + 32, width + 32, 3)
        )
        grain += (clouds(rng, height + 32, width + 32, 2, 2) * shot.noise * 0.5)[..., None]
        self._plus = np.clip(grain, 0, 40).astype(np.uint8)
        self._minus = np.clip(-grain, 0, 40).astype(np.uint8)
        self._rng = rng

    def __call__(self, image: Image) -> Image:
        """The picture as it is recorded."""
        height, width = self._shot.size
        if self._shot.blurred:
            image = cv2.GaussianBlur(image, (3, 3), 0.6)
        image = cv2.LUT(image, self._table)
        y, x, swap = self._rng.integers((32, 32, 2))
        plus, minus = (self._plus, self._minus) if swap else (self._minus, self._plus)
        image = cv2.add(image, plus[y : y + height, x : x + width])
        image = cv2.subtract(image, minus[y : y + height, x : x + width])
        return cv2.flip(image, 1) if self._shot.flipped else image
