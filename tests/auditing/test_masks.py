import cv2
import numpy as np
import pytest

from tilewise.auditing.masks import MaskFacts, mask_findings, measure_mask
from tilewise.cohort import Slide
from tilewise.units import Size

SIZE = Size(120, 80)
PALE = np.full((SIZE.height, SIZE.width, 3), (220, 150, 190), np.uint8)


@pytest.fixture
def measure(tmp_path):
    """Write a mask and measure it on a slide whose left half is tissue."""
    tissue = np.zeros((SIZE.height, SIZE.width), bool)
    tissue[:, :60] = True

    def written(mask):
        cv2.imwrite(str(tmp_path / "mask.png"), mask)
        return measure_mask(Slide("a.png", tmp_path / "a.png", tmp_path / "mask.png"), SIZE, tissue, PALE)

    return written


def boxed(columns, value=255):
    mask = np.zeros((SIZE.height, SIZE.width), np.uint8)
    mask[10:70, columns] = value
    return mask


def kinds(facts, tissue_share=0.5):
    slides = {"a.png": Slide("a.png", "a.png", "mask.png")}
    return {item.kind: item.proposal for item in mask_findings(slides, {"a.png": facts}, {"a.png": tissue_share})}


def test_a_good_mask_is_no_finding(measure):
    mask, facts = measure(boxed(slice(5, 55)))
    assert mask.sum() == 60 * 50
    assert facts.on_tissue == pytest.approx(1.0)
    assert kinds(facts) == {}


def test_a_mask_beside_the_tissue_is_set_aside_and_one_half_beside_it_is_told(measure):
    assert kinds(measure(boxed(slice(70, 118)))[1]) == {"mask-outside-tissue": "fix-mask"}
    assert kinds(measure(boxed(slice(50, 110)))[1]) == {"mask-outside-tissue": "keep"}
    assert kinds(measure(boxed(slice(30, 80)))[1]) == {}


def test_an_empty_mask_is_told(measure):
    assert kinds(measure(boxed(slice(0, 0)))[1]) == {"mask-empty": "fix-mask"}


def test_a_full_mask_is_of_no_use_unless_all_is_tissue(measure):
    _, facts = measure(np.full((SIZE.height, SIZE.width), 255, np.uint8))
    assert kinds(facts, tissue_share=0.3)["mask-full"] == "fix-mask"
    assert kinds(facts, tissue_share=0.95) == {"mask-full": "keep"}


def test_a_mask_drawn_at_half_the_scale_is_measured_at_the_slides(measure):
    whole, _ = measure(boxed(slice(10, 50)))
    half, facts = measure(cv2.resize(boxed(slice(10, 50)), (60, 40), interpolation=cv2.INTER_NEAREST))
    assert facts.scaled
    assert (half == whole).mean() > 0.99
    assert kinds(facts) == {"mask-size": "fix-mask"}


def test_a_mask_of_other_proportions_is_of_no_use(measure):
    mask, facts = measure(np.full((50, 50), 255, np.uint8))
    assert mask is None
    assert not facts.scaled
    assert kinds(facts) == {"mask-size": "fix-mask"}
    assert "50 x 50" in facts.fault


def test_greys_are_told_and_used(measure):
    soft = cv2.GaussianBlur(boxed(slice(10, 50)), (0, 0), 3)
    mask, facts = measure(soft)
    assert mask.any()
    assert kinds(facts) == {"mask-not-binary": "keep"}


TISSUE = np.arange(SIZE.width) < 60
REGION = boxed(slice(10, 40)) > 0


