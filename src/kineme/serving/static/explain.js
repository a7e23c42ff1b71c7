// Where and when the model looked: a job of its own, its strip over time, its picture, and its video.
import { $ } from "./dom.js";
import { clock, onMoment, percent, seek, video } from "./player.js";

const STEP_S = 0.5; // of the arrow keys
const COLOURS = { occlusion: "var(--c0)", gradient: "var(--c1)" };
const WORDS = { occlusion: "how much less speaks for it when the film is held still there", gradient: "gradient of the network" };
let ask = null;
let listening = null;
let duration = 0;
let plain = ""; // address of the video without heat maps
let explained = "";

const svg = (name, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
};

const paint = () => {
  if (!duration) return;
  const time = Math.min(video.currentTime, duration);
  $("strip-head").style.left = `${(100 * time) / duration}%`;
  $("strip").setAttribute("aria-valuenow", time.toFixed(1));
  $("strip").setAttribute("aria-valuetext", clock(time));
};

const jump = (seconds) => { seek(seconds, duration); paint(); };

// The same moment, in the same state, of another video.
const swap = (address) => {
  const time = video.currentTime, playing = !video.paused && !video.ended;
  video.src = address;
  video.addEventListener("loadedmetadata", () => { video.currentTime = time; if (playing) video.play(); }, { once: true });
};

const showInVideo = (wanted) => {
  $("why-video").setAttribute("aria-pressed", String(wanted));
  $("why-video").textContent = wanted ? "Show the video without it" : "Show it in the video";
  swap(wanted ? explained : plain);
};

const show = (job, found, model) => {
  duration = found.duration_s;
  explained = job.results.mp4;
  $("why-label").value = found.label;
  $("why-said").textContent = found.decided.length
    ? `${found.label}, ${percent(found.probability)} in the whole video, was decided by ${found.decided.length === 1 ? "this span" : `these ${found.decided.length} spans`}:`
    : `No frames spoke for ${found.label} (${percent(found.probability)} in the whole video).`;
  const lines = $("strip-lines");
  lines.replaceChildren();
  const x = (time) => ((1000 * time) / duration).toFixed(1);
  for (const one of found.decided) {
    lines.append(svg("rect", { x: x(one.start_s), y: 0, width: x(one.end_s - one.start_s), height: 100, class: "decided" }));
  }
  const ends = [...found.times_s.slice(1), Math.max(duration, found.times_s.at(-1))];
  const middles = found.times_s.map((time, number) => (time + ends[number]) / 2);
  for (const [method, strip] of Object.entries(found.strips).reverse()) {
    const largest = Math.max(...strip, 1e-9);
    const points = middles.map((time, number) => `${x(time)},${(98 - 94 * Math.max(0, strip[number] / largest)).toFixed(1)}`);
    if (method === found.method) {
      lines.append(svg("polygon", { points: [`${x(middles[0])},100`, ...points, `${x(middles.at(-1))},100`].join(" "), fill: COLOURS[method], class: "area" }));
    }
    lines.append(svg("polyline", { points: points.join(" "), stroke: COLOURS[method], fill: "none", "stroke-width": 1.6, "vector-effect": "non-scaling-stroke" }));
  }
  $("strip").setAttribute("aria-valuemax", duration.toFixed(1));
  $("strip").setAttribute("aria-label", `What spoke for ${found.label} over time; arrow keys go along the video`);
  $("strip-key").replaceChildren(...Object.keys(found.strips).map((method) => {
    const entry = document.createElement("span");
    entry.append(Object.assign(document.createElement("i"), { style: `background: ${COLOURS[method]}` }), WORDS[method]);
    return entry;
  }));
  $("why-spans").replaceChildren(...found.decided.map((one) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: `${clock(one.start_s)} to ${clock(one.end_s)}` });
    button.title = `${percent(one.share)} of all that speaks for it`;
    button.addEventListener("click", () => jump(one.start_s));
    return button;
  }));
  $("why-picture").src = $("why-open").href = job.results.png;
  $("why-picture").alt = `Decisive frames for ${found.label}, ` + (model?.explains === "when" ? "" : "bright where the model looked, ") + "above a timeline";
  const stem = job.name.replace(/\.[^.]+$/, "") || job.name;
  $("why-downloads").replaceChildren(...[["png", "Picture (PNG)"], ["mp4", "Video (mp4)"], ["json", "JSON"]].map(([kind, text]) =>
    Object.assign(document.createElement("a"), { href: job.results[kind], textContent: text, download: `${stem}-explained.${kind}` })));
  $("why-result").hidden = false;
  paint();
};

