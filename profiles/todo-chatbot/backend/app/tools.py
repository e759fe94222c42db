"""The task tools, served over the Model Context Protocol by its official SDK.

No tool has an argument for the user: the user's id comes from the bearer token of the request, so
neither a model nor a message can name another user.
"""

import logging
import os
import uuid
from collections.abc import Callable
from typing import Annotated, TypeVar

from mcp.server.auth.middleware.auth_context import get_access_token
from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from pydantic import BaseModel, Field
from sqlmodel import Session
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse

from . import data
from .identity import AUDIENCE, user_of

T = TypeVar("T")

logging.getLogger("uvicorn.access").addFilter(lambda record: "/health/" not in record.getMessage())


class Tokens:
    """Checks signature, audience and expiry."""

    async def verify_token(self, token: str) -> AccessToken | None:
        user_id = user_of(token)
        if user_id is None:
            return None
        return AccessToken(token=token, client_id=AUDIENCE, scopes=[], subject=str(user_id))


OWN_URL = os.environ.get("TOOLS_URL", "http://localhost:8001/mcp")
server = MCPServer(
    "todo-tools",
    version="1.0.0",
    instructions="The tasks of the user whose token the request has.",
    token_verifier=Tokens(),
    # The verifier checks the audience itself.
    auth=AuthSettings(issuer_url=OWN_URL, resource_server_url=OWN_URL, validate_token_resource=False),
)


class TaskView(BaseModel):
    id: int
    title: str
    done: bool


def view(task: data.Task) -> TaskView:
    return TaskView(id=task.id, title=task.title, done=task.done)


async def with_user(work: Callable[[Session, uuid.UUID], T]) -> T:
    """Runs `work` for the user of the request, off the event loop."""
    token = get_access_token()
    if token is None or token.subject is None:
        raise PermissionError("no token")
    user_id = uuid.UUID(token.subject)

    def run() -> T:
        with Session(data.engine) as session:
            return work(session, user_id)

    try:
        return await run_in_threadpool(run)
    except (data.NoSuchTask, ValueError) as error:
        # Of other errors the caller reads only that there was one.
        raise ToolError(str(error)) from error


Number = Annotated[int, Field(description="The task's number, as list_tasks gives it")]


@server.tool()
async def add_task(title: Annotated[str, Field(description="What is to be done")]) -> TaskView:
    """Add a task."""
    return await with_user(lambda session, user: view(data.add_task(session, user, title)))


@server.tool()
async def list_tasks(
    done: Annotated[bool | None, Field(description="Only done ones, or only open ones")] = None,
) -> list[TaskView]:
    """The user's tasks with their numbers, oldest first."""
    return await with_user(lambda session, user: [view(task) for task in data.tasks_of(session, user, done)])


@server.tool()
async def complete_task(task_id: Number) -> TaskView:
    """Mark a task as done."""
    return await with_user(lambda session, user: view(data.complete_task(session, user, task_id)))


@server.tool()
async def delete_task(task_id: Number) -> TaskView:
    """Remove a task for good."""
    return await with_user(lambda session, user: view(data.delete_task(session, user, task_id)))


@server.custom_route("/health/live", methods=["GET"])
async def live(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ok"})


@server.custom_route("/health/ready", methods=["GET"])
async def ready(_: Request) -> JSONResponse:
    """Ready means: the backend has made the tables, and the database answers now."""
    if await run_in_threadpool(data.database_answers):
        return JSONResponse({"status": "ok"})
    return JSONResponse({"detail": "waiting for the database"}, status_code=503)


# Stateless: any replica serves any request.
app = server.streamable_http_app(stateless_http=True, json_response=True, host="0.0.0.0")
