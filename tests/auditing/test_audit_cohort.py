import csv
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests import drawn
from tilewise.auditing import repairs
from tilewise.auditing.audit_cohort import AuditOptions, audit_cohort, write_audit
from tilewise.auditing.config import AuditConfig
from tilewise.auditing.table import TableFacts
from tilewise.cohort import Cohort, read_mask
from tilewise.errors import CohortError, UsageError
from tilewise.store import visible_names
from tilewise.synthetic.config import SynthConfig
from tilewise.synthetic.faults.blobs import BLOB_FAMILIES, paste_blob
from tilewise.synthetic.plan import plan_cohort
from tilewise.synthetic.slide import draw_slide


@pytest.fixture
def folder(tmp_path):
    """Six small slides: 0 and 1 equal in pixels but not in bytes, 2 broken off, 3 without mask, 4 with an empty one."""
    for part in ("images", "masks"):
        (tmp_path / part).mkdir()
    generator = np.random.default_rng(0)
    rows = [("sample_index", "label")]
    for number in range(6):
        picture = generator.integers(0, 255, (40, 60, 3), np.uint8)
        if number == 1:
            picture = cv2.imread(str(tmp_path / "images/img_0000.png"))
        level = cv2.IMWRITE_PNG_COMPRESSION, number
        cv2.imwrite(str(tmp_path / f"images/img_000{number}.png"), picture, level)
        mask = np.zeros((40, 60), np.uint8)
        if number != 4:
            mask[5 : 20 + number, 10:40] = 255
        if number != 3:
            cv2.imwrite(str(tmp_path / f"masks/mask_000{number}.png"), mask)
        rows.append((f"img_000{number}.png", "AB"[number % 2]))
    broken = tmp_path / "images/img_0002.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return tmp_path


def decide(path, *rows):
    path.write_text("slide,finding,proposal,decision,value,reason,author,time\n" + "".join(f"{row}\n" for row in rows))
    return path


def test_every_fault_is_found_and_decided(folder, tmp_path):
    out = tmp_path / "audit"
    audited = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(out=out, workers=1))
    kinds = {(item.slide, item.kind) for item in audited.findings}
    assert kinds == {
        ("img_0000.png", "exact-copy"),
        ("img_0000.png", "label-conflict"),
        ("img_0001.png", "exact-copy"),
        ("img_0001.png", "label-conflict"),
        ("img_0002.png", "unreadable"),
        ("img_0003.png", "mask-missing"),
        ("img_0004.png", "mask-empty"),
    }
    assert audited.dropped == ("img_0001.png", "img_0002.png")
    assert audited.groups["img_0001.png"] == audited.groups["img_0000.png"]
    assert {item.slide_id: item.use_mask for item in audited.slides} == {
        "img_0000.png": True,
        "img_0003.png": False,
        "img_0004.png": False,
        "img_0005.png": True,
    }
    assert [failure.item for failure in audited.failures] == ["img_0002.png"]
    assert set(visible_names(out)) == {"findings.parquet", "decisions.csv", "slides.parquet"}


def test_slides_of_the_other_cohort_that_cannot_be_read_are_named(folder, caplog):
    options = AuditOptions(against=Cohort.discover(folder, purpose="predict"), workers=1)
    audit_cohort(Cohort.discover(folder), AuditConfig(copies="keep"), options)
    assert "1 slide(s) of" in caplog.text
    assert "img_0002.png" in caplog.text


def test_where_no_slide_can_be_predicted_nobody_is_sent_to_the_decisions(folder):
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(CohortError, match="not one slide can be used") as raised:
        audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(drop=False, workers=1))
    assert "decisions" not in str(raised.value)


