"""The place behind a person: eight kinds of place, drawn in perspective and different for every person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from drawn_people.body import Floats
from drawn_people.paint import (
    Camera,
    Colour,
    Image,
    blend,
    clouds,
    cuboid,
    draw_cuboid,
    near,
    pick,
    shade,
    shape,
    textured,
)

WHITE: Colour = (245, 245, 242)
WOOD: Colour = (150, 108, 70)


@dataclass
class Canvas:
    """A picture being painted, with the means to paint on walls and floors in metres."""

    image: Image
    camera: Camera
    rng: np.random.Generator

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.image.shape[0], self.image.shape[1]

    def at(self, x: float, y: float, z: float) -> Floats:
        """Pixel of a point in metres."""
        return self.camera.project(np.array([x, y, z]))[0]

    def panel(self, left: float, right: float, bottom: float, top: float, z: float, colour: Colour) -> None:
        """An upright rectangle facing the camera."""
        corners = [self.at(x, y, z) for x, y in ((left, bottom), (right, bottom), (right, top), (left, top))]
        shape(self.image, corners, colour)

    def block(self, size: tuple[float, float, float], x: float, z: float, colour: Colour, base: float = 0.0) -> None:
        """A box standing at ``x``, ``z`` with its underside ``base`` metres up."""
        corners = cuboid(size, np.array([x, base + size[1] / 2, z]), 0)
        draw_cuboid(self.image, self.camera.project(corners)[0], colour)

    def blob(self, x: float, y: float, z: float, radius: tuple[float, float], colour: Colour) -> None:
        """An ellipse facing the camera."""
        turns = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        points = np.stack([x + radius[0] * np.cos(turns), y + radius[1] * np.sin(turns), np.full(32, z)], axis=1)
        shape(self.image, self.camera.project(points)[0], colour)

    def sky(self, top: Colour, bottom: Colour, cloudiness: float) -> None:
        """A gradient down to the horizon, with clouds."""
        width = self.size[1]
        rows = max(2, int(self.camera.horizon) + 6)
        ramp = np.linspace(0, 1, rows)[:, None, None]
        sky = np.broadcast_to(np.array(top) * (1 - ramp) + np.array(bottom) * ramp, (rows, width, 3))
        cover = np.clip(clouds(self.rng, rows, width, 8, 64) * 1.3 - 0.2, 0, 1)[..., None] * cloudiness
        self.image[:rows] = (sky * (1 - cover) + 250 * cover).astype(np.uint8)

    def floor(self, colour: Colour, pattern: Callable[[Floats, Floats], Floats] | None, grain: float) -> None:
        """The floor to the horizon. ``pattern`` gives a brightness, 1 for plain, at x and z in metres."""
        height, width = self.size
        first, x, z = self.camera.floor(width, height)
        far = np.clip((self.camera.distance - z) / 12, 0, 1)
        light = np.ones_like(x) if pattern is None else pattern(x, z)
        sides = clouds(self.rng, 256, 256, 2, 32)
        across, along = (np.abs((metres * 60).astype(int) % 510 - 255) for metres in (x, z))  # mirrored: no seams
        grains = sides[along, across] * grain / 128
        light = 1 + (light - 1 + grains) * (1 - far) - 0.12 * far
        light = light * np.linspace(0.92, 1.06, len(x))[:, None]
        self.image[first:] = np.clip(np.array(colour) * light[..., None], 0, 255).astype(np.uint8)
        self.image[:first] = np.where(
            self.image[:first].any(axis=2, keepdims=True), self.image[:first], self.image[first]
        )

    def wall(self, colour: Colour, z: float, pattern: Callable[[Floats, Floats], Floats] | None, grain: float) -> None:
        """A wall across the picture at depth ``z``. ``pattern`` gives a brightness at x and y in metres."""
        height, width = self.size
        foot = self.at(0, 0, z)[1]
        rows = int(np.clip(foot, 1, height))
        scale = self.camera.focal / (self.camera.distance - z)
        x = np.broadcast_to((np.arange(width) - self.camera.centre_x)[None, :] / scale, (rows, width))
        y = np.broadcast_to((foot - np.arange(rows))[:, None] / scale, (rows, width))
        light = np.ones((rows, width)) if pattern is None else pattern(x, y)
        light = light + clouds(self.rng, rows, width, 2, 128) * grain / 128
        light = light * (1 - 0.10 * np.abs(np.linspace(-1, 1, width))[None, :] ** 2)
        self.image[:rows] = np.clip(np.array(colour) * light[..., None], 0, 255).astype(np.uint8)


def _lines(step: float, width: float, strength: float) -> Callable[[Floats], Floats]:
    """Darker lines ``width`` metres wide every ``step`` metres."""
    return lambda along: np.asarray(1 - strength * ((along % step) < width), dtype=np.float64)


def _planks(x: Floats, z: Floats) -> Floats:
    row = np.floor(z / 0.16)
    tone = 1 + 0.10 * np.sin(row * 12.9 + np.floor((x + row * 0.37) / 1.1) * 7.1)
    return np.asarray(tone * (1 - 0.28 * ((z % 0.16) < 0.014)))


def _tiles(size: float, strength: float) -> Callable[[Floats, Floats], Floats]:
    lines = _lines(size, 0.02, strength)
    return lambda x, z: lines(x) * lines(z)


def _checks(size: float, strength: float) -> Callable[[Floats, Floats], Floats]:
    return lambda x, z: 1 - strength * ((np.floor(x / size) + np.floor(z / size)) % 2)


def _bricks(x: Floats, y: Floats) -> Floats:
    row = np.floor(y / 0.09)
    column = np.floor((x + (row % 2) * 0.12) / 0.24)
    tone = 1 + 0.13 * np.sin(row * 5.3 + column * 9.7)
    mortar = ((y % 0.09) < 0.014) | (((x + (row % 2) * 0.12) % 0.24) < 0.014)
    return np.asarray(np.where(mortar, 1.28, tone))


def _tree(canvas: Canvas, x: float, z: float, size: float, leaves: Colour) -> None:
    canvas.panel(x - 0.08 * size, x + 0.08 * size, 0, 1.3 * size, z, near(canvas.rng, (92, 70, 52), 6))
    for layer in range(14):
        dx, dy = canvas.rng.normal(0, 0.34, 2) * size
        radius = size * float(canvas.rng.uniform(0.24, 0.5))
        canvas.blob(x + dx, 1.9 * size + dy, z, (radius, radius * 0.85), shade(leaves, 0.74 + 0.035 * layer))


def _room(canvas: Canvas, z: float) -> None:
    """A living room: window or pictures, curtains, a cupboard or a sofa, a plant."""
    rng = canvas.rng
    paint = pick(
        rng, (206, 196, 176), (168, 186, 196), (188, 164, 150), (160, 178, 150), (196, 180, 204), (218, 210, 200)
    )
    stripes = _lines(0.34, 0.17, float(rng.uniform(0.05, 0.1)))
    canvas.floor(near(rng, WOOD), _planks, 8)
    canvas.wall(paint, z, (lambda x, y: stripes(x)) if rng.random() < 0.4 else None, 4)
    canvas.panel(-9, 9, 0, 0.11, z + 0.01, shade(WHITE, 0.9))
    side = float(rng.choice([-1, 1]))
    x = side * float(rng.uniform(0.9, 1.3))
    if rng.random() < 0.65:
        canvas.panel(x - 0.62, x + 0.62, 0.86, 2.32, z + 0.01, WHITE)
        canvas.panel(x - 0.55, x - 0.03, 0.93, 2.25, z + 0.02, pick(rng, (170, 206, 236), (206, 222, 232)))
        canvas.panel(x + 0.03, x + 0.55, 0.93, 2.25, z + 0.02, pick(rng, (170, 206, 236), (206, 222, 232)))
        canvas.panel(x - 0.7, x + 0.7, 0.8, 0.87, z + 0.06, shade(WHITE, 0.86))
        cloth = pick(rng, (150, 60, 56), (70, 92, 130), (196, 170, 110), (92, 120, 92))
        for edge in (-1, 1):
            for fold in range(4):
                left = x + edge * (0.52 + 0.09 * fold)
                canvas.panel(left - 0.05, left + 0.05, 0.5, 2.42, z + 0.05, shade(cloth, 0.86 + 0.09 * (fold % 2)))
    else:
        for number in range(2):
            left = x - 0.5 + number * 0.66
            canvas.panel(left - 0.06, left + 0.5, 1.34, 2.02, z + 0.01, shade(WOOD, 0.6))
            canvas.panel(
                left, left + 0.44, 1.4, 1.96, z + 0.02, pick(rng, (214, 190, 120), (100, 140, 160), (190, 120, 110))
            )
            canvas.blob(left + 0.2, 1.64, z + 0.03, (0.14, 0.1), pick(rng, (60, 90, 70), (230, 220, 190)))
    other = -side * float(rng.uniform(1.0, 1.4))
    if rng.random() < 0.5:
        shelf = near(rng, shade(WOOD, 0.8))
        canvas.block((1.0, 1.9, 0.34), other, z + 0.2, shelf)
        for level in range(4):
            canvas.panel(
                other - 0.44, other + 0.44, 0.1 + 0.45 * level, 0.47 + 0.45 * level, z + 0.38, shade(shelf, 0.5)
            )
            at = other - 0.42
            while at < other + 0.3:
                thick, tall = float(rng.uniform(0.04, 0.09)), float(rng.uniform(0.2, 0.33))
                book = pick(rng, (150, 50, 50), (50, 80, 130), (200, 180, 120), (70, 110, 80), (210, 200, 190))
                canvas.panel(at, at + thick, 0.1 + 0.45 * level, 0.1 + 0.45 * level + tall, z + 0.39, book)
                at += thick + 0.008
    else:
        cloth = pick(rng, (120, 70, 66), (84, 100, 120), (130, 120, 100), (90, 106, 84))
        canvas.block((1.7, 0.44, 0.7), other, z + 0.4, cloth)
        canvas.block((1.7, 0.5, 0.2), other, z + 0.14, shade(cloth, 0.9), base=0.4)
        canvas.block((0.2, 0.62, 0.7), other - 0.85, z + 0.4, shade(cloth, 1.05))
        canvas.block((0.2, 0.62, 0.7), other + 0.85, z + 0.4, shade(cloth, 1.05))


def _gym(canvas: Canvas, z: float) -> None:
    """A gym: brick or painted wall with a coloured band, wall bars, a rack of weights, mats."""
    rng = canvas.rng
    canvas.floor(pick(rng, (92, 96, 104), (168, 130, 84), (70, 92, 110)), _tiles(1.0, 0.22), 10)
    if rng.random() < 0.5:
        canvas.wall(pick(rng, (168, 100, 80), (196, 186, 172)), z, _bricks, 5)
    else:
        canvas.wall(pick(rng, (196, 200, 204), (184, 190, 176)), z, None, 5)
        canvas.panel(-9, 9, 1.05, 1.3, z + 0.01, pick(rng, (196, 60, 50), (40, 100, 170), (230, 170, 40)))
    side = float(rng.choice([-1, 1]))
    bars = side * float(rng.uniform(0.9, 1.3))
    for upright in (-0.5, 0.5):
        canvas.panel(bars + upright - 0.04, bars + upright + 0.04, 0, 2.5, z + 0.1, shade(WOOD, 0.85))
    for rung in range(14):
        canvas.panel(bars - 0.5, bars + 0.5, 0.14 + rung * 0.17, 0.18 + rung * 0.17, z + 0.12, shade(WOOD, 1.2))
    rack = -side * 1.25
    for level in range(2):
        canvas.block((1.1, 0.05, 0.3), rack, z + 0.3, (70, 72, 76), base=0.3 + 0.4 * level)
        for number in range(5):
            canvas.blob(
                rack - 0.44 + 0.22 * number, 0.44 + 0.4 * level, z + 0.46, (0.075, 0.09), near(rng, (44, 46, 52), 6)
            )
    canvas.block((1.5, 0.05, 0.8), -side * 0.9, z + 1.0, pick(rng, (40, 90, 150), (150, 50, 60), (60, 120, 80)))


def _street(canvas: Canvas, z: float) -> None:
    """A street: houses with rows of windows, a pavement of slabs, a kerb, a lamp post."""
    rng = canvas.rng
    canvas.sky((126, 166, 214), (214, 226, 236), float(rng.uniform(0.2, 0.9)))
    canvas.floor(pick(rng, (150, 148, 144), (168, 158, 146)), _tiles(0.5, 0.16), 10)
    edge, base = -7.0, z - 2.5
    while edge < 7:
        broad, tall = float(rng.uniform(1.8, 3.2)), float(rng.uniform(2.6, 6))
        front = pick(rng, (186, 130, 104), (204, 190, 160), (150, 156, 164), (170, 110, 92), (218, 206, 180))
        canvas.panel(edge, edge + broad, 0, tall, base, front)
        canvas.panel(edge, edge + broad, 0, 0.5, base + 0.01, shade(front, 0.75))
        for row in range(int(tall / 1.1)):
            for column in range(max(1, int(broad / 0.8))):
                left, low = edge + 0.22 + column * 0.8, 0.85 + row * 1.1
                canvas.panel(left - 0.05, left + 0.45, low - 0.05, low + 0.65, base + 0.02, shade(front, 1.18))
                canvas.panel(left, left + 0.4, low, low + 0.6, base + 0.03, near(rng, (86, 104, 122), 10))
        edge += broad
    first, _, depth = canvas.camera.floor(canvas.size[1], canvas.size[0])
    road = (depth < z - 0.6) & (depth > z - 2.4)
    lower = canvas.image[first:]
    lower[road] = (lower[road] * 0.45 + 26).astype(np.uint8)
    kerb = (depth < z - 0.45) & (depth > z - 0.6)
    lower[kerb] = 196
    post = float(rng.choice([-1, 1])) * float(rng.uniform(0.9, 1.5))
    canvas.panel(post - 0.05, post + 0.05, 0, 3.4, z, (60, 64, 66))
    canvas.blob(post, 0.1, z, (0.12, 0.1), (52, 56, 58))


def _park(canvas: Canvas, z: float) -> None:
    """A park: grass, trees near and far, hills, a path."""
    rng = canvas.rng
    canvas.sky((104, 158, 216), (206, 226, 238), float(rng.uniform(0.1, 0.8)))
    grass = pick(rng, (104, 142, 66), (128, 148, 74), (92, 128, 72))
    canvas.floor(grass, lambda x, z: 1 + 0.06 * np.sin(x * 2.1 + 1.3 * np.sin(z)) + 0.04 * np.sin(z * 3.1), 34)
    for hill in range(3):
        centre = float(rng.uniform(-14, 14))
        canvas.blob(
            centre, -0.5, -26.0 + 4 * hill, (12, 3.4 - 0.7 * hill), blend((120, 150, 150), grass, 0.35 + 0.2 * hill)
        )
    if rng.random() < 0.6:
        first, x, depth = canvas.camera.floor(canvas.size[1], canvas.size[0])
        path = np.abs(depth - z + 0.6 - 0.35 * np.sin(x * 0.5)) < 0.5
        lower = canvas.image[first:]
        lower[path] = (lower[path] * 0.35 + np.array([196, 178, 146]) * 0.65).astype(np.uint8)
    leaves = pick(rng, (70, 112, 52), (96, 130, 50), (150, 110, 50), (58, 100, 70))
    for _ in range(9):
        _tree(
            canvas,
            float(rng.uniform(-9, 9)),
            z - float(rng.uniform(5, 9)),
            float(rng.uniform(0.9, 1.4)),
            shade(leaves, 0.9),
        )
    _tree(canvas, float(rng.choice([-1, 1])) * float(rng.uniform(1.5, 2.1)), z - 0.8, 1.15, leaves)


def _beach(canvas: Canvas, z: float) -> None:
    """A beach: sand, surf, sea, sky, a parasol."""
    rng = canvas.rng
    canvas.sky((86, 150, 216), (212, 230, 240), float(rng.uniform(0.0, 0.6)))
    canvas.floor(pick(rng, (222, 200, 156), (206, 186, 148)), lambda x, z: 1 + 0.03 * np.sin(z * 9 + np.sin(x * 3)), 16)
    first, x, depth = canvas.camera.floor(canvas.size[1], canvas.size[0])
    shore = z - 1.6 + 0.25 * np.sin(x * 0.8 + 1)
    sea = depth < shore
    lower = canvas.image[first:]
    waves = 1 + 0.09 * np.sin(depth * 4 + 0.7 * np.sin(x * 1.1))
    lower[sea] = np.clip(np.array(pick(rng, (54, 130, 160), (60, 150, 170)))[None] * waves[sea][:, None], 0, 255)
    surf = sea & (depth > shore - 0.28)
    lower[surf] = (lower[surf] * 0.3 + 172).astype(np.uint8)
    x0 = float(rng.choice([-1, 1])) * float(rng.uniform(1.2, 1.6))
    canvas.panel(x0 - 0.025, x0 + 0.025, 0, 2.1, z, (230, 226, 216))
    cloth = pick(rng, (214, 66, 60), (240, 180, 50), (50, 120, 180))
    for slice_ in range(6):
        edges = [x0 + 0.95 * (slice_ / 3 - 1), x0 + 0.95 * ((slice_ + 1) / 3 - 1)]
        corners = [canvas.at(edges[0], 1.72, z), canvas.at(edges[1], 1.72, z), canvas.at(x0, 2.3, z)]
        shape(canvas.image, corners, cloth if slice_ % 2 else WHITE)


def _court(canvas: Canvas, z: float) -> None:
    """A playing court: painted ground with lines, a mesh fence, bushes and sky behind."""
    rng = canvas.rng
    canvas.sky((120, 170, 220), (220, 230, 236), float(rng.uniform(0.2, 0.8)))
    for _ in range(12):
        _tree(
            canvas,
            float(rng.uniform(-7, 7)),
            z - 3.0,
            float(rng.uniform(0.7, 1.1)),
            pick(rng, (84, 118, 70), (104, 130, 80)),
        )
    ground = pick(rng, (64, 110, 140), (150, 84, 64), (80, 126, 92), (110, 96, 140))
    canvas.floor(ground, None, 12)
    first, x, depth = canvas.camera.floor(canvas.size[1], canvas.size[0])
    offset = float(rng.uniform(-1.2, 1.2))
    line = (
        (np.abs(depth + 1.0) < 0.04)
        | (np.abs(x - offset) < 0.035)
        | (np.abs(np.hypot(x - offset, depth + 1) - 1.2) < 0.04)
    )
    canvas.image[first:][line & (depth > z)] = 226
    canvas.image[first:][depth < z] = (canvas.image[first:][depth < z] * 0.4 + np.array([70, 90, 50])).astype(np.uint8)
    for wire in np.arange(-6, 6, 0.16):
        for lean in (-1.0, 1.0):
            ends = np.rint([canvas.at(wire - lean * 1.1, 0, z), canvas.at(wire + lean * 1.1, 2.2, z)]).astype(int)
            cv2.line(canvas.image, tuple(ends[0]), tuple(ends[1]), (150, 156, 154), 1, cv2.LINE_AA)
    for post in np.arange(-6, 6.1, 2.0) + offset:
        canvas.panel(post - 0.04, post + 0.04, 0, 2.3, z + 0.01, (96, 104, 104))
    canvas.panel(-9, 9, 2.18, 2.25, z + 0.01, (104, 112, 112))


def _studio(canvas: Canvas, z: float) -> None:
    """A studio: a paper backdrop that runs into the floor, a lamp on a stand."""
    rng = canvas.rng
    paper = pick(
        rng, (150, 160, 172), (190, 150, 140), (136, 160, 140), (206, 196, 150), (110, 116, 140), (200, 200, 200)
    )
    canvas.floor(shade(paper, 1.06), None, 3)
    canvas.wall(paper, z, lambda x, y: 1.1 - 0.07 * (x**2 * 0.35 + (y - 1.3) ** 2 * 0.5), 2)
    foot = int(canvas.at(0, 0, z)[1])
    band = canvas.image[max(0, foot - 20) : foot + 12]
    band[:] = cv2.GaussianBlur(band, (1, 31), 9)
    x = float(rng.choice([-1, 1])) * float(rng.uniform(1.3, 1.6))
    canvas.panel(x - 0.02, x + 0.02, 0, 1.9, z + 0.5, (50, 52, 56))
    canvas.panel(x - 0.3, x + 0.3, 1.6, 2.3, z + 0.5, (58, 60, 64))
    canvas.panel(x - 0.26, x + 0.26, 1.64, 2.26, z + 0.51, (252, 250, 240))


def _hall(canvas: Canvas, z: float) -> None:
    """A storage hall: concrete, a roller door or a steel shelf, crates, a warning stripe."""
    rng = canvas.rng
    canvas.floor(pick(rng, (138, 136, 132), (120, 124, 128)), _checks(1.6, 0.06), 18)
    canvas.wall(pick(rng, (160, 158, 152), (140, 150, 156), (176, 166, 150)), z, _tiles(1.2, 0.14), 12)
    side = float(rng.choice([-1, 1]))
    door = side * float(rng.uniform(0.7, 1.1))
    steel = pick(rng, (110, 130, 150), (150, 70, 60), (90, 120, 100), (190, 160, 70))
    for slat in range(20):
        canvas.panel(
            door - 0.95, door + 0.95, slat * 0.13, slat * 0.13 + 0.12, z + 0.02, shade(steel, 0.92 + 0.12 * (slat % 2))
        )
    for crate in range(3):
        colour = pick(rng, (160, 124, 82), (90, 110, 130), (176, 150, 100))
        canvas.block(
            (0.62, 0.5, 0.5),
            -side * (0.95 + 0.3 * (crate == 1) + 0.7 * (crate == 2)),
            z + 0.4,
            colour,
            base=0.5 * (crate == 1),
        )
    canvas.panel(-9, 9, 0, 0.16, z + 0.01, (60, 62, 60))


PLACES: tuple[Callable[[Canvas, float], None], ...] = (_room, _gym, _street, _park, _beach, _court, _studio, _hall)


def background(place: int, seed: Any, camera: Camera, height: int, width: int) -> Image:
    """Paint a place as the camera sees it: uint8 RGB ``(height, width, 3)``.

    Args:
        place: number of the kind of place in :data:`PLACES`.
        seed: what makes it this person's place; the same seed gives the same walls and furniture to any camera.
        camera: from where it is seen.
        height: pixels.
        width: pixels.
    """
    rng = np.random.default_rng(seed)
    canvas = Canvas(np.zeros((height, width, 3), np.uint8), camera, rng)
    PLACES[place](canvas, -float(rng.uniform(1.2, 2.0)))
    soft = cv2.GaussianBlur(canvas.image, (0, 0), 0.8)  # a little out of focus, behind the person
    return textured(soft, clouds(rng, height, width, 32, 128), 7)
