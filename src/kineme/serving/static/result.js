// A finished job: the annotated video, its timeline, and bars that follow the playhead.
import { $, fillBars } from "./dom.js";
import { showWhy } from "./explain.js";
import { clock, onMoment, percent, seek, video } from "./player.js";

const SHOWN = 5;
const COLOURS = 6;
// Of people, by number: as in the annotated video (report/person_colours.py).
const PERSON_COLOURS = ["#56b4e9", "#e69f00", "#009e73", "#f0e442", "#d55e00", "#cc79a7", "#0072b2"];
let segments = [];
let bands = []; // [segments, buttons] of the whole video, then of each person
let curves = null;
let colours = new Map();

const colourOf = (label) => (label === "background" ? "c-background" : `c-${colours.get(label) ?? COLOURS - 1}`);

// Between the middles of windows a straight line, before the first and after the last what they say.
const valueAt = (values, time) => {
  const { middles } = curves;
  let low = 0, high = middles.length - 1;
  if (time <= middles[low]) return values[low];
  if (time >= middles[high]) return values[high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (middles[middle] <= time) low = middle; else high = middle;
  }
  const part = (time - middles[low]) / (middles[high] - middles[low]);
  return values[low] + part * (values[high] - values[low]);
};

const paint = () => {
  if (!curves) return;
  const time = Math.min(video.currentTime, curves.duration_s);
  $("playhead").style.left = `${(100 * time) / curves.duration_s}%`;
  $("now").textContent = clock(time);
  const rows = curves.labels.map((label, k) => [label, valueAt(curves.probabilities[k], time)]);
  rows.sort((one, other) => other[1] - one[1]);
  fillBars($("bars"), rows.slice(0, SHOWN), colourOf);
  bands.forEach(([parts, buttons], band) => parts.forEach(({ start_s: start, end_s: end, label }, number) => {
    const inside = time >= start && (time < end || end >= curves.duration_s);
    if (inside) buttons[number].setAttribute("aria-current", "true"); else buttons[number].removeAttribute("aria-current");
    if (inside && !band) $("part").textContent = label;
  }));
};

const go = (seconds) => { seek(seconds, curves.duration_s); paint(); };

const focusOn = (button) => {
  [...button.parentElement.children].forEach((one) => { one.tabIndex = one === button ? 0 : -1; });
  button.focus();
};

// The parts of the video or of a person as buttons on a line of time.
const buttonsOf = (parts) => parts.map((one, number) => {
  const button = document.createElement("button");
  const words = `${one.label}, ${clock(one.start_s)} to ${clock(one.end_s)}, ${percent(one.confidence)}`;
  button.type = "button";
  button.className = colourOf(one.label);
  button.textContent = one.label;
  button.title = words;
  button.setAttribute("aria-label", words);
  button.tabIndex = number ? -1 : 0;
  button.style.left = `${(100 * one.start_s) / curves.duration_s}%`;
  button.style.width = `${(100 * (one.end_s - one.start_s)) / curves.duration_s}%`;
  button.addEventListener("click", (event) => {
    focusOn(button);
    // A click with the mouse goes to the very place, Enter to the beginning of the part.
    const box = button.parentElement.getBoundingClientRect();
    go(event.detail ? ((event.clientX - box.left) / box.width) * curves.duration_s : one.start_s);
  });
  button.addEventListener("keydown", (event) => {
    const buttons = [...button.parentElement.children];
    const next = { ArrowRight: number + 1, ArrowLeft: number - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    focusOn(buttons[Math.max(0, Math.min(next, buttons.length - 1))]);
  });
  return button;
});

const nameOf = (id) => {
  const name = Object.assign(document.createElement("div"), { className: "whose", textContent: id ? `Person ${id}` : "The video as a whole" });
  if (!id) return name;
  const swatch = Object.assign(document.createElement("span"), { className: "person" });
  swatch.style.background = PERSON_COLOURS[(id - 1) % PERSON_COLOURS.length];
  name.prepend(swatch);
  return name;
};

const bandOf = (person) => {
  const band = Object.assign(document.createElement("div"), { className: "timeline" });
  band.setAttribute("role", "group");
  band.setAttribute("aria-label", `Person ${person.id}`);
  const buttons = buttonsOf(person.segments);
  band.append(...buttons);
  bands.push([person.segments, buttons]);
  return [nameOf(person.id), band];
};

const rowsOf = (parts, id) => parts.map((one) => {
  const row = document.createElement("tr");
  row.append(...[clock(one.start_s), clock(one.end_s), one.label, percent(one.confidence), id].map((text) =>
    Object.assign(document.createElement("td"), { textContent: text })));
  return row;
});

const answer = (result) => {
  const actions = segments.filter((one) => one.label !== "background");
  const best = result.top[0];
  if (!actions.length) return `No known action (if anything, ${best.label}, ${percent(best.probability)})`;
  if (segments.length === 1) return `${best.label}, ${percent(best.probability)}`;
  if (actions.length <= 4) return actions.map((one) => one.label).join(", then ");
  return `${actions.length} parts, ${new Set(actions.map((one) => one.label)).size} labels`;
};

export const showResult = (job, result, found, service) => {
  segments = result.segments;
  curves = found;
  const all = [...segments, ...(result.people ?? []).flatMap((one) => one.segments)];
  const labels = [...new Set([...all.map((one) => one.label), ...curves.labels])].filter((one) => one !== "background");
  colours = new Map(labels.slice(0, COLOURS).map((label, number) => [label, number]));
  $("result-name").textContent = answer(result);
  $("result-source").textContent = `${job.name}, ${clock(result.duration_s)} long, by ${job.model} in ${result.timing.seconds.toFixed(1)} s`;
  video.src = job.results.mp4;
  $("end").textContent = clock(curves.duration_s);
  const people = result.people ?? [];
  const buttons = buttonsOf(segments);
  bands = [[segments, buttons]];
  $("timeline").replaceChildren(...buttons);
  $("whole").replaceChildren(...(people.length ? [nameOf(0)] : []));
  $("people").replaceChildren(...people.flatMap(bandOf));
  $("cuts").replaceChildren(...(result.cuts ?? []).map((time) => {
    const mark = Object.assign(document.createElement("div"), { className: "cut", title: `cut at ${clock(time)}` });
    mark.style.left = `${(100 * time) / curves.duration_s}%`;
    return mark;
  }));
  $("parts").replaceChildren(...rowsOf(segments, ""), ...people.flatMap((one) => rowsOf(one.segments, one.id)));
  $("whose").textContent = people.length ? "Person" : "";
  $("warnings").replaceChildren(...result.warnings.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
  const names = { mp4: "Video (mp4)", json: "JSON", csv: "CSV", vtt: "Subtitles (VTT)", srt: "Subtitles (SRT)" };
  $("downloads").replaceChildren(...Object.entries(names).map(([kind, text]) => {
    const stem = job.name.replace(/\.[^.]+$/, "") || job.name;
    return Object.assign(document.createElement("a"), { href: job.results[kind], textContent: text, download: `${stem}.${kind}` });
  }));
  showWhy(job, result, service);
  $("result-name").focus();
  paint();
};

onMoment(paint);
document.addEventListener("keydown", (event) => {
  if ($("result").hidden || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
  if (event.key === "k") { if (video.paused) video.play(); else video.pause(); }
  if (event.key === "j") go(video.currentTime - 1);
  if (event.key === "l") go(video.currentTime + 1);
});
