"""Makes the moving picture of the README from the files of `kineme demo`: python docs/make_pictures.py kineme-demo.

The labels are beside the video, so that nothing covers a face.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from matplotlib import font_manager
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import kineme
from kineme.prediction.result import Prediction
from kineme.video.decode import read_frames

IMAGES = Path(__file__).parent / "images"
SHOWN_S, STEP_S = 16.0, 0.2
WIDTH, TIMELINE = 260, 40  # pixels beside and below the video
BACK, TEXT, BAR, FAINT = "#111418", "#f2f4f6", "#0072b2", "#3a4149"


def main(demo: Path) -> None:
    """Write ``demo.webp`` into ``docs/images``."""
    (annotated,) = (demo / "prediction").glob("*.mp4")
    video = demo / "strangers" / "untrimmed" / annotated.name
    write_moving(video, kineme.load(demo / "run").predict(video))


def write_moving(video: Path, result: Prediction) -> None:
    """The video with the likeliest labels beside it, and the timeline of its segments below."""
    pictures, due_s = [], 0.0
    for frame in read_frames(video):
        if frame.pts_s > SHOWN_S:
            break
        if frame.pts_s >= due_s:
            due_s += STEP_S
            pictures.append(_picture(frame.pixels_HWC, frame.pts_s, result))
    pictures[0].save(
        IMAGES / "demo.webp", save_all=True, append_images=pictures[1:], duration=int(1000 * STEP_S), loop=0, quality=60
    )


def _picture(pixels_HWC: NDArray[np.uint8], time_s: float, result: Prediction) -> Image.Image:
    height, width, _ = pixels_HWC.shape
    image = Image.new("RGB", (width + WIDTH, height + TIMELINE), BACK)
    image.paste(Image.fromarray(pixels_HWC))
    draw = ImageDraw.Draw(image)
    now = next((one for one in result.segments if one.start_s <= time_s < one.end_s), result.segments[-1])
    draw.text((width + 16, 14), now.label, TEXT if not now.is_background else "#9aa4ae", font=_font(26))
    values_K = result.probabilities_at(time_s)
    for place, number in enumerate(np.argsort(-values_K)[:4]):
        top = 66 + 40 * place
        draw.rectangle((width + 16, top + 18, width + WIDTH - 16, top + 28), FAINT)
        filled = (WIDTH - 32) * float(values_K[number])
        draw.rectangle((width + 16, top + 18, width + 16 + filled, top + 28), BAR)
        draw.text((width + 16, top), f"{result.labels[number]}  {100 * values_K[number]:.0f} %", TEXT, font=_font(13))
    scale = (width + WIDTH - 32) / SHOWN_S
    draw.rectangle((16, height + 8, width + WIDTH - 16, height + 30), FAINT)
    for one in result.actions:
        if one.start_s < min(time_s, SHOWN_S):
            ends = 16 + scale * min(one.end_s, time_s)
            draw.rectangle((16 + scale * one.start_s, height + 8, ends, height + 30), BAR)
            if one.end_s <= time_s:
                draw.text((20 + scale * one.start_s, height + 13), one.label, TEXT, font=_font(11))
    draw.line((16 + scale * time_s, height + 4, 16 + scale * time_s, height + 34), TEXT, 2)
    return image


def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
