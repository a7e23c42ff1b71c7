"""Baselines without a video network, with which every result is compared."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.neighbors import NearestNeighbors

from kineme.dataset.table import ClipTable
from kineme.models.encoder import Encoder
from kineme.models.scoring import softmax
from kineme.training.cache import FrameCache
from kineme.training.items import Item, parts_of
from kineme.training.linear_weights import solve
from kineme.training.places import FRAMES, Backgrounds, person_mask
from kineme.video.spec import ClipSpec

_FRAMES = 4  # of each video, for the single-frame rule
_MOVES = 10.0  # standard deviation of a pixel's brightness over time, of 255


def baseline_predictions(
    table: ClipTable, *, frame_cache: FrameCache | None = None, backgrounds: Backgrounds | None = None
) -> dict[str, NDArray[np.int64]]:
    """What simple rules answer for the test videos.

    Args:
        table: the readable videos with their split.
        frame_cache: a cache that holds their frames already; else they are decoded once more, small.
        backgrounds: makes their backgrounds; by default without people, where a mask of them is on this machine.

    Returns:
        Answers_N, in the order of the rows of the test split: ``majority`` and ``background_only`` (see
        :func:`simple_predictions`); and ``single_frame`` (see :func:`single_frame_predictions`), on ImageNet features,
        where those weights are on this machine.
    """
    frame_cache = frame_cache or small_frames()
    parts = parts_of(*frame_cache.prepare(table, table.labels))
    make_background = backgrounds or Backgrounds(person_mask())

    def background_of(item: Item) -> NDArray[np.float32]:
        return make_background(frame_cache.records(item, np.linspace(0, item.ticks - 1, FRAMES).astype(int).tolist()))

    train_N = np.array([item.label for item in parts["train"]])
    of_parts = [np.stack([background_of(item) for item in parts[name]]) for name in ("train", "test")]
    predictions = simple_predictions(train_N, len(parts["test"]), *of_parts)
    images = image_features()
    if images:
        parts = parts_of(*images.prepare(table, table.labels))
        train_NFD, test_NFD = (np.stack([images.window(item, 0) for item in parts[name]]) for name in ("train", "test"))
        predictions["single_frame"] = single_frame_predictions(train_NFD, train_N, test_NFD)
    return predictions


def simple_predictions(
    train_labels_N: ArrayLike,
    test_count: int,
    background_train_ND: NDArray[np.float32],
    background_test_ND: NDArray[np.float32],
) -> dict[str, NDArray[Any]]:
    """What two rules answer without looking at any movement.

    Args:
        train_labels_N: labels (names or numbers) of the training clips.
        test_count: number of test clips.
        background_train_ND: :func:`~kineme.training.places.background` of each training clip.
        background_test_ND: the same of each test clip.

    Returns:
        ``majority`` (always the most frequent training label) and ``background_only`` (the label of the training clip
        with the most similar background).
    """
    train_N = np.asarray(train_labels_N)
    names, counts = np.unique(train_N, return_counts=True)
    nearest_N = (
        NearestNeighbors(n_neighbors=1)
        .fit(background_train_ND)
        .kneighbors(background_test_ND, return_distance=False)[:, 0]
    )
    return {
        "majority": np.full(test_count, names[counts.argmax()]),
        "background_only": train_N[nearest_N],
    }


def single_frame_predictions(
    train_NFD: NDArray[np.float32], train_labels_N: ArrayLike, test_NFD: NDArray[np.float32]
) -> NDArray[Any]:
    """What a logistic regression answers that sees frames one by one, from the mean of its log-probabilities.

    Args:
        train_NFD: features of F frames of each training clip.
        train_labels_N: labels of the training clips.
        test_NFD: features of F frames of each test clip.
    """
    names, numbers_N = np.unique(np.asarray(train_labels_N), return_inverse=True)
    labels_W = numbers_N.repeat(train_NFD.shape[1])
    weights = solve(train_NFD.reshape(len(labels_W), -1), labels_W, np.ones(len(labels_W)), len(names))
    logits_WK = weights.logits(test_NFD.reshape(-1, test_NFD.shape[-1]))
    shares_NFK = softmax(logits_WK).reshape(*test_NFD.shape[:2], -1)
    scores_NK = np.log(np.maximum(shares_NFK, 1e-12)).mean(axis=1)  # a share may be 0
    return np.asarray(names[scores_NK.argmax(axis=1)])


def moving_share(frames_THWC: NDArray[np.uint8]) -> float:
    """Share of the picture that changes during a clip, 0 to 1: pixels whose brightness deviates clearly over time."""
    return float(np.mean(frames_THWC.mean(axis=3).std(axis=0) > _MOVES))


def small_frames() -> FrameCache:
    """Gives frames, small, where training keeps none."""
    return FrameCache(ClipSpec(), per_frame=1)


def image_features() -> FrameCache | None:
    """Gives ImageNet features of frames spread over a video; None without the weights."""
    from kineme.models import weights
    from kineme.models.backbones.efficientnet_lite0 import SIZE
    from kineme.models.backbones.efficientnet_lite0 import WEIGHTS as IMAGE_WEIGHTS

    if not weights.find(IMAGE_WEIGHTS.name):
        return None
    spec = ClipSpec(frames=_FRAMES, fps=None, height=SIZE, width=SIZE)
    return FrameCache(spec, _image_encoder(spec), per_frame=1)


@functools.cache
def _image_encoder(spec: ClipSpec) -> Encoder | None:
    """Building the network takes a second, and every fold asks for it."""
    from kineme.models.approaches.single_frame import SingleFrame
    from kineme.models.backbones.efficientnet_lite0 import EFFICIENTNET_LITE0
    from kineme.models.network import build_network, frozen_encoder

    approach = SingleFrame(backbone=EFFICIENTNET_LITE0.name)
    return frozen_encoder(build_network(approach, spec, classes=2, pretrained=True, frozen=True), approach)
