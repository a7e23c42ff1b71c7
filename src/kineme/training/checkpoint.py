"""The state of a training on disk: everything it needs to continue to the same weights, bit for bit."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError
from kineme.files import write_tensors
from kineme.models.backend import keras


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

    def add(self, row: dict[str, float]) -> bool:
        """Add an epoch's row; whether it is the best so far, as each is where there is no validation."""
        better = "val_loss" not in row or row["val_loss"] < self.best_loss
        self.history.append(row)
        if better:
            self.best_loss, self.best_epoch, self.waited = row.get("val_loss", row["loss"]), self.epoch, 0
        else:
            self.waited += 1
        return better


def _variables(network: Any) -> dict[str, Any]:
    """Everything a step changes, random seeds and the optimiser's state among it, under names that do not vary."""
    named = {f"network/{number}": variable for number, variable in enumerate(network.variables)}
    named |= {f"optimizer/{number}": variable for number, variable in enumerate(network.optimizer.variables)}
    return named


def save_checkpoint(
    path: Path, network: Any, best: list[NDArray[Any]], state: Progress, settings: dict[str, Any]
) -> None:
    """Write all that going on needs.

    Args:
        path: the file.
        network: compiled, with its optimiser.
        best: its weights of the best epoch.
        state: where training stands.
        settings: values that must be equal for a training to continue from it.
    """
    tensors = {name: np.asarray(keras.ops.convert_to_numpy(value)) for name, value in _variables(network).items()}
    tensors |= {f"best/{number}": weight for number, weight in enumerate(best)}
    write_tensors(path, tensors, {"state": json.dumps(asdict(state)), "settings": json.dumps(settings)})


def load_checkpoint(path: Path, network: Any, settings: dict[str, Any]) -> tuple[Progress, list[NDArray[Any]]]:
    """Give a network the state of a checkpoint, and say where training stood and what the best weights are.

    Raises:
        KinemeError: the checkpoint is missing, damaged, or of other settings.
    """
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
