"""The training loop: batches in, best weights out, calibrated; a checkpoint after every epoch.

A loop of our own around ``train_on_batch`` rather than ``fit``: it runs on every Keras backend, adds no input
pipeline of its own (TensorFlow's costs seconds at the end of each epoch), and can stop and continue to the same
weights, bit for bit.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.models.backend import keras
from kineme.progress import progress
from kineme.training.augment import Augmentation
from kineme.training.background import Background
from kineme.training.cache import FrameCache
from kineme.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from kineme.training.evaluate import loss_and_accuracy, mean_of_windows, score_items, score_windows
from kineme.training.feed import REPORT_WAIT_ABOVE, TimedIterator, class_weights, training_batches
from kineme.training.items import Item
from kineme.training.layerwise_lr import DiscriminativeAdam, learning_rate_factors
from kineme.training.learner import Learner
from kineme.training.linear import LinearResult, fit_linear
from kineme.training.metrics import fit_temperature
from kineme.training.options import TrainOptions


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Videos, perhaps none, and how a network scored them that had not learned from them.

    Args:
        items: the validation videos; behind a solved head all training videos, of which each was once left out.
        logits_WK: of their windows.
        item_W: number of the video of each window.
    """

    items: Sequence[Item]
    logits_WK: NDArray[np.float32]
    item_W: NDArray[np.int64]

    @property
    def video_logits(self) -> NDArray[np.float32]:
        """Logits_NK of the videos."""
        return mean_of_windows(self.logits_WK, self.item_W)

    @property
    def truth(self) -> NDArray[np.int64]:
        """The class of each video, (N,)."""
        return np.array([item.label for item in self.items], np.int64)

    @property
    def temperature(self) -> float:
        """That makes the right classes likeliest."""
        return fit_temperature(self.video_logits, self.truth) if self.items else 1.0


@dataclass(frozen=True)
class TrainingResult:
    """What one training gives beside the weights.

    Args:
        history: one dict an epoch.
        temperature: that makes the probabilities of the held-out videos likeliest; 1 without them.
        held_out: videos, and how a network scored them that had not learned from them.
        solved: where the head was solved: with it, what whole videos need.
    """

    history: list[dict[str, float]]
    temperature: float
    held_out: HeldOut
    solved: LinearResult | None = None


