const RETRY_MS = 1000;
const element = (id) => document.getElementById(id);

let backendUrl;
let token = sessionStorage.getItem("token");

// Every call goes from the browser straight to the backend: no proxy hides a wrong address.
async function call(path, body) {
  const response = await fetch(backendUrl + path, {
    method: body ? "POST" : "GET",
    headers: {
      ...(token && { authorization: `Bearer ${token}` }),
      ...(body && { "content-type": "application/json" }),
    },
    body: body && JSON.stringify(body),
  });
  const answer = await response.json();
  if (response.status === 401 && token) signOut();
  if (!response.ok) {
    throw new Error(typeof answer.detail === "string" ? answer.detail : `HTTP ${response.status}`);
  }
  return answer;
}

function item(text, name) {
  const row = document.createElement("li");
  row.textContent = text;
  row.className = name;
  return row;
}

function say(role, text) {
  element("messages").append(item(text, role));
  element("messages").scrollTop = element("messages").scrollHeight;
}

function showProblem(message) {
  element("problem").textContent = message;
  element("problem").hidden = !message;
}

async function showTasks() {
  const tasks = await call("/tasks");
  element("tasks").replaceChildren(
    ...tasks.map(({ id, title, done }) => item(`${id}  ${title}`, done ? "done" : "open")),
  );
  element("empty").hidden = tasks.length > 0;
}

function signOut() {
  sessionStorage.removeItem("token");
  token = null;
  element("messages").replaceChildren();
  element("tasks").replaceChildren();
  show();
}

function show() {
  element("login").hidden = Boolean(token);
  element("work").hidden = !token;
  element("leave").hidden = !token;
}

async function showWork() {
  show();
  if (!token) return;
  const [messages] = await Promise.all([call("/messages"), showTasks()]);
  element("messages").replaceChildren();
  for (const { role, text } of messages) say(role, text);
}

// Keeps trying: the page may well be open before the stack is up.
async function load() {
  try {
    backendUrl ??= (await (await fetch("config.json")).json()).backendUrl;
    const { stack, model } = await call("/");
    document.documentElement.dataset.stack = stack;
    element("stack").textContent = stack;
    element("model").textContent = `Answers come from: ${model}`;
    showProblem("");
    await showWork();
  } catch (error) {
    showProblem(`No answer from ${backendUrl ?? "the web server"} yet (${error.message}). Trying again.`);
    setTimeout(load, RETRY_MS);
  }
}

element("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  try {
    const login = { name: form.get("name"), password: form.get("password") };
    token = (await call(`/${event.submitter.value}`, login)).token;
    sessionStorage.setItem("token", token);
    showProblem("");
    await showWork();
  } catch (error) {
    showProblem(error.message);
  }
});

element("chat").addEventListener("submit", async (event) => {
  event.preventDefault();
  const text = new FormData(event.target).get("text");
  event.target.reset();
  say("user", text);
  try {
    say("assistant", (await call("/messages", { text })).text);
    showProblem("");
    await showTasks();
  } catch (error) {
    showProblem(`Not answered: ${error.message}.`);
  }
});

element("leave").addEventListener("click", signOut);
load();
