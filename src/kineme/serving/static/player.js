// The video of the result, which the timeline and the explanation follow together, and times and shares as text.
import { $ } from "./dom.js";

export const video = $("video");

export const clock = (seconds) => {
  const tenths = Math.floor(seconds * 10 + 1e-6), minutes = Math.floor(tenths / 600);
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
};

export const percent = (share) => `${Math.round(100 * share)} %`;

// A hair after the border, so that the frame shown is of the part and not the last of the one before.
export const seek = (seconds, duration) => { video.currentTime = Math.max(0, Math.min(seconds + 0.001, duration)); };

// Calls paint whenever the video shows another moment.
export const onMoment = (paint) => {
  const follow = () => {
    paint();
    if (!video.paused && !video.ended) requestAnimationFrame(follow);
  };
  for (const name of ["seeking", "seeked", "pause", "ended", "loadedmetadata", "timeupdate"]) video.addEventListener(name, paint);
  video.addEventListener("play", follow);
};
