"""Run an exported model with OpenVINO and NumPy: a clip at once, and a stream frame by frame.

kineme export RUN --format openvino --out exported
python examples/run_openvino.py exported video.mp4
"""

import json
import sys
from pathlib import Path

import numpy as np
import openvino
from read_frames import read_frames

if len(sys.argv) != 3:
    sys.exit(__doc__)
folder, video = Path(sys.argv[1]), sys.argv[2]
card = json.loads((folder / "kineme.json").read_text(encoding="utf-8"))
labels, spec = card["labels"], card["spec"]
frames = list(read_frames(video, spec))
frames += frames[-1:] * (spec["frames"] - len(frames))  # a short video holds its last frame

model = openvino.Core().compile_model(folder / "clip.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
scores = model({"clip": np.stack(frames[: spec["frames"]])[None]})["probabilities"]
print(f"clip: {labels[scores[0].argmax()]} {scores[0].max():.5f}")

if (folder / "step.xml").exists():
    model = openvino.Core().compile_model(folder / "step.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    states = {one.any_name: np.zeros(one.shape, np.float32) for one in model.inputs if one.any_name != "frame"}
    for frame in frames:
        found = model({"frame": frame[None], **states})
        states = {name: found[f"next_{name}"].copy() for name in states}
        print(f"frame: {labels[found['probabilities'][0].argmax()]} {found['probabilities'][0].max():.5f}")
