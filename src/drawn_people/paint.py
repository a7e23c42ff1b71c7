"""Drawing tools: the camera that maps metres to pixels, colours, textures, and solid boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from drawn_people.body import Floats

Colour = tuple[float, float, float]
Image = NDArray[np.uint8]

_SHIFT = 4  # OpenCV takes sub-pixel coordinates as integers in sixteenths
PER_PIXEL = 1 << _SHIFT


@dataclass(frozen=True)
class Camera:
    """A level camera at ``height`` metres, ``distance`` metres before the origin, looking along -z.

    ``focal``, ``centre_x`` and ``horizon`` are in pixels of the picture it is drawn on.
    """

    focal: float
    height: float
    distance: float
    centre_x: float
    horizon: float

    def project(self, points: Floats) -> tuple[Floats, Floats]:
        """Picture coordinates ``(..., 2)`` of points ``(..., 3)``, and pixels per metre there ``(...)``."""
        scale = self.focal / np.maximum(self.distance - points[..., 2], 0.3)
        x = self.centre_x + points[..., 0] * scale
        y = self.horizon + (self.height - points[..., 1]) * scale
        return np.stack([x, y], axis=-1), scale

    def floor(self, width: int, height: int) -> tuple[int, Floats, Floats]:
        """First row that shows the floor, and the x and z in metres of each pixel from there down."""
        first = max(0, int(self.horizon) + 3)
        depth = self.focal * self.height / (np.arange(first, height) - self.horizon)
        x = (np.arange(width) - self.centre_x)[None, :] * depth[:, None] / self.focal
        return first, x, np.broadcast_to((self.distance - depth)[:, None], x.shape)


def fixed(points: Floats) -> NDArray[np.int32]:
    """Sub-pixel coordinates as :func:`polygon` wants them."""
    return np.ascontiguousarray(np.rint(points * PER_PIXEL), dtype=np.int32)


def polygon(image: Image, fixed_N2: NDArray[np.int32], colour: Colour) -> None:
    """Fill a convex polygon, with soft edges."""
    cv2.fillConvexPoly(image, fixed_N2, colour, cv2.LINE_AA, _SHIFT)


def shape(image: Image, points_N2: Any, colour: Colour) -> None:
    """Fill any polygon given in pixels, with soft edges."""
    cv2.fillPoly(image, [fixed(np.asarray(points_N2, dtype=float))], colour, cv2.LINE_AA, _SHIFT)


def shade(colour: Colour, factor: float) -> Colour:
    """The colour made darker (below 1) or lighter."""
    red, green, blue = (min(255.0, max(0.0, part * factor)) for part in colour)
    return red, green, blue


def blend(first: Colour, second: Colour, share: float) -> Colour:
    """From ``first`` at 0 to ``second`` at 1."""
    red, green, blue = (a + (b - a) * share for a, b in zip(first, second, strict=True))
    return red, green, blue


def near(rng: np.random.Generator, colour: Colour, spread: float = 14) -> Colour:
    """A colour like this one."""
    red, green, blue = np.clip(np.array(colour) + rng.normal(0, spread, 3) + rng.normal(0, spread), 4, 251)
    return float(red), float(green), float(blue)


def pick(rng: np.random.Generator, *colours: Colour) -> Colour:
    """One of the colours, a little changed."""
    return near(rng, colours[int(rng.integers(len(colours)))], 8)


def clouds(rng: np.random.Generator, height: int, width: int, finest: int = 4, coarsest: int = 64) -> Floats:
    """Smooth noise of several sizes, mean 0, about -1 to 1; takes one number of ``rng`` whatever the size."""
    rng = np.random.default_rng(int(rng.integers(2**62)))
    total = np.zeros((height, width), np.float32)
    size, strength = coarsest, 1.0
    while size >= finest:
        grid = rng.normal(0, 1, (height // size + 2, width // size + 2)).astype(np.float32)
        total += strength * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
        size, strength = size // 2, strength * 0.6
    return np.asarray(total / (2.2 * total.std() + 1e-6), dtype=np.float64)


def textured(image: Image, noise: Floats, amount: float) -> Image:
    """The picture with its brightness changed by ``noise`` of the same size, ``amount`` grey levels at most."""
    return np.clip(image + (noise * amount)[..., None], 0, 255).astype(np.uint8)


def cuboid(size: tuple[float, float, float], centre: Floats, yaw_deg: float) -> Floats:
    """The eight corners ``(..., 8, 3)`` of a box of width, height and depth about centres ``(..., 3)``."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2 * np.array(size)
    cosine, sine = np.cos(np.deg2rad(yaw_deg)), np.sin(np.deg2rad(yaw_deg))
    turn = np.array([[cosine, 0, sine], [0, 1, 0], [-sine, 0, cosine]])
    return np.asarray(np.asarray(centre)[..., None, :] + signs @ turn.T, dtype=np.float64)


# Corner numbers of each face of `cuboid`, and how much light it gets.
FACES = (
    ((0, 1, 3, 2), 0.66),
    ((4, 6, 7, 5), 0.82),
    ((0, 4, 5, 1), 0.5),
    ((2, 3, 7, 6), 1.18),
    ((0, 2, 6, 4), 0.7),
    ((1, 5, 7, 3), 1.0),
)


def across(face_T43: Floats) -> Floats:
    """A band across the middle of faces, ``(T, 4, 3)``."""
    shares = ((0, 3, 0.57), (0, 3, 0.43), (1, 2, 0.43), (1, 2, 0.57))
    return np.stack([face_T43[:, a] * share + face_T43[:, b] * (1 - share) for a, b, share in shares], axis=1)


def draw_cuboid(image: Image, corners_82: Floats, colour: Colour) -> None:
    """Draw the faces of a projected box that look at the camera."""
    for corners, light in FACES:
        face = corners_82[list(corners)]
        one, two = face[1] - face[0], face[2] - face[0]
        if one[0] * two[1] - one[1] * two[0] >= 0:
            continue
        polygon(image, fixed(face), shade(colour, light))
