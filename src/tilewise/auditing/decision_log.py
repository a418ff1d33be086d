"""Decisions of people as they take them: one row for each act, in a SQLite file that is never written over.

To take an act back is an act as well, so that the history stays. An act is acknowledged once it is on the disk; several
programs of one machine may write to one file. After each act the file holds all of them, so that it can be copied.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

from tilewise.auditing.finding import Action, Decision
from tilewise.errors import CohortError
from tilewise.store import digest_config

LABEL: Final = "label"
"""What an act is about that changes or confirms the label of a slide."""
SKIP: Final = "skip"
_HEAD: Final = b"SQLite format 3\0"
_WAIT_S: Final = 30.0
# As long may an act wait for readers that keep what was written from being moved into the file itself.
_CHECKPOINT_MS: Final = 500
_SERVE_AGAIN: Final = "no log of decisions ({}); move it away and serve the run again"
_GIVE_LOG: Final = "no log of decisions that `tilewise serve` wrote ({}); give that, or a decisions.csv"
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS acts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, slide TEXT NOT NULL, finding TEXT NOT NULL, proposal TEXT NOT NULL,
    decision TEXT NOT NULL, value TEXT NOT NULL, reason TEXT NOT NULL, author TEXT NOT NULL, time TEXT NOT NULL,
    blind INTEGER NOT NULL DEFAULT 0, session TEXT NOT NULL, target INTEGER REFERENCES acts (id)
);
CREATE INDEX IF NOT EXISTS acts_by_target ON acts (target);
CREATE INDEX IF NOT EXISTS acts_by_slide ON acts (slide, finding);
CREATE INDEX IF NOT EXISTS acts_by_session ON acts (session);
"""
# Logs of before there were blind decisions lack the column.
_ADD_BLIND: Final = "ALTER TABLE acts ADD COLUMN blind INTEGER NOT NULL DEFAULT 0"
# Decisions that were not taken back: those whose last undo or redo, if any, was a redo.
_STANDING: Final = """FROM acts AS act WHERE target IS NULL AND COALESCE(
    (SELECT decision FROM acts AS later WHERE later.target = act.id ORDER BY later.id DESC LIMIT 1), 'redo') = 'redo'
"""


@dataclass(frozen=True)
class Act:
    """What a person did.

    Attributes:
        slide: id of the slide.
        finding: the kind of finding that is decided; `label` where it is about the slide's label, empty where it is
            about the slide as a whole.
        proposal: what the audit proposed.
        decision: an action; `skip` leaves the finding open, or as it was decided before. `keep` of a label confirms it.
        value: as of a `Decision`.
        reason: why.
        author: who.
        time: when, ISO 8601; filled in when the act is stored.
        blind: whether label, model and audit were hidden from the person until then.
    """

    slide: str
    finding: str
    proposal: str
    decision: Action | Literal["skip"]
    value: str = ""
    reason: str = ""
    author: str = ""
    time: str = ""
    blind: bool = False


_NAMES: Final = tuple(field.name for field in fields(Act))
_FIELDS: Final = ", ".join(_NAMES)


class DecisionLog:
    """A file of acts; safe to use from several threads.

    Args:
        path: of the file, made where it is missing.
        before: decisions that were taken before there was a log; they are its first rows.

    Raises:
        CohortError: the file is no such log, or it is busy or cannot be written to; every method may raise the latter.
    """

    def __init__(self, path: Path, *, before: Iterable[Decision] = ()) -> None:
        self.path = path
        self._lock = threading.Lock()
        with _named_faults(path, _SERVE_AGAIN):
            self._connection = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=FULL")
                self._connection.executescript(_SCHEMA)
                with self._writing() as connection:
                    if not _has_blind(connection):
                        connection.execute(_ADD_BLIND)
                    if connection.execute("SELECT 1 FROM acts LIMIT 1").fetchone() is None:
                        for decision in before:
                            _insert(connection, _act_of(decision), session="")
            except BaseException:
                self._connection.close()
                raise

    def append(self, act: Act, *, session: str) -> None:
        """Store an act; when this returns it is on the disk.

        Args:
            act: what was done.
            session: whose undo takes it back.
        """
        with self._writing() as connection:
            _insert(connection, act, session=session)

    def undo(self, session: str) -> tuple[str, str] | None:
        """Take back the last act of a session that still counts; slide and finding, None where there is none."""
        return self._turn(session, "undo")

    def redo(self, session: str) -> tuple[str, str] | None:
        """Do again what was last taken back, unless the session went on otherwise; slide and finding, or None."""
        return self._turn(session, "redo")

    def current(self, subject: tuple[str, str] | None = None) -> dict[tuple[str, str], Act]:
        """Slide and finding -> the act that counts, in the order of the acts; of all, or of one slide and finding."""
        with self._lock:
            acts = _current(self._connection, subject)
        return {(act.slide, act.finding): act for act in acts}

    def num_acts(self) -> int:
        """Rows, those that were taken back and undone ones included: grows with every act."""
        with self._lock:
            return int(self._connection.execute("SELECT COALESCE(MAX(id), 0) FROM acts").fetchone()[0])

    def decisions(self) -> tuple[Decision, ...]:
        """What counts, as a table of decisions has it; what leaves everything as it is has no row there."""
        return tuple(_decision_of(act) for act in self.current().values() if not _is_open(act))

    def decided_by(self, author: str) -> set[str]:
        """Slides about which a person ever decided; to take a decision back does not undo what was seen after it."""
        query = "SELECT DISTINCT slide FROM acts WHERE target IS NULL AND decision != 'skip' AND author = ?"
        with self._lock:
            return {str(slide) for (slide,) in self._connection.execute(query, (author,))}

    def blind_readings(self) -> tuple[Act, ...]:
        """Labels that were confirmed or changed blind and not taken back, in the order of the acts.

        One of each slide and person; what they decided later, with everything in sight, replaces none of them.
        """
        query = f"SELECT {_FIELDS} {_STANDING} AND blind AND finding = ? AND decision != 'skip' ORDER BY id"
        with self._lock:
            return tuple(_read_act(row) for row in self._connection.execute(query, (LABEL,)))

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _turn(self, session: str, word: Literal["undo", "redo"]) -> tuple[str, str] | None:
        with self._writing() as connection:
            target = _stacks(connection, session)[word]
            if not target:
                return None
            slide, finding, author, blind = connection.execute(
                "SELECT slide, finding, author, blind FROM acts WHERE id = ?", (target[-1],)
            ).fetchone()
            row = (slide, finding, "", word, "", "", author, _now(), blind, session, target[-1])
            connection.execute(f"INSERT INTO acts ({_FIELDS}, session, target) VALUES ({_marks(11)})", row)  # noqa: S608 - constants
            return slide, finding

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, and one writer at a time, of this process and of others."""
        with self._lock, _named_faults(self.path, _SERVE_AGAIN):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._checkpoint()

    def _checkpoint(self) -> None:
        """Move acts from the file's log beside it into the file; where a reader is in the way, the next act does."""
        self._connection.execute(f"PRAGMA busy_timeout={_CHECKPOINT_MS}")
        try:
            with contextlib.suppress(sqlite3.OperationalError):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={int(_WAIT_S * 1000)}")