def test_a_persons_decisions_win_and_what_a_person_dropped_is_no_failure(folder, tmp_path):
    table = decide(
        tmp_path / "decisions.csv",
        "img_0000.png,exact-copy,drop,keep,,seen by eye,me,",
        "img_0002.png,unreadable,drop,drop,,known,me,",
        "img_0005.png,,keep,relabel,A,pathologist,me,",
    )
    audited = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(decisions=table, workers=1))
    assert [item.slide_id for item in audited.slides] == [f"img_000{number}.png" for number in (0, 3, 4, 5)]
    assert audited.slides[-1].slide.label == "A"
    assert audited.failures == ()
    assert audited.actions()["img_0005.png"] == "relabel"
    assert audited.relabelled == {"img_0005.png": "B"}
    write_audit(tmp_path / "audit", audited)
    assert TableFacts.read(tmp_path / "audit/slides.parquet") == TableFacts.of(audited)
    assert TableFacts.of(audited).relabelled == audited.relabelled
    assert TableFacts.read(tmp_path / "nothing.parquet") == TableFacts()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("img_9999.png,x,keep,keep,,,,", "no slide 'img_9999.png'"),
        ("img_0000.png,x,keep,destroy,,,,", "decision 'destroy'"),
        ("img_0000.png,x,keep,relabel,,,,", "relabel needs the new label"),
    ],
)
def test_a_bad_row_is_named_with_its_line(folder, tmp_path, row, message):
    with pytest.raises(CohortError, match=message) as raised:
        audit_cohort(
            Cohort.discover(folder), AuditConfig(), AuditOptions(decisions=decide(tmp_path / "d.csv", row), workers=1)
        )
    assert "line 2" in str(raised.value)


def test_facts_are_cached_by_content_and_made_again_when_a_file_changes(folder):
    first = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(workers=1))
    again = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(workers=1))
    assert first == again
    mask = np.zeros((40, 60), np.uint8)
    cv2.imwrite(str(folder / "masks/mask_0005.png"), mask)
    changed = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(workers=1))
    assert ("img_0005.png", "mask-empty") in {(item.slide, item.kind) for item in changed.findings}
    assert changed.digest != first.digest


def test_nothing_in_the_cohorts_folder_is_changed(folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(out=tmp_path / "elsewhere", workers=1))
    assert {path: path.read_bytes() for path in before} == before


def test_where_every_slide_is_asked_for_nothing_is_dropped(folder):
    audited = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(drop=False, workers=1))
    assert "img_0001.png" in {item.slide_id for item in audited.slides}
    assert ("img_0001.png", "exact-copy", "drop") in {
        (item.slide, item.kind, item.proposal) for item in audited.findings
    }


def test_slides_of_another_cohort_are_found_and_do_not_join_it(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(folder / "images/img_0005.png", other / "elsewhere.png")
    against = Cohort.discover(other, purpose="predict")
    audited = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(against=against, workers=1))
    (finding,) = [item for item in audited.findings if item.kind == "in-both"]
    assert (finding.slide, finding.other, finding.proposal) == ("img_0005.png", "elsewhere.png", "drop")
    assert "img_0005.png" in audited.dropped
    assert "elsewhere.png" not in audited.groups


