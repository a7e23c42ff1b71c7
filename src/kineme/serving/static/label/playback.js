// The player: frames by their own times, speeds, and one place that knows which moment is shown.
import { $ } from "../dom.js";
import { state } from "./state.js";

export const video = $("video");
const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4, 8];

export const clock = (seconds, digits = 2) => {
  const rest = (seconds % 60).toFixed(digits).padStart(3 + digits, "0");
  const minutes = Math.floor(seconds / 60), hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
};

export const frameCount = () => state.video.frames.times_s?.length ?? state.video.frames.count;

// When a frame begins; of the one after the last, when the video ends.
export const timeOf = (number) => {
  const { times_s: times, first_s: first, step_s: step } = state.video.frames;
  if (number >= frameCount()) return state.video.duration_s;
  const at = Math.max(0, number);
  return times ? times[at] : first + at * step;
};

export const frameAt = (time) => {
  const { times_s: times, first_s: first, step_s: step } = state.video.frames;
  if (!times) return Math.max(0, Math.min(frameCount() - 1, Math.floor((time - first) / step + 1e-3)));
  let low = 0, high = times.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time + 1e-4) low = middle; else high = middle - 1;
  }
  return low;
};

// The frame that is meant: while a seek is on its way, the one it goes to.
let wanted = null;
export const currentFrame = () => wanted ?? frameAt(video.currentTime);
export const now = () => timeOf(currentFrame());

export const goToFrame = (number) => {
  const at = Math.max(0, Math.min(frameCount() - 1, number));
  wanted = at;
  video.currentTime = (timeOf(at) + timeOf(at + 1)) / 2; // its middle, so that no rounding shows a neighbour
};
export const goTo = (seconds) => goToFrame(frameAt(seconds));
export const step = (frames) => { video.pause(); goToFrame(currentFrame() + frames); };
export const play = () => { if (video.paused) { wanted = null; video.play().catch(() => {}); } else video.pause(); };

export const changeSpeed = (by) => {
  const at = SPEEDS.indexOf(video.playbackRate);
  $("speed").value = String(SPEEDS[Math.max(0, Math.min(SPEEDS.length - 1, at + by))]);
  video.playbackRate = Number($("speed").value);
};

export const load = (address) => {
  wanted = null;
  video.src = address;
  video.defaultPlaybackRate = video.playbackRate = Number($("speed").value);
};

export const onMoment = (paint) => {
  const follow = () => {
    paint();
    if (!video.paused && !video.ended) requestAnimationFrame(follow);
  };
  for (const name of ["seeking", "seeked", "pause", "ended", "loadedmetadata", "timeupdate"]) video.addEventListener(name, paint);
  video.addEventListener("play", () => { wanted = null; follow(); });
};

for (const name of ["play", "pause"]) video.addEventListener(name, () => { $("play").textContent = video.paused ? "Play" : "Pause"; });
$("play").addEventListener("click", play);
$("back").addEventListener("click", () => step(-1));
$("on").addEventListener("click", () => step(1));
$("speed").addEventListener("change", () => { video.playbackRate = Number($("speed").value); });
