"""The log of decisions: nothing is lost, everything can be taken back, and training reads it as it reads a table."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from tilewise.auditing import decision_log
from tilewise.auditing.decision_log import LABEL, Act, DecisionLog, is_log, read_log
from tilewise.auditing.decisions import Names, decisions_csv, digest_decisions, read_decisions
from tilewise.auditing.finding import Decision
from tilewise.errors import CohortError

NAMES = Names(["a.png", "b.png"], ["A", "B"])
DROP = Act("a.png", "ink", "repair", "drop", author="anna")
RELABEL = Act("b.png", LABEL, "", "relabel", "B", author="anna")


@pytest.fixture
def log(tmp_path):
    with DecisionLog(tmp_path / "decisions.sqlite") as log:
        yield log


def current(log):
    return {key: act.decision for key, act in log.current().items()}


def test_the_latest_act_about_a_finding_counts_and_all_stay(log):
    log.append(DROP, session="one")
    log.append(Act("a.png", "ink", "repair", "keep"), session="two")
    log.append(RELABEL, session="one")
    assert current(log) == {("a.png", "ink"): "keep", ("b.png", LABEL): "relabel"}
    assert log.num_acts() == 3


def test_a_skip_leaves_what_was_decided_before(log):
    log.append(RELABEL, session="one")
    log.append(Act("b.png", LABEL, "", "skip"), session="one")
    log.append(Act("a.png", "ink", "repair", "skip"), session="one")
    assert current(log) == {("b.png", LABEL): "relabel", ("a.png", "ink"): "skip"}
    assert [one.value for one in read_log(log.path)] == ["B"]


def test_undo_and_redo_go_on_without_end_and_keep_the_history(log):
    slides = [f"{number}.png" for number in range(30)]
    for slide in slides:
        log.append(Act(slide, "ink", "keep", "drop"), session="one")
    for slide in reversed(slides):
        assert log.undo("one") == (slide, "ink")
    assert log.undo("one") is None
    assert current(log) == {}
    for slide in slides:
        assert log.redo("one") == (slide, "ink")
    assert log.redo("one") is None
    assert len(current(log)) == 30
    assert log.num_acts() == 90


def test_a_new_act_ends_what_can_be_done_again(log):
    log.append(DROP, session="one")
    log.undo("one")
    log.append(RELABEL, session="one")
    assert log.redo("one") is None
    log.undo("one")
    assert log.redo("one") == ("b.png", LABEL)


def test_undo_takes_back_what_this_session_did_and_not_another(log):
    log.append(DROP, session="one")
    log.append(Act("a.png", "ink", "repair", "keep"), session="two")
    assert log.undo("one") == ("a.png", "ink")
    assert current(log) == {("a.png", "ink"): "keep"}
    assert log.undo("two") == ("a.png", "ink")
    assert current(log) == {}


def test_training_reads_the_log_as_the_table_that_it_exports(log, tmp_path):
    log.append(DROP, session="one")
    log.append(RELABEL, session="one")
    log.append(Act("b.png", "ink", "repair", "skip"), session="one")
    log.append(Act("a.png", LABEL, "", "keep"), session="one")
    (tmp_path / "decisions.csv").write_text(decisions_csv(log.decisions()), encoding="utf-8")
    assert is_log(log.path)
    decisions = read_decisions(log.path, NAMES)
    assert decisions == read_decisions(tmp_path / "decisions.csv", NAMES)
    assert [(one.slide, one.finding, one.decision, one.value) for one in decisions] == [
        ("a.png", "ink", "drop", ""),
        ("b.png", "", "relabel", "B"),
    ]
    before = digest_decisions(log.path)
    assert digest_decisions(log.path) == before
    log.undo("one")
    log.undo("one")
    log.undo("one")
    assert digest_decisions(log.path) != before


def test_faults_of_a_log_are_named(tmp_path, log):
    log.append(Act("no.png", "ink", "", "drop", author="anna"), session="one")
    with pytest.raises(CohortError, match=r"no slide 'no.png'"):
        read_decisions(log.path, NAMES)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(CohortError, match="no log of decisions"):
        read_decisions(other, NAMES)
    (tmp_path / "text.sqlite").write_text("no database, and longer than its head")
    with pytest.raises(CohortError, match="no log of decisions"):
        DecisionLog(tmp_path / "text.sqlite")


def test_a_log_that_is_busy_is_a_log(log, monkeypatch):
    log.append(DROP, session="one")
    monkeypatch.setattr(decision_log, "_WAIT_S", 0.01)
    other = sqlite3.connect(log.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CohortError, match=r"is busy .* try again"):
        DecisionLog(log.path)
    other.execute("ROLLBACK")
    log.close()
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    other.execute("PRAGMA user_version=1")
    other.execute("COMMIT")
    with sqlite3.connect(log.path, timeout=0) as reader, pytest.raises(sqlite3.OperationalError):
        reader.execute("SELECT * FROM acts")
    reader.close()
    with pytest.raises(CohortError, match=r"is busy .* try again"):
        read_log(log.path)
    other.close()
    assert len(read_log(log.path)) == 1


def test_a_commit_that_fails_is_rolled_back_and_the_log_goes_on(log):
    def refuse(code, name, *_):
        return sqlite3.SQLITE_DENY if (code, name) == (sqlite3.SQLITE_TRANSACTION, "COMMIT") else sqlite3.SQLITE_OK

    log._connection.set_authorizer(refuse)
    with pytest.raises(CohortError, match="not authorized"):
        log.append(DROP, session="one")
    log._connection.set_authorizer(None)
    log.append(RELABEL, session="one")
    assert current(log) == {("b.png", LABEL): "relabel"}


def test_a_copy_of_the_file_alone_holds_every_act(log, tmp_path):
    log.append(DROP, session="one")
    log.append(RELABEL, session="one")
    log.undo("one")
    copy = tmp_path / "copy" / "decisions.sqlite"
    copy.parent.mkdir()
    shutil.copy(log.path, copy)
    assert read_log(copy) == log.decisions()
    assert len(log.decisions()) == 1


def test_earlier_decisions_are_the_first_rows_once(tmp_path):
    before = [Decision("a.png", "ink", "repair", "keep", author="me"), Decision("b.png", "", "", "relabel", "B")]
    for _ in range(2):
        with DecisionLog(tmp_path / "d.sqlite", before=before) as log:
            assert log.num_acts() == 2
            assert log.undo("one") is None
    assert [one.decision for one in read_log(tmp_path / "d.sqlite")] == ["keep", "relabel"]


def test_many_writers_lose_nothing(tmp_path):
    path = tmp_path / "d.sqlite"
    logs = [DecisionLog(path) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        acts = [(logs[number % 3], Act(f"{number}.png", "ink", "", "drop")) for number in range(60)]
        list(pool.map(lambda item: item[0].append(item[1], session="one"), acts))
    for log in logs:
        log.close()
    assert len(read_log(path)) == 60


_WRITER = """
import sys
from pathlib import Path
from tilewise.auditing.decision_log import Act, DecisionLog
log = DecisionLog(Path(sys.argv[1]))
for number in range(100000):
    log.append(Act(f"{number}.png", "ink", "", "drop"), session="one")
    print(number, flush=True)
