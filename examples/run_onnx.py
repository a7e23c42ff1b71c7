"""Run an exported model with ONNX Runtime and NumPy: a clip at once, and a stream frame by frame.

kineme export RUN --format onnx --out exported
python examples/run_onnx.py exported video.mp4
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from read_frames import read_frames

if len(sys.argv) != 3:
    sys.exit(__doc__)
folder, video = Path(sys.argv[1]), sys.argv[2]
card = json.loads((folder / "kineme.json").read_text(encoding="utf-8"))
labels, spec = card["labels"], card["spec"]
frames = list(read_frames(video, spec))
frames += frames[-1:] * (spec["frames"] - len(frames))  # a short video holds its last frame

model = onnxruntime.InferenceSession(folder / "clip.onnx")
(scores,) = model.run(["probabilities"], {"clip": np.stack(frames[: spec["frames"]])[None]})
print(f"clip: {labels[scores[0].argmax()]} {scores[0].max():.5f}")

if (folder / "step.onnx").exists():
    model = onnxruntime.InferenceSession(folder / "step.onnx")
    outputs = [output.name for output in model.get_outputs()]
    states = {one.name: np.zeros(one.shape, np.float32) for one in model.get_inputs() if one.name != "frame"}
    for frame in frames:
        found = dict(zip(outputs, model.run(outputs, {"frame": frame[None], **states}), strict=True))
        states = {name: found[f"next_{name}"] for name in states}
        print(f"frame: {labels[found['probabilities'][0].argmax()]} {found['probabilities'][0].max():.5f}")
