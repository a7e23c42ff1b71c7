"""Training options, checked before anything slow begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from kineme.errors import UsageError
from kineme.keywords import suggest_fields
from kineme.video.spec import ClipSpec

if TYPE_CHECKING:
    from kineme.models.encoder import Encoder

AUTO = "auto"  # in the place of an approach: it is chosen


@suggest_fields
@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Training options.

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


@suggest_fields
@dataclass(frozen=True, kw_only=True)
class AutoOptions:
    """Options of the default approach.

    Args:
        goal: ``"accuracy"``, or ``"live"``: the best of those that follow a stream at the cost of one frame.
        fast: use features of single frames alone.
        budget_s: seconds that features may take; candidates that do not fit are left out.
        from_scratch: use no pretrained weights.

    Raises:
        UsageError: a value is out of its range, or two exclude each other.

    Example:
        >>> kineme.AutoOptions(budget_s=600).goal
        'accuracy'
    """

    goal: Literal["accuracy", "live"] = "accuracy"
    fast: bool = False
    budget_s: float | None = None
    from_scratch: bool = False

    def __post_init__(self) -> None:
        if self.goal not in ("accuracy", "live"):
            raise UsageError(f"a model is chosen for accuracy or live, not for {self.goal!r}")
        if self.budget_s is not None and self.budget_s <= 0:
            raise UsageError(f"the budget must be more than 0 seconds, not {self.budget_s:g}")
        if self.from_scratch and (self.fast or self.budget_s is not None or self.goal != "accuracy"):
            raise UsageError("from scratch there are no features to choose from: leave out --fast, --budget and --for")


def is_chosen(
    approach: str | None,
    config: Mapping[str, Any] | None,
    wish: AutoOptions | None,
    options: TrainOptions | None,
    *,
    devices: int | str = 1,
    leaky: bool = False,
) -> bool:
    """Whether what to train is chosen on folds of the training groups.

    It is not where something says what to train: an approach, its options, fine-tuning, several devices; and not on a
    leaky split, whose groups say nothing.

    Raises:
        UsageError: there is a wish for the choice, and none is made.
    """
    said = [
        *([f"--approach {approach}"] if approach not in (None, AUTO) else []),
        *(f"--set {name}" if name != "backbone" else "--backbone" for name in config or {}),
        *(["--finetune"] if options and options.finetune else []),
        *(["--devices"] if str(devices) != "1" else []),
        *(["--leaky-random-split"] if leaky else []),
    ]
    if said and (wish is not None or approach == AUTO):
        raise UsageError(f"{said[0]} says what to train, so nothing is chosen: leave out either")
    return not said


def resolve_approach(
    approach: str | None, config: dict[str, Any] | None, *, finetune: bool = False
) -> tuple[str, dict[str, Any], ClipSpec]:
    """The approach and options that a wish means, and the clip that they are meant for.

    Where no approach is named, these are what training begins with: the default on the backbone that is named, if
    that is pretrained, and ``lrcn`` on one that is not. To be fine-tuned, it is ``lrcn`` on the fast backbone.

    Raises:
        UsageError: an unknown approach, backbone or option; a backbone that cannot be fine-tuned.
    """
    from kineme.models import registry

    config = config or {}
    backbone = config.get("backbone")
    if approach in (None, AUTO):
        backbone = backbone or (registry.FAST_BACKBONE if finetune else registry.DEFAULT_BACKBONE)
        is_solved = registry.find_backbone(backbone).is_pretrained and not finetune
        approach = registry.DEFAULT_APPROACH if is_solved else registry.FROM_SCRATCH
        config = {**(registry.DEFAULT_OPTIONS if is_solved else {}), **config}
    if backbone:
        config = registry.recommended(approach, backbone, config)
    record = registry.find_backbone(registry.make_approach(approach, config).backbone)
    if finetune:
        registry.refuse_unfit_to_finetune(record)
    return approach, config, record.spec
