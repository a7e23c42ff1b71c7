"""Checkpoints of other projects: read them without running anything in them, put them into a network.

A pickle is a program. These readers know the few names that the two checkpoints use for arrays, and refuse every
other name, so a hostile file can build nothing but arrays. Callers check the hash of the bytes first.
"""

from __future__ import annotations

import collections
import io
import pickle
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from kineme.errors import KinemeError

Array = npt.NDArray[Any]
T = TypeVar("T")

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C


def read_numpy(content: bytes) -> Any:
    """A pickle of dictionaries of NumPy arrays.

    Raises:
        KinemeError: it is not one, or it names anything else.
    """
    known = {
        ("numpy.core.multiarray", "_reconstruct"): _empty_array,
        ("numpy._core.multiarray", "_reconstruct"): _empty_array,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }
    return _guarded(lambda: _Unpickler(io.BytesIO(content), known).load())


def read_torch(content: bytes) -> dict[str, Array]:
    """A PyTorch state dict, in the format from before version 1.6: name to array.

    Such a file is five pickles (magic number, version, system, the dictionary, the storage keys) and then the
    numbers of each storage, in the order of the keys, after a 64-bit count.

    Raises:
        KinemeError: it is not one, or it names anything but float32 and int64 tensors.
    """
    return _guarded(lambda: _read_torch(io.BytesIO(content)))


def fill(network: Any, tensors: Mapping[str, Sequence[Array]], *, unused: Sequence[str] = ()) -> None:
    """Put ``tensors`` into the layers of a Keras model.

    Args:
        network: a ``keras.Model`` without nested models.
        tensors: layer name to its weights in Keras' order.
        unused: names in ``tensors`` that the network may lack.

    Raises:
        KinemeError: a layer has no tensors, a shape differs, or tensors are left over; the network may then be
            half filled.
    """
    layers = {layer.name: layer for layer in network.layers if layer.weights}
    missing = [name for name in layers if name not in tensors]
    left_over = [name for name in tensors if name not in layers and name not in unused]
    if missing or left_over:
        raise KinemeError(
            f"the weights do not fit the network: {', '.join((missing + left_over)[:3])} has no counterpart"
        )
    for name, layer in layers.items():
        wanted, given = [tuple(weight.shape) for weight in layer.weights], [array.shape for array in tensors[name]]
        if wanted != given:
            raise KinemeError(f"the weights do not fit the network: {name} is {wanted}, not {given}")
        layer.set_weights(list(tensors[name]))


@dataclass(frozen=True)
class _Tensor:
    """A tensor whose numbers come later in the file."""

    key: str
    dtype: np.dtype[Any]
    offset: int  # bytes, as are the strides
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):  # noqa: S301 (finds only the names it is given)
    """Knows the given names and no others."""

    def __init__(self, file: io.BytesIO, known: Mapping[tuple[str, str], Any]) -> None:
        super().__init__(file)
        self._known = known

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which weights have no need of")
        return self._known[module, name]

    def persistent_load(self, reference: Any) -> Any:
        kind, dtype, key, _device, _count, *_view = reference
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError("it refers to something outside itself")
        return str(key), dtype


def _empty_array(_kind: Any, shape: tuple[int, ...], dtype: Any) -> Array:
    """What NumPy's pickles call first; the content follows as state."""
    return np.ndarray(shape, dtype)


def _rebuild_tensor(
    storage: tuple[str, np.dtype[Any]], offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_rest: Any
) -> _Tensor:
    key, dtype = storage
    return _Tensor(key, dtype, offset * dtype.itemsize, shape, tuple(stride * dtype.itemsize for stride in strides))


def _read_torch(file: io.BytesIO) -> dict[str, Array]:
    known = {
        ("collections", "OrderedDict"): collections.OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "LongStorage"): np.dtype("<i8"),
    }
    magic, _version, _system, tensors, keys = (_Unpickler(file, known).load() for _ in range(5))
    if magic != _TORCH_MAGIC:
        raise pickle.UnpicklingError("it is not a PyTorch file of the old format")
    dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
    storages = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        storages[key] = file.read(count * dtypes[key].itemsize)
    return {  # NumPy refuses strides that leave the buffer
        name: np.ndarray(tensor.shape, tensor.dtype, storages[tensor.key], tensor.offset, tensor.strides)
        for name, tensor in tensors.items()
    }


def _guarded(read: Callable[[], T]) -> T:
    """Turn whatever a broken or hostile pickle raises into one line."""
    try:
        return read()
    except Exception as error:
        raise KinemeError(f"these weights cannot be read: {error}") from error
