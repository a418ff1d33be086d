import numpy as np
import pytest

from tilewise.slides import read_image
from tilewise.stain import Normaliser, StainConfig, TrustConfig, fit_profile, untrusted_reason
from tilewise.tissue import tissue_mask

METHODS = ["macenko", "vahadane", "reinhard"]


def judged(rgb, tissue=None, method="macenko"):
    tissue = tissue_mask(rgb) if tissue is None else tissue
    return untrusted_reason(fit_profile(rgb, tissue, method), StainConfig(method=method))


@pytest.mark.parametrize("method", METHODS)
def test_a_section_of_two_dyes_is_believed(section, method):
    assert judged(*section(), method) == ""


@pytest.mark.parametrize("method", METHODS)
def test_a_blank_field_is_not(section, method):
    rgb = np.full((200, 200, 3), 240, np.uint8)
    assert "too little tissue" in judged(rgb, np.ones((200, 200), bool), method)
    assert "too little tissue" in judged(rgb, np.zeros((200, 200), bool), method)


def test_one_dye_is_not(section):
    haematoxylin = (0.65, 0.70, 0.29)
    assert judged(*section((haematoxylin, haematoxylin))).startswith(("ill-conditioned", "eosin out of range"))


def test_brown_is_not(section):
    assert "out of range" in judged(*section(((0.65, 0.70, 0.29), (0.27, 0.57, 0.78))))


@pytest.mark.parametrize("method", METHODS)
def test_the_flat_colours_of_a_cartoon_are_not(method):
    rng = np.random.default_rng(0)
    colours = np.array([[220, 40, 40], [40, 180, 60], [50, 70, 210], [250, 220, 40], [20, 20, 20]], np.uint8)
    rgb = np.repeat(np.repeat(colours[rng.integers(0, 5, (12, 12))], 20, axis=0), 20, axis=1)
    assert judged(rgb, np.ones(rgb.shape[:2], bool), method)


def test_the_bounds_are_those_of_the_config(section):
    profile = fit_profile(*section(), "macenko")
    assert "too little" in untrusted_reason(profile, StainConfig(trust=TrustConfig(min_pixels=10**6)))
    assert "between the two dyes" in untrusted_reason(profile, StainConfig(trust=TrustConfig(min_angle=45)))
    assert "out of range" in untrusted_reason(profile, StainConfig(trust=TrustConfig(max_from_published=2)))
    assert "off the plane" in untrusted_reason(profile, StainConfig(trust=TrustConfig(max_off_plane=0)))


@pytest.mark.parametrize("method", METHODS)
def test_a_slide_that_is_not_believed_stays_as_it_is_and_says_so(section, method):
    target = fit_profile(*section(), method)
    rgb, tissue = section(((0.65, 0.70, 0.29), (0.27, 0.57, 0.78)))
    normaliser = Normaliser(fit_profile(rgb, tissue, method), target, method)
    assert not normaliser.trusted
    assert normaliser.reason
    np.testing.assert_array_equal(normaliser.apply(rgb), rgb)


def test_nothing_is_brought_to_a_target_that_is_not_believed(section):
    rgb, tissue = section()
    blank = fit_profile(rgb, np.zeros_like(tissue), "macenko")
    normaliser = Normaliser(fit_profile(rgb, tissue, "macenko"), blank, "macenko")
    assert normaliser.reason.startswith("the target: ")
    np.testing.assert_array_equal(normaliser.apply(rgb), rgb)


@pytest.mark.real
@pytest.mark.parametrize("method", METHODS)
def test_of_five_stains_of_one_lesion_only_the_h_and_e_is_believed(data_dir, method):
    sections = sorted((data_dir / "stain/serial_sections_lung").glob("*.jpg"))
    believed = [path.name for path in sections if not judged(read_image(path), method=method)]
    assert believed == ["29-041-Izd2-w35-He-les3.jpg"]


@pytest.mark.real
@pytest.mark.parametrize("name", ["OS-2-ndpi.ome.tif", "OS-2-vsi.ome.tif"])
def test_ki67_is_not_believed_whatever_the_scanner(data_dir, name):
    assert judged(read_image(data_dir / "stain/openslide_crops" / name))


@pytest.mark.real
def test_sections_of_one_laboratory_are_believed(data_dir):
    slides = sorted((data_dir / "osteosarcoma/images").glob("*.png"))[::6]
    assert [path.name for path in slides if judged(read_image(path))] == []
