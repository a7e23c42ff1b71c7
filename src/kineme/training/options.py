"""How to train: the settings that a user may choose, checked before anything slow begins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kineme.errors import UsageError

if TYPE_CHECKING:
    from kineme.models.encoder import Encoder


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """How to train.

    Args:
        epochs: at most so many passes over the training videos; without validation videos just so many.
        batch_size: clips a step; None is 16, or 4 when fine-tuning, which takes far more memory a clip.
        learning_rate: of Adam; halved when validation has not improved for a third of the patience, or falling to
            nothing by the last epoch where there is no validation.
        patience: epochs without a better validation loss before training stops.
        seed: of weights, order, windows and augmentation.
        augment: change training clips (see :class:`kineme.training.augment.Augmentation`).
        flip: mirror half of them; None does so unless a label says left or right.
        views: with a frozen backbone, augmented views of each training video whose features are computed; None is 3
            where it looks at frames one by one, 1 for landmarks, and 0 where it looks at whole windows, which is slow.
        finetune: train a pretrained backbone too, at smaller learning rates than the rest.

    Raises:
        UsageError: a value is out of its range.

    Example:
        >>> kineme.TrainOptions(epochs=30).effective_batch_size
        16
    """

    epochs: int = 100
    batch_size: int | None = None
    learning_rate: float = 1e-3
    patience: int = 20
    seed: int = 0
    augment: bool = True
    flip: bool | None = None
    views: int | None = None
    finetune: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')} must be at least 1, not {getattr(self, name)}")
        if not 0 < self.learning_rate < 10:
            raise UsageError(f"learning rate must be between 0 and 10, not {self.learning_rate}")
        if self.views is not None and not 0 <= self.views <= 100:
            raise UsageError(f"views must be from 0 to 100, not {self.views}")
        if self.seed < 0:
            raise UsageError(f"seed must not be negative, not {self.seed}")

    @property
    def effective_batch_size(self) -> int:
        """The batch size that holds."""
        return self.batch_size or (4 if self.finetune else 16)

    def num_views(self, encoder: Encoder | None) -> int:
        """Augmented views to compute behind a frozen backbone; 0 without one."""
        if encoder is None or not self.augment:
            return 0
        if self.views is not None:
            return self.views
        return encoder.views

    def flips(self, labels: tuple[str, ...]) -> bool:
        """Whether clips of these classes are mirrored."""
        if self.flip is not None:
            return self.flip
        return not any(re.search(r"(?<![a-z])(left|right)(?![a-z])", label.lower()) for label in labels)
