// The classes, what is open and selected, who or where the video is, and the buttons for all of it.
import * as actions from "./actions.js";
import { redo, undo } from "./edits.js";
import { clock } from "./playback.js";
import { colourOf, endOf, notice, onChange, proposalOf, segmentOf, state } from "./state.js";
import { $ } from "../dom.js";

const WHO = { person: "", model: "from a model, not confirmed by anybody", "model+person": "from a model, confirmed" };

const drawClasses = () => {
  $("classes").replaceChildren(...state.overview.classes.map((label, number) => {
    const item = document.createElement("li");
    const button = Object.assign(document.createElement("button"), { type: "button", className: colourOf(label) });
    button.textContent = number < 9 ? `${number + 1} ${label}` : label;
    button.setAttribute("aria-pressed", String(label === state.current));
    button.addEventListener("click", (event) => { actions.choose(label); if (event.detail) $("stage").focus(); });
    item.append(button);
    return item;
  }));
  const options = (list) => list.map((text) => Object.assign(document.createElement("option"), { value: text }));
  $("class-list").replaceChildren(...options(state.overview.classes));
  $("group-list").replaceChildren(...options(state.overview.groups));
};

const drawSelected = () => {
  const segment = segmentOf(state.selected), proposal = proposalOf(state.selected), one = segment ?? proposal;
  const parts = one && [`${one.label}, ${clock(one.start_s)} to ${clock(endOf(one))}`, proposal ? `proposal, ${Math.round(100 * proposal.confidence)} % sure` : WHO[segment.by], one.track ? `person ${one.track}` : ""];
  $("selected").textContent = one ? parts.filter(Boolean).join("; ") : "Nothing";
  for (const id of ["set-start", "set-end", "split", "delete"]) $(id).disabled = !segment;
  $("proposal-line").hidden = !state.video.proposals.length;
  $("accept").disabled = $("reject").disabled = !proposal;
};

const draw = () => {
  drawClasses();
  if (!state.video) return;
  const open = [...state.open].map(([label, start]) => `${label} since ${clock(start)}`);
  $("open").textContent = open.length ? `Open: ${open.join(", ")}` : state.current ? `Next: ${state.current}` : "Choose or type a class.";
  drawSelected();
  $("undo").disabled = !state.video.can_undo;
  $("redo").disabled = !state.video.can_redo;
  $("done").checked = state.video.done;
  if (document.activeElement !== $("group")) $("group").value = state.video.group;
  const offered = state.video.suggestions.filter((one) => one.group !== state.video.group);
  $("suggestions").replaceChildren(...offered.map((one) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: one.group, title: one.reason });
    button.setAttribute("aria-label", `${one.group}: ${one.reason}`);
    button.addEventListener("click", () => save(one.group));
    return button;
  }));
};

const save = (group) => {
  if (group && !state.overview.groups.includes(group)) state.overview.groups.push(group);
  actions.setGroup(group);
  $("stage").focus();
};

const buttons = {
  toggle: () => actions.toggle(), undo, redo, "set-start": actions.setStart, "set-end": actions.setEnd, split: actions.split,
  delete: actions.remove, accept: () => actions.accept(), reject: actions.reject, "accept-all": actions.acceptAll,
};
for (const [id, act] of Object.entries(buttons)) $(id).addEventListener("click", (event) => { act(); if (event.detail) $("stage").focus(); });
$("class-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const label = $("class-text").value.trim().replace(/\s+/g, " ");
  if (!label) return;
  $("class-text").value = "";
  notice("");
  actions.choose(label);
  $("stage").focus();
});
$("group-form").addEventListener("submit", (event) => { event.preventDefault(); save($("group").value.trim()); });
$("done").addEventListener("change", () => actions.setDone($("done").checked));
onChange(draw);
