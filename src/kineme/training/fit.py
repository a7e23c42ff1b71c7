"""The training loop: batches in, best weights out, a checkpoint after every epoch.

A loop of our own around ``train_on_batch`` rather than ``fit``: it runs on every Keras backend, adds no input
pipeline of its own (TensorFlow's costs seconds at the end of each epoch), and can stop and go on to the same
weights, bit for bit.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.files import write_tensors
from kineme.models.backend import keras
from kineme.progress import progress
from kineme.training.augment import Augmentation
from kineme.training.background import Background
from kineme.training.cache import FrameCache, Item
from kineme.training.evaluate import score_items
from kineme.training.feed import REPORT_WAIT_ABOVE, TimedIterator, class_weights, training_batches
from kineme.training.layerwise_lr import DiscriminativeAdam, learning_rate_factors
from kineme.training.options import TrainOptions


@dataclass
class Progress:
    """Where training stands after an epoch; with the variables, all that going on needs."""

    history: list[dict[str, float]] = field(default_factory=list)
    best_loss: float = float("inf")
    best_epoch: int = 0
    waited: int = 0

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return len(self.history)


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
    label: str | None = "training",
) -> list[dict[str, float]]:
    """Train ``network`` in place.

    With validation videos, the learning rate is halved when their loss does not fall, training stops when that does
    not help, and the network ends with the weights of the best loss. Without them it sees all epochs, the
    learning rate falls to nothing along a cosine (Loshchilov and Hutter, "SGDR", ICLR 2017), and the last weights stay.

    Args:
        network: from what the cache holds, clips_BTHWC or features_BTD, to logits_BK.
        train: videos to learn from.
        validation: videos to stop by, perhaps none.
        cache: where frames come from.
        options: how to train.
        checkpoint: file written after every epoch; None where the whole training takes seconds.
        settings: what must be equal for ``resume`` to make sense (approach, data, options).
        flip: mirror half of the clips where frames are augmented.
        resume: go on from ``checkpoint``.
        backbone_weights: see :class:`kineme.training.learner.Learner`; they learn at smaller rates.
        background: learn from background too, see :mod:`kineme.training.background`; accuracy then counts it.
        label: what the progress bar says; None shows none.

    Returns:
        History: one dict an epoch with epoch, loss, accuracy, val_loss, val_accuracy, learning_rate, feed_share
        (of the time of its steps, how much was spent waiting for clips), seconds.

    Raises:
        KinemeError: ``resume`` without a checkpoint, or one of other settings.
    """
    classes = network.output.shape[-1]
    _prepare(network, options.learning_rate, backbone_weights, background)
    best = [np.array(weight) for weight in network.get_weights()]
    state = Progress()
    if resume and checkpoint:
        state, best = _load_checkpoint(checkpoint, network, settings)
    changed = options.augment and not cache.encoder
    augmentation = Augmentation(flip=flip) if changed else None
    views = options.num_views(cache.encoder)
    weights_K = class_weights(train, classes)
    made = Background(train, cache) if background else None
    devices = keras.distribution.distribution()  # kineme.training.devices.SharedOut; None is one device

    with progress(label, options.epochs) as advance:
        if state.epoch:
            advance(state.epoch, f"resumed after epoch {state.epoch}")
        while state.epoch < options.epochs and state.waited < options.patience:
            started = time.perf_counter()
            if not validation:
                share = (1 + math.cos(math.pi * state.epoch / options.epochs)) / 2
                network.optimizer.learning_rate = options.learning_rate * share
            sums = np.zeros(3)
            batches = TimedIterator(
                training_batches(
                    train,
                    cache,
                    batch_size=options.effective_batch_size,
                    seed=options.seed,
                    epoch=state.epoch,
                    augmentation=augmentation,
                    views=views,
                    class_weights_K=weights_K,
                    background=made,
                )
            )
            for batch in batches:
                clips_BTHWC, labels_B, weights_B = devices.share(batch) if devices else batch
                logs = network.train_on_batch(clips_BTHWC, labels_B, sample_weight=weights_B, return_dict=True)
                sums += len(batch[1]) * np.array([logs["loss"], logs["accuracy"], 1.0])
            trained_s = time.perf_counter() - started
            loss, accuracy = (sums[:2] / sums[2]).tolist()
            row = {"epoch": state.epoch + 1, "loss": loss, "accuracy": accuracy}
            if validation:
                row["val_loss"], row["val_accuracy"] = _loss_and_accuracy(network, validation, cache)
            row = devices.agreed(row) if devices else row
            row["learning_rate"] = float(network.optimizer.learning_rate)
            row["feed_share"] = round(batches.seconds / trained_s, 3)
            row["seconds"] = round(time.perf_counter() - started, 3)
            if not np.isfinite(row["loss"]):
                raise KinemeError(
                    f"training diverged in epoch {state.epoch + 1} (the loss is no number); "
                    f"try a smaller --learning-rate than {options.learning_rate:g}"
                )
            state.history.append(row)
            if not validation or row["val_loss"] < state.best_loss:
                state.best_loss, state.best_epoch, state.waited = row.get("val_loss", row["loss"]), state.epoch, 0
                best = [np.array(weight) for weight in network.get_weights()]
            else:
                state.waited += 1
                if state.waited % max(1, options.patience // 3) == 0:
                    network.optimizer.learning_rate = float(network.optimizer.learning_rate) / 2
            if checkpoint:
                _save_checkpoint(checkpoint, network, best, state, settings)
            advance(1, _note(row, state, len(train)))
        if state.waited >= options.patience:
            advance(0, f"stopped early; epoch {state.best_epoch} was best")
    network.set_weights(best)
    return state.history


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
    from scipy.special import log_softmax

    logits_NK = score_items(network, items, cache)
    truth_N = np.array([item.label for item in items])
    losses_N = -log_softmax(logits_NK.astype(np.float64), axis=1)[np.arange(len(items)), truth_N]
    return float(losses_N.mean()), float((logits_NK.argmax(axis=1) == truth_N).mean())


def _variables(network: Any) -> dict[str, Any]:
    """Everything a step changes, random seeds and the optimiser's state among it, under names that do not vary."""
    named = {f"network/{number}": variable for number, variable in enumerate(network.variables)}
    named |= {f"optimizer/{number}": variable for number, variable in enumerate(network.optimizer.variables)}
    return named


