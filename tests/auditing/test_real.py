"""The whole audit on real slides, as a person would run it on these folders."""

import pytest

from tilewise import api

pytestmark = pytest.mark.real


@pytest.mark.soak
def test_neighbouring_sections_of_one_tumour_share_a_group_and_are_no_copies(data_dir):
    audited = api.audit(data_dir / "her2st_slides", workers=2)
    groups = audited.groups
    assert len({groups[name] for name in ("C2.jpg", "C3.jpg", "C5.jpg", "C6.jpg")}) == 1
    assert groups["B4.jpg"] != groups["C2.jpg"]
    assert not {item.kind for item in audited.findings} & {"exact-copy", "near-copy"}
    assert not audited.dropped


def test_sections_of_other_stains_are_noticed(data_dir):
    audited = api.audit(data_dir / "stain/serial_sections_lung", workers=1)
    other = {item.slide for item in audited.findings if item.kind == "other-stain"}
    assert other == {item.slide_id for item in audited.slides if "-He-" not in item.slide_id}
    assert len(other) == 4


# One in the ordinary checks; the others in `make soak`.
@pytest.mark.parametrize(
    "folder",
    [
        "osteosarcoma",
        *(pytest.param(name, marks=pytest.mark.soak) for name in ("breakhis", "camelyon_tiles", "brecahad")),
    ],
)
def test_real_fields_are_kept_as_they_are(data_dir, folder):
    audited = api.audit(data_dir / folder, workers=2)
    refused = {(item.slide, item.kind) for item in audited.findings if item.proposal in {"drop", "repair"}}
    # Fields 10015 and 10016 of BreCaHAD show the same tissue, as its makers say of some neighbours.
    known = {("10016.jpg", "near-copy"), ("10015.jpg", "near-copy")} if folder == "brecahad" else set()
    assert refused <= known
