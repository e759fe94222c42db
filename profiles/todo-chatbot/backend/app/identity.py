"""Passwords and tokens. Who a request is from stands in its token and nowhere else."""

import hashlib
import hmac
import secrets
import uuid
from datetime import UTC, datetime, timedelta

import jwt

from .settings import JWT_MINUTES, JWT_SECRET

ALGORITHM = "HS256"
AUDIENCE = "todo-chatbot"

# OWASP Password Storage Cheat Sheet: N=2^14, r=8, p=5 where memory is small.
SCRYPT = {"n": 2**14, "r": 8, "p": 5}


def hashed(password: str) -> str:
    salt = secrets.token_bytes(16)
    return f"{salt.hex()}${hashlib.scrypt(password.encode(), salt=salt, **SCRYPT).hex()}"


def is_password(password: str, stored: str) -> bool:
    salt, _, digest = stored.partition("$")
    given = hashlib.scrypt(password.encode(), salt=bytes.fromhex(salt), **SCRYPT)
    return hmac.compare_digest(given.hex(), digest)


def token_for(user_id: uuid.UUID) -> str:
    expires = datetime.now(UTC) + timedelta(minutes=JWT_MINUTES)
    claims = {"sub": str(user_id), "aud": AUDIENCE, "exp": expires}
    return jwt.encode(claims, JWT_SECRET, algorithm=ALGORITHM)


def user_of(token: str) -> uuid.UUID | None:
    """The user of a token that this stack has signed and that has not expired."""
    try:
        claims = jwt.decode(
            token, JWT_SECRET, algorithms=[ALGORITHM], audience=AUDIENCE, options={"require": ["exp", "sub"]}
        )
        return uuid.UUID(claims["sub"])
    except (jwt.InvalidTokenError, ValueError):
        return None