"""


def test_what_was_acknowledged_is_there_after_the_process_was_killed(tmp_path):
    path = tmp_path / "d.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True)
    acknowledged = [int(writer.stdout.readline()) for _ in range(40)]
    os.kill(writer.pid, signal.SIGKILL)
    acknowledged += [int(line) for line in writer.stdout.read().split("\n")[:-1]]
    writer.wait()
    writer.stdout.close()
    assert {f"{number}.png" for number in acknowledged} <= {one.slide for one in read_log(path)}


def test_a_full_disk_refuses_a_decision_and_loses_none_that_it_took(disk):
    path, taken = disk(100) / "decisions.sqlite", []

    def decide_on(log):
        for number in range(10_000):
            log.append(Act(f"{number}.png", "ink", "repair", "drop", reason="r" * 200), session="one")
            taken.append(f"{number}.png")

    with DecisionLog(path) as log, pytest.raises(CohortError, match="full"):
        decide_on(log)
    assert len(taken) > 10
    disk(4000)
    with DecisionLog(path) as log:
        assert [decision.slide for decision in log.decisions()] == taken
        log.append(DROP, session="one")
        assert len(log.decisions()) == len(taken) + 1


def test_a_log_of_before_there_were_blind_decisions_is_read_as_it_is_and_goes_on(tmp_path):
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE acts (id INTEGER PRIMARY KEY AUTOINCREMENT, slide TEXT NOT NULL, finding TEXT NOT NULL, "
            "proposal TEXT NOT NULL, decision TEXT NOT NULL, value TEXT NOT NULL, reason TEXT NOT NULL, "
            "author TEXT NOT NULL, time TEXT NOT NULL, session TEXT NOT NULL, target INTEGER REFERENCES acts (id))"
        )
        connection.execute(
            "INSERT INTO acts VALUES (1, 'b.png', 'label', '', 'relabel', 'B', '', 'anna', '2026-01-01', 'one', NULL)"
        )
    connection.close()
    before = path.read_bytes()
    digest = digest_decisions(path)
    assert [(one.slide, one.value) for one in read_decisions(path, NAMES)] == [("b.png", "B")]
    assert path.read_bytes() == before
    for _ in range(2):
        with DecisionLog(path) as log:
            assert log.current()["b.png", LABEL] == Act("b.png", LABEL, "", "relabel", "B", "", "anna", "2026-01-01")
            assert log.undo("one") == ("b.png", LABEL)
            assert log.redo("one") == ("b.png", LABEL)
    assert digest_decisions(path) == digest


def test_blind_readings_stand_beside_what_was_decided_later_and_go_when_they_are_taken_back(log):
    log.append(replace(RELABEL, blind=True), session="one")
    log.append(Act("b.png", LABEL, "", "keep", author="anna"), session="one")
    log.append(Act("b.png", LABEL, "", "keep", author="bert", blind=True), session="two")
    log.append(Act("a.png", LABEL, "", "skip", author="bert", blind=True), session="two")
    log.append(replace(DROP, blind=True), session="two")
    assert [(act.author, act.decision) for act in log.blind_readings()] == [("anna", "relabel"), ("bert", "keep")]
    assert log.current()["b.png", LABEL].blind
    assert log.current()["a.png", "ink"].blind
    assert log.decided_by("anna") == {"a.png", "b.png"}
    assert log.decided_by("bert") == {"b.png"}
    for _ in range(3):
        log.undo("two")
    assert [act.author for act in log.blind_readings()] == ["anna"]
    assert log.decided_by("bert") == {"b.png"}
