from tilewise.auditing.labels import label_conflict_findings, missing_label_findings, name_family_findings
from tilewise.cohort import Slide


def cohort(*names, label="A", group=None):
    return {name: Slide(name, name, None, label, group) for name in names}


def test_a_slide_without_label_is_named_and_kept():
    slides = cohort("a.png") | cohort("b.png", label=None)
    (finding,) = missing_label_findings(slides)
    assert (finding.slide, finding.kind, finding.proposal) == ("b.png", "label-missing", "keep")


def test_where_nobody_gave_labels_none_is_missing():
    assert not list(missing_label_findings(cohort("a.png", "b.png", label=None)))


def test_a_group_with_several_labels_is_told_with_counts_and_stays():
    slides = cohort("a", "b") | cohort("c", label="B") | cohort("d", label=None) | cohort("e", label="B")
    findings = list(label_conflict_findings(slides, {"a": "P", "b": "P", "c": "P", "d": "P", "e": "Q"}))
    assert [(item.slide, item.other, item.proposal) for item in findings] == [
        ("a", "c", "keep"), ("b", "c", "keep"), ("c", "a", "keep"),
    ]  # fmt: skip
    assert "A (2), B (1)" in findings[0].evidence


def test_names_like_those_of_copies_are_noticed():
    names = ["img_1.png", "img_1 (2).png", "img_2.png", "img_2 - Copy.png", "img_3.png", "copybook.png"]
    originals = {item.slide: item.other for item in name_family_findings(cohort(*names)) if "copy of" in item.evidence}
    assert originals == {"img_1 (2).png": "img_1.png", "img_2 - Copy.png": "img_2.png"}


def test_several_slides_of_one_patient_are_noticed_by_their_names():
    names = [f"TCGA-{patient}-{part}.png" for patient in ("A1", "B2", "C3", "D4") for part in ("01", "02")]
    evidence = {item.slide: item.evidence for item in name_family_findings(cohort(*names))}
    assert set(evidence) == set(names)
    assert "TCGA-B2..." in evidence["TCGA-B2-01.png"]


def test_neither_a_plain_numbering_nor_a_table_with_groups_has_families():
    assert not list(name_family_findings(cohort(*[f"img_{number:04d}.png" for number in range(30)])))
    names = [f"P{patient}_{part}.png" for patient in range(5) for part in range(2)]
    assert not list(name_family_findings(cohort(*names, group="g")))
    assert list(name_family_findings(cohort(*names)))