@pytest.fixture(scope="module")
def inked(tmp_path_factory):
    """Three drawn slides: a green blob on the first, a mask drawn at half the scale of the second, a clean third."""
    root = tmp_path_factory.mktemp("inked")
    config = SynthConfig(num_slides=4, seed=11, min_side_px=512)
    with (root / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("sample_index", "label"), *[(f"img_000{k}.png", "AB"[k % 2]) for k in range(3)]])
    for folder in ("images", "masks"):
        (root / folder).mkdir()
    for number in range(3):
        drawn = draw_slide(config, plan_cohort(config)[number])
        rgb, mask = drawn.rgb, drawn.mask.astype(np.uint8) * 255
        if number == 0:
            generator = np.random.default_rng(1)
            rgb, alpha = paste_blob(generator, rgb, aim=drawn.mask, colour="green", family=BLOB_FAMILIES[0])
            np.save(root / "alpha.npy", alpha)
        if number == 1:
            mask = cv2.resize(mask, (mask.shape[1] // 2, mask.shape[0] // 2), interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(root / f"images/img_000{number}.png"), rgb[:, :, ::-1])
        cv2.imwrite(str(root / f"masks/mask_000{number}.png"), mask)
    return root


def test_ink_is_taken_out_of_picture_and_mask_into_a_folder_of_its_own(inked, tmp_path):
    before = {path: path.read_bytes() for path in inked.rglob("*") if path.is_file()}
    audited = audit_cohort(Cohort.discover(inked), AuditConfig(), AuditOptions(out=tmp_path / "audit", workers=1))
    assert audited.actions()["img_0000.png"] == "repair"
    item = audited.slides[0]
    assert item.slide.path == tmp_path / "audit/repaired/img_0000.png"
    assert item.before_after.is_file()
    assert 0.0 < item.tissue_lost < 1.0
    blob = np.load(inked / "alpha.npy") >= 0.05
    mask = cv2.imread(str(item.slide.mask_path), cv2.IMREAD_GRAYSCALE) > 0
    assert (mask & blob).sum() <= 0.01 * blob.sum()
    fixed = cv2.imread(str(item.slide.path)).astype(int)
    greener = fixed[:, :, 1] - fixed[:, :, [0, 2]].max(axis=2) > 40
    assert not greener.any()
    assert {path: path.read_bytes() for path in before} == before
    # A person retouches a repaired slide; the next audit keeps that beside the one it makes again.
    whole = item.slide.path.read_bytes()
    item.slide.path.write_bytes(b"retouched")
    audit_cohort(Cohort.discover(inked), AuditConfig(), AuditOptions(out=tmp_path / "audit", workers=1))
    assert item.slide.path.read_bytes() == whole
    assert [path.read_bytes() for path in item.slide.path.parent.glob("img_0000.2*.png")] == [b"retouched"]


def test_a_mask_of_half_the_size_is_scaled(inked, tmp_path):
    audited = audit_cohort(Cohort.discover(inked), AuditConfig(), AuditOptions(out=tmp_path / "audit", workers=1))
    item = audited.slides[1]
    assert item.use_mask
    assert item.repaired == "mask scaled to the slide"
    assert item.slide.path == inked / "images/img_0001.png"
    mask, _ = read_mask(item.slide, item.size)
    assert mask.any()


def test_what_was_repaired_is_another_slide_for_the_stages_after(inked, monkeypatch):
    cohort = Cohort.discover(inked)
    repaired = audit_cohort(cohort, AuditConfig(), AuditOptions(workers=1))
    unrepaired = audit_cohort(cohort, AuditConfig(ink="keep"), AuditOptions(workers=1))
    assert repaired.slides[0].content != unrepaired.slides[0].content
    assert repaired.slides[2] == unrepaired.slides[2]
    assert audit_cohort(cohort, AuditConfig(ink="drop"), AuditOptions(workers=1)).dropped == ("img_0000.png",)
    monkeypatch.setattr(repairs, "remove_ink", None)  # the second time the cache has it
    assert audit_cohort(cohort, AuditConfig(), AuditOptions(workers=1)) == repaired


def test_a_damaged_repair_is_made_again(inked):
    cohort = Cohort.discover(inked)
    first = audit_cohort(cohort, AuditConfig(), AuditOptions(workers=1))
    path = first.slides[0].slide.path
    whole = path.read_bytes()
    for damage in (path.unlink, lambda: path.write_bytes(whole[:-500] + bytes(500))):
        damage()
        assert audit_cohort(cohort, AuditConfig(), AuditOptions(workers=1)) == first
        assert path.read_bytes() == whole


def test_the_audits_own_table_given_back_changes_nothing(folder, tmp_path):
    first = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(out=tmp_path / "one", workers=1))
    table = tmp_path / "one/decisions.csv"
    again = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(decisions=table, workers=1))
    assert again.findings == first.findings
    assert again.groups == first.groups
    assert again.failures == first.failures
    other = audit_cohort(Cohort.discover(folder), AuditConfig(copies="keep"), AuditOptions(decisions=table, workers=1))
    assert "img_0001.png" not in other.dropped  # an old proposal is no person's word


