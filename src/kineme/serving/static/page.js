// The page: choose a model and a video, wait, look. What is being worked on is told by the address (#job=ID), so that
// a reload, or the link on another device, shows it again.
import { startCamera, stopCamera } from "./camera.js";
import { $ } from "./dom.js";
import { showResult } from "./result.js";

const parts = ["door", "choose", "working", "result", "live"];
let models = [];
let limits = {};
let listening = null;
let sending = null;

const show = (name) => {
  parts.forEach((one) => { $(one).hidden = one !== name; });
  $("model-part").hidden = name !== "choose" || !models.length;
};

const notice = (text) => {
  $("notice").textContent = text || "";
  $("notice").hidden = !text;
};

const chosenModel = () => models[$("model").selectedIndex];

// Asks the service; an error becomes a sentence of the server's, or ours where it cannot be reached.
const ask = async (path, options = {}) => {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server cannot be reached.");
  }
  if (answer.status === 401) { enter(); throw new Error("A token is needed."); }
  if (answer.status === 204) return null;
  const text = await answer.text();
  let said = null;
  try { said = JSON.parse(text); } catch { /* not ours */ }
  if (!answer.ok) {
    const wait = answer.headers.get("Retry-After");
    throw new Error((said?.error?.message ?? `The server answers ${answer.status}`) + (wait ? `; try again in ${wait} s` : ""));
  }
  return said;
};

const enter = () => { show("door"); $("token").focus(); };

const sizeInWords = (bytes) => (bytes >= 2 ** 30 ? `${+(bytes / 2 ** 30).toFixed(1)} GB` : `${Math.round(bytes / 2 ** 20)} MB`);

const load = async () => {
  const said = await ask("/v1/models");
  models = said.models;
  limits = said.limits;
  $("model").replaceChildren(...models.map((one) => new Option(one.name, one.name)));
  const before = sessionStorage.getItem("model");
  if (models.some((one) => one.name === before)) $("model").value = before;
  $("limits").textContent = `Up to ${sizeInWords(limits.max_bytes)} and ${Math.round(limits.max_duration_s / 60)} minutes.`;
  $("link-form").hidden = !limits.links;
  describe();
};

const describe = () => {
  const one = chosenModel();
  sessionStorage.setItem("model", one.name);
  $("says").textContent = one.says;
  const facts = [
    ["Trained on", one.trained_on],
    ["Kind", one.backbone ? `${one.approach} on ${one.backbone}` : one.approach],
    ["Looks at", one.clip],
    ["Pauses", one.knows_background ? "it says where no known action happens" : "it names something at every moment"],
  ];
  $("facts").replaceChildren(...facts.flatMap(([name, value]) => [
    Object.assign(document.createElement("dt"), { textContent: name }),
    Object.assign(document.createElement("dd"), { textContent: value }),
  ]));
  $("about").textContent = `What it was trained on, and its ${one.labels.length} labels`;
  $("labels").replaceChildren(...one.labels.map((label) => Object.assign(document.createElement("li"), { textContent: label })));
  $("camera-line").hidden = !one.streams || !navigator.mediaDevices?.getUserMedia;
};

const choose = () => {
  listening?.close();
  listening = null;
  history.replaceState(null, "", "/");
  $("file").value = "";
  show("choose");
};

const work = (what, share, left) => {
  $("working-what").textContent = what;
  if (share === null) $("bar").removeAttribute("value"); else $("bar").value = share;
  $("working-left").textContent = left;
  show("working");
};

// fetch() tells nothing of an upload's progress.
const send = (file) => {
  notice("");
  if (file.size > limits.max_bytes) return notice(`${file.name} is larger than ${sizeInWords(limits.max_bytes)}.`);
  const form = new FormData();
  form.append("model", chosenModel().name);
  form.append("file", file, file.name);
  const request = (sending = new XMLHttpRequest());
  const started = performance.now();
  request.upload.onprogress = (event) => {
    const share = event.total ? event.loaded / event.total : 0;
    const left = share > 0.02 ? ((performance.now() - started) / 1000) * (1 / share - 1) : null;
    work(`Sending ${file.name}`, share, share >= 1 ? "checking the video" : leftInWords(left));
  };
  const failed = (text) => { sending = null; choose(); notice(text); };
  request.onload = () => {
    sending = null;
    let said = {};
    try { said = JSON.parse(request.responseText); } catch { /* not ours */ }
    if (request.status === 202) follow(said.id);
    else if (request.status === 401) enter();
    else failed(said.error?.message ?? `The server answers ${request.status}.`);
  };
  request.onerror = () => failed("The connection was lost.");
  request.onabort = () => failed("");
  request.open("POST", "/v1/predict");
  request.send(form);
  work(`Sending ${file.name}`, 0, "");
};

