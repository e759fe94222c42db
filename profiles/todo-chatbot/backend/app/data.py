"""Users, tasks and messages in PostgreSQL. Whatever reads or writes tasks takes the user's id."""

import logging
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlmodel import Field, Session, SQLModel, create_engine, select

log = logging.getLogger("uvicorn.error")

# Any number that no other program of this database uses: the lock under which tables are made.
TABLES_LOCK = 7_301_965

# Host, user, password and database come from libpq's own variables. A restarted server leaves dead
# connections in the pool: each is tried before it is used.
engine: Engine = create_engine(
    "postgresql+psycopg://", pool_pre_ping=True, pool_size=5, connect_args={"connect_timeout": 2}
)


def now() -> datetime:
    return datetime.now(UTC)


class User(SQLModel, table=True):
    __tablename__ = "users"
    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    name: str = Field(unique=True, max_length=64)
    password: str


class Task(SQLModel, table=True):
    __tablename__ = "tasks"
    id: int | None = Field(default=None, primary_key=True)
    user_id: uuid.UUID = Field(foreign_key="users.id", index=True)
    title: str = Field(max_length=200)
    done: bool = False
    created_at: datetime = Field(default_factory=now)


class Message(SQLModel, table=True):
    __tablename__ = "messages"
    id: int | None = Field(default=None, primary_key=True)
    user_id: uuid.UUID = Field(foreign_key="users.id", index=True)
    role: str
    text: str
    created_at: datetime = Field(default_factory=now)


def create_tables() -> None:
    """Waits for the database, however long that takes. Replicas that start at once make the tables once."""
    reason = ""
    while True:
        try:
            with engine.begin() as connection:
                connection.execute(text(f"select pg_advisory_xact_lock({TABLES_LOCK})"))
                SQLModel.metadata.create_all(connection)
            log.info("The database is ready")
            return
        except OperationalError as error:
            if str(error.orig) != reason:
                reason = str(error.orig)
                log.info("Waiting for the database: %s", reason.partition("\n")[0])
            time.sleep(0.5)


def database_answers() -> bool:
    try:
        with engine.connect() as connection:
            connection.execute(text("select 1 from users limit 1"))
        return True
    except OperationalError:
        return False


def session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


class NoSuchTask(LookupError):
    """Of this user's: that another user has a task of this number is nobody's business."""

    def __init__(self, task_id: int) -> None:
        super().__init__(f"there is no task {task_id}")


def tasks_of(session: Session, user_id: uuid.UUID, done: bool | None = None) -> list[Task]:
    query = select(Task).where(Task.user_id == user_id).order_by(Task.id)
    if done is not None:
        query = query.where(Task.done == done)
    return list(session.exec(query))


def task_of(session: Session, user_id: uuid.UUID, task_id: int) -> Task:
    query = select(Task).where(Task.user_id == user_id, Task.id == task_id)
    task = session.exec(query).first()
    if task is None:
        raise NoSuchTask(task_id)
    return task


def add_task(session: Session, user_id: uuid.UUID, title: str) -> Task:
    title = title.strip()
    if not title or len(title) > 200:
        raise ValueError("a task has a title of 1 to 200 characters")
    return saved(session, Task(user_id=user_id, title=title))


def complete_task(session: Session, user_id: uuid.UUID, task_id: int) -> Task:
    task = task_of(session, user_id, task_id)
    task.done = True
    return saved(session, task)


def delete_task(session: Session, user_id: uuid.UUID, task_id: int) -> Task:
    task = task_of(session, user_id, task_id)
    session.delete(task)
    session.commit()
    return task


def saved(session: Session, row: Task) -> Task:
    session.add(row)
    session.commit()
    session.refresh(row)
    return row
