// The labelling page: a list of videos, one of them open. Which one is told by the address (#video=ID), so a reload
// shows it again.
import { ask, pause } from "./api.js";
import { settled } from "./edits.js";
import "./keys.js";
import * as list from "./list.js";
import "./panel.js";
import { forget as forgetPeople } from "./people.js";
import { clock, load, video } from "./playback.js";
import * as recording from "./record.js";
import { changed, notice, state } from "./state.js";
import "./timeline.js";
import * as training from "./train.js";
import { $ } from "../dom.js";

const VIEWS = ["label", "record", "train"];

const show = (view) => {
  for (const one of VIEWS) {
    $(`${one}-view`).hidden = one !== view;
    $(`show-${one}`).setAttribute("aria-pressed", String(one === view));
  }
  if (view !== "label") video.pause();
  if (view === "train") training.watch();
};

const refresh = async () => {
  const current = state.overview.classes;
  state.overview = await ask("");
  const added = state.overview.classes.filter((one) => !current.includes(one));
  if (current.length) state.overview.classes = [...current, ...added]; // keys stay where they are
  $("folder").textContent = state.overview.folder;
  changed();
};

const showCopyLine = () => {
  const { plays, copy, is_large: isLarge, width, height, codec } = state.video;
  const isMaking = ["waiting", "running"].includes(copy?.state);
  $("copy-line").hidden = copy?.state === "done" || (plays && !isLarge && !isMaking && copy?.state !== "failed");
  $("copy-make").hidden = isMaking || !plays;
  $("copy-make").textContent = isLarge && plays ? "Make a smaller copy" : "Make a copy that plays";
  if (isMaking) $("copy-text").textContent = `Browsers do not play ${plays ? "so large a video smoothly" : `this video (${codec})`}: a copy is made to look at, ${Math.round(100 * (copy.progress || 0))} %. The video itself stays as it is.`;
  else if (copy?.state === "failed") $("copy-text").textContent = `No copy could be made: ${copy.message}`;
  else $("copy-text").textContent = `This video has ${width} × ${height} pixels and may not play smoothly.`;
};

const followCopy = async (id) => {
  try {
    while (state.video?.id === id && ["waiting", "running"].includes(state.video.copy?.state)) {
      await pause(700);
      const newest = await ask(`/videos/${id}`);
      if (state.video?.id !== id) return;
      state.video.copy = newest.copy;
      showCopyLine();
      if (newest.copy?.state === "done") load(`/v1/label/videos/${id}/copy/file`);
    }
  } catch (error) { notice(error.message); }
};

const makeCopy = async (id) => {
  const said = await ask(`/videos/${id}/copy`, "POST");
  if (state.video?.id !== id) return;
  state.video.copy = said.copy;
  showCopyLine();
  if (said.copy?.state === "done") load(`/v1/label/videos/${id}/copy/file`); else followCopy(id);
};

// Asks whether its place looks like that of another video, for the suggestions; nobody waits for it.
const lookAtPlace = async (id) => {
  try {
    for (let tried = 0; tried < 60 && state.video?.id === id; tried += 1) {
      const said = await ask(`/videos/${id}/place`, "POST");
      if (said.state === "done" || said.state === "failed") break;
      await pause(1000);
    }
    const newest = await ask(`/videos/${id}`);
    if (state.video?.id === id) { state.video.suggestions = newest.suggestions; changed(); }
  } catch { /* the suggestions from names are there */ }
};

const openVideo = async (id) => {
  await settled();
  notice("");
  try {
    const opened = await ask(`/videos/${id}`);
    forgetPeople();
    state.video = opened;
    state.open = new Map();
    state.selected = null;
    history.replaceState(null, "", `#video=${id}`);
    show("label");
    $("empty").hidden = true;
    $("work").hidden = false;
    $("video-name").textContent = opened.name;
    $("video-facts").textContent = `${clock(opened.duration_s)} long, ${opened.width} × ${opened.height}, ${opened.fps.toFixed(2)} frames a second`;
    const fromCopy = opened.copy?.state === "done";
    showCopyLine();
    if (fromCopy) load(`/v1/label/videos/${id}/copy/file`);
    else if (opened.plays) load(`/v1/label/videos/${id}/file`);
    else { video.removeAttribute("src"); video.load(); makeCopy(id); }
    changed();
    $("videos").querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" });
    $("stage").focus();
    lookAtPlace(id);
  } catch (error) { notice(error.message); }
};

// What a browser cannot play after all gets a copy, too.
video.addEventListener("error", () => {
  if (!state.video || !video.getAttribute("src") || state.video.copy) return;
  state.video.plays = false;
  makeCopy(state.video.id).catch((error) => notice(error.message));
});
$("copy-make").addEventListener("click", () => makeCopy(state.video.id).catch((error) => notice(error.message)));
for (const view of VIEWS) $(`show-${view}`).addEventListener("click", () => show(view));
list.start(openVideo);
training.start(refresh);
recording.start(refresh);

const begin = async () => {
  try {
    await refresh();
    const id = /^#video=([0-9a-f]{16})$/.exec(location.hash)?.[1];
    if (id && state.overview.videos.some((one) => one.id === id)) await openVideo(id);
    else if (state.overview.camera) show("record");
  } catch (error) { notice(error.message); }
};
begin();
