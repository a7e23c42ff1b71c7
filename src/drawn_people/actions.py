"""The actions: key poses as joint angles, how long they take, and from where they are seen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from drawn_people.body import CHANNELS, INDEX, Floats

Limb = tuple[float, float, float, float]
State = Literal["standing", "seated", "holding"]

_OPPOSITE = ("yaw", "lean", "twist", "turn")  # change sign in a mirror


def pose(
    *,
    arms: Limb = (2, 9, 0, 14),
    legs: Limb = (2, 3.5, 8, 4),
    l_arm: Limb | None = None,
    r_arm: Limb | None = None,
    l_leg: Limb | None = None,
    r_leg: Limb | None = None,
    hinge: float = 0,
    **other: float,
) -> Floats:
    """One pose, a value for each of :data:`CHANNELS`.

    Args:
        arms: forward, out, twist and elbow of both arms, in degrees; 0 hangs down.
        legs: forward, out, twist and knee of both legs, in degrees.
        l_arm: the left arm where it differs.
        r_arm: the right arm where it differs.
        l_leg: the left leg where it differs.
        r_leg: the right leg where it differs.
        hinge: bend forward at the hips with the legs left where they are.
        other: further channels by name.
    """
    angles = np.zeros(len(CHANNELS))
    for side, arm, leg in (("l_", l_arm or arms, l_leg or legs), ("r_", r_arm or arms, r_leg or legs)):
        for suffix, value in zip(("arm", "arm_out", "arm_twist", "elbow"), arm, strict=True):
            angles[INDEX[side + suffix]] = value
        for suffix, value in zip(("leg", "leg_out", "leg_twist", "knee"), leg, strict=True):
            angles[INDEX[side + suffix]] = value
    for side in ("l_", "r_"):
        angles[INDEX[side + "leg"]] += hinge
    angles[INDEX["pitch"]] += hinge
    for name, value in other.items():
        angles[INDEX[name]] += value
    return angles


def mirrored(angles: Floats) -> Floats:
    """The pose with left and right exchanged."""
    other = angles.copy()
    for name, number in INDEX.items():
        if name.startswith("l_"):
            opposite = INDEX["r_" + name[2:]]
            other[number], other[opposite] = angles[opposite], angles[number]
        elif name in _OPPOSITE:
            other[number] = -angles[number]
    return other


STAND = pose()


@dataclass(frozen=True)
class Action:
    """How one action is done.

    Args:
        name: as it appears in labels.
        keys: (share of the movement from 0 to 1, pose); a cycle ends with the pose it began with.
        seconds: shortest and longest duration of the movement, or of one cycle.
        facing: least and greatest angle between the person's front and the camera, in degrees.
        cycle: whether the movement repeats for as long as the clip lasts.
        prop: what stands by or lies in the hand: chair, box, ball, cup or nothing.
        begin: how the person is before it.
        end: how the person is after it.
        event: share of the movement at which the prop is gripped or let go.
    """

    name: str
    keys: tuple[tuple[float, Floats], ...]
    seconds: tuple[float, float]
    facing: tuple[float, float]
    cycle: bool = False
    prop: str = ""
    begin: State = "standing"
    end: State = "standing"
    event: float = 0.5

    def backwards(self, name: str) -> Action:
        """The same movement run backwards: another action, told apart by the order of frames alone."""
        keys = tuple((1 - share, angles) for share, angles in reversed(self.keys))
        return replace(self, name=name, keys=keys, begin=self.end, end=self.begin, event=1 - self.event)


def _halves(*keys: tuple[float, Floats]) -> tuple[tuple[float, Floats], ...]:
    """A cycle whose second half mirrors its first; ``keys`` cover shares 0 to below 0.5."""
    second = [(share + 0.5, mirrored(angles)) for share, angles in keys]
    return (*keys, *second, (1.0, keys[0][1]))


def _there_and_back(first: Floats, second: Floats) -> tuple[tuple[float, Floats], ...]:
    return ((0.0, first), (0.5, second), (1.0, first))


_WAVE = [pose(r_arm=(5, 102, 88, elbow), lean=lean, turn=-6) for elbow, lean in ((28, -2), (92, 2))]
_CLAP = [pose(arms=arm, nod=4) for arm in ((34, 4, -33, 86), (36, 38, 14, 72))]
_JACK = (
    (0.0, pose(arms=(0, 8, 0, 8), legs=(0, 2, 8, 6))),
    (0.25, pose(arms=(0, 88, 0, 10), legs=(0, 16, 8, 10), lift=5)),
    (0.5, pose(arms=(0, 164, 0, 14), legs=(0, 27, 8, 5))),
    (0.75, pose(arms=(0, 88, 0, 10), legs=(0, 16, 8, 10), lift=5)),
    (1.0, pose(arms=(0, 8, 0, 8), legs=(0, 2, 8, 6))),
)
_SQUAT = (STAND, pose(arms=(92, 8, -8, 8), legs=(98, 16, 22, 118), bend=30, hinge=14, nod=-24))

_SEATED = pose(arms=(14, 10, -10, 50), legs=(87, 9, 10, 86), bend=2)
_SIT_KEYS = (
    (0.0, STAND),
    (0.3, pose(arms=(14, 12, 0, 34), legs=(40, 5, 8, 52), hinge=18, bend=18, nod=-8)),
    (0.62, pose(arms=(36, 12, -6, 46), legs=(78, 8, 10, 92), hinge=14, bend=32, nod=-14)),
    (0.85, pose(arms=(22, 11, -10, 52), legs=(86, 9, 10, 89), bend=14)),
    (1.0, _SEATED),
)

_CARRY = pose(arms=(20, 10, -4, 82), bend=-4, nod=8)
_REACH = pose(arms=(88, 6, -2, 14), legs=(70, 10, 14, 82), hinge=34, bend=34, nod=-6)
_PICK_KEYS = (
    (0.0, STAND),
    (0.25, pose(arms=(46, 8, -2, 18), legs=(36, 7, 12, 44), hinge=18, bend=20, nod=6)),
    (0.5, _REACH),
    (0.75, pose(arms=(52, 8, -3, 44), legs=(34, 7, 12, 42), hinge=14, bend=14, nod=2)),
    (1.0, _CARRY),
)

_STANCE: dict[str, Any] = {"l_leg": (20, 6, 5, 18), "r_leg": (-10, 8, 20, 18)}
_GUARD = pose(l_arm=(46, 8, -12, 122), r_arm=(38, 8, -16, 132), twist=-8, bend=6, **_STANCE)
_PUNCH = (
    (0.0, _GUARD),
    (0.17, pose(l_arm=(88, 2, -10, 6), r_arm=(36, 8, -16, 134), twist=-26, bend=8, **_STANCE)),
    (0.34, _GUARD),
    (0.5, pose(l_arm=(40, 10, -14, 128), r_arm=(30, 12, -14, 134), twist=-14, bend=6, **_STANCE)),
    (0.68, pose(l_arm=(38, 8, -16, 132), r_arm=(90, 0, -10, 6), twist=36, bend=12, **_STANCE)),
    (0.86, _GUARD),
    (1.0, _GUARD),
)
_FIGHTER: dict[str, Any] = {"l_arm": (40, 10, -12, 112), "r_arm": (30, 12, -12, 116)}
_CHAMBER = pose(r_leg=(82, 4, 4, 104), l_leg=(4, 6, 14, 14), bend=-2, **_FIGHTER)
_KICK = (
    (0.0, pose(l_leg=(14, 6, 6, 16), r_leg=(-12, 6, 16, 16), **_FIGHTER)),
    (0.22, _CHAMBER),
    (0.38, pose(r_leg=(92, 3, 0, 8), l_leg=(2, 6, 16, 10), bend=-16, pitch=-5, **_FIGHTER)),
    (0.5, _CHAMBER),
    (0.75, pose(l_leg=(14, 6, 6, 16), r_leg=(-12, 6, 16, 16), **_FIGHTER)),
    (1.0, pose(l_leg=(14, 6, 6, 16), r_leg=(-12, 6, 16, 16), **_FIGHTER)),
)

_WALK = _halves(
    (0.0, pose(l_leg=(25, 2, 6, 5), r_leg=(-19, 2, 6, 14), l_arm=(-20, 7, 0, 12), r_arm=(22, 6, 0, 24), twist=5)),
    (0.12, pose(l_leg=(20, 2, 6, 16), r_leg=(-14, 2, 6, 40), l_arm=(-16, 7, 0, 12), r_arm=(18, 6, 0, 22), twist=4)),
    (0.27, pose(l_leg=(3, 2, 6, 7), r_leg=(14, 2, 6, 58), l_arm=(-2, 7, 0, 14), r_arm=(4, 6, 0, 16))),
    (0.4, pose(l_leg=(-10, 2, 6, 5), r_leg=(28, 2, 6, 32), l_arm=(13, 7, 0, 20), r_arm=(-13, 6, 0, 12), twist=-4)),
)
_ARM_BACK, _ARM_FORE = (-36, 10, -6, 84), (34, 8, -12, 92)
_RUN = _halves(
    (0.0, pose(l_leg=(30, 2, 4, 24), r_leg=(-6, 2, 4, 96), l_arm=_ARM_BACK, r_arm=_ARM_FORE, twist=8, bend=8)),
    (0.14, pose(l_leg=(10, 2, 4, 34), r_leg=(26, 2, 4, 112), l_arm=(-8, 10, -6, 86), r_arm=(8, 8, -12, 88), bend=9)),
    (0.3, pose(l_leg=(-20, 2, 4, 14), r_leg=(56, 2, 4, 84), l_arm=_ARM_FORE, r_arm=_ARM_BACK, twist=-9, bend=9)),
    (
        0.4,
        pose(l_leg=(-24, 2, 4, 46), r_leg=(52, 2, 4, 50), l_arm=_ARM_FORE, r_arm=_ARM_BACK, twist=-9, bend=8, lift=5),
    ),
)

_LUNGE: dict[str, Any] = {"l_leg": (30, 6, 5, 27), "r_leg": (-17, 8, 20, 34)}
_THROW_KEYS = (
    (0.0, pose(r_arm=(14, 8, 0, 60), **_STANCE)),
    (0.42, pose(r_arm=(-16, 92, 70, 96), l_arm=(62, 20, 0, 24), twist=-42, turn=36, bend=-10, **_STANCE)),
    (0.58, pose(r_arm=(64, 92, 50, 64), l_arm=(44, 26, 0, 50), twist=4, bend=4, **_LUNGE)),
    (0.68, pose(r_arm=(112, 30, 10, 10), l_arm=(14, 26, 0, 70), twist=30, turn=-20, bend=16, **_LUNGE)),
    (0.84, pose(r_arm=(44, -14, -10, 20), l_arm=(-6, 22, 0, 50), twist=34, turn=-24, bend=24, **_LUNGE)),
    (1.0, pose(r_arm=(6, 8, 0, 20), l_arm=(4, 10, 0, 20), **_STANCE)),
)
_CUP_LOW = pose(r_arm=(16, 8, -14, 82))
_CUP_HIGH = pose(r_arm=(58, 28, -34, 134), bend=-5, nod=-22)
_DRINK_KEYS = ((0.0, _CUP_LOW), (0.38, _CUP_HIGH), (0.62, _CUP_HIGH), (1.0, _CUP_LOW))

_BOW_UP = pose(arms=(0, 5, 0, 8), legs=(0, 1, 6, 2))
_BOWED = pose(arms=(24, 5, 0, 8), legs=(0, 1, 6, 3), hinge=48, bend=30, nod=8)
_BOW_KEYS = ((0.0, _BOW_UP), (0.42, _BOWED), (0.58, _BOWED), (1.0, _BOW_UP))

_PLANK = pose(arms=(68, 6, 0, 4), legs=(-2, 2, 0, 3), pitch=67, nod=-24, plant=1)
_PLANK_LOW = pose(arms=(30, 30, 0, 90), legs=(-2, 2, 0, 3), pitch=81, nod=-28, plant=1)
CROUCH = pose(arms=(84, 6, 0, 4), legs=(112, 8, 8, 128), pitch=34, bend=30, nod=-20)  # on the way down to the floor

_PICK_UP = Action("pick-up", _PICK_KEYS, (1.1, 1.6), (25, 85), prop="box", end="holding")
_SIT_DOWN = Action("sit-down", _SIT_KEYS, (1.0, 1.5), (25, 90), prop="chair", end="seated")

_ALL = (
    Action("bow", _BOW_KEYS, (1.3, 1.6), (30, 90)),
    Action("clap", _there_and_back(_CLAP[0], _CLAP[1]), (0.42, 0.62), (0, 55), cycle=True),
    Action("drink", _DRINK_KEYS, (1.3, 1.6), (0, 75), prop="cup"),
    Action("jumping-jack", _JACK, (0.85, 1.1), (0, 50), cycle=True),
    Action("kick", _KICK, (1.1, 1.5), (35, 90), cycle=True),
    _PICK_UP,
    Action("punch", _PUNCH, (0.9, 1.2), (20, 85), cycle=True),
    Action("push-up", _there_and_back(_PLANK, _PLANK_LOW), (1.1, 1.6), (60, 95), cycle=True),
    _PICK_UP.backwards("put-down"),
    Action("run", _RUN, (0.66, 0.78), (45, 90), cycle=True),
    _SIT_DOWN,
    Action("squat", _there_and_back(*_SQUAT), (1.2, 1.7), (20, 90), cycle=True),
    _SIT_DOWN.backwards("stand-up"),
    Action("throw", _THROW_KEYS, (1.2, 1.6), (30, 85), prop="ball", event=0.66),
    Action("walk", _WALK, (1.05, 1.3), (45, 90), cycle=True),
    Action("wave", _there_and_back(_WAVE[0], _WAVE[1]), (0.5, 0.75), (0, 50), cycle=True),
)
BY_NAME = {action.name: action for action in _ALL}
REST: dict[State, Floats] = {"standing": STAND, "seated": _SEATED, "holding": _CARRY}