def _save_checkpoint(
    path: Path, network: Any, best: list[NDArray[Any]], state: Progress, settings: dict[str, Any]
) -> None:
    tensors = {name: np.asarray(keras.ops.convert_to_numpy(value)) for name, value in _variables(network).items()}
    tensors |= {f"best/{number}": weight for number, weight in enumerate(best)}
    write_tensors(path, tensors, {"state": json.dumps(asdict(state)), "settings": json.dumps(settings)})


def _load_checkpoint(path: Path, network: Any, settings: dict[str, Any]) -> tuple[Progress, list[NDArray[Any]]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise KinemeError(f"{path}: there is no checkpoint to resume from; train without --resume")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata()
            then = json.loads(metadata["settings"])
            for key in sorted(settings.keys() | then.keys()):
                if settings.get(key) != then.get(key):
                    raise KinemeError(
                        f"{path}: cannot resume, since {key} was {then.get(key)!r} and is now {settings.get(key)!r}; "
                        "use the same data and options, or train without --resume"
                    )
            for name, variable in _variables(network).items():
                variable.assign(file.get_tensor(name))
            best = [file.get_tensor(f"best/{number}") for number in range(len(network.get_weights()))]
            return Progress(**json.loads(metadata["state"])), best
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise KinemeError(f"{path}: the checkpoint cannot be read ({error}); train without --resume") from error
