// Clips from the browser's camera: three, two, one, and then so many seconds, so many times.
import { ask, pause } from "./api.js";
import { notice } from "./state.js";
import { $ } from "../dom.js";

const BACKGROUND = "background";
const MORE_MS = 400; // recorded beyond the wish, of which the server cuts the exact length
const TYPES = ["video/webm;codecs=vp9", "video/webm;codecs=vp8", "video/webm", "video/mp4"];
let stopped = false;

const recordOne = (stream, seconds) => new Promise((resolve, reject) => {
  const type = TYPES.find((one) => MediaRecorder.isTypeSupported(one));
  const recorder = new MediaRecorder(stream, { mimeType: type, videoBitsPerSecond: 6e6 });
  const pieces = [];
  let timer = null;
  recorder.ondataavailable = (event) => pieces.push(event.data);
  recorder.onerror = () => reject(new Error("The browser could not record."));
  recorder.onstart = () => { timer = setTimeout(() => recorder.stop(), 1000 * seconds + MORE_MS); };
  recorder.onstop = () => { clearTimeout(timer); resolve(new Blob(pieces, { type })); };
  recorder.start();
});

const countDown = async (what) => {
  for (const number of [3, 2, 1]) {
    if (stopped) return;
    $("record-count-down").textContent = `${what} in ${number}…`;
    await pause(1000);
  }
};

const record = async (label) => {
  const [person, session] = [$("record-person").value.trim(), $("record-session").value.trim()];
  const [count, seconds] = [Number($("record-count").value), Number($("record-seconds").value)];
  if (!person) { $("record-person").focus(); throw new Error("Say who is in front of the camera first."); }
  let media;
  try {
    media = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, frameRate: { ideal: 30 } }, audio: false });
  } catch (error) {
    throw new Error(error.name === "NotAllowedError" ? "The browser does not let this page use the camera." : "No camera can be used.");
  }
  try {
    $("record-video").hidden = false;
    $("record-video").srcObject = media;
    await $("record-video").play();
    for (let number = 1; number <= count && !stopped; number += 1) {
      await countDown(`${label}, clip ${number} of ${count}`);
      if (stopped) break;
      $("record-count-down").textContent = `● ${label}`;
      const clip = await recordOne(media, seconds);
      $("record-count-down").textContent = "Saving…";
      const query = new URLSearchParams({ label, person, session, seconds });
      const kept = await ask(`/recordings?${query}`, "POST", clip);
      const line = `${kept.name}, ${kept.duration_s.toFixed(2)} s`;
      $("recorded").prepend(Object.assign(document.createElement("li"), { textContent: line }));
    }
  } finally {
    $("record-count-down").textContent = "";
    media.getTracks().forEach((track) => track.stop());
    $("record-video").srcObject = null;
    $("record-video").hidden = true;
  }
};

export const start = (refresh) => {
  const run = async (label) => {
    notice("");
    stopped = false;
    $("record-stop").hidden = false;
    try { await record(label); } catch (error) { notice(error.message); }
    $("record-stop").hidden = true;
    await refresh();
  };
  $("record-form").addEventListener("submit", (event) => { event.preventDefault(); run($("record-class").value.trim()); });
  $("record-background").addEventListener("click", () => run(BACKGROUND));
  $("record-stop").addEventListener("click", () => { stopped = true; });
};
