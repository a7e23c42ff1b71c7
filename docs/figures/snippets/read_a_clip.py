"""Reads one clip of a video and says what it is."""

from pathlib import Path

import kineme
from kineme.video.clips import read_clips
from kineme.video.probe import probe

video = min(Path("pairs/sit-down").glob("*.mp4"))
info = probe(video)
print(f"{video.name}: {info.width} x {info.height}, {float(info.fps):.2f} frames a second, {info.duration_s:.2f} s")

spec = kineme.ClipSpec(frames=20, fps=8, height=64, width=64, fit="stretch", short="hold")
clip = next(read_clips(video, spec))
print("frames", clip.frames_THWC.shape, clip.frames_THWC.dtype)
print("times ", *(f"{instant:.3f}" for instant in clip.times_s[:5]), "...", f"{clip.times_s[-1]:.3f}")
