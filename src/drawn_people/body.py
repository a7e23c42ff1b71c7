"""The skeleton of a drawn person: proportions, joint angles, and where the joints are (forward kinematics).

Axes, in metres: x to the person's left (right in the picture when they face the camera), y up, z the way they
face at yaw 0, which is towards the camera. All functions work on T poses at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Degrees, but for `lift` (hundredths of the stature) and `plant` (0 to 1).
CHANNELS = (
    "pitch", "yaw", "lift", "bend", "lean", "twist", "nod", "turn", "plant",
    "l_arm", "l_arm_out", "l_arm_twist", "l_elbow",
    "r_arm", "r_arm_out", "r_arm_twist", "r_elbow",
    "l_leg", "l_leg_out", "l_leg_twist", "l_knee",
    "r_leg", "r_leg_out", "r_leg_twist", "r_knee",
)  # fmt: skip
INDEX = {name: number for number, name in enumerate(CHANNELS)}


@dataclass(frozen=True)
class Build:
    """Lengths of one person's body, in metres. ``stature`` is the height; ``girth`` is 1 for an average person."""

    stature: float
    girth: float
    shoulder: float
    hip: float
    upper_arm: float
    forearm: float
    hand: float
    thigh: float
    shank: float
    ankle: float
    foot: float
    lumbar: float
    chest: float
    neck: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Build:
        """A person of 1.50 to 1.95 m, with the usual proportions and personal differences of a few per cent."""
        stature = float(rng.uniform(1.50, 1.95))

        def length(share: float) -> float:
            return stature * share * float(rng.uniform(0.96, 1.04))

        legs = float(rng.uniform(0.97, 1.03))
        return cls(
            stature=stature,
            girth=float(rng.uniform(0.88, 1.28)),
            shoulder=length(0.112) * float(rng.uniform(0.92, 1.06)),
            hip=length(0.050),
            upper_arm=length(0.172),
            forearm=length(0.150),
            hand=length(0.052),
            thigh=length(0.243) * legs,
            shank=length(0.243) * legs,
            ankle=length(0.042),
            foot=length(0.112),
            lumbar=length(0.115),
            chest=length(0.185),
            neck=length(0.050),
        )


@dataclass(frozen=True)
class Skeleton:
    """T poses in space. Points are ``(T, 3)`` metres, orientations ``(T, 3, 3)`` with the axes as columns.

    ``joints`` holds ``pelvis``, ``waist``, ``collar``, ``head`` and, with ``l_`` or ``r_`` before, ``shoulder``,
    ``elbow``, ``wrist``, ``fist``, ``hip``, ``knee``, ``ankle``, ``heel``, ``toe``.
    """

    joints: dict[str, Floats]
    pelvis_axes: Floats
    chest_axes: Floats
    head_axes: Floats

    def moved(self, offset_T3: Floats) -> Skeleton:
        """The same poses elsewhere."""
        joints = {name: point + offset_T3 for name, point in self.joints.items()}
        return Skeleton(joints, self.pelvis_axes, self.chest_axes, self.head_axes)

    @property
    def hands(self) -> Floats:
        """The point between the two hands, ``(T, 3)``."""
        return (self.joints["l_fist"] + self.joints["r_fist"]) / 2


