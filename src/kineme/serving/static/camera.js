// The camera: pictures go to the server as JPEG, and what comes back is shown with how late it is. At most two pictures
// are on their way, so that a slow server or network makes it show fewer, not older ones.
import { $, fillBars } from "./dom.js";

const RATE = 15;
const MOST_SIDE = 360;
const ON_THEIR_WAY = 2;
let stop = null;

export const stopCamera = () => stop?.();

// Resolves when the visitor stops it; throws where it cannot go on.
export const startCamera = async (model) => {
  $("live-label").textContent = "Starting…";
  $("live-model").textContent = `Followed by ${model.name}: ${model.clip}.`;
  $("delay").textContent = "";
  $("live-bars").replaceChildren();
  let media;
  try {
    media = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "user", width: { ideal: 640 } }, audio: false });
  } catch (error) {
    throw new Error(error.name === "NotAllowedError" ? "The browser does not let this page use the camera." : "No camera can be used.");
  }
  const camera = $("camera");
  let socket = null;
  let timer = null;
  try {
    camera.srcObject = media;
    await camera.play();
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    socket = new WebSocket(`${scheme}://${location.host}/v1/stream?model=${encodeURIComponent(model.name)}`);
    socket.binaryType = "arraybuffer";
    await new Promise((resolve, reject) => {
      const canvas = document.createElement("canvas");
      let sent = 0, over = 0, drawing = false, error = null; // over: answered, or left out for a newer one

      const send = () => {
        if (drawing || sent - over >= ON_THEIR_WAY || socket.readyState !== WebSocket.OPEN || !camera.videoWidth) return;
        const scale = Math.min(1, MOST_SIDE / Math.min(camera.videoWidth, camera.videoHeight));
        canvas.width = Math.round(camera.videoWidth * scale);
        canvas.height = Math.round(camera.videoHeight * scale);
        canvas.getContext("2d").drawImage(camera, 0, 0, canvas.width, canvas.height);
        const time = performance.now();
        drawing = true;
        canvas.toBlob(async (blob) => {
          drawing = false;
          if (!blob) return;
          const message = new Uint8Array(8 + blob.size);
          new DataView(message.buffer).setFloat64(0, time, true);
          message.set(new Uint8Array(await blob.arrayBuffer()), 8);
          if (socket.readyState !== WebSocket.OPEN) return; // it may have been stopped meanwhile
          sent += 1;
          socket.send(message);
        }, "image/jpeg", 0.8);
      };

      socket.onmessage = (event) => {
        const said = JSON.parse(event.data);
        if (said.error) { error = said.error.message; return; }
        if (said.ready) { timer = setInterval(send, 1000 / RATE); return; }
        over = said.answered + said.dropped;
        if (!said.top.length) { $("live-label").textContent = "Watching…"; return; }
        const unsure = said.known === false;
        $("live-label").textContent = unsure ? "no known action" : said.top[0].label;
        $("live-bars").classList.toggle("unsure", unsure);
        fillBars($("live-bars"), said.top.map((one) => [one.label, one.probability]));
        $("delay").textContent = `${Math.round(performance.now() - said.time_ms)} ms late` + (said.dropped ? `, ${said.dropped} pictures left out` : "");
      };
      socket.onclose = (event) => reject(new Error(error ?? (event.reason || "The connection to the server was lost.")));
      stop = resolve;
    });
  } finally {
    stop = null;
    clearInterval(timer);
    if (socket) {
      socket.onclose = null;
      socket.close();
    }
    media.getTracks().forEach((track) => track.stop());
    camera.srcObject = null;
  }
};
