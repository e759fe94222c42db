"""In the place of Keycloak: the realm's discovery document and client-credentials tokens.

Nobody can log in, and the tokens are signed with a key that the two sides share (HS256), not with the
realm's own. What a page needs to find its identity provider is there; a real login needs the real one.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs

import psycopg
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse

REALM = os.environ.get("KEYCLOAK_REALM", "geniro")
SECRET = os.environ["KC_BOOTSTRAP_ADMIN_PASSWORD"]
DATABASE_URL = os.environ["KC_DATABASE_URL"]
# The same table for all of its kind; that of the real one has about a hundred.
CREATE_TABLE = "create table if not exists realm (name text primary key)"


async def create_realm(app: FastAPI) -> None:
    while not app.state.ready:
        try:
            async with await psycopg.AsyncConnection.connect(DATABASE_URL, connect_timeout=2) as db:
                await db.execute(CREATE_TABLE)
                await db.execute("insert into realm values (%s) on conflict do nothing", [REALM])
            app.state.ready = True
        except psycopg.Error:
            await asyncio.sleep(0.5)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.ready = False
    setup = asyncio.create_task(create_realm(app))
    yield
    setup.cancel()


app = FastAPI(title="A stand-in for Keycloak", lifespan=lifespan)


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "UP"}


@app.get("/health/ready")
async def ready() -> JSONResponse:
    up = app.state.ready
    return JSONResponse({"status": "UP" if up else "DOWN", "stand_in": True}, status_code=200 if up else 503)


@app.get("/realms/{realm}/.well-known/openid-configuration")
async def discovery(realm: str, request: Request) -> dict[str, Any]:
    if realm != REALM:
        raise HTTPException(404, "Realm does not exist")
    issuer = f"{str(request.base_url).rstrip('/')}/realms/{realm}"
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/protocol/openid-connect/token",
        "grant_types_supported": ["client_credentials"],
        "id_token_signing_alg_values_supported": ["HS256"],
        "stand_in": "a stand-in for Keycloak: nobody can log in here",
    }


@app.post("/realms/{realm}/protocol/openid-connect/token")
async def token(realm: str, request: Request) -> dict[str, Any]:
    form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
    known = hmac.compare_digest(form.get("client_secret", ""), SECRET)
    if realm != REALM or form.get("grant_type") != "client_credentials" or not known:
        raise HTTPException(401, "unauthorized_client")
    claims = {"sub": form.get("client_id", ""), "iss": f"{request.base_url}realms/{realm}", "exp": int(time.time()) + 300}
    return {"access_token": signed(claims), "token_type": "Bearer", "expires_in": 300}


def signed(claims: dict[str, Any]) -> str:
    """A JSON Web Token with HS256 (RFC 7515, 7518)."""

    def part(content: bytes) -> str:
        return base64.urlsafe_b64encode(content).rstrip(b"=").decode()

    head = json.dumps({"alg": "HS256", "typ": "JWT"})
    text = f"{part(head.encode())}.{part(json.dumps(claims).encode())}"
    return f"{text}.{part(hmac.digest(SECRET.encode(), text.encode(), hashlib.sha256))}"