def test_what_a_person_wrote_is_not_overwritten(folder, tmp_path):
    out = tmp_path / "audit"
    audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(out=out, workers=1))
    table = out / "decisions.csv"
    table.write_text(
        table.read_text().replace("img_0001.png,exact-copy,drop,drop", "img_0001.png,exact-copy,drop,keep")
    )
    edited = table.read_bytes()
    with pytest.raises(UsageError, match=r"img_0001\.png.*--decisions"):
        audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(out=out, workers=1))
    assert table.read_bytes() == edited
    # The same where a run writes what was audited before; rows of dropped slides are read as well.
    audited = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(workers=1))
    with pytest.raises(UsageError, match=r"img_0001\.png.*--decisions"):
        write_audit(out, audited)
    assert table.read_bytes() == edited
    audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(out=out, decisions=table, workers=1))


@pytest.mark.parametrize(
    ("row", "encoding", "error", "message"),
    [
        ("img_0003.png,,,dropp,,,Ann,", "utf-8", CohortError, r"line \d+: img_0003\.png: decision 'dropp' is none of"),
        ("gone.png,,,drop,,,Ann,", "utf-8", CohortError, "no slide 'gone.png'"),
        ("img_0003.png,,,drop,,,J\u00f6rg,", "cp1252", UsageError, r"img_0003\.png: drop.*--decisions"),
        ("img_0003.png,,,keep,,,Ann,", "utf-8", UsageError, r"img_0003\.png: keep.*--decisions"),
    ],
)
@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_table_with_a_mistake_in_it_is_not_overwritten_either(
    folder, tmp_path, row, encoding, error, message, delimiter
):
    out = tmp_path / "audit"
    audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(out=out, workers=1))
    table = out / "decisions.csv"
    text = f"slide,finding,proposal,decision,value,reason,author,time\n{row}\n"
    table.write_bytes(text.replace(",", delimiter).encode(encoding))
    edited = table.read_bytes()
    with pytest.raises(error, match=message):
        audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(out=out, workers=1))
    assert table.read_bytes() == edited


def test_a_table_that_is_given_back_is_kept_beside_the_one_that_takes_its_place(folder, tmp_path):
    out = tmp_path / "audit"
    options = AuditOptions(out=out, decisions=out / "decisions.csv", workers=1)
    audit_cohort(Cohort.discover(folder), AuditConfig(), replace(options, decisions=None))
    first = options.decisions.read_bytes()
    audit_cohort(Cohort.discover(folder), AuditConfig(), replace(options, decisions=None))
    assert (options.decisions.read_bytes(), list(out.glob("decisions.*.csv"))) == (first, [])  # nobody touched it
    edited = first + b"img_0003.png,,,keep,,my own words,Ann,\n"
    options.decisions.write_bytes(edited)
    audit_cohort(Cohort.discover(folder), AuditConfig(), options)
    (before,) = out.glob("decisions.*.csv")
    assert before.read_bytes() == edited
    assert "img_0003.png,,,keep,,my own words,Ann," in options.decisions.read_text()


def test_keep_without_a_finding_overrules_all_and_a_misspelt_finding_is_refused(folder, tmp_path):
    table = decide(tmp_path / "d.csv", "img_0001.png,,,keep,,,me,")
    audited = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(decisions=table, workers=1))
    assert "img_0001.png" not in audited.dropped
    wrong = decide(tmp_path / "e.csv", "img_0001.png,exact_copy,drop,keep,,,me,")
    with pytest.raises(CohortError, match="did you mean exact-copy"):
        audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(decisions=wrong, workers=1))


def test_repair_of_a_slide_without_ink_leaves_it_alone(inked, tmp_path):
    table = decide(tmp_path / "d.csv", "img_0002.png,ink,keep,repair,,,me,")
    audited = audit_cohort(Cohort.discover(inked), AuditConfig(), AuditOptions(decisions=table, workers=1))
    assert audited.slides[2].repaired == ""


