"""In the place of Daytona's API, runner and proxy: each answers, and says that it runs no sandboxes."""

import os

from fastapi import FastAPI, HTTPException

PART = os.environ.get("DAYTONA_PART", "api")

app = FastAPI(title=f"A stand-in for Daytona's {PART}")


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "ok"}


@app.get("/health/ready")
async def ready() -> dict[str, str | bool]:
    return {"status": "ok", "stand_in": True}


@app.get("/")
async def root() -> dict[str, str]:
    return {"name": f"daytona-{PART}", "stand_in": f"a stand-in for Daytona's {PART}: there are no sandboxes"}


@app.post("/sandbox", status_code=201)
async def sandbox() -> None:
    raise HTTPException(501, "this is a stand-in: it makes no sandboxes")