@pytest.mark.parametrize(
    "encoded",
    [
        pytest.param(lambda region: np.where(region, 0, 255), id="white background"),
        pytest.param(lambda region: np.where(region, 0, 1), id="0 and 1"),
        pytest.param(lambda region: np.where(region, 1, 2), id="1 and 2"),
        pytest.param(lambda region: np.where(region, np.arange(SIZE.width) // 20 * 60, 255), id="greys on white"),
        pytest.param(lambda region: cv2.GaussianBlur(np.where(region, 0.0, 255.0), (0, 0), 1.5), id="smoothed"),
        pytest.param(
            lambda region: np.where(region[..., None], (0, 0, 0), np.where(np.eye(3)[0], 200, 0)),
            id="black on a colour",
        ),
    ],
)
def test_masks_the_wrong_way_round_are_named_and_inverted(encoded, measure):
    mask, facts = measure(encoded(REGION).astype(np.uint8))
    assert facts.polarity == "inverted"
    assert (mask != REGION).mean() < 0.02
    slides = {"a.png": Slide("a.png", "a.png", "mask.png")}
    (finding,) = [
        item for item in mask_findings(slides, {"a.png": facts}, {"a.png": 0.5}) if item.kind != "mask-not-binary"
    ]
    assert (finding.kind, finding.proposal, finding.value) == ("mask-inverted", "fix-mask", "invert")
    assert "wrong way round" in finding.evidence


def test_a_jpeg_mask_the_wrong_way_round_is_named(tmp_path):
    path = tmp_path / "mask.jpg"
    cv2.imwrite(str(path), np.where(REGION, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 80])
    tissue = np.repeat(TISSUE[None], SIZE.height, axis=0)
    mask, facts = measure_mask(Slide("a.png", tmp_path / "a.png", path), SIZE, tissue, PALE)
    assert facts.polarity == "inverted"
    assert (mask != REGION).mean() < 0.02


@pytest.mark.parametrize(
    "region",
    [
        pytest.param(boxed(slice(5, 118)), id="everything but the rim of the slide"),
        pytest.param(boxed(slice(70, 118)), id="nothing but glass"),
        pytest.param(np.pad(np.zeros((40, 30), np.uint8), ((0, 40), (90, 0)), constant_values=255), id="but a corner"),
        pytest.param(cv2.circle(np.full((80, 120), 255, np.uint8), (30, 40), 1, 0, -1), id="everything but a speck"),
    ],
)
def test_odd_masks_are_not_taken_for_inverted_ones(region, measure):
    assert measure(region)[1].polarity != "inverted"


def facts_of(polarity, share=0.9):
    return MaskFacts("", "", False, (), "d", share, 0.5, polarity, 1 - share, 0.9)


def inverted_among(facts):
    slides = {name: Slide(name, name, "mask.png") for name in facts}
    findings = mask_findings(slides, facts, dict.fromkeys(facts, 0.5))
    return {item.slide for item in findings if item.kind == "mask-inverted"}


def test_where_most_masks_are_inverted_so_are_those_whose_slide_does_not_tell():
    sure = {f"{number}": facts_of("inverted") for number in range(3)}
    assert inverted_among({**sure, "field": facts_of("unknown")}) == {"0", "1", "2", "field"}
    assert inverted_among({**sure, "field": facts_of("unknown"), "right": facts_of("right")}) == {*sure, "field"}
    assert inverted_among({**sure, "field": facts_of("unknown"), "r": facts_of("right"), "s": facts_of("right")}) == {
        *sure
    }
    assert inverted_among({"0": facts_of("inverted"), "field": facts_of("unknown")}) == {"0"}


@pytest.mark.parametrize("drawn", ["contour", "paint", "grey", "nothing"])
def test_a_picture_of_the_slide_with_a_drawing_on_it_is_no_mask(drawn, tmp_path):
    generator = np.random.default_rng(0)
    rgb = np.full((80, 120, 3), 240, np.uint8)
    rgb[:, :60] = generator.normal((200, 120, 180), 15, (80, 60, 3)).clip(0, 255)
    picture = rgb.copy()
    if drawn == "contour":
        cv2.circle(picture, (30, 40), 20, (0, 255, 0), 2)
    elif drawn == "paint":
        picture[20:40, 10:40] = picture[20:40, 10:40] // 2 + np.array([0, 127, 0], np.uint8)
    elif drawn == "grey":
        picture = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    cv2.imwrite(str(tmp_path / "mask.png"), picture[..., ::-1] if picture.ndim == 3 else picture)
    tissue = np.repeat(TISSUE[None], SIZE.height, axis=0)
    mask, facts = measure_mask(Slide("a.png", tmp_path / "a.png", tmp_path / "mask.png"), SIZE, tissue, rgb)
    assert mask is None
    assert kinds(facts) == {"mask-is-slide": "fix-mask"}
    assert "picture of the slide itself" in facts.fault


def test_a_mask_that_is_no_picture_is_named(tmp_path):
    (tmp_path / "mask.png").write_bytes(b"no picture")
    _, facts = measure_mask(
        Slide("a.png", tmp_path / "a.png", tmp_path / "mask.png"), SIZE, np.ones((80, 120), bool), PALE
    )
    assert kinds(facts) == {"mask-unreadable": "fix-mask"}


def test_no_mask_at_all():
    assert measure_mask(Slide("a.png", "a.png"), SIZE, np.ones((80, 120), bool), PALE) == (None, None)
    slides = {"a.png": Slide("a.png", "a.png"), "b.png": Slide("b.png", "b.png", "b_mask.png")}
    (finding,) = mask_findings(slides, {"a.png": None}, {"a.png": 0.5})
    assert (finding.slide, finding.kind) == ("a.png", "mask-missing")


def test_where_nobody_drew_masks_none_is_missing():
    assert not list(mask_findings({"a.png": Slide("a.png", "a.png")}, {"a.png": None}, {"a.png": 0.5}))
