// Single keys; they can be switched off, and keep out of fields that are typed in.
import * as actions from "./actions.js";
import { redo, undo } from "./edits.js";
import { nextVideo } from "./list.js";
import { changeSpeed, goTo, now, play, step } from "./playback.js";
import { changed, state } from "./state.js";
import { zoom } from "./timeline.js";
import { $ } from "../dom.js";

const focusOn = (id) => () => { $(id).focus(); $(id).select?.(); };
const KEYS = {
  " ": () => actions.toggle(), ArrowLeft: () => step(-1), ArrowRight: () => step(1), k: play,
  j: () => goTo(now() - 1), l: () => goTo(now() + 1), "[": () => changeSpeed(-1), "]": () => changeSpeed(1),
  n: () => actions.next(1), b: () => actions.next(-1), ",": actions.setStart, ".": actions.setEnd, s: actions.split,
  Delete: actions.remove, Backspace: actions.remove, z: undo, p: () => actions.nextProposal(), y: () => actions.accept(), r: actions.reject,
  x: () => actions.setDone(!state.video.done), g: focusOn("group"), t: focusOn("class-text"), v: nextVideo,
  "+": () => zoom(0.5), "-": () => zoom(2), Escape: () => { state.selected = null; changed(); },
};
const SHIFTED = { ArrowLeft: () => goTo(now() - 1), ArrowRight: () => goTo(now() + 1), z: redo, y: actions.acceptAll, "+": () => zoom(0.5) };

const digitOf = (event) => (/^Digit[1-9]$/.test(event.code) ? Number(event.code.slice(5)) : /^[1-9]$/.test(event.key) ? Number(event.key) : 0);

const actOf = (event) => {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return { z: event.shiftKey ? redo : undo, y: redo }[key];
  if (event.altKey || !$("keys-on").checked) return undefined;
  const label = state.overview.classes[digitOf(event) - 1];
  if (label) return () => (event.shiftKey ? actions.toggle(label) : actions.choose(label, { byKey: true }));
  return (event.shiftKey && SHIFTED[key]) || KEYS[key];
};

document.addEventListener("keydown", (event) => {
  const target = event.target;
  const isTyping = target.matches("input:not([type=checkbox]), select, textarea");
  if ($("label-view").hidden || isTyping) { if (event.key === "Escape" && isTyping) $("stage").focus(); return; }
  if ([" ", "Enter"].includes(event.key) && target.matches("button, a, summary, input")) return; // they have their own meaning there
  if (target.id === "videos" && event.key.startsWith("Arrow")) return;
  const act = actOf(event);
  if (!act || (!state.video && act !== nextVideo)) return;
  event.preventDefault();
  act();
});
$("toggle").addEventListener("keydown", (event) => { if (event.key === " ") event.stopPropagation(); });