def train_once(
    learner: Learner,
    parts: dict[str, list[Item]],
    cache: FrameCache,
    options: TrainOptions,
    *,
    checkpoint: Path | None,
    settings: dict[str, Any],
    resume: bool = False,
    background: bool = False,
    gaps: Mapping[str, Sequence[Item]] = MappingProxyType({}),
    label: str | None = "training",
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> TrainingResult:
    """Train what the learner has to train, and calibrate it.

    Args:
        learner: as :meth:`kineme.training.learner.Learner.reset_weights` leaves it.
        parts: the videos of each split.
        cache: from :meth:`kineme.training.learner.Learner.cache`, with all of them prepared.
        options: how to train.
        checkpoint: see :func:`kineme.training.fit.fit`.
        settings: values that must be equal for ``resume``.
        resume: continue from ``checkpoint``.
        background: learn time without actions, see :mod:`kineme.training.background`.
        gaps: background of each split that was filmed.
        label: what the progress bar says; None shows none.
        on_epoch: called with each row of the history; when resumed, with the earlier rows first.

    Raises:
        KinemeError: training diverged, or cannot be resumed.
    """
    flip = options.flips(tuple(settings["labels"]))
    if learner.is_solved:
        found = fit_linear(
            learner,
            [*parts["train"], *parts["validation"]],
            cache,
            mirrored=options.augment and flip,
            gaps=[*gaps.get("train", ()), *gaps.get("validation", ())] if background else (),
            label=label,
        )
        for row in found.history:
            on_epoch(row)
        held_out = HeldOut(found.held_out, found.scores_WS[:, : learner.classes], found.item_W)
        return TrainingResult(found.history, held_out.temperature, held_out, found)
    views = options.num_views(learner.encoder)
    if views:
        cache.add_views([*parts["train"], *gaps.get("train", ())], Augmentation(flip=flip), views)
    history = fit(
        learner.trained,
        parts["train"],
        parts["validation"],
        cache,
        options,
        checkpoint=checkpoint,
        settings=settings,
        flip=flip,
        resume=resume,
        backbone_weights=learner.backbone_weights,
        background=background,
        gaps=gaps,
        label=label,
        on_epoch=on_epoch,
    )
    held_out = HeldOut(parts["validation"], *score_windows(learner.trained, parts["validation"], cache))
    return TrainingResult(history, held_out.temperature, held_out)


def fit(
    network: Any,
    train: Sequence[Item],
    validation: Sequence[Item],
    cache: FrameCache,
    options: TrainOptions,
    *,
    checkpoint: Path | None,
    settings: dict[str, Any],
    flip: bool = True,
    resume: bool = False,
    backbone_weights: int = 0,
    background: bool = False,
    gaps: Mapping[str, Sequence[Item]] = MappingProxyType({}),
    label: str | None = "training",
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> list[dict[str, float]]:
    """Train ``network`` in place.

    With validation videos, the learning rate is halved when their loss does not fall, training stops when that does
    not help, and the network ends with the weights of the best loss. Without them it sees all epochs, the
    learning rate falls to nothing along a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017), and the last weights stay.

    Args:
        network: from what the cache holds, clips_BTHWC or features_BTD, to logits_BK.
        train: videos to learn from.
        validation: videos for early stopping, perhaps none.
        cache: where frames come from.
        options: how to train.
        checkpoint: file written after every epoch; None where the whole training takes seconds.
        settings: what must be equal for ``resume`` to make sense (approach, data, options).
        flip: mirror half of the clips where frames are augmented.
        resume: continue from ``checkpoint``.
        backbone_weights: see :class:`kineme.training.learner.Learner`; they learn at smaller rates.
        background: learn from background too, see :mod:`kineme.training.background`; accuracy then counts it.
        gaps: background of each split that was filmed; other videos give none, but have it made of them.
        label: what the progress bar says; None shows none.
        on_epoch: called with each row of the history; when resumed, with the earlier rows first.

    Returns:
        History: one dict an epoch with epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, feed_share
        (of the time of its steps, how much was spent waiting for clips), seconds.

    Raises:
        KinemeError: ``resume`` without a checkpoint, or one of other settings.
    """
    _prepare(network, options.learning_rate, backbone_weights, background)
    best = [np.array(weight) for weight in network.get_weights()]
    state = Progress()
    if resume and checkpoint:
        state, best = load_checkpoint(checkpoint, network, settings)
    for row in state.history:
        on_epoch(row)
    batches_of = _feed(network, train, cache, options, flip, gaps.get("train", ()) if background else None)
    held_out = [*validation, *gaps.get("validation", ())] if validation else []
    with progress(label, options.epochs) as advance:
        if state.epoch:
            advance(state.epoch, f"resumed after epoch {state.epoch}")
        while state.epoch < options.epochs and state.waited < options.patience:
            if not validation:
                share = (1 + math.cos(math.pi * state.epoch / options.epochs)) / 2
                network.optimizer.learning_rate = options.learning_rate * share
            row = _epoch(network, batches_of(state.epoch), held_out, cache, state.epoch + 1)
            if not np.isfinite(row["loss"]):
                raise KinemeError(
                    f"training diverged in epoch {state.epoch + 1} (the loss is no number); "
                    f"try a smaller --learning-rate than {options.learning_rate:g}"
                )
            if state.add(row):
                best = [np.array(weight) for weight in network.get_weights()]
            elif state.waited % max(1, options.patience // 3) == 0:
                network.optimizer.learning_rate = float(network.optimizer.learning_rate) / 2
            if checkpoint:
                save_checkpoint(checkpoint, network, best, state, settings)
            on_epoch(row)
            advance(1, _note(row, state, len(train)))
        if state.waited >= options.patience:
            advance(0, f"stopped early; epoch {state.best_epoch} was best")
    network.set_weights(best)
    return state.history


def _feed(
    network: Any,
    train: Sequence[Item],
    cache: FrameCache,
    options: TrainOptions,
    flip: bool,
    gaps: Sequence[Item] | None,
) -> Callable[[int], TimedIterator]:
    """The source of the batches of an epoch; ``gaps`` is None if no background is learned."""
    filmed = {item.path for item in gaps or ()}
    able = [number for number, item in enumerate(train) if item.path not in filmed and gaps is not None]
    made = Background(train, cache, able) if able else None
    weights_K = class_weights(train, network.output.shape[-1])

    def batches_of(epoch: int) -> TimedIterator:
        return TimedIterator(
            training_batches(
                train,
                cache,
                batch_size=options.effective_batch_size,
                seed=options.seed,
                epoch=epoch,
                augmentation=Augmentation(flip=flip) if options.augment and not cache.encoder else None,
                views=options.num_views(cache.encoder),
                class_weights_K=weights_K,
                background=made,
                gaps=gaps or (),
            )
        )

    return batches_of


def _epoch(
    network: Any, batches: TimedIterator, held_out: Sequence[Item], cache: FrameCache, epoch: int
) -> dict[str, float]:
    """Train an epoch and look at the validation videos, if any; gives its row of the history."""
    devices = keras.distribution.distribution()  # kineme.training.devices.SharedOut; None is one device
    started = time.perf_counter()
    sums = np.zeros(3)
    for batch in batches:
        clips_BTHWC, labels_B, weights_B = devices.share(batch) if devices else batch
        logs = network.train_on_batch(clips_BTHWC, labels_B, sample_weight=weights_B, return_dict=True)
        sums += len(batch[1]) * np.array([logs["loss"], logs["accuracy"], 1.0])
    if not sums[2]:
        raise KinemeError("no training video can be read any more")
    trained_s = time.perf_counter() - started
    row: dict[str, float] = {"epoch": epoch, "loss": float(sums[0] / sums[2]), "accuracy": float(sums[1] / sums[2])}
    if held_out:
        row["val_loss"], row["val_accuracy"] = _loss_and_accuracy(network, held_out, cache)
    row = devices.agreed(row) if devices else row
    row["learning_rate"] = float(network.optimizer.learning_rate)
    row["feed_share"] = round(batches.seconds / trained_s, 3)
    row["seconds"] = round(time.perf_counter() - started, 3)
    return row


def _prepare(network: Any, learning_rate: float, backbone_weights: int, background: bool) -> None:
    """Compile the network, or give one that has been trained before the optimiser's first state again."""
    if not network.compiled:
        factors = learning_rate_factors(len(network.trainable_variables), backbone_weights)
        plain = keras.optimizers.Adam(clipnorm=1.0)
        network.compile(
            optimizer=DiscriminativeAdam(factors, clipnorm=1.0) if backbone_weights else plain,
            loss=_loss if background else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            weighted_metrics=[accuracy] if background else ["accuracy"],
            jit_compile=keras.backend.backend() == "jax",  # XLA was slower on CPU with TensorFlow
        )
        network.optimizer.build(network.trainable_variables)
    for variable in network.optimizer.variables:
        variable.assign(keras.ops.zeros(variable.shape, variable.dtype))
    network.optimizer.learning_rate = learning_rate


def _loss(labels_B: Any, logits_BK: Any) -> Any:
    """Cross-entropy with background as one more class, whose logit is 0."""
    return keras.losses.sparse_categorical_crossentropy(labels_B, _with_background(logits_BK), from_logits=True)


def accuracy(labels_B: Any, logits_BK: Any) -> Any:
    """Whether the likeliest class, background among them, is the right one."""
    return keras.metrics.sparse_categorical_accuracy(labels_B, _with_background(logits_BK))


def _with_background(logits_BK: Any) -> Any:
    return keras.ops.concatenate([logits_BK, keras.ops.zeros_like(logits_BK[:, :1])], axis=1)


def _note(row: dict[str, float], state: Progress, clips: int) -> str:
    accuracy = f"accuracy {row['accuracy']:.2f}"
    if "val_accuracy" in row:
        accuracy += f", validation {row['val_accuracy']:.2f} (best epoch {state.best_epoch})"
    waits = f", {row['feed_share']:.0%} of the time waiting for clips" if row["feed_share"] > REPORT_WAIT_ABOVE else ""
    return f"{accuracy}, {clips / row['seconds']:.0f} clips/s{waits}"


def _loss_and_accuracy(network: Any, items: Sequence[Item], cache: FrameCache) -> tuple[float, float]:
    """Mean cross-entropy and top-1 of videos, each the mean of its windows."""
    logits_NK = score_items(network, items, cache)
    if any(item.label == logits_NK.shape[1] for item in items):  # background, whose logit is 0
        logits_NK = np.pad(logits_NK, ((0, 0), (0, 1)))
    return loss_and_accuracy(logits_NK, np.array([item.label for item in items]))
