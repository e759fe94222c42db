"""In the place of LiteLLM: the part of its OpenAI-compatible interface that the API uses.

There is no model behind it, and each answer says so. Embeddings are hashed words: near texts share words.
"""

import asyncio
import hashlib
import hmac
import json
import math
import os
import re
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import psycopg
from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel

MODEL = "stand-in"
MASTER_KEY = os.environ["LITELLM_MASTER_KEY"]
# As LiteLLM has it: without a database it serves all the same, and remembers nothing.
DATABASE_URL = os.environ.get("DATABASE_URL", "")
DIMENSIONS = 64

CREATE_TABLE = "create table if not exists spend (model text primary key, requests bigint not null)"
COUNT = """
    insert into spend values (%s, 1) on conflict (model) do update set requests = spend.requests + 1
    returning requests
"""


async def create_table(app: FastAPI) -> None:
    while not app.state.ready:
        try:
            async with await psycopg.AsyncConnection.connect(DATABASE_URL, connect_timeout=2) as db:
                await db.execute(CREATE_TABLE)
            app.state.ready = True
        except psycopg.Error:
            await asyncio.sleep(0.5)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.ready = not DATABASE_URL
    setup = asyncio.create_task(create_table(app))
    yield
    setup.cancel()


app = FastAPI(title="A stand-in for LiteLLM", lifespan=lifespan)


async def authorized(authorization: Annotated[str, Header()] = "") -> None:
    if not hmac.compare_digest(authorization, f"Bearer {MASTER_KEY}"):
        raise HTTPException(401, "the key is wrong")


async def count() -> int | None:
    if not DATABASE_URL:
        return None
    async with await psycopg.AsyncConnection.connect(DATABASE_URL, connect_timeout=2) as db:
        row = await (await db.execute(COUNT, [MODEL])).fetchone()
    return row[0]


class Completion(BaseModel):
    messages: list[dict[str, Any]]
    model: str = MODEL
    stream: bool = False


class Embedding(BaseModel):
    input: str | list[str]
    model: str = MODEL


@app.get("/health/liveliness")
async def live() -> str:
    return "I'm alive!"


@app.get("/health/readiness")
async def ready() -> JSONResponse:
    if app.state.ready:
        return JSONResponse({"status": "healthy", "stand_in": True})
    return JSONResponse({"detail": "waiting for the database"}, status_code=503)


@app.get("/")
async def root() -> dict[str, str]:
    return {"name": "litellm", "stand_in": "a stand-in for LiteLLM: no model answers here"}


@app.get("/v1/models", dependencies=[Depends(authorized)])
async def models() -> dict[str, Any]:
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "stand-in"}]}


@app.post("/v1/chat/completions", dependencies=[Depends(authorized)], response_model=None)
async def complete(completion: Completion) -> dict[str, Any] | StreamingResponse:
    requests = await count()
    said = next((m["content"] for m in reversed(completion.messages) if m["role"] == "user"), "")
    text = f"You said: {said} (stand-in for LiteLLM, no model; request {requests or 'uncounted'})"
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": MODEL}
    if completion.stream:
        return StreamingResponse(chunks(head, text), media_type="text/event-stream")
    message = {"role": "assistant", "content": text}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    used, made = len(said.split()), len(text.split())
    usage = {"prompt_tokens": used, "completion_tokens": made, "total_tokens": used + made}
    return {**head, "object": "chat.completion", "choices": choices, "usage": usage}


async def chunks(head: dict[str, Any], text: str) -> AsyncIterator[str]:
    words = [{"content": f"{word} "} for word in text.split(" ")]
    for delta in [{"role": "assistant"}, *words, {}]:
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
        yield f"data: {json.dumps({**head, 'object': 'chat.completion.chunk', 'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"


@app.post("/v1/embeddings", dependencies=[Depends(authorized)])
async def embed(embedding: Embedding) -> dict[str, Any]:
    texts = [embedding.input] if isinstance(embedding.input, str) else embedding.input
    data = [{"object": "embedding", "index": i, "embedding": vector(text)} for i, text in enumerate(texts)]
    return {"object": "list", "model": MODEL, "data": data}


def vector(text: str) -> list[float]:
    """Each word adds one to the dimension that its hash names; of length 1."""
    values = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()) or [""]:
        values[hashlib.sha256(word.encode()).digest()[0] % DIMENSIONS] += 1.0
    length = math.hypot(*values)
    return [value / length for value in values]
