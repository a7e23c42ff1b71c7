"""Draws a person: shaded limbs with width, head and hair, hands, shoes and clothes, from a skeleton."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from drawn_people.body import Build, Floats, Skeleton
from drawn_people.paint import (
    Camera,
    Colour,
    Image,
    blend,
    fixed,
    near,
    pick,
    polygon,
    shade,
)

Fixed = NDArray[np.int32]

_SKINS: tuple[Colour, ...] = (
    (246, 212, 186), (232, 190, 158), (214, 166, 130), (186, 134, 98), (148, 100, 70), (116, 78, 56), (92, 62, 48),
)  # fmt: skip
_HAIRS: tuple[Colour, ...] = (
    (30, 24, 22), (56, 38, 28), (96, 62, 38), (150, 108, 62), (204, 168, 104), (150, 70, 36), (164, 160, 158),
)  # fmt: skip
_TOPS: tuple[Colour, ...] = (
    (204, 46, 48), (38, 84, 168), (236, 192, 52), (52, 140, 84), (238, 236, 230), (40, 42, 50), (140, 66, 150),
    (236, 130, 50), (60, 170, 180), (150, 150, 156), (226, 140, 160), (96, 40, 46), (110, 150, 210), (120, 130, 70),
)  # fmt: skip
_LEGWEAR: tuple[Colour, ...] = (
    (44, 58, 96), (30, 32, 38), (120, 116, 112), (176, 152, 112), (84, 72, 56), (66, 90, 130), (70, 80, 62),
    (222, 216, 204),
)  # fmt: skip
_SHOES: tuple[Colour, ...] = ((236, 236, 234), (34, 32, 34), (96, 62, 40), (190, 40, 44), (40, 80, 150), (120, 190, 80))

# How a rounded thing is shaded: width, shift towards the light (in radii), brightness.
_SLEEVES = {"short": (0.55, 0.034, 0.031), "none": (0.1, 0.033, 0.03)}  # reach of the upper arm, width at both ends
_ROUND = ((1.0, 0.0, 0.74), (0.80, 0.17, 1.0), (0.36, 0.40, 1.13))


@dataclass(frozen=True)
class Appearance:
    """What one person wears and looks like. Colours are RGB, 0 to 255."""

    skin: Colour
    hair: Colour
    hair_style: str  # short, long, bun, bald, cap, curly
    beard: bool
    top: Colour
    accent: Colour
    pattern: str  # plain, stripes, block, badge, open
    sleeves: str  # none, short, long
    legs: Colour
    leg_style: str  # trousers, shorts, skirt
    shoes: Colour

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Appearance:
        """Choose at random."""
        top = pick(rng, *_TOPS)
        accent = pick(rng, *_TOPS)
        while sum(abs(a - b) for a, b in zip(top, accent, strict=True)) < 150:
            accent = pick(rng, *_TOPS)
        hair_style = str(rng.choice(["short", "short", "long", "bun", "bald", "cap", "curly"]))
        return cls(
            skin=near(rng, _SKINS[int(rng.integers(len(_SKINS)))], 5),
            hair=pick(rng, *_HAIRS),
            hair_style=hair_style,
            beard=bool(hair_style in ("short", "bald", "cap") and rng.random() < 0.35),
            top=top,
            accent=accent,
            pattern=str(rng.choice(["plain", "stripes", "block", "badge", "open"])),
            sleeves=str(rng.choice(["none", "short", "short", "long", "long"])),
            legs=pick(rng, *_LEGWEAR),
            leg_style=str(rng.choice(["trousers", "trousers", "trousers", "shorts", "skirt"])),
            shoes=pick(rng, *_SHOES),
        )


@dataclass(frozen=True)
class Part:
    """Something to draw in each of T frames: one convex outline, or points whose hull is filled.

    ``depth_T`` orders the parts: the nearer to the camera, the greater, and the later drawn. ``shown_T`` leaves a
    frame out. ``light_T`` scales the colour.
    """

    outline_TN2: Fixed
    colour: Colour
    depth_T: Floats
    light_T: Floats | None = None
    shown_T: NDArray[np.bool_] | None = None
    convex: bool = True

    def draw(self, image: Image, frame: int) -> None:
        """Draw frame number ``frame``."""
        if self.shown_T is not None and not self.shown_T[frame]:
            return
        colour = self.colour if self.light_T is None else shade(self.colour, float(self.light_T[frame]))
        outline = self.outline_TN2[frame]
        polygon(image, outline if self.convex else cv2.convexHull(outline), colour)


_ARC = np.deg2rad(np.linspace(-90, 90, 7))


class Figure:
    """A person's parts in T frames, in the order in which each frame draws them.

    Args:
        appearance: what the person wears.
        build: the body.
        body: the poses, placed in the scene.
        camera: the camera without pan.
        pan_T2: shift of the picture in each frame, in pixels.
        light: direction of the light in the picture, a unit vector (x right, y down).
    """

    def __init__(
        self,
        appearance: Appearance,
        build: Build,
        body: Skeleton,
        camera: Camera,
        pan_T2: Floats,
        light: tuple[float, float],
    ) -> None:
        self.parts: list[Part] = []
        self._camera = camera
        self._pan = pan_T2
        self._light = np.array(light)
        self._middle = body.joints["waist"][:, 2]
        self._unit = build.stature
        self._legs(appearance, build, body)
        self._torso(appearance, build, body)
        self._arms(appearance, build, body)
        self._head(appearance, body)

    def add_points(
        self, points_TN3: Floats, colour: Colour, depth_T: Floats, shown_T: NDArray[np.bool_] | None = None
    ) -> None:
        """Add the hull of points in space."""
        self.parts.append(Part(self.flat(points_TN3), colour, depth_T, None, shown_T, convex=False))

    def add_ball(self, centre_T3: Floats, radius: float, colour: Colour, depth_T: Floats) -> None:
        """Add a shaded ball."""
        axes = np.broadcast_to(np.eye(3), (len(centre_T3), 3, 3))
        self._ellipsoid(centre_T3, axes, (radius, radius, radius), colour, depth_T, _ROUND)

    def _project(self, points: Floats) -> tuple[Floats, Floats]:
        flat, scale = self._camera.project(points)
        pan = self._pan if points.ndim == 2 else self._pan[:, None, :]
        return flat + pan, scale

    def flat(self, points_TN3: Floats) -> Fixed:
        """Picture coordinates of points in space, with the pan, as :func:`polygon` wants them."""
        return fixed(self._project(points_TN3)[0])

    def _limb(
        self,
        start: Floats,
        end: Floats,
        radii: tuple[float, float],
        colour: Colour,
        nearer: float,
        *,
        plain: bool = False,
    ) -> None:
        """Add a tapered limb from ``start`` to ``end`` with its shading; ``nearer`` metres bias its depth."""
        one, scale_one = self._project(start)
        two, scale_two = self._project(end)
        along = two - one
        along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-6
        across = np.stack([-along[:, 1], along[:, 0]], axis=1)
        depth = (start[:, 2] + end[:, 2]) / 2 + nearer
        light = np.clip(1 + 0.55 * (depth - nearer - self._middle), 0.8, 1.06)
        towards = across * (across @ self._light)[:, None]
        sine, cosine = np.sin(_ARC)[None, :, None], np.cos(_ARC)[None, :, None]
        for number, (width, shift, tone) in enumerate(_ROUND[:2] if plain else _ROUND):
            ends = []
            for centre, radius, sign in ((one, radii[0] * scale_one, -1.0), (two, radii[1] * scale_two, 1.0)):
                reach = radius[:, None, None]  # full length in every layer, so that joints show no dark rings
                middle = centre + towards * (radius * shift)[:, None]
                ends.append(middle[:, None] + sign * reach * (along[:, None] * cosine + across[:, None] * sine * width))
            outline = fixed(np.concatenate(ends, axis=1))
            self.parts.append(Part(outline, shade(colour, tone), depth + number * 1e-4, light))

    def _ellipsoid(
        self,
        centre: Floats,
        axes: Floats,
        radii: tuple[float, float, float],
        colour: Colour,
        depth: Floats,
        rings: tuple[tuple[float, float, float], ...] = _ROUND,
        shown: NDArray[np.bool_] | None = None,
    ) -> None:
        """Add an ellipsoid, by the ellipse that is its outline."""
        middle, scale = self._project(centre)
        spread = axes[:, :2, :] * np.array(radii)
        flip = np.array([1.0, -1.0])
        root = np.linalg.cholesky(spread @ spread.transpose(0, 2, 1) + 1e-9 * np.eye(2))
        turns = np.linspace(0, 2 * np.pi, 18, endpoint=False)
        circle = np.stack([np.cos(turns), np.sin(turns)], axis=1)
        ring = (circle @ root.transpose(0, 2, 1)) * flip * scale[:, None, None]
        smallest = min(radii) * scale[:, None, None]
        for number, (width, shift, tone) in enumerate(rings):
            outline = fixed(middle[:, None] + ring * width + self._light * smallest * shift)
            self.parts.append(Part(outline, shade(colour, tone), depth + number * 1e-4, None, shown))

    def _legs(self, appearance: Appearance, build: Build, body: Skeleton) -> None:
        unit, joints = self._unit, body.joints
        girth = build.girth**0.7
        bare = appearance.leg_style != "trousers"
        for side in ("l_", "r_"):
            hip, knee, ankle = joints[side + "hip"], joints[side + "knee"], joints[side + "ankle"]
            cloth = appearance.skin if bare else appearance.legs
            wide = 1.0 if bare else 1.1
            self._limb(hip, knee, (0.049 * unit * girth, 0.033 * unit * girth * wide), cloth, 0.0)
            self._limb(knee, ankle, (0.033 * unit * girth * wide, 0.02 * unit * wide), cloth, 0.004)
            if appearance.leg_style == "shorts":
                hem = hip + (knee - hip) * 0.72
                self._limb(hip, hem, (0.053 * unit * girth, 0.047 * unit * girth), appearance.legs, 0.008)
            if bare:
                sock = knee + (ankle - knee) * 0.8
                self._limb(sock, ankle, (0.025 * unit, 0.022 * unit), (232, 232, 228), 0.03, plain=True)
            self._limb(
                joints[side + "heel"], joints[side + "toe"], (0.021 * unit, 0.016 * unit), appearance.shoes, 0.036
            )
            sole = np.array([0.0, -0.012 * unit, 0.0])
            self._limb(
                joints[side + "heel"] + sole, joints[side + "toe"] + sole, (0.010 * unit, 0.007 * unit),
                shade(appearance.shoes, 0.55), 0.037, plain=True,
            )  # fmt: skip

    def _torso(self, appearance: Appearance, build: Build, body: Skeleton) -> None:
        unit, joints, girth = self._unit, body.joints, build.girth
        loin = (body.pelvis_axes + body.chest_axes) / 2
        hips, up, chest_up = body.pelvis_axes, body.pelvis_axes[:, :, 1] * unit, body.chest_axes[:, :, 1]
        ribs, chest = joints["waist"] + chest_up * 0.6 * build.chest, body.chest_axes
        levels = (  # where, axes, half width, half depth
            (joints["pelvis"] - up * 0.035, hips, build.hip + 0.045 * unit * girth, 0.058 * unit * girth),
            (joints["pelvis"] + up * 0.02, hips, build.hip + 0.042 * unit * girth, 0.06 * unit * girth),
            (joints["waist"], loin, 0.074 * unit * girth, 0.056 * unit * girth),
            (ribs, chest, build.shoulder * 0.84 * girth**0.4, 0.066 * unit * girth**0.8),
            (joints["collar"] - chest_up * 0.022 * unit, chest, build.shoulder * 0.9, 0.042 * unit),
            (joints["collar"] + chest_up * 0.006 * unit, chest, build.shoulder * 0.45, 0.034 * unit),
        )
        turns = np.linspace(0, 2 * np.pi, 12, endpoint=False)
        rings = [
            centre[:, None]
            + np.stack([wide * np.cos(turns), 0 * turns, deep * np.sin(turns)], axis=1) @ axes.transpose(0, 2, 1)
            for centre, axes, wide, deep in levels
        ]
        depth = joints["waist"][:, 2] + 0.05
        for first, last, colour, nearer in (
            (0, 2, appearance.legs, -0.012),
            (1, 3, appearance.top, 0.0),
            (2, 4, appearance.top, 0.0),
            (3, 5, appearance.top, 0.0),
        ):
            self._hull(np.concatenate(rings[first : last + 1], axis=1), colour, depth + nearer)
        if appearance.leg_style == "skirt":
            hem = [
                self._around(joints[s + "hip"] + (joints[s + "knee"] - joints[s + "hip"]) * 0.78, 0.085 * unit)
                for s in ("l_", "r_")
            ]
            self._hull(np.concatenate([rings[1], *hem], axis=1), appearance.legs, depth - 0.006)
        self._pattern(appearance, rings, depth + 0.002, body.chest_axes[:, 2, 2])
        neck = joints["head"] - body.head_axes[:, :, 1] * 0.045 * unit
        self._limb(
            joints["collar"] - body.chest_axes[:, :, 1] * 0.015 * unit,
            neck,
            (0.031 * unit, 0.029 * unit),
            shade(appearance.skin, 0.9),
            0.054,
            plain=True,
        )

    def _around(self, centre: Floats, radius: float) -> Floats:
        turns = np.linspace(0, 2 * np.pi, 8, endpoint=False)
        return centre[:, None] + radius * np.stack([np.cos(turns), 0 * turns, 0.8 * np.sin(turns)], axis=1)

    def _hull(self, points_TN3: Floats, colour: Colour, depth: Floats) -> None:
        """Add a shaded hull; the lighter layers shrink to its middle and move to the light."""
        flat, scale = self._project(points_TN3)
        middle = flat.mean(axis=1, keepdims=True)
        radius = 0.07 * self._unit * scale.mean(axis=1)[:, None, None]
        for number, (width, shift, tone) in enumerate(((1.0, 0, 0.78), (0.88, 0.14, 1.0), (0.5, 0.42, 1.07))):
            squeeze = np.array([width, 1 - (1 - width) * 0.35])
            points = middle + (flat - middle) * squeeze + self._light * [1, 0.4] * radius * shift
            self.parts.append(Part(fixed(points), shade(colour, tone), depth + number * 3e-4, convex=False))

    def _pattern(self, appearance: Appearance, rings: list[Floats], depth: Floats, facing: Floats) -> None:
        front = facing > 0.12
        if appearance.pattern == "stripes":
            for low in (1, 2, 3):
                for share in (0.1, 0.6):
                    bands = [rings[low] * (1 - s) + rings[low + 1] * s for s in (share, share + 0.24)]
                    if low < 3 or share < 0.5:
                        self.add_points(np.concatenate(bands, axis=1), shade(appearance.accent, 0.96), depth)
        elif appearance.pattern == "block":
            middle = rings[2] * 0.3 + rings[3] * 0.7
            self.add_points(np.concatenate([middle, rings[3], rings[4]], axis=1), shade(appearance.accent, 0.98), depth)
            self.add_points(np.concatenate([rings[4], rings[5]], axis=1), shade(appearance.accent, 0.98), depth)
        elif appearance.pattern == "badge":
            centre = (rings[3][:, 2:5].mean(axis=1) * 0.85 + rings[2][:, 2:5].mean(axis=1) * 0.15)[:, None]
            self.add_points(centre + (rings[3][:, 2:5] - centre) * 0.55 * [1, 1, 1], appearance.accent, depth, front)
            bottom = rings[2][:, 3:4] * 0.55 + rings[3][:, 3:4] * 0.45
            top = rings[3][:, 2:5] + (centre - rings[3][:, 2:5]) * 0.45
            self.add_points(np.concatenate([top, bottom], axis=1), appearance.accent, depth, front)
        elif appearance.pattern == "open":
            for low in (1, 2, 3):
                edge = [rings[low][:, 2:5], rings[low + 1][:, 2:5]]
                squeezed = [points + (points[:, 1:2] - points) * 0.35 for points in edge]
                self.add_points(np.concatenate(squeezed, axis=1), appearance.accent, depth, front)

    def _arms(self, appearance: Appearance, build: Build, body: Skeleton) -> None:
        unit, joints = self._unit, body.joints
        girth = build.girth**0.6
        for side in ("l_", "r_"):
            shoulder, elbow, wrist = (joints[side + name] for name in ("shoulder", "elbow", "wrist"))
            upper = appearance.top if appearance.sleeves == "long" else appearance.skin
            self._limb(shoulder, elbow, (0.030 * unit * girth, 0.0235 * unit * girth), upper, 0.035)
            self._limb(elbow, wrist, (0.0235 * unit * girth, 0.0155 * unit), upper, 0.07)
            if appearance.sleeves in _SLEEVES:
                reach, wide, narrow = _SLEEVES[appearance.sleeves]
                end = shoulder + (elbow - shoulder) * reach
                self._limb(shoulder, end, (wide * unit * girth, narrow * unit * girth), appearance.top, 0.04)
            fist = joints[side + "fist"]
            self._limb(wrist, wrist + (fist - wrist) * 1.1, (0.0155 * unit, 0.019 * unit), appearance.skin, 0.075)

    def _head(self, appearance: Appearance, body: Skeleton) -> None:
        unit, centre, axes = self._unit, body.joints["head"], body.head_axes
        depth = centre[:, 2] + 0.06
        away = axes[:, 2, 2] < -0.25
        hair_depth = np.where(away, depth + 0.004, depth - 0.004)

        def at(x: float, y: float, z: float) -> Floats:
            return centre + axes @ (np.array([x, y, z]) * unit)

        def part(
            x: float, y: float, z: float, radii: tuple[float, float, float], colour: Colour, nearer: float,
            shown: NDArray[np.bool_] | None = None, rings: tuple[tuple[float, float, float], ...] = _ROUND,
        ) -> None:  # fmt: skip
            wide, tall, deep = radii
            self._ellipsoid(
                at(x, y, z), axes, (wide * unit, tall * unit, deep * unit), colour, depth + nearer, rings, shown
            )

        flat = ((1.0, 0.0, 1.0),)
        shaded = ((1.0, 0.0, 0.84), (0.84, 0.14, 1.0), (0.4, 0.3, 1.06))
        part(0, 0, 0, (0.044, 0.062, 0.052), appearance.skin, 0.0, None, shaded)
        if appearance.hair_style != "bald":
            style = {"curly": (0.060, 0.060, 0.060), "cap": (0.049, 0.056, 0.056)}.get(
                appearance.hair_style, (0.050, 0.058, 0.055)
            )
            wide, tall, deep = (size * unit for size in style)
            self._ellipsoid(at(0, 0.017, -0.013), axes, (wide, tall, deep), appearance.hair, hair_depth)
        if appearance.hair_style == "long":
            for x in (-0.024, 0.024):
                self._limb(
                    at(x, 0.02, -0.03), at(x * 1.25, -0.1, -0.04), (0.034 * unit, 0.024 * unit), appearance.hair, 0.0
                )
                self.parts[-3:] = [
                    Part(p.outline_TN2, p.colour, np.where(away, depth + 0.003, depth - 0.045) + n * 1e-4)
                    for n, p in enumerate(self.parts[-3:])
                ]
        if appearance.hair_style == "bun":
            part(0, 0.058, -0.045, (0.026, 0.026, 0.026), appearance.hair, -0.005)
        facing = axes[:, 2, 2] > -0.25
        if appearance.hair_style == "cap":
            part(0, 0.034, -0.004, (0.050, 0.038, 0.058), appearance.accent, 0.012)
            part(0, 0.022, 0.058, (0.040, 0.010, 0.034), shade(appearance.accent, 0.8), 0.013, facing, flat)
        elif appearance.hair_style != "bald":  # a fringe
            part(0, 0.047, 0.018, (0.040, 0.019, 0.034), appearance.hair, 0.003, facing, flat)
        if appearance.beard:
            part(0, -0.040, 0.014, (0.036, 0.026, 0.040), appearance.hair, 0.002, facing, flat)
            part(0, -0.020, 0.030, (0.024, 0.014, 0.024), appearance.skin, 0.003, facing, flat)
        part(0, -0.007, 0.054, (0.008, 0.011, 0.010), shade(appearance.skin, 0.9), 0.006, facing, flat)
        mouth = blend(appearance.skin, (150, 50, 50), 0.5)
        part(0, -0.034, 0.046, (0.014, 0.004, 0.004), mouth, 0.006, axes[:, 2, 2] > 0.1, flat)
        for side in (-1.0, 1.0):
            seen = (axes @ np.array([side * 0.35, 0, 1]))[:, 2] > 0.12
            part(side * 0.018, 0.010, 0.046, (0.0078, 0.0056, 0.004), (244, 244, 240), 0.006, seen, flat)
            part(side * 0.018, 0.010, 0.049, (0.0046, 0.0054, 0.004), (40, 30, 26), 0.007, seen, flat)
            part(side * 0.018, 0.022, 0.046, (0.010, 0.0028, 0.004), shade(appearance.hair, 0.8), 0.006, seen, flat)
            ear = (axes @ np.array([side, 0, 0.1]))[:, 2] > -0.6
            part(side * 0.045, 0.0, -0.002, (0.006, 0.013, 0.009), shade(appearance.skin, 0.86), 0.0005, ear, flat)
