// Training, what the trained model proposes, and trying it with the camera.
import { ask, pause } from "./api.js";
import { startCamera, stopCamera } from "../camera.js";
import { notice, state } from "./state.js";
import { $ } from "../dom.js";

let watching = false;
let refresh = async () => {};

const showTraining = (training) => {
  const isBusy = ["waiting", "running"].includes(training?.state);
  $("train").hidden = isBusy;
  $("train-stop").hidden = $("train-bar").hidden = !isBusy;
  $("train-report").hidden = training?.state !== "done";
  if (!training) return isBusy;
  $("train-report").href = `/v1/label/runs/${training.run}/report`;
  if (training.state === "failed") $("train-state").textContent = training.message;
  if (training.state === "done") $("train-state").textContent = training.verdict;
  if (!isBusy) return isBusy;
  const [what, done, total] = Array.isArray(training.progress) ? training.progress : ["starting", 0, null];
  $("train-state").textContent = `${what}${total ? `: ${done} of ${total}` : "…"}`;
  if (total) $("train-bar").value = done / total; else $("train-bar").removeAttribute("value");
  return isBusy;
};

const showProposing = ({ done = 0, running = 0, waiting = 0, failed = 0 }) => {
  const all = done + running + waiting + failed;
  $("propose-state").textContent = all ? `${done} of ${all} videos looked at${failed ? `, ${failed} could not be read` : ""}` : "";
  $("unseen").disabled = !state.overview.videos.some((one) => one.proposals);
  $("propose").disabled = !state.overview.model || running + waiting > 0;
  $("propose-says").textContent = state.overview.model
    ? `Proposed by ${state.overview.model}. In the list, choose “least sure first”; in a video, P goes to the next proposal, Y accepts, R rejects, a digit corrects.`
    : "There is no model yet: train one, or start with --model.";
  return running + waiting > 0;
};

// Asks how far all is for as long as something is going on.
const watch = async () => {
  if (watching) return;
  watching = true;
  try {
    for (let before = ""; ; ) {
      const said = await ask("/work");
      const isTraining = showTraining(said.training), isProposing = showProposing(said.proposing);
      const key = JSON.stringify([said.training?.state, said.proposing]);
      if (key !== before) { before = key; await refresh(); showProposing(said.proposing); }
      $("camera-start").disabled = !state.overview.model;
      $("live-model").textContent = state.overview.model ? `Followed by ${state.overview.model}.` : "There is no model yet.";
      if (!isTraining && !isProposing) return;
      await pause(1000);
    }
  } catch (error) { notice(error.message); } finally { watching = false; }
};

const act = (path, method) => async () => {
  notice("");
  try { await ask(path, method); } catch (error) { notice(error.message); }
  watch();
};

export const start = (refreshOverview) => {
  refresh = refreshOverview;
  $("train").addEventListener("click", act("/training", "POST"));
  $("train-stop").addEventListener("click", act("/training", "DELETE"));
  $("propose").addEventListener("click", act("/proposals", "POST"));
  $("unseen").addEventListener("click", async () => {
    notice("");
    try {
      const { taken } = await ask("/proposals/unseen", "POST");
      await refresh();
      $("propose-state").textContent = `${taken} proposals taken`;
    } catch (error) { notice(error.message); }
    watch();
  });
  $("camera-start").addEventListener("click", async () => {
    notice("");
    $("camera-start").hidden = true;
    $("camera-stop").hidden = $("camera").hidden = false;
    try { await startCamera({ name: state.overview.model, clip: "live" }); } catch (error) { notice(error.message); }
    $("camera-start").hidden = false;
    $("camera-stop").hidden = $("camera").hidden = true;
  });
  $("camera-stop").addEventListener("click", stopCamera);
};
export { watch };