const failed = (text) => {
  $("why-working").hidden = true;
  $("why").disabled = false;
  $("why-failed").textContent = text;
  $("why-failed").hidden = !text;
};

const follow = (id, { leftInWords, phases, model }) => {
  listening?.close();
  const events = (listening = new EventSource(`/v1/jobs/${id}/events`));
  $("why").disabled = true;
  $("why-working").hidden = false;
  $("why-left").textContent = "waiting";
  $("why-bar").removeAttribute("value");
  events.addEventListener("job", async (event) => {
    const job = JSON.parse(event.data);
    if (job.state === "running") {
      const left = leftInWords(job.left_s);
      if (job.share) $("why-bar").value = job.share;
      $("why-left").textContent = phases[job.phase] + (left ? `, ${left}` : "");
    } else if (job.state !== "waiting") {
      events.close();
      if (job.state === "failed") { failed(job.error.message); return; }
      try {
        const found = await ask(job.results.json);
        if (listening === events) { failed(""); show(job, found, model); }
      } catch (error) { failed(error.message); }
    }
  });
  events.addEventListener("gone", () => { events.close(); failed("It was removed."); });
  events.onerror = () => { if (events.readyState === EventSource.CLOSED) failed("The connection was lost."); };
};

export const showWhy = (job, result, service) => {
  listening?.close();
  ({ ask } = service);
  duration = 0;
  plain = job.results.mp4;
  failed("");
  $("why-result").hidden = true;
  $("why-video").setAttribute("aria-pressed", "false");
  $("why-video").textContent = "Show it in the video";
  const { model } = service;
  $("why-form").hidden = !model;
  $("why-note").textContent = !model ? "The model that looked at this video is not served any more."
    : model.explains === "when"
      ? "This model is exported: it can say which frames decided, but not where in them it looked."
      : "Heat maps of the frames, and which frames decided. It takes several times as long as recognising.";
  if (!model) return;
  const happened = [...new Set(result.segments.map((one) => one.label))].filter((one) => model.labels.includes(one));
  const labels = [...new Set([result.top[0].label, ...happened, ...result.top.map((one) => one.label), ...model.labels])];
  $("why-label").replaceChildren(...labels.map((label) => new Option(label, label)));
  $("why-form").onsubmit = async (event) => {
    event.preventDefault();
    failed("");
    if ($("why-video").getAttribute("aria-pressed") === "true") showInVideo(false);
    $("why-result").hidden = true;
    try {
      const body = JSON.stringify({ label: $("why-label").value });
      const made = await ask(`/v1/jobs/${job.id}/explain`, { method: "POST", headers: { "Content-Type": "application/json" }, body });
      follow(made.id, service);
    } catch (error) { failed(error.message); }
  };
  if (job.explanations.length) follow(job.explanations.at(-1), service);
};

$("strip").addEventListener("click", (event) => {
  const box = $("strip").getBoundingClientRect();
  jump(((event.clientX - box.left) / box.width) * duration);
});
$("strip").addEventListener("keydown", (event) => {
  const time = { ArrowRight: video.currentTime + STEP_S, ArrowUp: video.currentTime + STEP_S, ArrowLeft: video.currentTime - STEP_S, ArrowDown: video.currentTime - STEP_S, Home: 0, End: duration }[event.key];
  if (time === undefined) return;
  event.preventDefault();
  jump(time);
});
$("why-video").addEventListener("click", () => showInVideo($("why-video").getAttribute("aria-pressed") !== "true"));
onMoment(paint);
