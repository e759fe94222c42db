"""The backend: accounts, tasks, and a chat whose agent works on the tasks."""

import logging
import socket
import threading
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, StringConstraints
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlmodel import Session, select
from starlette.concurrency import run_in_threadpool

from . import agent, data, identity
from .settings import LLM_BASE_URL, LLM_MODEL, PAGE_ORIGINS, STACK_NAME

VERSION = "1.0.0"
# So many messages of the past go to the model.
REMEMBERED = 20

log = logging.getLogger("uvicorn.error")
logging.getLogger("uvicorn.access").addFilter(lambda record: "/health/" not in record.getMessage())


def create_tables(app: FastAPI) -> None:
    data.create_tables()
    app.state.ready = True


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.ready = False
    threading.Thread(target=create_tables, args=[app], daemon=True).start()
    yield
    data.engine.dispose()


app = FastAPI(title="todo-chatbot", version=VERSION, lifespan=lifespan)
app.state.requests = 0
app.add_middleware(
    CORSMiddleware,
    allow_origin_regex=PAGE_ORIGINS,
    allow_methods=["GET", "POST", "DELETE"],
    allow_headers=["authorization", "content-type"],
)


@app.middleware("http")
async def count(request: Request, call_next) -> Response:
    app.state.requests += 1
    return await call_next(request)


@app.exception_handler(OperationalError)
def database_failed(_: Request, error: OperationalError) -> JSONResponse:
    reason = str(error.orig).partition("\n")[0]
    return JSONResponse({"detail": f"the database: {reason}"}, status_code=503)


@app.exception_handler(data.NoSuchTask)
def no_such_task(_: Request, error: data.NoSuchTask) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=404)


@app.exception_handler(agent.ModelFailed)
@app.exception_handler(agent.ToolsFailed)
def agent_failed(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"detail": str(error)}, status_code=502)


def token(given: Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]) -> str:
    if given is None:
        raise HTTPException(401, "this needs a token", {"www-authenticate": "Bearer"})
    return given.credentials


def user_id(token: Annotated[str, Depends(token)]) -> uuid.UUID:
    """The id that the token was signed for. No request can say another one."""
    user = identity.user_of(token)
    if user is None:
        raise HTTPException(401, "the token is not valid", {"www-authenticate": "Bearer"})
    return user


Db = Annotated[Session, Depends(data.session)]
Token = Annotated[str, Depends(token)]
UserId = Annotated[uuid.UUID, Depends(user_id)]


class Strict(BaseModel):
    """A key that nobody reads is an error: nobody is to believe that `user_id` had an effect."""

    model_config = ConfigDict(extra="forbid")


class Login(Strict):
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)]
    password: Annotated[str, StringConstraints(min_length=8, max_length=256)]


class NewTask(Strict):
    title: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class NewMessage(Strict):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]


class Reply(BaseModel):
    text: str
    tools: list[str]


@app.get("/health/live")
async def live() -> dict[str, str]:
    """The process serves requests; what it depends on is not asked."""
    return {"status": "ok"}


@app.get("/health/ready")
def ready() -> JSONResponse:
    """Ready means: the tables exist and the database answers now."""
    if app.state.ready and data.database_answers():
        return JSONResponse({"status": "ok"})
    return JSONResponse({"detail": "waiting for the database"}, status_code=503)


@app.get("/metrics")
async def metrics() -> PlainTextResponse:
    """In the text format of Prometheus."""
    lines = [
        "# HELP todo_requests_total HTTP requests since the start of this process.",
        "# TYPE todo_requests_total counter",
        f"todo_requests_total {app.state.requests}",
    ]
    return PlainTextResponse("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4")


@app.get("/")
async def stack() -> dict[str, str]:
    """Says who answers, and who thinks."""
    model = LLM_MODEL if LLM_BASE_URL else "rule-based stand-in"
    return {"stack": STACK_NAME, "server": socket.gethostname(), "model": model, "version": VERSION}


@app.post("/accounts", status_code=201)
def register(login: Login, db: Db) -> dict[str, str]:
    user = data.User(name=login.name, password=identity.hashed(login.password))
    user_id = user.id
    try:
        db.add(user)
        db.commit()
    except IntegrityError as error:
        raise HTTPException(409, f"`{login.name}` is taken") from error
    return {"token": identity.token_for(user_id)}


@app.post("/tokens", status_code=201)
def log_in(login: Login, db: Db) -> dict[str, str]:
    user = db.exec(select(data.User).where(data.User.name == login.name)).first()
    if user is None or not identity.is_password(login.password, user.password):
        raise HTTPException(401, "name or password is wrong")
    return {"token": identity.token_for(user.id)}


@app.get("/tasks")
def list_tasks(user: UserId, db: Db) -> list[data.Task]:
    return data.tasks_of(db, user)


@app.post("/tasks", status_code=201)
def add_task(task: NewTask, user: UserId, db: Db) -> data.Task:
    return data.add_task(db, user, task.title)


@app.get("/tasks/{task_id}")
def show_task(task_id: int, user: UserId, db: Db) -> data.Task:
    return data.task_of(db, user, task_id)


@app.post("/tasks/{task_id}/done")
def complete_task(task_id: int, user: UserId, db: Db) -> data.Task:
    return data.complete_task(db, user, task_id)


@app.delete("/tasks/{task_id}")
def delete_task(task_id: int, user: UserId, db: Db) -> data.Task:
    return data.delete_task(db, user, task_id)


@app.get("/messages")
def messages(user: UserId, db: Db) -> list[data.Message]:
    query = select(data.Message).where(data.Message.user_id == user).order_by(data.Message.id.desc())
    return list(db.exec(query.limit(100)))[::-1]


@app.post("/messages", status_code=201)
async def chat(message: NewMessage, token: Token, user: UserId) -> Reply:
    """One turn of the conversation. It is in the database, so any replica can take the next one."""
    history = await run_in_threadpool(remembered, user)
    text, tools = await agent.answer(token, history, message.text)
    await run_in_threadpool(remember, user, message.text, text)
    return Reply(text=text, tools=tools)


def remembered(user: uuid.UUID) -> agent.Chat:
    query = select(data.Message).where(data.Message.user_id == user).order_by(data.Message.id.desc())
    with Session(data.engine) as db:
        found = list(db.exec(query.limit(REMEMBERED)))[::-1]
    return [{"role": message.role, "content": message.text} for message in found]


def remember(user: uuid.UUID, question: str, reply: str) -> None:
    with Session(data.engine) as db:
        db.add(data.Message(user_id=user, role="user", text=question))
        db.flush()
        db.add(data.Message(user_id=user, role="assistant", text=reply))
        db.commit()
