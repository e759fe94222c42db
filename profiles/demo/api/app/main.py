"""A notes board: notes in PostgreSQL, a visit counter in Redis."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Annotated

import psycopg
from fastapi import FastAPI, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from psycopg.rows import dict_row
from pydantic import BaseModel, StringConstraints
from redis.asyncio import Redis
from redis.exceptions import RedisError

VERSION = "1.0.0"
STACK_NAME = os.environ.get("STACK_NAME", "local")
PGHOST = os.environ.get("PGHOST", "localhost")  # libpq reads it too, but names it in no error
REDIS_URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")

# Pages served from this machine may call the API, under any port and any *.localhost name.
LOCAL_PAGES = r"https?://(([\w-]+\.)*localhost|127\.0\.0\.1|\[::1\])(:\d+)?"

CREATE_TABLE = """
    create table if not exists notes (
        id bigint generated always as identity primary key,
        text text not null,
        created_at timestamptz not null default now()
    )
"""

log = logging.getLogger("uvicorn.error")
logging.getLogger("uvicorn.access").addFilter(lambda record: "/healthz" not in record.getMessage())


class NewNote(BaseModel):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=280)]


class Note(BaseModel):
    id: int
    text: str
    created_at: datetime


async def connect() -> psycopg.AsyncConnection:
    """Opens a connection as PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD say.

    One per request: a notes board can afford it, and nothing goes stale when the database restarts.
    """
    return await psycopg.AsyncConnection.connect(
        host=PGHOST, autocommit=True, connect_timeout=2, row_factory=dict_row
    )


def first_line(error: psycopg.Error) -> str:
    return str(error).partition("\n")[0]


async def create_table(app: FastAPI) -> None:
    """Waits for the database, however long that takes, and makes the API ready."""
    reason = ""
    while not app.state.ready:
        try:
            async with await connect() as db:
                await db.execute(CREATE_TABLE)
            app.state.ready = True
            log.info("The database is ready")
        except psycopg.Error as error:
            if first_line(error) != reason:
                reason = first_line(error)
                log.info("Waiting for the database: %s", reason)
            await asyncio.sleep(0.5)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.ready = False
    app.state.redis = Redis.from_url(REDIS_URL, socket_connect_timeout=1, socket_timeout=1)
    setup = asyncio.create_task(create_table(app))
    yield
    setup.cancel()
    await app.state.redis.aclose()


app = FastAPI(title="Notes", version=VERSION, lifespan=lifespan)
app.state.requests = 0
app.add_middleware(
    CORSMiddleware,
    allow_origin_regex=LOCAL_PAGES,
    allow_methods=["GET", "POST"],
    allow_headers=["content-type"],
)


@app.middleware("http")
async def count_request(request: Request, call_next):
    app.state.requests += 1
    return await call_next(request)


@app.exception_handler(psycopg.Error)
def database_failed(_: Request, error: psycopg.Error) -> JSONResponse:
    return JSONResponse({"detail": f"the database: {first_line(error)}"}, status_code=503)


@app.get("/healthz")
async def healthz() -> JSONResponse:
    """Ready means: the table exists and the database answers now."""
    if not app.state.ready:
        return JSONResponse({"detail": "waiting for the database"}, status_code=503)
    async with await connect() as db:
        await db.execute("select 1")
    return JSONResponse({"status": "ok"})


@app.get("/metrics")
async def metrics() -> PlainTextResponse:
    """In the text format of Prometheus."""
    lines = [
        "# HELP demo_requests_total HTTP requests since the start of this process.",
        "# TYPE demo_requests_total counter",
        f"demo_requests_total {app.state.requests}",
    ]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


@app.get("/")
async def stack() -> dict[str, str | int | None]:
    """Says who answers, and counts the visit."""
    async with await connect() as db:
        database = db.info.dbname
    return {
        "stack": STACK_NAME,
        "server": socket.gethostname(),
        "database": database,
        "hits": await count_visit(),
        "version": VERSION,
    }


async def count_visit() -> int | None:
    """The board works without its counter: no Redis, no number."""
    try:
        return await app.state.redis.incr("hits")
    except RedisError as error:
        log.warning("The visit is not counted: %s", error)
        return None


@app.get("/notes")
async def list_notes() -> list[Note]:
    async with await connect() as db:
        rows = await db.execute("select id, text, created_at from notes order by id desc limit 100")
        return await rows.fetchall()


@app.post("/notes", status_code=201)
async def add_note(note: NewNote) -> Note:
    async with await connect() as db:
        rows = await db.execute(
            "insert into notes (text) values (%s) returning id, text, created_at", [note.text]
        )
        return await rows.fetchone()
