"""Makes the picture of the README from what `kineme demo` left behind: python docs/make_pictures.py kineme-demo."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from kineme.video.decode import read_frames

FRAMES = 4


def main(demo: Path) -> None:
    """Put frames of the annotated video side by side: the middles of its first different actions."""
    (video,) = (demo / "prediction").glob("*.mp4")
    with (demo / "strangers" / "untrimmed" / "segments.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["path"] == video.name]
    middles = {row["label"]: (float(row["start_s"]) + float(row["end_s"])) / 2 for row in reversed(rows)}
    frames = [next(read_frames(video, start_s=instant)).pixels_HWC for instant in sorted(middles.values())[:FRAMES]]
    image = Image.fromarray(np.concatenate(frames, axis=1))
    image.save(Path(__file__).parent / "images" / "demo.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
