import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.artifacts import rewrite_json
from tilewise.errors import ArtifactError
from tilewise.stain.fit import fit_profile
from tilewise.stain.profile import StainProfile, angle_between

NUMBER = st.floats(-1e3, 1e3)
TRIPLE = st.tuples(NUMBER, NUMBER, NUMBER)
PROFILES = st.builds(
    StainProfile,
    method=st.sampled_from(["macenko", "vahadane"]),
    stain_matrix=st.tuples(TRIPLE, TRIPLE),
    concentrations=st.tuples(NUMBER, NUMBER),
    lab_mean=TRIPLE,
    lab_std=TRIPLE,
    glass=TRIPLE,
    num_pixels=st.integers(0, 1 << 40),
    off_plane=NUMBER,
)


@given(profile=PROFILES)
def test_a_written_profile_comes_back(tmp_path_factory, profile):
    path = tmp_path_factory.mktemp("profile") / "profile.json"
    profile.write(path)
    assert StainProfile.read(path) == profile
    assert StainProfile.read(path).digest == profile.digest


def test_the_digest_tells_profiles_apart(section):
    profile = fit_profile(*section(), "macenko")
    for field in ("num_pixels", "off_plane"):
        assert dataclasses.replace(profile, **{field: 1}).digest != profile.digest


@pytest.mark.parametrize(
    "damage", [{"method": "other"}, {"glass": [1, 2]}, {"lab_std": [1, 2, None]}, {"stain_matrix": [[1, 2, 3]]}]
)
def test_a_damaged_profile_is_named(section, tmp_path, damage):
    path = tmp_path / "profile.json"
    fit_profile(*section(), "macenko").write(path)
    rewrite_json(path, damage)
    with pytest.raises(ArtifactError, match=r"profile\.json is damaged"):
        StainProfile.read(path)


def test_a_file_of_another_kind_is_no_profile(tmp_path):
    path = tmp_path / "other.json"
    path.write_text('{"schema": "tilewise.other", "schema_version": 1}')
    with pytest.raises(ArtifactError, match=r"tilewise\.stain-profile"):
        StainProfile.read(path)


def test_angles_are_in_degrees():
    assert angle_between([1, 0, 0], [0, 2, 0]) == pytest.approx(90)
    assert angle_between([1, 1, 0], [1, 0, 0]) == pytest.approx(45)
    assert angle_between(np.zeros(3), [1, 0, 0]) == 0