def skeleton(build: Build, angles_TC: Floats, *, travel: float = 1.0) -> Skeleton:
    """Place the joints for T poses given as one column of ``angles_TC`` for each of :data:`CHANNELS`.

    The lowest foot stands on the floor, y = 0 (``lift`` raises it), and does not slip: where a planted foot moves
    back under the body, the body moves forward. The feet of the first pose stand about the origin.

    Args:
        build: lengths of the body.
        angles_TC: the poses.
        travel: share of that forward movement that is kept; below 1 the feet slip a little.
    """
    channel = {name: angles_TC[:, number] for name, number in INDEX.items()}
    origin = np.zeros((len(angles_TC), 3))
    pelvis = _about_y(channel["yaw"]) @ _about_x(channel["pitch"])
    loin = pelvis @ _about_y(0.4 * channel["twist"]) @ _about_x(0.45 * channel["bend"])
    loin = loin @ _about_z(-0.5 * channel["lean"])
    chest = pelvis @ _about_y(channel["twist"]) @ _about_x(channel["bend"]) @ _about_z(-channel["lean"])
    head = chest @ _about_y(channel["turn"]) @ _about_x(channel["nod"])
    joints: dict[str, Floats] = {"pelvis": origin}
    joints["waist"] = _along(loin, 0, build.lumbar, 0)
    joints["collar"] = joints["waist"] + _along(chest, 0, build.chest, 0)
    joints["head"] = joints["collar"] + _along(head, 0, build.neck + 0.062 * build.stature, 0.012 * build.stature)
    for side, sign in (("l_", 1.0), ("r_", -1.0)):
        _arm(build, joints, channel, chest, side, sign)
        _leg(build, joints, channel, pelvis, side, sign)
    _point_feet(build, joints)
    placed = Skeleton(joints, pelvis, chest, head).moved(_stand(build, joints, channel["lift"], travel))
    if np.any(channel["plant"] > 0):
        _plant_hands(build, placed, channel["plant"])
    return placed


def _arm(
    build: Build, joints: dict[str, Floats], channel: dict[str, Floats], chest: Floats, side: str, sign: float
) -> None:
    forward, out = channel[side + "arm"], channel[side + "arm_out"]
    upper = chest @ _about_x(-forward) @ _about_z(sign * out) @ _about_y(sign * channel[side + "arm_twist"])
    lower = upper @ _about_x(-channel[side + "elbow"])
    raised = np.clip((np.maximum(np.abs(forward), np.abs(out)) - 50) / 100, 0, 1) * 0.03 * build.stature
    shoulder = _along(chest, sign * build.shoulder, -0.025 * build.stature, 0) + chest[:, :, 1] * raised[:, None]
    joints[side + "shoulder"] = joints["collar"] + shoulder
    joints[side + "elbow"] = joints[side + "shoulder"] + _along(upper, 0, -build.upper_arm, 0)
    joints[side + "wrist"] = joints[side + "elbow"] + _along(lower, 0, -build.forearm, 0)
    joints[side + "fist"] = joints[side + "wrist"] + _along(lower, 0, -build.hand, 0)


def _leg(
    build: Build, joints: dict[str, Floats], channel: dict[str, Floats], pelvis: Floats, side: str, sign: float
) -> None:
    upper = pelvis @ _about_x(-channel[side + "leg"]) @ _about_z(sign * channel[side + "leg_out"])
    upper = upper @ _about_y(sign * channel[side + "leg_twist"])
    lower = upper @ _about_x(channel[side + "knee"])
    joints[side + "hip"] = _along(pelvis, sign * build.hip, -0.01 * build.stature, 0)
    joints[side + "knee"] = joints[side + "hip"] + _along(upper, 0, -build.thigh, 0)
    joints[side + "ankle"] = joints[side + "knee"] + _along(lower, 0, -build.shank, 0)
    joints[side + "toe"] = lower[:, :, 2]  # a direction for now: square to the shank


def _point_feet(build: Build, joints: dict[str, Floats]) -> None:
    """Lay the lower foot flat and let a raised one hang square to its shank."""
    lowest = np.minimum(joints["l_ankle"][:, 1], joints["r_ankle"][:, 1])
    for side in ("l_", "r_"):
        square = joints[side + "toe"]
        flatness = np.clip(1.2 - (joints[side + "ankle"][:, 1] - lowest) / (0.08 * build.stature), 0, 1)
        flatness = (flatness * np.clip(1.0 + (square[:, 1] + 0.55) * 3, 0, 1))[:, None]
        flat = square * [1, 0, 1]
        flat /= np.linalg.norm(flat, axis=1, keepdims=True) + 1e-9
        toe = square * (1 - flatness) + flat * flatness
        toe /= np.linalg.norm(toe, axis=1, keepdims=True) + 1e-9
        shank = joints[side + "ankle"] - joints[side + "knee"]
        shank /= np.linalg.norm(shank, axis=1, keepdims=True)
        sole = shank * (1 - flatness) + np.array([0.0, -1.0, 0.0]) * flatness
        base = joints[side + "ankle"] + sole * (0.55 * build.ankle)
        joints[side + "toe"] = base + toe * build.foot
        joints[side + "heel"] = base - toe * (0.3 * build.foot)


