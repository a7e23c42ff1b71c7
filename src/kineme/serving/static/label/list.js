// The list of videos, with what is done of each.
import { onChange, state } from "./state.js";
import { $ } from "../dom.js";

const WORDS = { new: "not labelled", begun: "begun", done: "done" };
let open = () => {};
let drawn = "";

const ordered = () => {
  const sought = $("filter").value.trim().toLowerCase();
  const rows = state.overview.videos.filter((one) => one.name.toLowerCase().includes(sought));
  const rank = { new: 0, begun: 1, done: 2 };
  if ($("order").value === "doubt") rows.sort((one, other) => (other.doubt ?? -1) - (one.doubt ?? -1));
  if ($("order").value === "new") rows.sort((one, other) => rank[one.state] - rank[other.state]);
  return rows;
};

const row = (one) => {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.id = one.id;
  const name = Object.assign(document.createElement("span"), { className: "name", textContent: one.name });
  const parts = [one.segments ? `${one.segments} segment${one.segments > 1 ? "s" : ""}` : WORDS[one.state], one.state === "done" ? "✓ done" : "", one.proposals ? `${one.proposals} proposed` : ""];
  const words = Object.assign(document.createElement("span"), { className: "state", textContent: parts.filter(Boolean).join(" · ") });
  button.append(name, words);
  if (one.id === state.video?.id) button.setAttribute("aria-current", "true");
  button.addEventListener("click", () => open(one.id));
  item.append(button);
  return item;
};

export const draw = () => {
  const rows = ordered();
  const key = JSON.stringify([state.video?.id, rows.map((one) => [one.id, one.segments, one.state, one.proposals])]);
  if (key === drawn) return;
  drawn = key;
  $("videos").replaceChildren(...rows.map(row));
  const done = state.overview.videos.filter((one) => one.state === "done").length;
  $("list-count").textContent = `${done} of ${state.overview.videos.length} done`;
};

export const nextVideo = () => {
  const rows = ordered();
  const at = rows.findIndex((one) => one.id === state.video?.id);
  const next = [...rows.slice(at + 1), ...rows.slice(0, at + 1)].find((one) => one.state !== "done") ?? rows[at + 1];
  if (next) open(next.id);
};

export const start = (openVideo) => {
  open = openVideo;
  $("filter").addEventListener("input", draw);
  $("order").addEventListener("change", draw);
  onChange(draw);
};
