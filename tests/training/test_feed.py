"""Batches and augmentation: repeatable, consistent within a clip, and fair to small classes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers_dataset import make_videos

from kineme.dataset.scan import scan
from kineme.training.augment import Augmentation
from kineme.training.cache import FrameCache
from kineme.training.feed import TimedIterator, class_weights, training_batches
from kineme.video.spec import ClipSpec


@pytest.fixture(scope="module")
def items_and_cache(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feed")
    table = scan(make_videos(folder / "data", people=4))
    cache = FrameCache(ClipSpec(frames=6), folder=folder / "cache")
    return cache.prepare(table, table.labels)[1], cache


def epoch_of(items, cache, **changes):
    settings = {"batch_size": 3, "seed": 0, "epoch": 0, "augmentation": Augmentation()} | changes
    return list(training_batches(items, cache, class_weights_K=np.ones(2, np.float32), **settings))


def test_an_epoch_shows_every_video_once_and_is_the_same_each_time(items_and_cache):
    items, cache = items_and_cache
    first, second = epoch_of(items, cache), epoch_of(items, cache)
    assert [len(labels) for _, labels, _ in first] == [3, 3, 2]
    assert sum((labels == 0).sum() for _, labels, _ in first) == 4
    for (clips, labels, _), (same_clips, same_labels, _) in zip(first, second, strict=True):
        assert clips.dtype == np.uint8
        np.testing.assert_array_equal(clips, same_clips)
        np.testing.assert_array_equal(labels, same_labels)


@pytest.mark.parametrize("change", [{"epoch": 1}, {"seed": 1}])
def test_another_epoch_or_seed_shows_other_clips(items_and_cache, change):
    items, cache = items_and_cache
    assert any(
        (one[0] != other[0]).any()
        for one, other in zip(epoch_of(items, cache), epoch_of(items, cache, **change), strict=True)
    )


def test_all_frames_of_a_clip_are_changed_alike():
    frame = np.random.default_rng(0).integers(0, 256, (64, 48, 3), np.uint8)
    changed = Augmentation()(np.stack([frame] * 5), np.random.default_rng(3))
    assert changed.shape == (5, 64, 48, 3)
    assert (changed[0] != frame).any()
    for other in changed[1:]:
        np.testing.assert_array_equal(other, changed[0])


def test_half_of_the_clips_are_mirrored_unless_told_not_to():
    frame = np.zeros((64, 64, 3), np.uint8)
    frame[:, :32] = 200  # bright on the left

    def share_bright_right(augmentation):
        changed = [augmentation(frame[None], np.random.default_rng(seed))[0] for seed in range(200)]
        return np.mean([one[:, 40:].mean() > one[:, :24].mean() for one in changed])

    assert 0.35 < share_bright_right(Augmentation()) < 0.65
    assert share_bright_right(Augmentation(flip=False)) == 0


def test_a_mirrored_clip_is_exactly_the_mirror_image():
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    still = Augmentation(zoom=0, shift=0, rotate=0, light=0)
    results = [still(frame[None], np.random.default_rng(seed))[0] for seed in range(20)]
    mirrored = [result for result in results if (result != frame).any()]
    assert 0 < len(mirrored) < 20
    for result in mirrored:
        np.testing.assert_array_equal(result, frame[:, ::-1])


def test_class_weights_make_classes_count_alike(items_and_cache):
    items, _ = items_and_cache
    unbalanced = [item for item in items if item.label == 0] + [item for item in items if item.label == 1][:1]
    weights_K = class_weights(unbalanced, 2)
    assert weights_K[0] * 4 == pytest.approx(weights_K[1] * 1)
    np.testing.assert_allclose(class_weights(items, 2), 1)


def test_waiting_for_batches_is_counted_and_the_work_between_them_is_not():
    now = [0.0]

    def slow():
        for number in range(3):
            now[0] += 2.0
            yield number

    batches = TimedIterator(slow(), clock=lambda: now[0])
    for number, got in enumerate(batches):
        assert got == number
        now[0] += 100.0
    assert batches.seconds == 6.0
