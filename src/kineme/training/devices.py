"""Training on several devices, of one machine or of several: data parallel, by ``keras.distribution`` on JAX.

Every device holds all weights and takes an equal share of the clips of each step. Gradients and the statistics of
batch normalisation are taken over all shares, so a step equals that on one device; only the order in which numbers
are added differs. Over several machines, the same command runs on each, and each does the same but for its share.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kineme.errors import KinemeError, UsageError
from kineme.models.backend import keras

Batch = tuple[NDArray[Any], ...]

_PROCESSES, _PROCESS = "KERAS_DISTRIBUTION_NUM_PROCESSES", "KERAS_DISTRIBUTION_PROCESS_ID"  # Keras' own


@contextmanager
def shared_out(devices: int | str, out: Path) -> Iterator[Path]:
    """Training within the block runs on several devices; elsewhere it asks ``keras.distribution.distribution()``.

    Where Keras' variables of a job of several processes are set, this waits for all of them.

    Args:
        devices: how many, or ``"all"`` that there are. 1 changes nothing.
        out: the run folder.

    Yields:
        The folder to train in: ``out``, and in all processes but the first a copy of it, which is removed again.

    Raises:
        UsageError: ``devices`` is neither.
        KinemeError: Keras does not run on JAX, or there are not so many devices.
    """
    wanted = _wanted(devices)
    processes = int(os.environ.get(_PROCESSES) or 1)
    if wanted == 1 and processes == 1:
        yield out
        return
    if keras.backend.backend() != "jax":
        raise KinemeError(
            f"--devices {devices}: needs Keras on JAX, and it runs on {keras.backend.backend()}; "
            "pip install 'kineme[jax]' and set KERAS_BACKEND=jax"
        )
    with ExitStack() as stack:
        if processes > 1:
            if not is_first_process():
                out = stack.enter_context(_copy(out))
            _meet()
        names = keras.distribution.list_devices()
        count = len(names) if wanted is None else wanted
        if processes > 1 and count != len(names):
            raise KinemeError(
                f"--devices {devices}: over several processes all devices take part, {len(names)}; give --devices all"
            )
        if count > len(names):
            raise KinemeError(
                f"--devices {devices}: JAX sees {len(names)} here ({', '.join(names[:8])}); ask for no more, or to try "
                f"it without them, set XLA_FLAGS=--xla_force_host_platform_device_count={count} and JAX_PLATFORMS=cpu"
            )
        if count > 1:
            stack.enter_context(SharedOut(names[:count]).scope())
        yield out


def is_first_process() -> bool:
    """Whether this process is the first of its job, or the only one."""
    return int(os.environ.get(_PROCESSES) or 1) == 1 or os.environ.get(_PROCESS) == "0"


class SharedOut(keras.distribution.DataParallel):  # type: ignore[misc]  # Keras has no types
    """Which devices share the work, and how a batch is shared out among them.

    Args:
        names: of the devices, from ``keras.distribution.list_devices()``.
    """

    def __init__(self, names: list[str]) -> None:
        super().__init__(devices=names)
        self.count = len(names)
        self._even = True

    def share(self, batch: Batch) -> Batch:
        """What ``train_on_batch`` is to be given here.

        A batch that cannot be shared out evenly, the last of an epoch, is computed whole by every device: filling it up
        would change the statistics of batch normalisation.

        Args:
            batch: arrays of B rows, the same in every process.

        Returns:
            The rows of this process; all of them where there is but one.
        """
        rows = len(batch[0])
        self._even = rows % self.count == 0
        if self.num_processes == 1 or not self._even:
            return batch
        mine = rows // self.num_processes
        return tuple(array[self._process_id * mine : (self._process_id + 1) * mine] for array in batch)

    def get_data_layout(self, data_shape: Any) -> Any:
        """Keras asks here how an array of a batch lies on the devices: its rows shared out, or whole on each."""
        if self._even:
            return super().get_data_layout(data_shape)
        return keras.distribution.TensorLayout([None] * len(data_shape), self.device_mesh)

    def spread(self, clips: NDArray[Any]) -> Any:
        """Clips to predict on, shared out where that is even; several processes compute all of them each."""
        if self.num_processes > 1 or len(clips) % self.count:
            return clips
        return keras.distribution.distribute_tensor(clips, super().get_data_layout(clips.shape))

    def agreed(self, figures: dict[str, float]) -> dict[str, float]:
        """The first process' figures, for all to decide by: a last bit of difference must not part them."""
        if self.num_processes == 1:
            return figures
        from jax.experimental.multihost_utils import broadcast_one_to_all

        bits = np.array(list(figures.values()), np.float64).view(np.uint32)  # JAX has no float64 as it comes
        values = np.asarray(broadcast_one_to_all(bits)).view(np.float64).tolist()
        return {name: type(figures[name])(value) for name, value in zip(figures, values, strict=True)}

    def check_step(self, batch_size: int, background: bool) -> None:
        """Refuse a batch size of which no step could be shared out.

        Args:
            batch_size: clips a step.
            background: windows of background are added to them.

        Raises:
            UsageError: naming the nearest one that can.
        """
        from kineme.training.background import negatives_per_batch

        def clips(size: int) -> int:
            return size + (negatives_per_batch(size) if background else 0)

        if clips(batch_size) % self.count:
            able = [size for size in range(1, batch_size + 4 * self.count) if clips(size) % self.count == 0]
            nearest = min(able, key=lambda size: abs(size - batch_size))
            made = f"{clips(batch_size)} clips" + (
                f", {negatives_per_batch(batch_size)} of them background," if background else ""
            )
            raise UsageError(
                f"--batch-size {batch_size}: the {made} of a step cannot be shared out evenly among "
                f"{self.count} devices; --batch-size {nearest} can"
            )


def _wanted(devices: int | str) -> int | None:
    """A number of devices; None is all."""
    if devices == "all":
        return None
    try:
        number = int(devices)
    except ValueError:
        number = 0
    if number < 1:
        raise UsageError(f"--devices {devices}: give a number from 1 on, or all")
    return number


@contextmanager
def _copy(folder: Path) -> Iterator[Path]:
    """A copy of a folder, or an empty one, for the time of the block."""
    with tempfile.TemporaryDirectory(prefix="kineme-") as temporary:
        mine = Path(temporary, folder.name)
        if folder.is_dir():
            shutil.copytree(folder, mine)
        yield mine


def _meet() -> None:
    """Wait for the other processes of the job, once."""
    import jax

    if jax.distributed.is_initialized():
        return
    keras.utils.set_random_seed(0)  # else Keras makes the processes agree on one; training sets its own
    try:
        keras.distribution.initialize()
    except (RuntimeError, ValueError) as error:
        raise KinemeError(
            f"the processes of this job cannot connect ({str(error).splitlines()[0]}); "
            f"KERAS_DISTRIBUTION_JOB_ADDRESSES, {_PROCESSES} and {_PROCESS} must be set in each"
        ) from error
