const video = document.getElementById("video");
// The parts of the whole video, then those of each person.
const timelines = [...document.querySelectorAll(".timeline")].map((one) => [...one.querySelectorAll("button")]);
const parts = timelines.flat();
const readings = [...document.querySelectorAll("[data-curve]")];

const clock = (seconds) => {
  const tenths = Math.floor(seconds * 10 + 1e-6), minutes = Math.floor(tenths / 600);
  const rest = ((tenths % 600) / 10).toFixed(1).padStart(4, "0");
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours}:${String(minutes % 60).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
};

// Between the middles of windows a straight line, before the first and after the last what they say.
const valueAt = (curve, time) => {
  const { middles } = data;
  let low = 0, high = middles.length - 1;
  if (time <= middles[low]) return curve[low];
  if (time >= middles[high]) return curve[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (middles[middle] <= time) low = middle; else high = middle;
  }
  const share = (time - middles[low]) / (middles[high] - middles[low]);
  return curve[low] + share * (curve[high] - curve[low]);
};

const show = () => {
  const time = Math.min(video.currentTime, data.duration);
  document.getElementById("playhead").style.left = `${(100 * time) / data.duration}%`;
  document.getElementById("now").textContent = clock(time);
  readings.forEach((reading, number) => {
    reading.textContent = `${Math.round(100 * valueAt(data.curves[number], time))} %`;
  });
  parts.forEach((part) => {
    const end = Number(part.dataset.end);
    const inside = time >= Number(part.dataset.start) && (time < end || end >= data.duration);
    if (inside) part.setAttribute("aria-current", "true"); else part.removeAttribute("aria-current");
  });
};

// A hair after the border, so that the frame shown is of the part and not the last of the one before.
const go = (seconds) => {
  video.currentTime = Math.max(0, Math.min(seconds + 0.001, data.duration));
  show();
};

const follow = () => {
  show();
  if (!video.paused && !video.ended) requestAnimationFrame(follow);
};

const goToHash = () => {
  const match = /^#t=([\d.]+)$/.exec(location.hash);
  if (match) go(Number(match[1]));
};

const focusOn = (part, row) => {
  row.forEach((one) => { one.tabIndex = one === part ? 0 : -1; });
  part.focus();
};

timelines.forEach((row) => row.forEach((part, number) => {
  part.addEventListener("click", () => { focusOn(part, row); go(Number(part.dataset.start)); });
  part.addEventListener("keydown", (event) => {
    const next = { ArrowRight: number + 1, ArrowLeft: number - 1, Home: 0, End: row.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    focusOn(row[Math.max(0, Math.min(next, row.length - 1))], row);
  });
}));
document.getElementById("curves").addEventListener("click", (event) => {
  const box = event.currentTarget.getBoundingClientRect();
  go(((event.clientX - box.left) / box.width) * data.duration);
});
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "k") { if (video.paused) video.play(); else video.pause(); }
  if (event.key === "j") go(video.currentTime - 1);
  if (event.key === "l") go(video.currentTime + 1);
});
for (const name of ["seeking", "seeked", "pause", "ended", "loadedmetadata"]) video.addEventListener(name, show);
video.addEventListener("play", follow);
video.addEventListener("loadedmetadata", goToHash);
video.addEventListener("error", () => { video.hidden = true; document.getElementById("missing").hidden = false; });
window.addEventListener("hashchange", goToHash);
show();
