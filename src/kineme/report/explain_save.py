"""Saving explanations: one file for each format asked for, and the document of ``--json``."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.files import write_json
from kineme.models.poses import Pose, PoseEncoder
from kineme.prediction.explain.explain import Explanation
from kineme.prediction.trained import TrainedModel
from kineme.report.explain_drawing import Drawer
from kineme.report.save import claimed_name
from kineme.text import file_stem
from kineme.video.container import PathLike

FORMATS = ("png", "mp4", "json")
_ENDING = "-explained"  # so that nothing of a prediction is replaced
_SUFFIXES = tuple(f".{one}" for one in FORMATS)


def save_explanation(
    found: Explanation,
    formats: tuple[str, ...],
    folder: Path,
    model: TrainedModel,
    on_warning: Callable[[str], None] | None = None,
    *,
    video: PathLike | None = None,
    name: str | None = None,
) -> list[Path]:
    """Write an explanation as ``folder/NAME-explained.png``, ``.mp4`` and ``.json``.

    A name that is taken by another source, or by another label of this one, gets a number.

    Args:
        found: what to write.
        formats: some of ``FORMATS``.
        folder: where to.
        model: that was explained.
        on_warning: called with one line about what could not be kept.
        video: the file, where that is not ``found.source``.
        name: of the files, without suffix; by default that of the source.

    Returns:
        The files that were asked for.

    Raises:
        KinemeError: a file cannot be written.
    """
    if not formats:
        return []
    video = video or Path(found.source)
    name = f"{file_stem(name or Path(found.source).stem)}{_ENDING}"
    with claimed_name(folder, name, _SUFFIXES, found.source, label=found.label) as stem:
        paths = {one: folder / f"{stem}.{one}" for one in (*formats, "json")}
        drawer = drawer_of(found, model)
        if "png" in formats:
            from kineme.report.explain_picture import explain_picture

            explain_picture(found, video, paths["png"], drawer)
        if "mp4" in formats:
            from kineme.report.explain_video import explain_video

            explain_video(found, video, paths["mp4"], drawer, on_warning=on_warning)
        write_json(paths["json"], document(found, maps=True))  # always: it also says what a name stands for
        return [paths[one] for one in formats]


def drawer_of(found: Explanation, model: TrainedModel) -> Drawer:
    """What draws an explanation on frames; for a model on landmarks it follows the people at the video's full rate."""
    explained = next((one for one in model.members if one.card is found.card), model)  # of a joined model, one member
    return Drawer(found, _finder(explained.poses) if explained.poses else None)


def document(found: Explanation, *, maps: bool = False) -> dict[str, Any]:
    """The document of ``--json``; with ``maps`` that of ``--save json``, which holds heat maps and joints too.

    ``heat_maps.data`` is the base64 of ``heat_maps.shape`` bytes; a byte times ``heat_maps.scale`` is the value.
    """
    prediction = found.prediction
    said: dict[str, Any] = {
        "source": found.source,
        "model": prediction.model,
        "label": found.label,
        "probability": round(found.probability, 4),
        "top": [{"label": label, "probability": round(share, 4)} for label, share in prediction.top[:5]],
        "duration_s": round(prediction.duration_s, 3),
        "fps": round(prediction.fps, 3),
        "method": found.method,
        "decided": [
            {"start_s": round(one.start_s, 3), "end_s": round(one.end_s, 3), "share": round(one.share, 4)}
            for one in found.salient_spans
        ],
        "times_s": found.times_N.round(4).tolist(),
        "strips": {method: strip_N.round(5).tolist() for method, strip_N in found.attributions.items()},
        "unit": "log-odds of the label",
    }
    if found.joints_NL is not None:
        names = found.joint_names
        spoke_L = found.joints_NL.mean(axis=0)
        order = np.argsort(-spoke_L, kind="stable").tolist()
        said["joints"] = [{"joint": names[joint], "mean": round(float(spoke_L[joint]), 6)} for joint in order]
    if maps and found.heat_NHW is not None:
        said["heat_maps"] = _packed(found.heat_NHW) | {"fit": found.card.spec.fit}
    if maps and found.joints_NL is not None:
        said["joint_maps"] = _packed(found.joints_NL) | {"joints": found.joint_names}
    said["warnings"] = [*prediction.warnings, *found.warnings]
    return said


def _packed(values: NDArray[np.float32]) -> dict[str, Any]:
    scale = float(values.max()) / 255 or 1.0
    data = np.rint(values / scale).astype(np.uint8).tobytes()
    return {"shape": list(values.shape), "scale": scale, "data": base64.b64encode(data).decode("ascii")}


def _finder(encoder: PoseEncoder) -> Callable[[NDArray[np.uint8], float | None], list[Pose]]:
    follow, look = encoder.finder(), encoder.finder()
    return lambda frame_HWC, time_s: (look if time_s is None else follow).find(frame_HWC, time_s)
