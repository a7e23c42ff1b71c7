// Changes of the labels, one after the other: each is made upon what the server has, and is kept until it is saved.
import { ask, pause, Unreachable } from "./api.js";
import { $ } from "../dom.js";
import { changed, notice, proposalOf, segmentOf, state } from "./state.js";

const RETRY_MS = 1000;
let line = Promise.resolve();
let waiting = 0;

const isIn = (change, video) => (change.put ?? []).every((one) => {
  const there = video.segments.find((other) => other.id === one.id);
  return there && there.label === one.label && Math.abs(there.start_s - one.start_s) < 1e-3;
}) && (change.remove ?? []).every((id) => !video.segments.some((one) => one.id === id));

const show = (video) => {
  const row = state.overview.videos.find((one) => one.id === video.id);
  if (row) Object.assign(row, { segments: video.segments.length, proposals: video.proposals.length, state: video.done ? "done" : video.segments.length ? "begun" : "new" });
  for (const one of video.segments) if (!state.overview.classes.includes(one.label)) state.overview.classes.push(one.label);
  if (state.video?.id !== video.id) return;
  state.video = video;
  if (state.selected && !segmentOf(state.selected) && !proposalOf(state.selected)) state.selected = null;
};

const post = async (video, body) => {
  for (let tried = 0; ; tried += 1) {
    try {
      show(await ask(`/videos/${video.id}`, "POST", { ...body, revision: video.revision }));
      notice("");
      return true;
    } catch (error) {
      if (error instanceof Unreachable) {
        notice("The server cannot be reached. Your change is kept here, and saved as soon as it answers.");
        await pause(RETRY_MS);
        continue;
      }
      if (error.status !== 409) { notice(error.message); return false; }
      const newest = await ask(`/videos/${video.id}`);
      show(newest);
      const saved = tried > 0 && isIn(body.change ?? {}, newest);
      notice(saved ? "" : error.message);
      return saved;
    }
  }
};

const enqueue = (make) => {
  if (!state.video) return line;
  waiting += 1;
  $("saved").textContent = "Saving…";
  const video = state.video.id;
  line = line.then(async () => {
    try {
      const body = state.video?.id === video && make();
      if (body) await post(state.video, body);
    } catch (error) { notice(error.message); }
    waiting -= 1;
    if (!waiting) $("saved").textContent = "All saved";
    changed();
  });
  return line;
};

// make() gives what is to be different, or nothing, once all earlier changes are saved.
export const edit = (make) => enqueue(() => { const change = make(); return change && { change }; });
export const undo = () => enqueue(() => state.video.can_undo && { kind: "undo" });
export const redo = () => enqueue(() => state.video.can_redo && { kind: "redo" });
export const settled = () => line;
export const newId = () => crypto.randomUUID().slice(0, 13);
