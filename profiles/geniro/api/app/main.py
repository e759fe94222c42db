"""A miniature of Geniro's API: documents with two vector searches, encrypted credentials, and a chat.

It uses every service of the stack once, so that a stack that is not whole shows here.
"""

import asyncio
import json
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import Request as HttpRequest
from urllib.request import urlopen

import psycopg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from psycopg.rows import dict_row
from pydantic import BaseModel, StringConstraints
from redis import Redis
from redis.exceptions import RedisError

VERSION = "1.0.0"
STACK_NAME = os.environ.get("STACK_NAME", "local")
PGHOST = os.environ["PGHOST"]
QDRANT_URL = os.environ["QDRANT_URL"]
QDRANT_API_KEY = os.environ.get("QDRANT_API_KEY", "")
LITELLM_URL = os.environ["LITELLM_URL"]
LITELLM_MASTER_KEY = os.environ["LITELLM_MASTER_KEY"]
# 64 hexadecimal characters: a key of 256 bits.
CIPHER = AESGCM(bytes.fromhex(os.environ["CREDENTIAL_ENCRYPTION_KEY"]))
NONCE_BYTES = 12

LOCAL_PAGES = r"https?://(([\w-]+\.)*localhost|127\.0\.0\.1|\[::1\])(:\d+)?"
COLLECTION = "documents"
DIMENSIONS = 64

TABLES = f"""
    select pg_advisory_xact_lock(5000);
    create extension if not exists vector;
    create table if not exists documents (
        id bigint generated always as identity primary key,
        text text not null,
        embedding vector({DIMENSIONS}) not null
    );
    create table if not exists credentials (name text primary key, sealed bytea not null);
"""

log = logging.getLogger("uvicorn.error")
logging.getLogger("uvicorn.access").addFilter(lambda record: "/health/" not in record.getMessage())
redis = Redis.from_url(os.environ["REDIS_URL"], socket_connect_timeout=1, socket_timeout=2)

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class NewDocument(BaseModel):
    text: Text


class Credential(BaseModel):
    name: Annotated[str, StringConstraints(pattern=r"^[\w-]{1,64}$")]
    value: Text


class NewMessage(BaseModel):
    text: Text


class ServiceFailed(RuntimeError):
    """One of the services behind the API did not answer as it should."""


def connect() -> psycopg.Connection:
    """As PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD say."""
    return psycopg.connect(host=PGHOST, connect_timeout=2, row_factory=dict_row)


def ask(method: str, url: str, headers: dict[str, str], body: Any = None) -> Any:
    """One HTTP request with JSON both ways."""
    data = None if body is None else json.dumps(body).encode()
    request = HttpRequest(url, data, {"content-type": "application/json", **headers}, method=method)
    try:
        with urlopen(request, timeout=20) as answer:
            return json.load(answer)
    except (URLError, TimeoutError, ValueError) as error:
        raise ServiceFailed(f"{method} {url}: {error}") from error


def litellm(path: str, body: Any) -> Any:
    return ask("POST", f"{LITELLM_URL}{path}", {"authorization": f"Bearer {LITELLM_MASTER_KEY}"}, body)


def qdrant(method: str, path: str, body: Any = None) -> Any:
    headers = {"api-key": QDRANT_API_KEY} if QDRANT_API_KEY else {}
    return ask(method, f"{QDRANT_URL}/collections{path}", headers, body)["result"]


def embedding(text: str) -> list[float]:
    return litellm("/v1/embeddings", {"model": "stand-in", "input": text})["data"][0]["embedding"]


def set_up() -> None:
    with connect() as db:
        db.execute(TABLES)
    # Its models, though the list is not used: it answers, and the key is right.
    ask("GET", f"{LITELLM_URL}/v1/models", {"authorization": f"Bearer {LITELLM_MASTER_KEY}"})
    names = [collection["name"] for collection in qdrant("GET", "")["collections"]]
    if COLLECTION not in names:
        vectors = {"size": DIMENSIONS, "distance": "Cosine"}
        try:
            qdrant("PUT", f"/{COLLECTION}", {"vectors": vectors})
        except ServiceFailed as error:
            # Another replica was faster.
            if not isinstance(error.__cause__, HTTPError) or error.__cause__.code != 409:
                raise


