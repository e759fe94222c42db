const RETRY_MS = 1000;
const element = (id) => document.getElementById(id);
let apiUrl;

// Every call goes from the browser straight to the API: no proxy hides a wrong address.
async function call(path, body) {
  const post = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
  const response = await fetch(apiUrl + path, body ? post : {});
  const answer = await response.json();
  if (!response.ok) throw new Error(typeof answer.detail === "string" ? answer.detail : `HTTP ${response.status}`);
  return answer;
}

function showProblem(message) {
  element("problem").textContent = message;
  element("problem").hidden = !message;
}

async function showDocuments() {
  const rows = (await call("/documents")).map(({ text }) => {
    const row = document.createElement("li");
    row.textContent = text;
    return row;
  });
  element("documents").replaceChildren(...rows);
}

// Keeps trying: the page may well be open before the stack is up.
async function load() {
  try {
    apiUrl ??= (await (await fetch("config.json")).json()).apiUrl;
    const { stack, database, visits } = await call("/");
    element("stack").textContent = `${stack}, database ${database}, visit ${visits}`;
    showProblem("");
    await showDocuments();
  } catch (error) {
    showProblem(`No answer from ${apiUrl ?? "the web server"} yet (${error.message}). Trying again.`);
    setTimeout(load, RETRY_MS);
  }
}

function onSubmit(id, work) {
  element(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    const text = new FormData(event.target).get("text");
    try {
      await work(text);
      event.target.reset();
      showProblem("");
    } catch (error) {
      showProblem(error.message);
    }
  });
}

onSubmit("chat", async (text) => {
  element("reply").textContent = (await call("/chat", { text })).text;
});
onSubmit("keep", async (text) => {
  await call("/documents", { text });
  await showDocuments();
});
load();
