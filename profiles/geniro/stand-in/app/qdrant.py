"""In the place of Qdrant: collections, points and search by cosine, over its REST interface.

It compares with every point, and keeps each collection in one file. It has no gRPC, and takes no filters.
"""

import hmac
import json
import math
import os
import re
import threading
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import BaseModel, Field

STORAGE = Path(os.environ.get("QDRANT__STORAGE__STORAGE_PATH", "/qdrant/storage"))
API_KEY = os.environ.get("QDRANT__SERVICE__API_KEY", "")
NAME = re.compile(r"[\w-]{1,100}")


async def authorized(api_key: Annotated[str, Header()] = "") -> None:
    if API_KEY and not hmac.compare_digest(api_key, API_KEY):
        raise HTTPException(401, "the api-key is wrong")


app = FastAPI(title="A stand-in for Qdrant")
secured = [Depends(authorized)]
# Handlers run on threads.
lock = threading.Lock()


class Vectors(BaseModel):
    size: int = Field(ge=1, le=65536)
    distance: str


class NewCollection(BaseModel):
    vectors: Vectors


class Point(BaseModel):
    id: int | str
    vector: list[float]
    payload: dict[str, Any] = {}


class Points(BaseModel):
    points: list[Point]


class Query(BaseModel):
    vector: list[float]
    limit: int = 10
    with_payload: bool = False


def done(result: Any) -> dict[str, Any]:
    return {"result": result, "status": "ok", "time": 0.0}


def file_of(name: str) -> Path:
    if not NAME.fullmatch(name):
        raise HTTPException(400, "a collection's name has letters, digits, - and _")
    return STORAGE / f"{name}.json"


def read(name: str) -> dict[str, Any]:
    try:
        return json.loads(file_of(name).read_text())
    except FileNotFoundError as error:
        raise HTTPException(404, f"Not found: Collection `{name}` doesn't exist!") from error


def write(name: str, collection: dict[str, Any]) -> None:
    """Whole or not at all."""
    new = file_of(name).with_suffix(".new")
    new.write_text(json.dumps(collection))
    new.replace(file_of(name))


def checked(vector: list[float], collection: dict[str, Any]) -> list[float]:
    if len(vector) != collection["size"]:
        raise HTTPException(400, f"Vector dimension error: expected dim: {collection['size']}, got {len(vector)}")
    return vector


@app.get("/")
async def root() -> dict[str, str]:
    return {"title": "qdrant - a stand-in for the vector search engine", "version": "0.0.0-stand-in"}


@app.get("/livez")
async def live() -> str:
    return "healthz check passed"


@app.get("/readyz")
def ready() -> str:
    if not os.access(STORAGE, os.W_OK):
        raise HTTPException(503, f"{STORAGE} is not writable")
    return "all shards are ready"


@app.get("/collections", dependencies=secured)
def collections() -> dict[str, Any]:
    names = sorted(file.stem for file in STORAGE.glob("*.json"))
    return done({"collections": [{"name": name} for name in names]})


@app.put("/collections/{name}", dependencies=secured)
def create(name: str, new: NewCollection) -> dict[str, Any]:
    if new.vectors.distance != "Cosine":
        raise HTTPException(400, "this stand-in knows the distance Cosine alone")
    with lock:
        if file_of(name).exists():
            raise HTTPException(409, f"Wrong input: Collection `{name}` already exists!")
        write(name, {"size": new.vectors.size, "points": {}})
    return done(True)


@app.get("/collections/{name}", dependencies=secured)
def show(name: str) -> dict[str, Any]:
    collection = read(name)
    config = {"params": {"vectors": {"size": collection["size"], "distance": "Cosine"}}}
    return done({"status": "green", "points_count": len(collection["points"]), "config": config})


@app.delete("/collections/{name}", dependencies=secured)
def delete(name: str) -> dict[str, Any]:
    with lock:
        file_of(name).unlink(missing_ok=True)
    return done(True)


@app.put("/collections/{name}/points", dependencies=secured)
def upsert(name: str, new: Points) -> dict[str, Any]:
    with lock:
        collection = read(name)
        for point in new.points:
            checked(point.vector, collection)
            collection["points"][json.dumps(point.id)] = point.model_dump()
        write(name, collection)
    return done({"operation_id": 0, "status": "completed"})


@app.post("/collections/{name}/points/search", dependencies=secured)
def search(name: str, query: Query) -> dict[str, Any]:
    collection = read(name)
    wanted = checked(query.vector, collection)
    scored = [(cosine(wanted, point["vector"]), point) for point in collection["points"].values()]
    best = sorted(scored, key=lambda pair: -pair[0])[: query.limit]
    payload = {"payload": True} if query.with_payload else {}
    return done(
        [
            {"id": point["id"], "version": 0, "score": score, **{key: point[key] for key in payload}}
            for score, point in best
        ]
    )


def cosine(a: list[float], b: list[float]) -> float:
    lengths = math.hypot(*a) * math.hypot(*b)
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0
