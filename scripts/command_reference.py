"""Write docs/commands.md from the command line itself, so that the reference cannot drift from `--help`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from tilewise.cli.main import app

TARGET = Path(__file__).parents[1] / "docs" / "commands.md"
HEAD = """# Commands

Every command and option, generated from the code by `scripts/command_reference.py`; `tilewise COMMAND --help` prints
the same.

- **Results** go to stdout, progress and warnings to stderr.
- **Stopped?** The same command goes on from where it was, also after `kill -9`.
- **Completion**: `tilewise --install-completion` completes commands, options, names of recipes, grids, spaces and
  encoders, and keys after `--set`, in bash, zsh, fish and PowerShell.

## What programs may rely on

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | done in part: some slides failed or got no result; or a run, a file or the machine is at fault |
| 2 | wrong use: nothing was computed |
| 130 | stopped by Ctrl-C |

An error is one message on stderr that names the slide, key or file, and the next step.

With `--json`, stdout is one JSON object and nothing else. An error prints none. Within a major version keys may be
added; none is renamed, taken away, or given another type. What is not defined is null, paths are strings, and rates are
from 0 to 1.

| command | keys that are always there |
|---|---|
| `audit` | `findings`, `decisions`, `groups`, `slide_notes` |
| `compare` | `sentences`, `metric`, `recipes`, `pairs`, `notes`, `relabelled`, `page` |
| `curve` | `metric`, `sentence`, `points` (`num_slides`, `score`), `expected`, `page` |
| `doctor` | `sound`, `checks` (`topic`, `name`, `state`, `text`, `advice`) |
| `encoders` | `encoders` (`name`, `dim`, `input_px`, `licence`, `weights`) |
| `encoders accept` | `name`, `accepted`, `remembered_in` |
| `encoders fetch` | `encoders` (`name`, `status`, `path`, `sha256`, `revision`) |
| `encoders show` | `name`, `dim`, `input_px`, `licence`, `licence_accepted`, `weights`, `source`, `revision`, \
`blocks` |
| `ensemble` | `run`, `report`, `method`, `warnings`, and those of `evaluate` |
| `evaluate` | `classes`, `metric`, `out_of_fold`, `per_class`, `confusion`, `baselines`, `folds` |
| `explain` | `page`, `table`, `pictures`, `objects`, `drawn`, `checks`, `without`, `warnings`, `failures`, \
`slide_notes` |
| `export` | `files` |
| `features export` | `source`, `format`, `files`, `without_file`, `failures` |
| `features import` | `source`, `format`, `files`, `without_file`, `failures` |
| `grids` | `grids` (`name`, `description`) |
| `grids NAME` | `name`, `description`, `recipe`, `set`, `factors`, `variants`, `cumulative` |
| `predict` | `submission`, `details`, `num_slides`, `predicted`, `unclassified`, `warnings`, `failures` |
| `recipes` | `recipes` (`name`, `description`) |
| `recipes check` | `name`, `valid` |
| `recipes show` | the sections of [a recipe](recipe.md) |
| `report` | `report` |
| `segment` | `config`, `seed`, `scores`, `slides` (`slide`, `mask`, `made_by`, `used`), `failures`, `dropped` |
| `similar` | `to`, `encoder`, `num_compared`, `neighbours` (`slide`, `rank`, `similarity`, `label`), `failures`, \
`page` |
| `spaces` | `spaces` (`name`, `description`) |
| `spaces NAME` | `name`, `keys` |
| `sweep` | `sweep`, `page`, `metric`, `rows` (`name`, `run`, `validation`, `test`, `difference`, `error`), \
`chosen`, `choice`, `num_slides`, `notices`, `failures` |
| `sweep --dry-run` | `out`, `state`, `recipe`, `num_slides`, `stages`, `seconds`, `memory_bytes`, `timed`, \
`num_runs`, `unit` |
| `synth` | `cohort`, `num_train`, `num_test`, `num_faulty`, `best_macro_f1`, `truth` |
| `tiles` | `num_tiles`, `tiles`, `skipped`, `failures` |
| `train` | `run`, `report`, `warnings`, `failures`, and those of `evaluate` |
| `train --dry-run` | `out`, `state`, `recipe`, `num_slides`, `stages`, `seconds`, `memory_bytes`, `timed`, \
`num_runs`, `unit` |
| `tune` | `search`, `page`, `metric`, `winner`, `run`, `scores`, `gain`, `trials` (`number`, `state`, `value`, \
`settings`, `error`), `sentences` |
| `tune --dry-run` | `out`, `state`, `recipe`, `num_slides`, `stages`, `seconds`, `memory_bytes`, `timed`, \
`num_runs`, `unit` |
| `verify` | `run`, `sound`, `damage` |
"""


def reference() -> str:
    """The whole page."""
    return HEAD + "".join(
        _section(path, command) for path, command in _commands("tilewise", typer.main.get_command(app))
    )


def _commands(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    """Every command that does something by itself, in the order of `--help`."""
    children = getattr(command, "commands", {})
    if not children or (path != "tilewise" and getattr(command, "invoke_without_command", False)):
        yield path, command
    for name, child in children.items():
        yield from _commands(f"{path} {name}", child)


def _section(path: str, command: Any) -> str:
    words = [path, *(_usage(parameter) for parameter in command.params if parameter.param_type_name == "argument")]
    usage = " ".join([*words, "[OPTIONS]"])
    lines = [f"\n## {path}\n", f"\n{_paragraphs(command.help or '')}\n", f"\n```text\n{usage}\n```\n"]
    rows = [_row(parameter) for parameter in command.params if parameter.name != "help" and not parameter.hidden]
    if rows:
        lines += ["\n| argument or option | default | meaning |\n|---|---|---|\n", *rows]
    if command.epilog:
        example = re.sub(r"^Examples?:\s*", "", command.epilog.strip())
        lines.append("\n```\n" + "\n".join(line for line in example.splitlines() if line.strip()) + "\n```\n")
    return "".join(lines)


def _usage(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    name = name.strip("{}[]") + ("..." if parameter.nargs == -1 and not name.endswith("...") else "")
    return name if parameter.required else f"[{name}]"


def _row(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        name = _usage(parameter)
    else:
        name = ", ".join([*parameter.opts, *parameter.secondary_opts])
        name += "" if parameter.is_flag else f" {parameter.metavar or parameter.name.upper()}"
    default = parameter.default
    is_told = not (parameter.required or default is None or default is False or default == [] or callable(default))
    shown = f"`{getattr(default, 'value', default)}`" if is_told else ("required" if parameter.required else "")
    return f"| `{name}` | {shown} | {_paragraphs(parameter.help or '').replace('|', chr(92) + '|')} |\n"


def _paragraphs(text: str) -> str:
    """Help as Markdown: single line breaks are those of the source."""
    return "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
