import numpy as np
import pytest

from tilewise.errors import UsageError
from tilewise.stain import concentrations, fit_profile, separate


def test_the_dyes_come_apart_and_mix_again(section):
    rgb, tissue = section(noise=0.0)
    profile = fit_profile(rgb, tissue, "vahadane")
    haematoxylin, eosin = separate(rgb, profile)
    light = np.array(profile.glass) + 1
    mixed = (haematoxylin + 1.0) * (eosin + 1.0) / light - 1
    assert haematoxylin.dtype == eosin.dtype == np.uint8
    assert np.abs(mixed - rgb).mean() < 2


def test_the_amounts_are_those_that_were_drawn(dyes, section):
    import dataclasses

    profile = fit_profile(*section(), "macenko")
    exact = dataclasses.replace(profile, stain_matrix=tuple(map(tuple, dyes)), glass=(240.0, 240.0, 240.0))
    amounts = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.8]])
    rgb = np.clip(np.round(241 * np.exp(-amounts @ dyes) - 1), 0, 255).astype(np.uint8)
    np.testing.assert_allclose(concentrations(rgb, exact), amounts, atol=0.03)


def test_glass_holds_nothing(section):
    profile = fit_profile(*section(), "macenko")
    glass = np.round([[profile.glass]]).astype(np.uint8)
    for picture in separate(glass, profile):
        assert np.abs(picture.astype(int) - glass).max() <= 1


def test_a_profile_without_dyes_is_refused(section):
    rgb, tissue = section()
    with pytest.raises(UsageError, match="too little tissue"):
        separate(rgb, fit_profile(rgb, np.zeros_like(tissue), "macenko"))
