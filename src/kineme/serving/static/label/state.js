// What all parts of the page know, and how they hear of a change.
export const state = {
  overview: { videos: [], classes: [], groups: [], model: null },
  video: null, // the document of the video that is shown
  current: null, // the class that Space starts
  open: new Map(), // segments begun and not ended: class -> start
  selected: null, // id of a segment or proposal
  track: null, // the person that the next segment is about
};

const listeners = [];
export const onChange = (listener) => listeners.push(listener);
export const changed = () => listeners.forEach((listener) => listener());

const COLOURS = 6;
export const colourOf = (label) => {
  const at = state.overview.classes.indexOf(label);
  return `c-${(at < 0 ? COLOURS - 1 : at) % COLOURS}`;
};

export const notice = (text) => {
  const box = document.getElementById("notice");
  box.textContent = text || "";
  box.hidden = !text;
};

export const segmentOf = (id) => state.video?.segments.find((one) => one.id === id);
export const proposalOf = (id) => state.video?.proposals.find((one) => one.id === id);
export const endOf = (one) => one.end_s ?? state.video.duration_s;
