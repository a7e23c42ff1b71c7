// The people in the picture: a click on a box says whom the segment is about.
import { setTrack } from "./actions.js";
import { ask, pause } from "./api.js";
import { onMoment, video } from "./playback.js";
import { notice, onChange, state } from "./state.js";
import { $ } from "../dom.js";

const FAR_S = 0.5; // from a look: nobody knows where the person is
let tracks = null;
let of = null;

const boxAt = ({ times_s: times, boxes }, time) => {
  let at = times.findIndex((one) => one >= time);
  if (at < 0) at = times.length - 1;
  if (at > 0 && time - times[at - 1] < times[at] - time) at -= 1;
  return Math.abs(times[at] - time) < FAR_S ? boxes[at] : null;
};

const draw = () => {
  if (!tracks || of !== state.video?.id || $("people").getAttribute("aria-pressed") !== "true") { $("boxes").replaceChildren(); return; }
  const frame = $("stage").getBoundingClientRect();
  const scale = Math.min(frame.width / state.video.width, frame.height / state.video.height);
  const [width, height] = [state.video.width * scale, state.video.height * scale];
  const [left, top] = [(frame.width - width) / 2, (frame.height - height) / 2];
  const focused = document.activeElement?.dataset?.track;
  $("boxes").replaceChildren(...tracks.flatMap((one) => {
    const box = boxAt(one, video.currentTime);
    if (!box) return [];
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: String(one.id) });
    button.dataset.track = one.id;
    button.setAttribute("aria-label", `Person ${one.id}`);
    button.setAttribute("aria-pressed", String(state.track === one.id));
    Object.assign(button.style, { left: `${left + box[0] * width}px`, top: `${top + box[1] * height}px`, width: `${box[2] * width}px`, height: `${box[3] * height}px` });
    button.addEventListener("click", (event) => { setTrack(one.id); if (event.detail) $("stage").focus(); });
    return [button];
  }));
  if (focused) [...$("boxes").children].find((one) => one.dataset.track === focused)?.focus();
};

const find = async () => {
  const id = state.video.id;
  await ask(`/videos/${id}/people`, "POST");
  for (;;) {
    const found = await ask(`/videos/${id}/people`);
    if (state.video?.id !== id || $("people").getAttribute("aria-pressed") !== "true") return;
    if (found.state === "failed") throw new Error(found.message);
    if (found.state === "done") { [tracks, of] = [found.tracks, id]; $("people").textContent = "Show people"; draw(); return; }
    $("people").textContent = `Looking for people, ${Math.round(100 * found.progress)} %`;
    await pause(500);
  }
};

$("people").addEventListener("click", async () => {
  const isOn = $("people").getAttribute("aria-pressed") !== "true";
  $("people").setAttribute("aria-pressed", String(isOn));
  $("people").textContent = "Show people";
  draw();
  if (isOn) try { await find(); } catch (error) { $("people").setAttribute("aria-pressed", "false"); notice(error.message); }
});
export const forget = () => { tracks = null; state.track = null; $("people").setAttribute("aria-pressed", "false"); };
onChange(draw);
onMoment(draw);