def _stand(build: Build, joints: dict[str, Floats], lift: Floats, travel: float) -> Floats:
    """Where the pelvis must be, ``(T, 3)``, for the feet to stand on the floor without slipping."""
    feet_y = np.stack([joints[side + part][:, 1] for side in ("l_", "r_") for part in ("heel", "toe")], axis=1)
    height = 0.42 * build.ankle - feet_y.min(axis=1) + lift * build.stature / 100
    ankles = np.stack([joints["l_ankle"], joints["r_ankle"]], axis=1)
    weight = np.exp((ankles[:, :, 1].min(axis=1, keepdims=True) - ankles[:, :, 1]) / (0.012 * build.stature))
    weight = (weight / weight.sum(axis=1, keepdims=True))[:, :, None]
    steps = -((weight[1:] + weight[:-1]) / 2 * np.diff(ankles, axis=0)).sum(axis=1)
    place = np.concatenate([np.zeros((1, 3)), np.cumsum(steps, axis=0)]) * travel
    place -= (ankles[0] / 2).sum(axis=0)
    place[:, 1] = height
    return place


def _plant_hands(build: Build, body: Skeleton, plant: Floats) -> None:
    """Bend the arms so that the hands stay on the floor, where they are when the shoulders are highest.

    Two-link inverse kinematics, the elbow pointing out and back; ``plant`` blends it in.
    """
    full = plant > 0.99
    top = int(np.argmax(np.where(full, body.joints["collar"][:, 1], -1.0)))
    weight = plant[:, None]
    for side, sign in (("l_", 1.0), ("r_", -1.0)):
        shoulder = body.joints[side + "shoulder"]
        axes = body.pelvis_axes[top]
        target = shoulder[top] + sign * 0.02 * build.stature * axes[:, 0]
        target = np.array([target[0], 0.03, target[2]])
        reach = target - shoulder
        distance = np.linalg.norm(reach, axis=1, keepdims=True)
        reach /= distance
        distance = np.clip(distance, 0.2 * build.upper_arm, (build.upper_arm + build.forearm) * 0.999)
        along = (build.upper_arm**2 - build.forearm**2 + distance**2) / (2 * distance)
        aside = np.sqrt(np.maximum(build.upper_arm**2 - along**2, 0))
        pole = sign * 0.8 * body.pelvis_axes[:, :, 0] - body.chest_axes[:, :, 1]
        pole -= (pole * reach).sum(axis=1, keepdims=True) * reach
        pole /= np.linalg.norm(pole, axis=1, keepdims=True) + 1e-9
        hand = body.pelvis_axes[top][:, 1] * build.hand * [1, 0.1, 1]
        for name, point in (
            ("elbow", shoulder + reach * along + pole * aside),
            ("wrist", shoulder + reach * distance),
            ("fist", shoulder + reach * distance + hand),
        ):
            body.joints[side + name] = body.joints[side + name] * (1 - weight) + point * weight


def _along(axes: Floats, x: float, y: float, z: float) -> Floats:
    return np.asarray(axes @ np.array([x, y, z]), dtype=np.float64)


def _about_x(degrees: Floats) -> Floats:
    """Rotations that bring y to z."""
    return _rotation(degrees, 1, 2)


def _about_y(degrees: Floats) -> Floats:
    """Rotations that bring z to x."""
    return _rotation(degrees, 2, 0)


def _about_z(degrees: Floats) -> Floats:
    """Rotations that bring x to y."""
    return _rotation(degrees, 0, 1)


def _rotation(degrees: Floats, first: int, second: int) -> Floats:
    radians = np.deg2rad(degrees)
    matrix = np.zeros((len(radians), 3, 3))
    matrix[:, range(3), range(3)] = 1.0
    matrix[:, first, first] = matrix[:, second, second] = np.cos(radians)
    matrix[:, second, first] = np.sin(radians)
    matrix[:, first, second] = -np.sin(radians)
    return matrix
