"""Checks the answers to the exercises that are numbers."""

import json
from pathlib import Path

import numpy as np

from kineme.models.convlstm_layer import FoldedConvLSTM2D
from kineme.models.network import build_network
from kineme.models.registry import make_approach
from kineme.video.spec import ClipSpec

# 1: ticks of a short file
spec = ClipSpec(frames=20, fps=8)
assert spec.tick_count(2.0) == 16
assert (spec.tick_count(2.0) - 1) / 8 == 1.875
assert spec.window(0, 16)[-5:] == [15] * 5
assert ClipSpec(frames=20, fps=8, short="loop").window(0, 16)[16:] == [0, 1, 2, 3]

# 2: receptive fields
r, j, fields = 1, 1, []
for kernel, pool in ((3, 4), (3, 4)):
    r += (kernel - 1) * j
    fields.append(r)
    r, j = r + (pool - 1) * j, j * pool
    fields.append(r)
assert fields == [3, 6, 14, 26], fields

# 3: means of logits and of log-probabilities
logits = np.random.default_rng(0).normal(size=(20, 4))


def softmax(x):
    """Along the last axis."""
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


of_logs = softmax(np.log(softmax(logits)).mean(axis=0))
assert np.allclose(softmax(logits.mean(axis=0)), of_logs)
assert not np.allclose(softmax(logits).mean(axis=0), of_logs, atol=1e-3)

# 4: weights of the fusion layer
for merge, weights in (("concat", 1_310_784), ("mean", 81_984)):
    head = make_approach("late-fusion", {"merge": merge}).build_head((16, 1280), 4)
    assert head.get_layer("fusion").count_params() == weights

# 5: frozen frames give one answer
frozen = json.loads(Path("runs/early-fusion/metrics.json").read_text(encoding="utf-8"))["test"]["orders"]["frozen"]
assert frozen["top1"] == 0.25

# 6: weights in three and in two dimensions
assert build_network(make_approach("slow-fusion"), ClipSpec(), 4).get_layer("head").get_layer(
    "conv2"
).count_params() == (13_824)
assert 3 * 3 * 16 * 32 == 4_608

# 8: weights of an LSTM; how long 0.9 lasts
assert build_network(make_approach("lrcn"), ClipSpec(), 4).get_layer("head").get_layer("lstm").count_params() == 12_416
assert 0.9**22 < 0.1 < 0.9**21
assert 0.99**230 < 0.1 < 0.99**229

# 9: weights of a ConvLSTM layer
layer = FoldedConvLSTM2D(4, 3)
layer.build((None, 12, 40, 40, 3))
assert layer.count_params() == 1_024
assert 12 * 16 * 4 + 4 == 772

# 10: a larger frame
assert build_network(make_approach("lrcn"), ClipSpec(height=128, width=128), 4).count_params() == 97_636

# 11: steps and seconds
assert (144 // 16 * 60, 144 * 60 / 90, 144 // 4 * 60) == (540, 96, 2_160)

# 12: twelve of twelve
assert round(0.025 ** (1 / 12), 3) == 0.735

# 14: frames of CNN work
assert (30 * 20, 30 * 20 / 8) == (600, 75)
print("all answers hold")
