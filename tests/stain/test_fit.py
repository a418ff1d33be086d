import numpy as np
import pytest
from skimage.color import rgb2lab

from tilewise.slides import open_slide
from tilewise.stain import fit as fit_module
from tilewise.stain import fit_profile, fit_slide
from tilewise.stain.density import densities
from tilewise.stain.profile import angle_between


def test_the_profile_is_of_the_tissue_only(section):
    rgb, tissue = section()
    repainted = rgb.copy()
    repainted[~tissue] = 240
    first, second = (fit_profile(picture, tissue, "macenko") for picture in (rgb, repainted))
    assert first.stain_matrix == second.stain_matrix
    assert first.concentrations == second.concentrations
    assert (first.lab_mean, first.lab_std) == (second.lab_mean, second.lab_std)


def test_the_numbers_are_those_of_numpy_and_scikit_image(section):
    rgb, tissue = section()
    profile = fit_profile(rgb, tissue, "reinhard")
    lab = rgb2lab(rgb)[tissue]
    np.testing.assert_allclose(profile.lab_mean, lab.mean(axis=0), atol=1e-2)
    np.testing.assert_allclose(profile.lab_std, lab.std(axis=0), atol=1e-2)
    density = densities(rgb, profile.glass)[tissue]
    amounts = np.linalg.lstsq(profile.matrix.T, density.T.astype(float), rcond=None)[0]
    np.testing.assert_allclose(profile.concentrations, np.percentile(amounts, 99, axis=1), rtol=1e-3)


@pytest.mark.parametrize("method", ["macenko", "vahadane", "reinhard"])
def test_a_fit_is_deterministic(section, method):
    assert fit_profile(*section(), method) == fit_profile(*section(), method)


@pytest.mark.parametrize("method", ["macenko", "vahadane"])
def test_deeper_staining_is_more_of_the_same_dyes(section, method):
    pale, deep = (fit_profile(*section(amount=amount), method) for amount in (0.8, 1.2))
    assert all(more > 1.2 * less for more, less in zip(deep.concentrations, pale.concentrations, strict=True))
    assert all(angle_between(*pair) < 4 for pair in zip(deep.stain_matrix, pale.stain_matrix, strict=True))


def test_a_slide_larger_than_memory_allows_is_fitted_in_fields(section, tmp_path, monkeypatch):
    import cv2

    rgb, _ = section(side=900)
    cv2.imwrite(str(tmp_path / "slide.png"), rgb[:, :, ::-1])
    monkeypatch.setattr(fit_module, "_WHOLE_AREA", 1000)
    monkeypatch.setattr(fit_module, "_FIELD_PX", 100)
    with open_slide(tmp_path / "slide.png") as reader:
        fields = fit_slide(reader, "macenko")
    monkeypatch.setattr(fit_module, "_WHOLE_AREA", 1 << 24)
    with open_slide(tmp_path / "slide.png") as reader:
        whole = fit_slide(reader, "macenko")
    assert all(angle_between(*pair) < 2 for pair in zip(fields.stain_matrix, whole.stain_matrix, strict=True))
    np.testing.assert_allclose(fields.concentrations, whole.concentrations, rtol=0.05)
    np.testing.assert_allclose(fields.glass, whole.glass, atol=1)


def test_a_blank_slide_larger_than_memory_allows_holds_no_dyes(tmp_path, monkeypatch):
    import cv2

    cv2.imwrite(str(tmp_path / "blank.png"), np.full((200, 300, 3), 240, np.uint8))
    monkeypatch.setattr(fit_module, "_WHOLE_AREA", 1000)
    with open_slide(tmp_path / "blank.png") as reader:
        assert fit_slide(reader, "macenko").num_pixels == 0
