"""The agent loop: model, tools, model, until the model answers in words.

The model is any server with OpenAI's `POST /chat/completions`. Without an address the stand-in of
`rules.py` takes its place: same messages, same tool calls, and it says that it is no model.
"""

import json
import logging
from typing import Any

import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from . import rules
from .settings import LLM_API_KEY, LLM_BASE_URL, LLM_MODEL, TOOLS_URL

log = logging.getLogger("uvicorn.error")

MAX_ROUNDS = 6
# With pauses that grow from half a second: about eight seconds in all.
CONNECT_RETRIES = 5
SYSTEM = (
    "You keep the user's list of tasks with the tools that you have. Look the numbers of tasks up with "
    "list_tasks. Answer in one or two short sentences."
)

Chat = list[dict[str, Any]]


class ModelFailed(RuntimeError):
    """The model's server did not answer as it should."""


class ToolsFailed(RuntimeError):
    """The server with the tools cannot be reached."""


async def ask_model(messages: Chat, tools: list[dict[str, Any]]) -> dict[str, Any]:
    """One completion; the message of its first choice."""
    if not LLM_BASE_URL:
        return rules.complete(messages)
    headers = {"authorization": f"Bearer {LLM_API_KEY}"} if LLM_API_KEY else {}
    body = {"model": LLM_MODEL, "messages": messages, "tools": tools}
    try:
        async with httpx2.AsyncClient(timeout=60) as client:
            answer = await client.post(f"{LLM_BASE_URL}/chat/completions", json=body, headers=headers)
        answer.raise_for_status()
        return answer.json()["choices"][0]["message"]
    except (httpx2.HTTPError, ValueError, LookupError, TypeError) as error:
        raise ModelFailed(f"the model at {LLM_BASE_URL}: {error or type(error).__name__}") from error


async def call(client: Client, tool_call: dict[str, Any]) -> str:
    """Runs one tool call; its failure is the model's to read, too."""
    function = tool_call["function"]
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except json.JSONDecodeError as error:
        return f"error: the arguments are not JSON: {error}"
    result = await client.call_tool(function["name"], arguments)
    if not result.is_error and result.structured_content is not None:
        return json.dumps(result.structured_content)
    text = "\n".join(part.text for part in result.content if part.type == "text")
    return f"error: {text}" if result.is_error else text


async def answer(token: str, history: Chat, text: str) -> tuple[str, list[str]]:
    """The reply to a message, and the tools that were called for it, in order."""
    try:
        return await converse(token, history, text)
    # The client works in a group of tasks, which wraps whatever fails.
    except BaseExceptionGroup as group:
        failed = first_of(group, ModelFailed)
        if failed:
            raise failed from None
        unreachable = first_of(group, httpx2.HTTPError)
        if unreachable:
            raise ToolsFailed(f"the tools at {TOOLS_URL}: {unreachable}") from group
        raise


def first_of(group: BaseExceptionGroup, kind: type[Exception]) -> Exception | None:
    matching = group.subgroup(kind)
    while isinstance(matching, BaseExceptionGroup):
        matching = matching.exceptions[0]
    return matching


async def converse(token: str, history: Chat, text: str) -> tuple[str, list[str]]:
    messages: Chat = [{"role": "system", "content": SYSTEM}, *history, {"role": "user", "content": text}]
    called = []
    http = httpx2.AsyncClient(
        headers={"authorization": f"Bearer {token}"},
        timeout=60,
        # A Service leads to a pod that has just become ready only after a moment.
        transport=httpx2.AsyncHTTPTransport(retries=CONNECT_RETRIES),
    )
    async with http, Client(streamable_http_client(TOOLS_URL, http_client=http)) as client:
        listed = (await client.list_tools()).tools
        tools = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.description, "parameters": tool.input_schema},
            }
            for tool in listed
        ]
        for _ in range(MAX_ROUNDS):
            message = await ask_model(messages, tools)
            messages.append(message)
            calls = message.get("tool_calls") or []
            if not calls:
                return message.get("content") or "", called
            for tool_call in calls:
                called.append(tool_call["function"]["name"])
                content = await call(client, tool_call)
                messages.append({"role": "tool", "tool_call_id": tool_call["id"], "content": content})
    raise ModelFailed(f"the model called tools {MAX_ROUNDS} times in a row and gave no answer")
