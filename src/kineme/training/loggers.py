"""Loggers: the figures of a training in TensorBoard, MLflow or Weights & Biases, beside those of the run folder.

Keras' callbacks for these expect its ``fit``, and the one for TensorBoard needs TensorFlow whatever the backend is. The
training loop here is Kineme's own, so each logger is a few lines on its library.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from kineme.errors import KinemeError, UsageError
from kineme.text import json_text

TENSORBOARD = "tensorboard"  # folder within the run folder
_FINAL = {
    "test": ("top1", "macro_f1", "calibration_error", "n"),
    "validation": ("top1", "macro_f1"),
}


class Logger(Protocol):
    """Where the figures of one training go."""

    def log(self, figures: Mapping[str, float], epoch: int) -> None:
        """Log figures as those of an epoch, from 1 on."""

    def close(self, status: str) -> None:
        """End the run: ``"FINISHED"``, ``"FAILED"`` or ``"KILLED"``."""


class _TensorBoard:
    """Event files in the folder ``tensorboard`` of the run."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        from tensorboard.summary import Writer

        shutil.rmtree(folder / TENSORBOARD, ignore_errors=True)  # resumed: all epochs are logged again
        self._writer = Writer(str(folder / TENSORBOARD))

    def log(self, figures: Mapping[str, float], epoch: int) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step=epoch)
        self._writer.flush()

    def close(self, status: str) -> None:
        self._writer.close()


class _MLflow:
    """A run of MLflow, where its settings say; one that the caller has begun is used, and left open."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import mlflow

        self._mlflow, self._is_own = mlflow, mlflow.active_run() is None
        if self._is_own:
            if "MLFLOW_EXPERIMENT_NAME" not in os.environ and "MLFLOW_EXPERIMENT_ID" not in os.environ:
                mlflow.set_experiment("kineme")
            mlflow.start_run(run_name=folder.name)
        mlflow.log_params({**settings, "run_folder": str(folder.resolve())})

    def log(self, figures: Mapping[str, float], epoch: int) -> None:
        self._mlflow.log_metrics(dict(figures), step=epoch)

    def close(self, status: str) -> None:
        if self._is_own:
            self._mlflow.end_run(status)


class _Wandb:
    """An offline run of Weights & Biases in the folder ``wandb`` of the run; ``WANDB_MODE=online`` sends it."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        import wandb

        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "kineme"),
            name=folder.name,
            dir=str(folder),
            config=dict(settings),
            mode=os.environ.get("WANDB_MODE", "offline"),
        )

    def log(self, figures: Mapping[str, float], epoch: int) -> None:
        self._run.log({"epoch": epoch, **figures})

    def close(self, status: str) -> None:
        self._run.finish(exit_code=0 if status == "FINISHED" else 1)


LOGGERS: dict[str, Callable[[Path, Mapping[str, Any]], Logger]] = {
    "tensorboard": _TensorBoard,
    "mlflow": _MLflow,
    "wandb": _Wandb,
}


def check_loggers(names: str | Sequence[str]) -> tuple[str, ...]:
    """Check before anything slow begins that there are such loggers; gives their names.

    Raises:
        UsageError: there is no logger of that name.
        KinemeError: its library is not installed.
    """
    names = (names,) if isinstance(names, str) else tuple(dict.fromkeys(names))
    for name in names:
        if name not in LOGGERS:
            raise UsageError(f"--log {name}: choose from {', '.join(LOGGERS)}")
        spec = find_spec(name)
        if spec is None or spec.origin is None:  # the latter is a folder of that name, such as W&B leaves
            raise KinemeError(f"--log {name}: needs {name}; pip install 'kineme[{name}]'")
    return names


class TrainingLog:
    """The loggers of one training. One that fails is left out from then on, and the training continues.

    Attributes:
        loggers: those that work, by name.
        notes: which of them failed, and why.
    """

    def __init__(self) -> None:
        self.loggers: dict[str, Logger] = {}
        self.notes: list[str] = []

    def epoch(self, row: Mapping[str, float]) -> None:
        """Log a row of the history."""
        figures = {name: value for name, value in row.items() if name != "epoch"}
        self._each(lambda logger: logger.log(figures, int(row["epoch"])))

    def result(self, document: Mapping[str, Any], epoch: int) -> None:
        """Log the figures of ``metrics.json`` that one looks at first, as those of the last epoch."""
        figures = final_figures(document)
        self._each(lambda logger: logger.log(figures, epoch))

    def close(self, status: str) -> None:
        """End the run of each logger."""
        self._each(lambda logger: logger.close(status))

    def _each(self, use: Callable[[Logger], None]) -> None:
        for name, logger in list(self.loggers.items()):
            try:
                with redirect_stdout(sys.stderr):  # standard output is the result's
                    use(logger)
            except Exception as error:  # of any kind: a library for logging must not end a training
                del self.loggers[name]
                self.notes.append(f"--log {name} stopped: {_first_line(error)}")


@contextmanager
def training_log(names: Sequence[str], folder: Path, settings: Mapping[str, Any]) -> Iterator[TrainingLog]:
    """Begin a run of each logger, and end it however the block ends.

    Args:
        names: of :data:`LOGGERS`.
        folder: the run folder.
        settings: of the training, as in ``metrics.json`` under ``model``.

    Raises:
        KinemeError: a logger cannot begin.
    """
    from kineme.training.devices import is_first_process

    log, flat = TrainingLog(), flat_settings(settings)
    status = "FAILED"
    try:
        for name in names if is_first_process() else ():
            try:
                with redirect_stdout(sys.stderr):
                    log.loggers[name] = LOGGERS[name](folder, flat)
            except Exception as error:
                raise KinemeError(f"--log {name}: {_first_line(error)}") from error
        yield log
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        log.close(status)


def flat_settings(settings: Mapping[str, Any], prefix: str = "") -> dict[str, str | int | float | bool]:
    """Nested settings as one level, with a dot between names; lists as JSON."""
    flat: dict[str, str | int | float | bool] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            flat |= flat_settings(value, f"{prefix}{name}.")
        elif value is not None:
            flat[prefix + name] = value if isinstance(value, str | int | float) else json_text(value)
    return flat


def final_figures(document: Mapping[str, Any]) -> dict[str, float]:
    """The figures of ``metrics.json`` that are logged at the end, such as ``test/top1`` with its interval."""
    figures = {
        f"{part}/{name}": float(document[part][name])
        for part, names in _FINAL.items()
        for name in names
        if document.get(part, {}).get(name) is not None
    }
    figures["test/top1_low"], figures["test/top1_high"] = document["test"]["top1_interval"]
    if "segments" in document:
        figures["segments/f1"] = document["segments"]["overlaps"]["0.5"]["f1"]
    return figures


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
