const RETRY_MS = 1000;
const element = (id) => document.getElementById(id);
const form = element("form");
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

let apiUrl;

// Every call goes from the browser straight to the API: no proxy hides a wrong address.
async function call(path, options) {
  const response = await fetch(apiUrl + path, options);
  const body = await response.json();
  if (!response.ok) {
    throw new Error(typeof body.detail === "string" ? body.detail : `HTTP ${response.status}`);
  }
  return body;
}

function showStack({ stack, server, hits, database, version }) {
  document.documentElement.dataset.stack = stack;
  document.title = `Notes · ${stack}`;
  element("stack").textContent = stack;
  element("hits").textContent = hits?.toLocaleString() ?? "–";
  element("api").textContent = new URL(apiUrl).host;
  element("server").textContent = server;
  element("database").textContent = database;
  element("version").textContent = version;
}

function noteCard({ text, created_at }) {
  const card = document.createElement("li");
  const body = document.createElement("p");
  const time = document.createElement("time");
  body.textContent = text;
  time.dateTime = created_at;
  time.textContent = dates.format(new Date(created_at));
  card.append(body, time);
  return card;
}

function showNotes(notes) {
  element("board").replaceChildren(...notes.map(noteCard));
  element("empty").hidden = notes.length > 0;
}

function showProblem(message) {
  element("problem").textContent = message;
  element("problem").hidden = !message;
}

// Keeps trying: the page may well be open before the stack is up.
async function load() {
  try {
    apiUrl ??= (await (await fetch("config.json")).json()).apiUrl.replace(/\/+$/, "");
    const [stack, notes] = await Promise.all([call("/"), call("/notes")]);
    showStack(stack);
    showNotes(notes);
    showProblem("");
  } catch (error) {
    showProblem(`No answer from ${apiUrl ?? "the web server"} yet (${error.message}). Trying again.`);
    setTimeout(load, RETRY_MS);
  }
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = new FormData(form).get("text");
  try {
    await call("/notes", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ text }),
    });
    form.reset();
    showNotes(await call("/notes"));
    showProblem("");
  } catch (error) {
    showProblem(`The note was not saved: ${error.message}.`);
  }
});

load();
