"""Run an exported model with TensorFlow and NumPy: a clip at once, and a stream frame by frame.

kineme export RUN --format savedmodel --out exported
python examples/run_savedmodel.py exported video.mp4
"""

import json
import sys
from pathlib import Path

import numpy as np
import tensorflow as tf
from read_frames import read_frames

if len(sys.argv) != 3:
    sys.exit(__doc__)
folder, video = Path(sys.argv[1]), sys.argv[2]
card = json.loads((folder / "kineme.json").read_text(encoding="utf-8"))
labels, spec = card["labels"], card["spec"]
frames = list(read_frames(video, spec))
frames += frames[-1:] * (spec["frames"] - len(frames))  # a short video holds its last frame

loaded = tf.saved_model.load(str(folder / "clip"))
scores = loaded.signatures["serving_default"](clip=np.stack(frames[: spec["frames"]])[None])["probabilities"].numpy()
print(f"clip: {labels[scores[0].argmax()]} {scores[0].max():.5f}")

if (folder / "step").exists():
    loaded = tf.saved_model.load(str(folder / "step"))
    model = loaded.signatures["serving_default"]
    _, inputs = model.structured_input_signature
    states = {name: tf.zeros(one.shape) for name, one in inputs.items() if name != "frame"}
    for frame in frames:
        found = model(frame=tf.constant(frame[None]), **states)
        states = {name: found[f"next_{name}"] for name in states}
        scores = found["probabilities"].numpy()
        print(f"frame: {labels[scores[0].argmax()]} {scores[0].max():.5f}")
