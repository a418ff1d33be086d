"""Trainings that are killed with signal 9 at a chosen change of the file system, and started again.

Run as a module it prints what became of them, as JSON. Everything is imported once; each training is a fork.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import signal
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

SETTINGS: Final = ("folds.num_folds=2",)
_CHANGES: Final = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "shutil.rmtree"}
_RECORD: Final = "changes.json"
# Compiled modules are files that only the first training would write, and that would be counted.
sys.dont_write_bytecode = True


class _Killer:
    """An audit hook: counts what changes files, and ends the process at one of these changes.

    Of a file that is opened for writing, a few wrong bytes are left, as if it were half written.
    """

    def __init__(self, last: int | None) -> None:
        self.num_changes, self._last, self._is_ending = 0, last, False

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        opened = event == "open" and bool(int(arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if self._is_ending or not (opened or event in _CHANGES):
            return
        if self.num_changes == self._last:
            self._is_ending = True
            if opened:
                Path(arguments[0]).write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
        self.num_changes += 1


def _train(cohort: Path, home: Path, last: int | None) -> NoReturn:
    from tests.drawn import recipe
    from tilewise import api
    from tilewise.cohort import Cohort

    os.environ["TILEWISE_CACHE"] = str(home / "cache")
    killer, code = _Killer(last), 1
    sys.addaudithook(killer)
    try:
        api.train(Cohort.discover(cohort), recipe(*SETTINGS), out=home / "run", workers=1)
        changes = {"num_changes": killer.num_changes, "modules": sorted(sys.modules)}
        (home / _RECORD).write_text(json.dumps(changes))
        code = 0
    finally:
        os._exit(code)


def _forked(cohort: Path, home: Path, last: int | None) -> int:
    """The exit status of a training: negative is the signal that ended it."""
    home.mkdir(exist_ok=True)
    process = os.fork()
    if process == 0:
        _train(cohort, home, last)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _main(cohort: Path, home: Path, num_kills: int) -> None:
    whole = _forked(cohort, home / "whole", None)
    record = json.loads((home / "whole" / _RECORD).read_text())
    for name in record["modules"]:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    moments = sorted(random.Random(0).sample(range(record["num_changes"]), num_kills))
    trials = {}
    for moment in moments:
        codes = [_forked(cohort, home / str(moment), moment), _forked(cohort, home / str(moment), None)]
        trials[str(moment)] = codes
    sys.stdout.write(json.dumps({"whole": whole, "num_changes": record["num_changes"], "trials": trials}))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
