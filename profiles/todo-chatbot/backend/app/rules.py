"""A stand-in for a model: a few rules over the user's words. It says so in every reply.

It answers in the messages of OpenAI's chat completions, so the agent loop cannot tell the difference.
Pure.
"""

import json
import re
from typing import Any

SIGNATURE = "(rule-based stand-in, no model)"
HELP = "I know: “add TASK”, “list”, “done NUMBER or WORDS”, “delete NUMBER or WORDS”."

ADD = re.compile(r"\s*(?:please\s+)?(?:add|new|remember|create)(?:\s+(?:a\s+)?task)?:?\s+(?:to\s+)?(?P<title>.+)", re.I)
DONE = re.compile(r"\s*(?:please\s+)?(?:done|complete|finish|finished|i\s+did)(?:\s+(?:with\s+)?task)?:?\s+(?P<what>.+)", re.I)
DELETE = re.compile(r"\s*(?:please\s+)?(?:delete|remove|forget)(?:\s+task)?:?\s+(?P<what>.+)", re.I)
LIST = re.compile(r"\b(list|show|tasks|todo|what)\b", re.I)


def complete(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The next message of the assistant."""
    last = max(index for index, message in enumerate(messages) if message["role"] == "user")
    text = messages[last]["content"]
    results = [message["content"] for message in messages[last + 1 :] if message["role"] == "tool"]
    failed = next((result for result in results if result.startswith("error:")), None)
    if failed:
        return says(f"That did not work: {failed.removeprefix('error:').strip()}.")
    if match := ADD.fullmatch(text):
        return added(match["title"], results)
    for pattern, tool, verb in ((DONE, "complete_task", "Done"), (DELETE, "delete_task", "Deleted")):
        if match := pattern.fullmatch(text):
            return changed(tool, verb, match["what"].strip(" ."), results)
    if LIST.search(text):
        return listed(json.loads(results[0])["result"]) if results else calls("list_tasks")
    return says(HELP)


def added(title: str, results: list[str]) -> dict[str, Any]:
    if not results:
        return calls("add_task", title=title.strip(" ."))
    task = json.loads(results[0])
    return says(f"Added task {task['id']}: {task['title']}.")


def changed(tool: str, verb: str, what: str, results: list[str]) -> dict[str, Any]:
    """First the list, for the number; then the change."""
    if not results:
        return calls("list_tasks")
    if len(results) > 1:
        task = json.loads(results[1])
        return says(f"{verb}: task {task['id']}, {task['title']}.")
    tasks = json.loads(results[0])["result"]
    found = [task for task in tasks if str(task["id"]) == what.removeprefix("#")]
    found = found or [task for task in tasks if what.lower() in task["title"].lower()]
    if len(found) == 1:
        return calls(tool, task_id=found[0]["id"])
    if not found:
        return says(f"You have no task “{what}”.")
    numbers = ", ".join(f"{task['id']} ({task['title']})" for task in found)
    return says(f"Which one do you mean: {numbers}?")


def listed(tasks: list[dict[str, Any]]) -> dict[str, Any]:
    if not tasks:
        return says("Your list is empty.")
    lines = [f"{'☑' if task['done'] else '☐'} {task['id']} {task['title']}" for task in tasks]
    return says("\n".join(lines))


def says(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": f"{text} {SIGNATURE}"}


def calls(name: str, **arguments: Any) -> dict[str, Any]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": f"call_{name}", "type": "function", "function": function}],
    }