def test_repaired_files_of_slides_with_like_names_lie_apart(inked, tmp_path):
    used = set()
    paths = []
    for name in ("a.png", "a.bmp", "b/../a.png", "case.01", "case.02", "a_mask.png", "../a.png"):
        slide = repairs.Slide(name, inked / "images/img_0000.png", inked / "masks/mask_0000.png")
        source = repairs.cache_dir() / "repaired/x" / f"{len(paths)}.png"
        source.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(slide.path, source)
        slide = repairs.Slide(name, source, source)
        copied = repairs.copy_into(tmp_path / "repaired", repairs.RepairedSlide(slide, True, 0.0, None), used)
        paths += [copied.slide.path, copied.slide.mask_path]
    assert len(set(paths)) == len(paths)
    assert all(path.is_relative_to(tmp_path / "repaired") for path in paths)


@pytest.fixture
def turned(tmp_path):
    """Eight slides, tissue on glass, whose masks have a white background; their regions."""
    regions = {}
    for number in range(8):
        name = f"img_000{number}.png"
        folder = tmp_path / "cohort"
        drawn.draw_slide(
            folder / "images" / name, number, klass=number % 2, mask=folder / f"masks/mask_000{number}.png"
        )
        region = cv2.imread(str(folder / f"masks/mask_000{number}.png"), cv2.IMREAD_GRAYSCALE) > 0
        cv2.imwrite(str(folder / f"masks/mask_000{number}.png"), np.where(region, 0, 255).astype(np.uint8))
        regions[name] = region
    return Cohort.discover(tmp_path / "cohort", purpose="predict"), regions


def test_masks_the_wrong_way_round_are_inverted_once_and_for_all_readers(turned, tmp_path):
    cohort, regions = turned
    audited = audit_cohort(cohort, AuditConfig(), AuditOptions(out=tmp_path / "out", workers=1))
    assert {item.kind for item in audited.findings} == {"mask-inverted"}
    for item in audited.slides:
        assert item.use_mask
        assert item.repaired == "mask inverted"
        np.testing.assert_array_equal(read_mask(item.slide, item.size)[0], regions[item.slide_id])
    assert audited.inverted_masks().startswith("8 of 8 masks are the wrong way round")
    rows = csv.DictReader((tmp_path / "out/decisions.csv").read_text("utf-8").splitlines())
    assert {(row["proposal"], row["decision"], row["value"]) for row in rows} == {
        ("fix-mask: invert", "fix-mask", "invert")
    }


def test_a_person_decides_which_way_round_masks_are(turned, tmp_path):
    cohort, regions = turned
    right = cohort.slides[3]
    cv2.imwrite(str(right.mask_path), regions[right.slide_id].astype(np.uint8) * 255)
    decisions = decide(
        tmp_path / "d.csv",
        "img_0000.png,mask-inverted,fix-mask: invert,keep,,,me,",
        "img_0001.png,mask-inverted,fix-mask: invert,fix-mask,,,me,",
        "img_0003.png,,,fix-mask,invert,,me,",
    )
    audited = audit_cohort(cohort, AuditConfig(), AuditOptions(decisions=decisions, workers=1))
    slides = {item.slide_id: item for item in audited.slides}
    for name, turn in (("img_0000.png", True), ("img_0002.png", False), ("img_0003.png", True)):
        item = slides[name]
        np.testing.assert_array_equal(read_mask(item.slide, item.size)[0], regions[name] ^ turn)
    assert not slides["img_0001.png"].use_mask
    assert "7 of 8 masks" in audited.inverted_masks()
    assert "5 of these are used inverted" in audited.inverted_masks()


def test_a_mask_that_is_set_aside_says_for_what(tmp_path):
    folder = drawn.draw_cohort(tmp_path / "cohort", num_slides=4)
    mask = folder / "masks/mask_0001.png"
    cv2.imwrite(str(mask), np.full_like(cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE), 255))
    audited = audit_cohort(Cohort.discover(folder), AuditConfig(), AuditOptions(workers=1))
    faults = {item.slide_id: item.mask_fault for item in audited.slides}
    assert faults["img_0001.png"] == "its mask was set aside by decision (mask-full)"
    assert not faults["img_0002.png"]
