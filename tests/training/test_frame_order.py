"""Frames in another order: of the video itself, before a short one is filled up to a clip."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_video import encode

from kineme.dataset.scan import scan
from kineme.errors import UsageError
from kineme.models.backend import keras
from kineme.models.encoder import WindowEncoder
from kineme.training.cache import FrameCache
from kineme.training.evaluate import score_items
from kineme.training.frame_order import reorder
from kineme.video.spec import ClipSpec


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize(
    ("order", "short", "found"),
    [
        ("ordered", "hold", [0, 1, 2, 2, 2, 2, 2]),
        ("reversed", "hold", [2, 1, 0, 0, 0, 0, 0]),
        ("frozen", "hold", [1] * 7),
        ("reversed", "loop", [2, 1, 0, 2, 1, 0, 2]),
    ],
)
def test_a_short_video_is_filled_up_after_its_frames_were_put_in_order(order, short, found):
    spec = ClipSpec(frames=7, short=short)
    clip = np.arange(3)[spec.window(0, 3)]
    assert reorder(clip, order, rng(), spec, 3).tolist() == found


def test_shuffled_frames_do_not_tell_which_of_them_came_last():
    """If the repeated last frame were shuffled with the rest, counting it would tell the end of the action."""
    spec, shuffling = ClipSpec(frames=6), rng()
    clip = np.arange(4)[spec.window(0, 4)]
    repeated = [int(np.bincount(reorder(clip, "shuffled", shuffling, spec, 4)).argmax()) for _ in range(400)]
    assert all(70 < repeated.count(frame) < 130 for frame in range(4))


def test_every_frame_of_a_long_video_is_shuffled_once():
    clip = np.arange(8)
    orders = [reorder(clip, "shuffled", np.random.default_rng(seed), ClipSpec(frames=8), 20) for seed in range(5)]
    assert all(sorted(order) == list(clip) for order in orders)
    assert len({tuple(order) for order in orders}) == 5
    with pytest.raises(UsageError, match="frame order must be one of"):
        reorder(clip, "sorted", rng(), ClipSpec(frames=8), 8)


@pytest.fixture
def grey_steps(tmp_path):
    """A folder with a video of half a second that is darkest in its first quarter and brightest in its last."""
    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        frames = [np.full((64, 64, 3), 40 + 50 * (number // 4), np.uint8) for number in range(16)]
        encode(tmp_path / label / "steps.mp4", frames, fps="32")
    return tmp_path


def brightness(spec: ClipSpec):
    """A network whose logits are the brightness of each frame, in steps of the video above."""
    clips = keras.Input((spec.frames, spec.height, spec.width, 3), dtype="uint8")
    return keras.Model(clips, (keras.ops.mean(keras.ops.cast(clips, "float32"), axis=(2, 3, 4)) - 40) / 50)


def test_short_videos_are_measured_in_another_order_as_if_they_were_filmed_so(grey_steps):
    spec = ClipSpec(frames=6, fps=8.0, height=32, width=32)
    cache = FrameCache(spec, folder=grey_steps / "cache")
    _, items = cache.prepare(scan(grey_steps), ("a", "b"))
    found = {
        order: score_items(brightness(spec), items, cache, frame_order=order)[0] for order in ("ordered", "reversed")
    }
    np.testing.assert_allclose(found["ordered"], [0, 1, 2, 3, 3, 3], atol=0.1)
    np.testing.assert_allclose(found["reversed"], [3, 2, 1, 0, 0, 0], atol=0.1)


def test_so_are_they_by_an_encoder_of_whole_clips(grey_steps):
    spec = ClipSpec(frames=6, fps=8.0, height=32, width=32)
    see = WindowEncoder("brightness", lambda clip: clip.mean((2, 3), np.float32)[:, :1], (6, 1), views=0)
    cache = FrameCache(spec, see, per_frame=1, folder=grey_steps / "cache")
    _, items = cache.prepare(scan(grey_steps), ("a", "b"))
    np.testing.assert_allclose((cache.reordered(items[0], "reversed")[:, 0] - 40) / 50, [3, 2, 1, 0, 0, 0], atol=0.1)
