// Asks the service. An error becomes a sentence; what cannot be reached is told apart, for it may come back.
export class Unreachable extends Error {}

export const ask = async (path, method = "GET", body = null) => {
  const isData = body instanceof Blob;
  const options = { method, headers: body && !isData ? { "Content-Type": "application/json" } : {} };
  if (body) options.body = isData ? body : JSON.stringify(body);
  let answer;
  try { answer = await fetch(`/v1/label${path}`, options); } catch { throw new Unreachable("The server cannot be reached."); }
  const said = await answer.json().catch(() => null);
  if (!answer.ok) throw Object.assign(new Error(said?.error?.message ?? `The server answers ${answer.status}`), { status: answer.status });
  return said;
};

export const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
