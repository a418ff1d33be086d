import dataclasses
import random

import cv2
import numpy as np
import pytest

from tilewise.errors import ArtifactError, UsageError
from tilewise.stain import (
    STANDARD,
    StainConfig,
    TrustConfig,
    choose_target,
    fit_profile,
    median_profile,
    untrusted_reason,
)
from tilewise.stain.profile import angle_between

BROWN = ((0.65, 0.70, 0.29), (0.27, 0.57, 0.78))


@pytest.fixture(scope="module")
def profiles(section):
    return [fit_profile(*section(amount=0.8 + 0.1 * k, seed=k), "macenko") for k in range(5)]


def test_the_order_does_not_matter(profiles):
    shuffled = profiles.copy()
    random.Random(0).shuffle(shuffled)
    assert median_profile(shuffled).digest == median_profile(profiles).digest


def test_of_equal_profiles_the_median_is_that_profile(profiles):
    median = median_profile([profiles[0]] * 3)
    np.testing.assert_allclose(median.matrix, profiles[0].matrix, atol=2e-6)
    assert median.concentrations == profiles[0].concentrations
    assert median.lab_mean == profiles[0].lab_mean


def test_two_odd_slides_of_seven_move_little(section, profiles):
    odd = [fit_profile(*section(BROWN, amount=2.0, seed=k), "macenko") for k in range(2)]
    clean, dirty = median_profile(profiles), median_profile(profiles + odd)
    assert all(angle_between(*pair) < 3 for pair in zip(clean.stain_matrix, dirty.stain_matrix, strict=True))
    np.testing.assert_allclose(np.linalg.norm(dirty.matrix, axis=1), 1, atol=1e-5)


def test_there_has_to_be_something_of_one_method(profiles):
    with pytest.raises(UsageError, match="none at all"):
        median_profile([])
    with pytest.raises(UsageError, match="macenko and vahadane"):
        median_profile([profiles[0], dataclasses.replace(profiles[0], method="vahadane")])


def test_the_cohorts_target_leaves_out_what_is_not_believed(section, profiles):
    odd = [fit_profile(*section(BROWN, seed=k), "macenko") for k in range(5)]
    config = StainConfig(method="macenko", target="median")
    assert choose_target(config, [*odd, *profiles]) == median_profile(profiles)
    with pytest.raises(UsageError, match="of 5 slides none"):
        choose_target(config, odd)


def test_a_stored_profile_is_the_target(tmp_path, profiles):
    path = tmp_path / "target.json"
    profiles[0].write(path)
    assert choose_target(StainConfig(method="macenko", target=path), []) == profiles[0]
    with pytest.raises(UsageError, match=r"none\.json is no file; give `standard`"):
        choose_target(StainConfig(method="macenko", target=tmp_path / "none.json"), [])
    path.write_text("{}")
    with pytest.raises(ArtifactError):
        choose_target(StainConfig(method="macenko", target=path), [])


@pytest.mark.parametrize("method", ["macenko", "vahadane", "reinhard"])
def test_the_default_target_depends_on_no_slide_and_is_believed(method, profiles):
    config = StainConfig(method=method)
    assert choose_target(config) == choose_target(config, profiles) == STANDARD
    assert untrusted_reason(STANDARD, config) == ""


def test_a_target_that_the_bounds_rule_out_is_refused():
    config = StainConfig(method="macenko", trust=TrustConfig(min_angle=50))
    with pytest.raises(UsageError, match=r"stain\.target standard: ill-conditioned"):
        choose_target(config)


def test_a_slide_is_the_target_if_it_is_believed(section, tmp_path):
    for name, dyes in (("good", {}), ("brown", {"dyes": BROWN})):
        cv2.imwrite(str(tmp_path / f"{name}.png"), section(**dyes)[0][:, :, ::-1])
    good = choose_target(StainConfig(method="vahadane", target=tmp_path / "good.png"), [])
    assert good.method == "vahadane"
    with pytest.raises(UsageError, match=r"brown\.png: .*; choose another"):
        choose_target(StainConfig(method="macenko", target=tmp_path / "brown.png"), [])
