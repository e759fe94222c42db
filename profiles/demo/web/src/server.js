// Serves public/ and tells the page where its API is. The address is read when
// the server starts, not when the image is built: one image fits every stack.
import { createServer } from "node:http";
import sirv from "sirv";

const port = Number(process.env.PORT ?? 4173);
const apiUrl = process.env.PUBLIC_API;
if (!apiUrl) {
  // No default on purpose: a guessed localhost:5000 may be another stack's API.
  console.error("PUBLIC_API is not set: the API's address as a browser reaches it");
  process.exit(1);
}

// `dev` reads each file when it is asked for, so a changed one is served at once.
const assets = sirv("public", { dev: true, etag: true });

const server = createServer((request, response) => {
  switch (request.url) {
    case "/healthz":
      return response.end("ok\n");
    case "/config.json":
      response.setHeader("content-type", "application/json");
      response.setHeader("cache-control", "no-store");
      return response.end(JSON.stringify({ apiUrl }));
    default:
      assets(request, response, () => {
        response.statusCode = 404;
        response.end("not found\n");
      });
  }
});

server.listen(port, () => console.log(`serving on port ${port}, API at ${apiUrl}`));

// PID 1 gets no default signal handling: without this, a stop waits for the kill.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => process.exit(0));
}
