"""Training clips of each class that a linear head keeps, by which it tells clips that show none of the classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.models.linear_head import class_distances
from kineme.models.open_set import MOST_CLIPS, NEIGHBOURS

_MOST = 1200  # of all classes together


@dataclass(frozen=True, eq=False)
class KeptClips:
    """The weights of :class:`kineme.models.linear_head.ClassDistances`.

    Args:
        clips_KRF: unit vectors, R for each class.
        is_clip_KR: 1 where there is one.
        usual: the distance that is usual for clips of the class.
        factor: 1 through its standard deviation; 0 for a member of joined backbones that is left out.
    """

    clips_KRF: NDArray[np.float32]
    is_clip_KR: NDArray[np.float32]
    usual: float = 0.0
    factor: float = 1.0

    @classmethod
    def of_nobody(cls, classes: int, clips: int, size: int) -> KeptClips:
        """Where there is nothing to learn from."""
        return cls(np.zeros((classes, clips, size), np.float32), np.zeros((classes, clips), np.float32), factor=0.0)

    def distances(self, standard_WF: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of windows to the classes, (W, K)."""
        return (class_distances(standard_WF, self.clips_KRF, self.is_clip_KR) - self.usual) * self.factor

    def standardized(self, usual: float, deviation: float) -> KeptClips:
        """The same, with distances in standard deviations above the usual."""
        return replace(self, usual=usual, factor=self.factor / deviation)

    def assign_to(self, layer: Any) -> None:
        """Write them into the layer."""
        scale = [np.array([value], np.float32) for value in (self.usual, self.factor)]
        layer.set_weights([self.clips_KRF, self.is_clip_KR, *scale])


def clips_to_keep(labels_N: NDArray[np.int64], classes: int) -> int:
    """R: how many clips are kept of a class, where so many videos are learned from."""
    counts_K = np.bincount(labels_N[labels_N < classes], minlength=classes)
    return int(np.clip(min(counts_K.max(initial=0), _MOST // classes), NEIGHBOURS, MOST_CLIPS))


def keep_clips(
    standard_WF: NDArray[np.float64], item_W: NDArray[np.int64], labels_N: NDArray[np.int64], classes: int, clips: int
) -> KeptClips:
    """Keep the mean over the windows of each video, of some videos where a class has many.

    Args:
        standard_WF: standardised features of windows.
        item_W: number of the video of each.
        labels_N: class of each video.
        classes: K.
        clips: R. A class with fewer than three videos holds them more than once.
    """
    kept = KeptClips.of_nobody(classes, clips, standard_WF.shape[1])
    for label in range(classes):
        videos = np.unique(item_W[labels_N[item_W] == label])
        if not len(videos):
            continue
        places = np.unique(np.linspace(0, len(videos) - 1, min(len(videos), clips)).round().astype(int))
        videos = np.resize(videos[places], max(len(places), NEIGHBOURS))
        for place, video in enumerate(videos.tolist()):
            mean_F = standard_WF[item_W == video].mean(axis=0)
            kept.clips_KRF[label, place] = mean_F / max(float(np.linalg.norm(mean_F)), 1e-6)
            kept.is_clip_KR[label, place] = 1
    return KeptClips(kept.clips_KRF, kept.is_clip_KR)
