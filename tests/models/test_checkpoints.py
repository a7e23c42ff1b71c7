"""The readers of other projects' pickles build arrays and nothing else."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest

from kineme.errors import KinemeError
from kineme.models import weights
from kineme.models.checkpoints import fill, read_numpy, read_torch

TORCH_PREFACE = b"".join(pickle.dumps(value, 2) for value in (0x1950A86A20F9469CFC6C, 1001, {}))


class Hostile:
    """Makes a folder when it is unpickled."""

    def __init__(self, marker):
        self.marker = str(marker)

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize(("read", "preface"), [(read_numpy, b""), (read_torch, b""), (read_torch, TORCH_PREFACE)])
def test_a_hostile_pickle_is_refused_and_does_nothing(tmp_path, read, preface):
    marker = tmp_path / "it-ran"
    hostile = pickle.dumps({"kernel": Hostile(marker)}, 2)
    with pytest.raises(KinemeError, match="mkdir"):
        read(preface + hostile)
    assert not marker.exists()
    pickle.loads(hostile)
    assert marker.exists(), "the trap must be able to close"


@pytest.mark.parametrize("name", ["eval", "exec", "getattr", "__import__"])
def test_builtins_are_refused(name):
    with pytest.raises(KinemeError, match=name):
        read_numpy(f"cbuiltins\n{name}\n.".encode())


def test_numpy_pickles_read_back():
    tree = {"params": {"kernel": np.arange(6, dtype="f4").reshape(2, 3)}, "empty": np.zeros(0)}
    read = read_numpy(pickle.dumps(tree, 4))
    assert read["params"]["kernel"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert read["empty"].shape == (0,)


@pytest.mark.parametrize("keep", [0, 10, 200, 40_000, 50_000, 1_000_000])
def test_a_truncated_file_is_one_line(keep):
    content = weights.read("efficientnet-lite0", weights.require("efficientnet-lite0"))
    with pytest.raises(KinemeError, match="cannot be read") as caught:
        read_torch(content[:keep])
    assert "\n" not in str(caught.value)


def test_torch_tensors_read_with_their_shapes():
    tensors = read_torch(weights.read("efficientnet-lite0", weights.require("efficientnet-lite0")))
    assert tensors["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert tensors["_fc.bias"].dtype == np.float32
    assert tensors["_bn0.num_batches_tracked"].dtype == np.int64
    assert all(np.isfinite(tensor).all() for tensor in tensors.values())


def test_fill_refuses_what_does_not_fit():
    from kineme.models.backend import keras

    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, name="dense")])
    kernel, bias = np.ones((3, 2), "f4"), np.zeros(2, "f4")
    fill(network, {"dense": [kernel, bias], "top": [kernel]}, unused=["top"])
    assert network.layers[0].get_weights()[0].tolist() == kernel.tolist()
    for tensors in ({}, {"dense": [kernel, bias], "more": [kernel]}, {"dense": [kernel]}, {"dense": [kernel.T, bias]}):
        with pytest.raises(KinemeError, match="do not fit"):
            fill(network, tensors)
