"""Background stands still, or its middle lies outside the movement of its clip; and training learns from it."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_dataset import make_videos

from kineme.dataset.scan import scan
from kineme.training.augment import Augmentation
from kineme.training.background import SHARE, Background
from kineme.training.cache import FrameCache
from kineme.training.feed import training_batches
from kineme.video.spec import ClipSpec
from kineme.video.write import VideoWriter


@pytest.fixture(scope="module")
def items_and_cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("background")
    table = scan(make_videos(folder / "data", people=2))
    cache = FrameCache(ClipSpec(frames=6), folder=folder / "cache")
    return cache.prepare(table, table.labels)[1], cache


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """One clip: a square stands still for a second, moves for a second, and stands still again."""
    folder = tmp_path_factory.mktemp("held")
    for label in ("a", "b"):
        (folder / label).mkdir()
        with VideoWriter(folder / label / "x.mp4", width=64, height=64, fps=25) as writer:
            for number in range(75):
                frame = np.zeros((64, 64, 3), np.uint8)
                left = int(np.clip(number - 25, 0, 25) * 1.5)
                frame[20:40, left : left + 20] = 255
                writer.write(frame)
    table = scan(folder)
    cache = FrameCache(ClipSpec(frames=10), folder=folder / "cache")
    return cache.prepare(table, table.labels)[1], cache


def lefts(window_THWC: np.ndarray) -> np.ndarray:
    """Where the square is in each frame."""
    return (window_THWC[:, 30, :, 0] > 128).argmax(axis=1)


def changes(window_THWC: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(window_THWC.astype(int), axis=0)).mean(axis=(1, 2, 3))


def test_the_middle_of_background_never_shows_the_movement_and_that_of_a_partly_seen_clip_does(held):
    items, cache = held
    background = Background(items, cache)
    moved, seen = 0, []
    for number in range(200):
        rng = np.random.default_rng(number)
        at = lefts(background.negative_window(0, 0, rng))
        if np.ptp(at) > 12:  # more than a held moment wobbles: it is seen from outside
            moved += 1
            assert np.ptp(at[4:6]) <= 4
            assert at[4] < 6 or at[4] > 32
        middle = lefts(background.positive_window(0, 0, np.random.default_rng(number)))[4:6].mean()
        seen.append(middle)
    assert moved > 8
    assert np.mean([4 < one < 34 for one in seen]) > 0.6  # a third, if the clip were seen anywhere
    assert np.ptp(seen) > 20


def test_background_of_a_clip_that_always_moves_still_has_a_still_middle(items_and_cache):
    items, cache = items_and_cache
    background = Background(items, cache)
    typical = np.mean([changes(cache.window(item, 0)).mean() for item in items])
    middles = [
        changes(background.negative_window(number % len(items), 0, np.random.default_rng(number)))[2]
        for number in range(60)
    ]
    assert np.median(middles) < typical / 2


def test_batches_carry_background_labelled_past_the_classes_and_are_the_same_each_time(items_and_cache):
    items, cache = items_and_cache

    def batches(background):
        settings = {"batch_size": 4, "seed": 0, "epoch": 0, "augmentation": Augmentation()}
        ones = np.ones(2, np.float32)
        return list(training_batches(items, cache, class_weights_K=ones, background=background, **settings))

    first, second = batches(Background(items, cache)), batches(Background(items, cache))
    ((clips, labels, weights),), ((same, _, _),) = first, second
    np.testing.assert_array_equal(clips, same)
    assert (labels == 2).sum() == SHARE * 4
    assert len(clips) == len(labels) == len(weights) == 6
    assert (batches(None)[0][1] < 2).all()
