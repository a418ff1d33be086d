"""One fold climbs: attention where few tiles carry the signal, nothing where all do, and never by the test part."""

from dataclasses import replace

import numpy as np
import pytest

from tilewise.errors import RecipeError
from tilewise.extraction.bag import FeatureBag
from tilewise.folds import FoldItem, FoldsConfig, make_folds
from tilewise.ladder import LadderConfig
from tilewise.ladder.choice import CHOICE_NAME, LadderChoice, read_choices
from tilewise.ladder.climb import climb, inner_folds
from tilewise.models import HeadConfig
from tilewise.pipeline.slide_inputs import FeatureInputs
from tilewise.recipe import load_recipe
from tilewise.training import TrainingConfig
from tilewise.training.fold_request import FoldRequest

NUM_TILES, NUM_FEATURES = 12, 6
SLIDES = tuple(f"s{number:03d}" for number in range(90))
LABELS = {name: "AB"[number % 2] for number, name in enumerate(SLIDES)}
GROUPS = {name: f"g{number // 4}" for number, name in enumerate(SLIDES)}
CONFIG = LadderConfig(rungs=({"name": "means"}, {"name": "attention"}))
TRAINING = TrainingConfig(epochs=20)


def requests(number=0):
    items = [FoldItem(name, LABELS[name], GROUPS[name]) for name in SLIDES]
    fold = make_folds(items, FoldsConfig(num_folds=3), seed=0).folds[number]
    lda = FoldRequest(number, fold, LABELS, ("A", "B"), HeadConfig(kind="lda"), TRAINING, seed=0, groups=GROUPS)
    return {"means": lda, "attention": replace(lda, head=HeadConfig(aggregate="attention", attention_size=16))}


def inputs(*, all_tiles, seed=0):
    """In all tiles the first feature tells the class; or in one tile alone, which the second feature marks."""
    rng = np.random.default_rng(seed)
    bags = {}
    for name in SLIDES:
        features_ND = rng.normal(size=(NUM_TILES, NUM_FEATURES))
        sign = 1 if LABELS[name] == "A" else -1
        if all_tiles:
            features_ND[:, 0] += 0.5 * sign
        else:
            features_ND[0, :2] = 4 * sign, 8
            features_ND[1:, 0] *= 4
        bags[name] = FeatureBag(name, features_ND.astype(np.float32), np.zeros((NUM_TILES, 4), np.int64))
    return FeatureInputs((bags,))


def climbed(slides, rungs=None, config=CONFIG, *, out, **options):
    return climb(rungs or requests(), config, slides, level=0.95, out=out, **options)


def test_means_stay_where_all_tiles_carry_the_signal(tmp_path):
    choice = climbed(inputs(all_tiles=True), out=tmp_path)
    assert choice.chosen == "means"
    assert choice.rungs[0].score > 0.8
    assert (choice.rungs[1].over, choice.rungs[1].climbed) == ("means", False)


def test_attention_is_chosen_where_one_tile_carries_the_signal(tmp_path):
    choice = climbed(inputs(all_tiles=False), out=tmp_path)
    assert choice.chosen == "attention"
    assert choice.rungs[1].gain.value > choice.rungs[1].standard_error


def test_the_test_part_has_no_say(tmp_path):
    slides, rungs = inputs(all_tiles=False), requests()
    test = rungs["means"].fold.test
    blank = {
        name: replace(bag, features_ND=np.zeros_like(bag.features_ND)) if name in test else bag
        for name, bag in slides.bags[0].items()
    }
    labels = {name: "A" if name in test else label for name, label in LABELS.items()}
    others = {name: replace(request, labels=labels) for name, request in rungs.items()}
    assert climbed(slides, rungs, out=tmp_path / "a") == climbed(FeatureInputs((blank,)), others, out=tmp_path / "b")


def test_inner_folds_keep_groups_whole_and_leave_the_test_part_out():
    request = requests()["means"]
    inner = inner_folds(request, CONFIG.model_copy(update={"repeats": 2}))
    assert len(inner) == 10
    assert sorted(name for fold in inner[:5] for name in fold.test) == sorted(
        (*request.fold.train, *request.fold.validation)
    )
    assert [fold.test for fold in inner[:5]] != [fold.test for fold in inner[5:]]
    for fold in inner:
        groups = [{GROUPS[name] for name in part} for part in (fold.train, fold.validation, fold.test)]
        assert sum(map(len, groups)) == len(set().union(*groups))


def test_a_stopped_climb_goes_on_from_its_models(tmp_path):
    slides = inputs(all_tiles=True)
    first = climbed(slides, out=tmp_path)
    stamps = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.json")}
    assert len(stamps) == 10
    assert climbed(slides, out=tmp_path) == first
    assert stamps == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("model.json")}


def test_closed_rungs_and_too_few_slides_say_why(tmp_path):
    slides = inputs(all_tiles=False)
    choice = climbed(slides, out=tmp_path, closed={"attention": "no time"})
    assert (choice.chosen, str(choice.rungs[1])) == ("means", "attention: not tried, no time")
    few = {
        name: replace(one, fold=replace(one.fold, train=one.fold.train[:3], validation=()))
        for name, one in requests().items()
    }
    choice = climbed(slides, few, out=tmp_path)
    assert (choice.chosen, choice.rungs[1].reason) == ("means", "3 slides make no inner folds")


def test_a_choice_is_read_as_it_was_written(tmp_path):
    choice = climbed(inputs(all_tiles=True), out=tmp_path / "inner")
    choice.write(tmp_path / CHOICE_NAME)
    assert LadderChoice.read(tmp_path / CHOICE_NAME) == choice
    assert read_choices([tmp_path]) == (choice,)
    assert read_choices([tmp_path / "inner"]) == ()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["ladder.repeats=2"], "no effect without ladder.rungs"),
        (["ladder.rungs=[{name: a}]"], "two rungs or more"),
        (["ladder.rungs=[{name: a}, {name: a, set: {head.kind: linear}}]"], "named 'a'"),
        (["ladder.rungs=[{name: a}, {name: b, set: {tiles.size_px: 64}}]"], "rung 'b' sets tiles.size_px"),
        (
            ["ladder.rungs=[{name: a}, {name: b, set: {encoder.name: texture}}]"],
            "with training.input: tiles in network",
        ),
        (["ladder.rungs=[{name: a}, {name: b, set: {head.kin: linear}}]"], "did you mean 'kind'"),
        (["ladder.rungs=[{name: a}, {name: b, set: {head.dropout: 0.1}}]"], "head.dropout has no effect"),
    ],
)
def test_ladders_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(RecipeError, match=message):
        load_recipe("default", settings)
