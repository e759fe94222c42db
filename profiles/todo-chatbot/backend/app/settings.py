"""What the environment says. A missing secret ends the program: none has a default."""

import os


class Missing(SystemExit):
    pass


def required(name: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise Missing(f"{name} is not set")
    return value


JWT_SECRET = required("JWT_SECRET")
if len(JWT_SECRET) < 32:
    raise Missing("JWT_SECRET is shorter than 32 characters, which HS256 needs (RFC 7518, 3.2)")
JWT_MINUTES = int(os.environ.get("JWT_MINUTES", "720"))

# libpq reads the other PG… variables by itself.
PGHOST = required("PGHOST")

STACK_NAME = os.environ.get("STACK_NAME", "local")
TOOLS_URL = os.environ.get("TOOLS_URL", "http://localhost:8001/mcp")

# An OpenAI-compatible address, up to and with /v1. Empty: the rule-based stand-in answers.
LLM_BASE_URL = os.environ.get("LLM_BASE_URL", "").rstrip("/")
LLM_API_KEY = os.environ.get("LLM_API_KEY", "")
LLM_MODEL = os.environ.get("LLM_MODEL", "gpt-4o-mini")

# Pages of these origins may call the backend; a regular expression.
PAGE_ORIGINS = os.environ.get("PAGE_ORIGINS", r"https?://(([\w-]+\.)*localhost|127\.0\.0\.1|\[::1\])(:\d+)?")
