// Serves public/ and tells the page where its backend is. The address is read when the server
// starts, not when the image is built: one image fits every stack.
import { createServer } from "node:http";
import sirv from "sirv";

const port = Number(process.env.PORT ?? 3000);
const backendUrl = process.env.PUBLIC_BACKEND?.replace(/\/+$/, "");
if (!backendUrl) {
  // No default on purpose: a guessed localhost:8000 may be another stack's backend.
  console.error("PUBLIC_BACKEND is not set: the backend's address as a browser reaches it");
  process.exit(1);
}

const headers = {
  "content-security-policy": `default-src 'self'; connect-src 'self' ${new URL(backendUrl).origin}; frame-ancestors 'none'`,
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

// In production the files are listed once, at the start; in development each is read when it is
// asked for, so a changed one is served at once.
const assets = sirv("public", { dev: process.env.NODE_ENV === "development", etag: true });

const server = createServer((request, response) => {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  switch (request.url) {
    case "/health/live":
    case "/health/ready":
      return response.end("ok\n");
    case "/config.json":
      response.setHeader("content-type", "application/json");
      response.setHeader("cache-control", "no-store");
      return response.end(JSON.stringify({ backendUrl }));
    default:
      assets(request, response, () => {
        response.statusCode = 404;
        response.end("not found\n");
      });
  }
});

server.listen(port, () => console.log(`serving on port ${port}, backend at ${backendUrl}`));

// PID 1 gets no default signal handling. What is being answered is answered first.
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close(() => process.exit(0));
    server.closeIdleConnections();
  });
}