const leftInWords = (seconds) => {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 1.5) return "about a second left";
  return seconds < 90 ? `about ${Math.round(seconds)} s left` : `about ${Math.round(seconds / 60)} minutes left`;
};

const phases = { starting: "starting", fetching: "fetching the video", loading: "loading the model", recognising: "recognising", explaining: "looking at what decided", drawing: "drawing the result" };

const follow = (id) => {
  history.replaceState(null, "", `#job=${id}`);
  listening?.close();
  const events = (listening = new EventSource(`/v1/jobs/${id}/events`));
  events.addEventListener("job", (event) => {
    const job = JSON.parse(event.data);
    if (job.state === "waiting") {
      work(job.name, null, job.before ? `waiting; ${job.before} before it` : "waiting");
    } else if (job.state === "running") {
      const left = leftInWords(job.left_s);
      work(job.name, job.share || null, phases[job.phase] + (left ? `, ${left}` : ""));
    } else {
      events.close();
      if (job.state === "failed") { choose(); notice(job.error.message); } else done(job);
    }
  });
  events.addEventListener("gone", () => { events.close(); choose(); });
  events.onerror = async () => {
    if (events.readyState !== EventSource.CLOSED) return; // it tries again by itself
    try { await ask(`/v1/jobs/${id}`); setTimeout(() => listening === events && follow(id), 2000); }
    catch (error) { if ($("door").hidden) { choose(); notice(error.message); } }
  };
};

const done = async (job) => {
  try {
    const [result, curves] = await Promise.all([ask(job.results.json), ask(job.results.curves)]);
    show("result");
    showResult(job, result, curves, { ask, leftInWords, phases, model: models.find((one) => one.name === job.model) });
  } catch (error) { choose(); notice(error.message); }
};

const currentJob = () => /^#job=([0-9a-f]{32})$/.exec(location.hash)?.[1];

const forget = async () => {
  const id = currentJob();
  listening?.close();
  $("video").removeAttribute("src");
  $("video").load();
  let failed = "";
  try { if (id) await ask(`/v1/jobs/${id}`, { method: "DELETE" }); } catch (error) { failed = error.message; }
  choose();
  notice(failed);
};

const begin = async () => {
  try {
    await load();
    const id = currentJob();
    if (id) follow(id); else show("choose");
  } catch (error) { if ($("door").hidden) notice(error.message); }
};

$("model").addEventListener("change", describe);
$("file").addEventListener("change", () => $("file").files[0] && send($("file").files[0]));
$("cancel").addEventListener("click", () => (sending ? sending.abort() : forget()));
$("forget").addEventListener("click", forget);
$("again").addEventListener("click", () => { $("video").pause(); notice(""); choose(); });
$("link-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  notice("");
  try {
    const body = JSON.stringify({ url: $("link").value, model: chosenModel().name });
    const job = await ask("/v1/predict", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    $("link").value = "";
    follow(job.id);
  } catch (error) { notice(error.message); }
});
$("door-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    await ask("/v1/session", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ token: $("token").value }) });
    $("token").value = "";
    notice("");
    $("door").hidden = true;
    await begin();
  } catch { notice("That is not the token."); }
});
$("camera-start").addEventListener("click", async () => {
  notice("");
  show("live");
  $("camera-stop").focus();
  try { await startCamera(chosenModel()); } catch (error) { notice(error.message); }
  if (!$("live").hidden) choose();
});
$("camera-stop").addEventListener("click", stopCamera);

// A file that misses the box must not take the browser away from the page.
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(name, (event) => {
    event.preventDefault();
    const inside = $("drop").contains(event.target) && !$("choose").hidden;
    $("drop").classList.toggle("over", inside && name !== "drop" && name !== "dragleave");
    if (name === "drop" && !$("choose").hidden && event.dataTransfer.files[0]) send(event.dataTransfer.files[0]);
  });
}
begin();