async def set_up_when_possible(app: FastAPI) -> None:
    """Waits for the services, however long that takes, and makes the API ready."""
    reason = ""
    while not app.state.ready:
        try:
            await asyncio.to_thread(set_up)
            app.state.ready = True
            log.info("The services are ready")
        except (psycopg.Error, ServiceFailed) as error:
            if str(error) != reason:
                reason = str(error)
                log.info("Waiting: %s", reason.partition("\n")[0])
            await asyncio.sleep(0.5)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.ready = False
    setup = asyncio.create_task(set_up_when_possible(app))
    yield
    setup.cancel()


app = FastAPI(title="Geniro, a miniature", version=VERSION, lifespan=lifespan)
app.add_middleware(
    CORSMiddleware, allow_origin_regex=LOCAL_PAGES, allow_methods=["GET", "POST"], allow_headers=["content-type"]
)


app.state.requests = 0


@app.middleware("http")
async def count(request: Request, call_next) -> Response:
    app.state.requests += 1
    return await call_next(request)


@app.exception_handler(psycopg.Error)
@app.exception_handler(RedisError)
@app.exception_handler(ServiceFailed)
def service_failed(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error).partition("\n")[0]}, status_code=503)


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/health/ready")
def ready() -> JSONResponse:
    if not app.state.ready:
        return JSONResponse({"detail": "waiting for the services"}, status_code=503)
    with connect() as db:
        db.execute("select 1")
    return JSONResponse({"status": "ok"})


@app.get("/metrics")
async def metrics() -> PlainTextResponse:
    """In the text format of Prometheus."""
    lines = [
        "# HELP geniro_requests_total HTTP requests since the start of this process.",
        "# TYPE geniro_requests_total counter",
        f"geniro_requests_total {app.state.requests}",
    ]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


@app.get("/")
def stack() -> dict[str, Any]:
    """Says who answers, with which database, and counts the visit."""
    with connect() as db:
        database = db.info.dbname
    visits = redis.incr("visits")
    return {
        "stack": STACK_NAME,
        "server": socket.gethostname(),
        "database": database,
        "visits": visits,
        "version": VERSION,
    }


@app.get("/documents")
def documents() -> list[dict[str, Any]]:
    with connect() as db:
        return db.execute("select id, text from documents order by id desc limit 100").fetchall()


@app.post("/documents", status_code=201)
def add_document(document: NewDocument) -> dict[str, Any]:
    vector = embedding(document.text)
    with connect() as db:
        row = db.execute(
            "insert into documents (text, embedding) values (%s, %s::vector) returning id, text",
            [document.text, json.dumps(vector)],
        ).fetchone()
        point = {"id": row["id"], "vector": vector, "payload": {"text": document.text}}
        # Within the transaction: if Qdrant fails, neither has it.
        qdrant("PUT", f"/{COLLECTION}/points?wait=true", {"points": [point]})
    return row


@app.get("/search")
def search(q: str, engine: Literal["pgvector", "qdrant"] = "pgvector") -> list[str]:
    """The nearest three, by either of the two engines."""
    vector = embedding(q)
    if engine == "qdrant":
        query = {"vector": vector, "limit": 3, "with_payload": True}
        return [point["payload"]["text"] for point in qdrant("POST", f"/{COLLECTION}/points/search", query)]
    with connect() as db:
        rows = db.execute(
            "select text from documents order by embedding <=> %s::vector limit 3", [json.dumps(vector)]
        )
        return [row["text"] for row in rows]


@app.post("/credentials", status_code=201)
def keep_credential(credential: Credential) -> dict[str, str]:
    """Sealed with AES-256-GCM; the name is bound to the value."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = nonce + CIPHER.encrypt(nonce, credential.value.encode(), credential.name.encode())
    with connect() as db:
        db.execute(
            "insert into credentials values (%s, %s) on conflict (name) do update set sealed = excluded.sealed",
            [credential.name, sealed],
        )
    return {"name": credential.name}


@app.get("/credentials/{name}")
def show_credential(name: str) -> dict[str, str]:
    """Never the whole of it."""
    with connect() as db:
        row = db.execute("select sealed from credentials where name = %s", [name]).fetchone()
    if row is None:
        raise HTTPException(404, f"there is no credential `{name}`")
    sealed = bytes(row["sealed"])
    value = CIPHER.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], name.encode()).decode()
    return {"name": name, "ends_with": value[-4:] if len(value) > 8 else ""}


@app.post("/chat", status_code=201)
def chat(message: NewMessage) -> dict[str, str]:
    body = {"model": "stand-in", "messages": [{"role": "user", "content": message.text}]}
    return {"text": litellm("/v1/chat/completions", body)["choices"][0]["message"]["content"]}
