"""Where the person is in the videos of a drawn set, computed from what drew it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drawn_people.make import _clip_jobs, _Job, _rate, _script, _untrimmed_jobs
from drawn_people.render import Person, Shot, _figure, times_of

_PER_PIXEL = 16  # outlines are in sixteenths of a pixel


def true_boxes(folder: Path) -> Iterator[tuple[Path, float, NDArray[np.float64]]]:
    """The box of the person in every video of a set that ``make_dataset`` made.

    Yields:
        The video; its frames per second; and boxes (T, 4) of its T frames: left, top, right, bottom in pixels, around
        the body and its clothes, without what is held and without the shadow, cut off at the edges of the frame.
    """
    made: dict[str, Any] = json.loads((folder / "synthetic.json").read_text(encoding="utf-8"))
    shared = (made["people"], tuple(made["actions"]), made["seed"], made["width"], made["height"])
    clips = _clip_jobs(folder, made["clips"], *shared, made.get("strong_scenes", False))
    for job in (*clips, *_untrimmed_jobs(folder, made["untrimmed"], *shared)):
        yield job.path, float(_rate(job)), _boxes(job)


def _boxes(job: _Job) -> NDArray[np.float64]:
    script, shot = _script(job), Shot.draw(job.generator(13), job.height, job.width)
    times = times_of(script, float(_rate(job)))
    figure, _, _ = _figure(Person.draw(job.seed, job.person), script, shot, times, job.generator(14))
    low = np.min([part.outline_TN2.min(axis=1) for part in figure.parts], axis=0) / _PER_PIXEL
    high = np.max([part.outline_TN2.max(axis=1) for part in figure.parts], axis=0) / _PER_PIXEL
    found = np.concatenate([low, high], axis=1).clip(0, [job.width, job.height, job.width, job.height])
    return found[:, [2, 1, 0, 3]] * [-1, 1, -1, 1] + [job.width, 0, job.width, 0] if shot.flipped else found
