// The timeline: segments in lanes so that none hides another, proposals, what is open, edges to drag, and a zoom.
import { moveEdge, select } from "./actions.js";
import { clock, frameAt, goTo, now, onMoment, timeOf } from "./playback.js";
import { colourOf, endOf, onChange, state } from "./state.js";
import { $ } from "../dom.js";

const LANE_REM = 2.2;
let view = [0, 1];
let shownOf = null;

const x = (seconds) => (100 * (seconds - view[0])) / (view[1] - view[0]);
const place = (element, start, end) => {
  element.style.left = `${x(start)}%`;
  element.style.width = `${Math.max(0.2, x(end) - x(start))}%`;
};

// The first lane that is free when a segment begins.
const lanesOf = (ones) => {
  const ends = [];
  return [...ones].sort((one, other) => one.start_s - other.start_s).map((one) => {
    let lane = ends.findIndex((end) => end <= one.start_s + 1e-6);
    if (lane < 0) lane = ends.length;
    ends[lane] = endOf(one);
    return [one, lane];
  });
};

// What is read aloud begins with what is seen.
const words = (one, isProposal, seen) => `${seen}: ${isProposal ? `proposal, ${Math.round(100 * one.confidence)} % sure, ` : ""}${clock(one.start_s)} to ${clock(endOf(one))}${one.track ? `, person ${one.track}` : ""}${one.by === "model" ? ", not confirmed" : ""}`;

const bar = (one, lane, isProposal) => {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.id = one.id;
  button.className = `${colourOf(one.label)}${isProposal ? " proposal" : ""}`;
  button.textContent = isProposal ? `? ${one.label}` : `${one.label}${one.track ? ` · ${one.track}` : ""}${one.by === "model" ? " · model" : ""}`;
  button.title = words(one, isProposal, button.textContent);
  button.setAttribute("aria-label", button.title);
  button.setAttribute("aria-pressed", String(state.selected === one.id));
  button.style.top = `${lane * LANE_REM + 0.3}rem`;
  place(button, one.start_s, endOf(one));
  button.addEventListener("click", (event) => {
    select(one.id);
    if (event.detail) $("stage").focus();
  });
  return button;
};

const handle = (one, lane, edge) => {
  const element = document.createElement("div");
  element.className = "handle";
  element.dataset.edge = edge;
  const time = edge === "start_s" ? one.start_s : endOf(one);
  element.style.left = `calc(${x(time)}% - 6px)`;
  element.style.top = `${lane * LANE_REM + 0.3}rem`;
  element.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    element.setPointerCapture(event.pointerId);
    let at = time;
    element.onpointermove = (moved) => {
      const inside = timeAt(moved);
      const frame = frameAt(inside);
      at = edge === "start_s" ? timeOf(frame) : timeOf(frame + 1);
      element.style.left = `calc(${x(at)}% - 6px)`;
      goTo(inside);
    };
    element.onpointerup = () => moveEdge(one.id, edge, at);
  });
  return element;
};

const timeAt = (event) => {
  const box = $("timeline").getBoundingClientRect();
  const share = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  return view[0] + share * (view[1] - view[0]);
};

const isShown = (one) => one.start_s < view[1] && endOf(one) > view[0];

const draw = () => {
  if (!state.video) return;
  if (shownOf !== state.video.id) { shownOf = state.video.id; view = [0, state.video.duration_s]; }
  const segments = lanesOf(state.video.segments);
  const top = Math.max(0, ...segments.map(([, lane]) => lane + 1));
  const proposals = lanesOf(state.video.proposals).map(([one, lane]) => [one, lane + top]);
  const parts = [];
  for (const [one, lane] of segments.filter(([one]) => isShown(one))) {
    parts.push(bar(one, lane, false));
    if (state.selected === one.id) parts.push(handle(one, lane, "start_s"), handle(one, lane, "end_s"));
  }
  for (const [one, lane] of proposals.filter(([one]) => isShown(one))) parts.push(bar(one, lane, true));
  const lanes = Math.max(1, top + Math.max(0, ...proposals.map(([, lane]) => lane + 1 - top)));
  let lane = lanes;
  for (const label of state.open.keys()) {
    const element = document.createElement("div");
    element.className = `open ${colourOf(label)}`;
    element.dataset.label = label;
    element.style.top = `${lane * LANE_REM + 0.3}rem`;
    parts.push(element);
    lane += 1;
  }
  const focused = document.activeElement?.dataset?.id;
  $("lanes").replaceChildren(...parts);
  if (focused) [...$("lanes").children].find((one) => one.dataset.id === focused)?.focus();
  $("timeline").style.height = `${lane * LANE_REM + 0.6}rem`;
  $("from").textContent = clock(view[0]);
  $("to").textContent = clock(view[1]);
  paint();
};

const paint = () => {
  if (!state.video || shownOf !== state.video.id) return;
  const at = now();
  const [from, to] = view;
  if ((at < from || at > to) && to - from < state.video.duration_s) { setView(at - (to - from) / 2, to - from); return; }
  $("playhead").style.left = `${x(at)}%`;
  $("now").textContent = clock(at);
  for (const element of $("lanes").querySelectorAll(".open")) place(element, state.open.get(element.dataset.label) ?? at, at);
};

const setView = (from, length) => {
  const whole = state.video.duration_s, kept = Math.max(Math.min(whole, 1), Math.min(whole, length));
  const start = Math.max(0, Math.min(whole - kept, from));
  view = [start, start + kept];
  $("shown").textContent = kept < whole ? `${clock(kept, 0)} of ${clock(whole, 0)}` : "";
  draw();
};
export const zoom = (by) => { const length = (view[1] - view[0]) * by; setView(now() - length / 2, length); };

$("timeline").addEventListener("click", (event) => {
  if (event.target.closest("button, .handle")) return;
  goTo(timeAt(event));
  $("stage").focus();
});
$("zoom-in").addEventListener("click", () => zoom(0.5));
$("zoom-out").addEventListener("click", () => zoom(2));
$("zoom-all").addEventListener("click", () => setView(0, state.video.duration_s));
onChange(draw);
onMoment(paint);
