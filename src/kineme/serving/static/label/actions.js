// What can be done to the labels, whether by a key or by a button.
import { ask } from "./api.js";
import { edit, newId } from "./edits.js";
import { currentFrame, goTo, now, timeOf, video } from "./playback.js";
import { changed, endOf, notice, proposalOf, segmentOf, state } from "./state.js";
import { $ } from "../dom.js";

export const addClass = (label) => {
  if (state.overview.classes.includes(label)) return;
  state.overview.classes.push(label);
  ask("/classes", "PUT", { classes: state.overview.classes }).catch((error) => notice(error.message));
};

// Space: begin a segment of a class at the frame that is shown, or end it with that frame.
export const toggle = (label = state.current) => {
  if (!label) { $("class-text").focus(); notice("Type the action, then press Enter."); return; }
  const start = state.open.get(label);
  if (start === undefined) {
    state.open.set(label, now());
    state.selected = null;
    changed();
    return;
  }
  const frame = currentFrame();
  const end = timeOf(frame + 1);
  state.open.delete(label);
  changed();
  const [from, to] = end > start ? [start, end] : [timeOf(frame), timeOf(currentFrame() + 1)];
  const one = { id: newId(), start_s: from, end_s: Math.max(to, from + 0.001), label, by: "person", track: state.track };
  edit(() => ({ put: [one] }));
};

// The proposal that a key is about: the selected one, or the one that is shown.
const proposalInView = () => proposalOf(state.selected)
  ?? (state.selected || state.open.size ? undefined : state.video?.proposals.find((one) => one.start_s <= now() && now() < one.end_s));

// A class was chosen: of the selected segment or proposal, of the one that is open, or for the next. A single key also
// corrects the proposal that is shown.
export const choose = (label, { byKey = false } = {}) => {
  addClass(label);
  const segment = segmentOf(state.selected), proposal = byKey ? proposalInView() : proposalOf(state.selected);
  state.current = label;
  if (proposal) { accept(label); return; }
  if (segment) {
    const by = segment.by === "model" ? "model+person" : segment.by;
    edit(() => ({ put: [{ ...segmentOf(segment.id), label, by }] }));
  } else if (state.open.size === 1) {
    const [start] = state.open.values();
    state.open = new Map([[label, start]]);
  }
  changed();
};

const change = (make) => {
  const id = state.selected;
  edit(() => { const one = segmentOf(id); return one && make(one); });
};
const confirmed = (one) => ({ ...one, by: one.by === "model" ? "model+person" : one.by });

export const setStart = () => { const at = now(); change((one) => at < endOf(one) && { put: [confirmed({ ...one, start_s: at })] }); };
export const setEnd = () => { const at = timeOf(currentFrame() + 1); change((one) => at > one.start_s && { put: [confirmed({ ...one, end_s: at })] }); };
export const moveEdge = (id, edge, time) => edit(() => {
  const one = segmentOf(id);
  const moved = one && { ...confirmed(one), [edge]: time };
  return moved && moved.start_s < (moved.end_s ?? Infinity) && { put: [moved] };
});
export const split = () => {
  const at = now();
  change((one) => at > one.start_s && at < endOf(one) && { put: [{ ...one, end_s: at }, { ...one, id: newId(), start_s: at }] });
};
export const remove = () => {
  const id = state.selected;
  if (proposalOf(id)) reject(); else { edit(() => segmentOf(id) && { remove: [id] }); state.selected = null; }
};
export const setTrack = (track) => {
  state.track = state.track === track ? null : track;
  const chosen = state.track;
  change((one) => ({ put: [{ ...one, track: chosen }] }));
  changed();
};

export const select = (id, { seek = true } = {}) => {
  state.selected = id;
  const one = segmentOf(id) ?? proposalOf(id);
  if (one && seek) goTo(one.start_s);
  changed();
};
export const next = (by) => {
  const all = state.video.segments;
  const at = all.findIndex((one) => one.id === state.selected);
  const time = video.currentTime;
  const from = at >= 0 ? at + by : by > 0 ? all.findIndex((one) => one.start_s > time) : all.findLastIndex((one) => one.start_s < time);
  if (all[from]) select(all[from].id);
};

export const nextProposal = (after = null) => {
  const left = state.video.proposals.filter((one) => one.id !== after);
  const at = left.findIndex((one) => one.id === state.selected);
  select(left.length ? left[(at + 1) % left.length].id : null);
  if (!left.length) notice("No proposal is left in this video.");
};
const asSegment = (one, label, by) => ({ id: newId(), start_s: one.start_s, end_s: one.end_s, label, by });

export const accept = (label = null) => {
  const one = proposalInView();
  if (segmentOf(state.selected)?.by === "model") { change((taken) => ({ put: [confirmed(taken)] })); return; }
  if (!one) { nextProposal(); return; }
  edit(() => ({ put: [asSegment(one, label ?? one.label, "model+person")] }));
  if (state.selected) nextProposal(one.id);
};
export const reject = () => {
  const one = proposalInView();
  if (!one) return;
  edit(() => ({ reject: [one.id] }));
  if (state.selected) nextProposal(one.id);
};
export const acceptAll = () => {
  state.selected = null;
  edit(() => state.video.proposals.length && { put: state.video.proposals.map((one) => asSegment(one, one.label, "model+person")) });
};
export const setDone = (done) => edit(() => ({ done }));
export const setGroup = (group) => edit(() => ({ group }));