def is_log(path: Path) -> bool:
    """Whether a file is a SQLite file rather than a table in text."""
    try:
        with path.open("rb") as stream:
            return stream.read(len(_HEAD)) == _HEAD
    except OSError:
        return False


def read_log(path: Path) -> tuple[Decision, ...]:
    """The decisions of a log, which another program may be writing to.

    Raises:
        CohortError: the file is another program's, damaged, or busy.
    """
    with _named_faults(path, _GIVE_LOG), contextlib.closing(sqlite3.connect(path, timeout=_WAIT_S)) as connection:
        acts = _current(connection, None)
    return tuple(_decision_of(act) for act in acts if not _is_open(act))


def digest_log(path: Path) -> str:
    """Digest of what a log decides; its file changes when it is only looked into."""
    return digest_config([astuple(decision) for decision in read_log(path)])


@contextlib.contextmanager
def _named_faults(path: Path, advice: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        # An `OperationalError` of the general code is about the tables; others are about the file's place or its users.
        if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
            advice = "the log of decisions is busy or its folder cannot be written to ({}); try again"
        raise CohortError(f"{path}: {advice.format(error)}") from error


def _current(connection: sqlite3.Connection, subject: tuple[str, str] | None) -> list[Act]:
    """The acts that count, in their order: of several about one thing the latest that is no skip."""
    where = "" if subject is None else " AND slide = ? AND finding = ?"
    columns = _FIELDS if _has_blind(connection) else ", ".join((*_NAMES[:-1], "0"))
    query = f"SELECT {columns}, MAX(((decision != 'skip') << 60) | id) {_STANDING}{where}"
    return [
        _read_act(row[:-1]) for row in connection.execute(f"{query} GROUP BY slide, finding ORDER BY id", subject or ())
    ]


def _has_blind(connection: sqlite3.Connection) -> bool:
    return any(column[1] == "blind" for column in connection.execute("PRAGMA table_info(acts)"))


def _read_act(row: tuple[Any, ...]) -> Act:
    return replace(Act(*row), blind=bool(row[-1]))  # SQLite has no truth values


def _is_open(act: Act) -> bool:
    return act.decision == SKIP or (act.finding, act.decision) == (LABEL, "keep")


def _act_of(decision: Decision) -> Act:
    finding = LABEL if decision.decision == "relabel" else decision.finding
    reason, author, time = decision.reason, decision.author, decision.time
    return Act(decision.slide, finding, decision.proposal, decision.decision, decision.value, reason, author, time)


def _decision_of(act: Act) -> Decision:
    finding = "" if act.finding == LABEL else act.finding
    assert act.decision != SKIP
    return Decision(act.slide, finding, act.proposal, act.decision, act.value, act.reason, act.author, act.time)


def _insert(connection: sqlite3.Connection, act: Act, *, session: str) -> None:
    row = (*astuple(replace(act, time=act.time or _now())), session)
    connection.execute(f"INSERT INTO acts ({_FIELDS}, session) VALUES ({_marks(10)})", row)  # noqa: S608 - constants


def _stacks(connection: sqlite3.Connection, session: str) -> dict[Literal["undo", "redo"], list[int]]:
    """Acts of a session that can be taken back, and those that can be done again, the next one last."""
    done: list[int] = []
    undone: list[int] = []
    rows = connection.execute("SELECT id, decision, target FROM acts WHERE session = ? ORDER BY id", (session,))
    for number, decision, target in rows:
        if target is None:
            done.append(number)
            undone.clear()
        elif decision == "undo":
            undone.append(done.pop())
        else:
            done.append(undone.pop())
    return {"undo": done, "redo": undone}


def _marks(number: int) -> str:
    return ", ".join("?" * number)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
