"""The model card of a finished run, in Markdown: what the run knows, and what a person has to fill in.

Sections as in Mitchell et al., Model cards for model reporting, FAT* 2019.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tilewise.encoders import cards, find_card
from tilewise.evaluation.evaluation import Evaluation
from tilewise.evaluation.results import Scores
from tilewise.ladder.choice import read_choices
from tilewise.metrics import METRIC_NAMES
from tilewise.run_folder import RunFolder
from tilewise.score_warnings import read_warnings
from tilewise.store import digest_file, read_json, write_text
from tilewise.wording import count

CARD_NAME: Final = "MODEL_CARD.md"
INTENDED_USE: Final = (
    "Research only. This is not a medical device: it was not cleared or validated for diagnosis, and no decision about "
    "a patient may rest on it. Scores are of slides of this cohort that the scored models had not learnt from; on "
    "other scanners, stains and patients they may be lower."
)
FILL: Final = "**To fill in:**"


def write_model_card(folder: RunFolder, out: Path) -> Path:
    """Write `MODEL_CARD.md`; what no file of a run tells is marked with `To fill in`.

    Args:
        folder: of a finished run.
        out: folder for the card.

    Returns:
        Where it lies.

    Raises:
        UsageError: the folder holds no finished run.
        ArtifactError: a file of the run is missing or damaged.
    """
    identity = folder.require_finished()
    evaluation = Evaluation.read(folder.evaluation)
    sections = (
        _details(folder, identity, evaluation),
        _use(),
        _training_data(evaluation),
        _scores(evaluation),
        _caveats(folder),
    )
    path = out / CARD_NAME
    write_text(path, "\n".join(line for section in sections for line in section) + "\n")
    return path


def _details(folder: RunFolder, identity: Mapping[str, Any], evaluation: Evaluation) -> Iterator[str]:
    recipe = identity["recipe"]
    yield f"# Model card: {recipe['name']}\n"
    yield "## Model\n"
    yield f"- Made by tilewise {identity['tilewise_version']} on {identity.get('created', 'a day that is not noted')}."
    yield f"- Predicts {', '.join(f'`{name}`' for name in evaluation.classes)}, one of them for each slide."
    if "encoder" in recipe:
        num_folds = len(evaluation.folds)
        trained = recipe["training"]["input"] == "tiles"
        what = "A network on tiles" if trained else f"A head ({_heads(folder, recipe, num_folds)}) on features"
        yield f"- {what}, {count(num_folds, 'fold')}, seed {identity['seed']}."
        yield from _encoder(folder, recipe["encoder"]["name"])
    else:
        yield "- A combination of several runs, which `run.json` names."
    for plugin in identity.get("plugins", ()):
        yield f"- Needs plugin {plugin['name']} of {plugin['package']} {plugin['version']}."
    for path in sorted(folder.model.glob("*.json")):
        yield f"- `{path.name}`: BLAKE2b-160 `{digest_file(path)}`."
    yield f"- {FILL} who made it, how to reach them, its version, and the licence that it is given under."


def _heads(folder: RunFolder, recipe: Mapping[str, Any], num_folds: int) -> str:
    """Its kind; of a ladder, which rungs the folds chose."""
    base = str(recipe["head"]["kind"])
    choices = read_choices([folder.fold(number) for number in range(num_folds)])
    if not choices:
        return base
    kinds = {rung["name"]: rung["set"].get("head.kind", base) for rung in recipe["ladder"]["rungs"]}
    chosen = Counter(choice.chosen for choice in choices).most_common()
    return "of a ladder: " + ", ".join(f"{name}, {kinds[name]}, in {count(num, 'fold')}" for name, num in chosen)


def _encoder(folder: RunFolder, name: str) -> Iterator[str]:
    """Licence and paper of the encoder; other programs' files tell its name alone."""
    of_run = read_json(folder.environment, schema="tilewise.environment", version=1)["encoder"]
    by = ""
    if "made_by" in of_run:
        name, by = of_run["card"], f", by which {of_run['made_by']} made the features"
        if name not in cards():
            yield f"- Encoder {name}{by}."
            yield f"- {FILL} the licence and the paper of that encoder."
            return
    card = find_card(name)
    terms = ", **which forbids commercial use**" if card.non_commercial else ""
    yield f"- Encoder {name}{by}: {card.description}. Licence {card.licence}{terms}. {card.citation.rstrip('.')}."


def _use() -> Iterator[str]:
    yield "\n## Intended use\n"
    yield f"- {INTENDED_USE}"
    yield f"- {FILL} what it is meant for, by whom, and what it must not be used for."


def _training_data(evaluation: Evaluation) -> Iterator[str]:
    scores = evaluation.out_of_fold
    yield "\n## Training data\n"
    yield f"- {count(scores.num_slides, 'slide')} in {count(scores.num_groups, 'group')} that are kept together."
    yield from (f"- {name}: {count(own.support, 'slide')}." for name, own in scores.per_class.items())
    yield f"- {FILL} hospitals, scanners, stains, years, and how slides were chosen."
    yield f"- {FILL} who gave the labels, from what, and how often two of them agree."
    yield f"- {FILL} consent, and the approval of an ethics board."


def _scores(evaluation: Evaluation) -> Iterator[str]:
    yield "\n## Scores\n"
    if evaluation.holdout is None and len(evaluation.folds) > 1:
        yield (
            "- This classifier is made of the folds' models and has no score of its own, as no slide lies outside the "
            "folds: the scores are those of the models, each by itself. `folds.holdout_fraction` sets slides apart."
        )
    yield from (f"- {note}" for note in evaluation.out_of_fold.notes)
    yield from _table("Out of fold: of the recipe, each slide by a model that did not see it", evaluation.out_of_fold)
    if evaluation.holdout is not None:
        yield from _table("Hold-out: of this very classifier", evaluation.holdout)
    if evaluation.subgroups:
        yield f"\n### Subgroups, by {METRIC_NAMES[evaluation.metric]}\n"
        yield "| column | value | slides | score |\n|---|---|---|---|"
        for group in evaluation.subgroups:
            yield _row(group.column, group.value, group.num_slides, group.score)
    else:
        yield "\nNo subgroups: the cohort's table has no further columns such as site or scanner."
    yield f"\n{FILL} scores on slides of other origin, if there are any."


def _table(title: str, scores: Scores) -> Iterator[str]:
    level = f"{scores.interval.level:.0%} interval"
    yield f"\n### {title}\n\n| metric | score ({level}) | commonest class | guessing |\n|---|---|---|---|"
    for metric, name in METRIC_NAMES.items():
        baselines = scores.baselines
        guesses = (baselines.commonest.estimate(metric).value, baselines.random.estimate(metric).value)
        values = " | ".join("" if value is None else f"{value:.2f}" for value in guesses)
        yield f"| {name} | {scores.estimate(metric)} | {values} |"
    yield "\n| class | slides | precision | recall | F1 |\n|---|---|---|---|---|"
    for name, own in scores.per_class.items():
        yield _row(name, own.support, own.precision, own.recall, own.f1)


def _row(*cells: object) -> str:
    """Of a table; no cell ends another or the line."""
    texts = [" ".join(str(cell).split()).replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(texts)} |"


def _caveats(folder: RunFolder) -> Iterator[str]:
    yield "\n## Before believing it\n"
    yield from (f"- {warning}" for warning in read_warnings(folder))
    yield f"- {FILL} harms that a wrong prediction could do, and to whom."
