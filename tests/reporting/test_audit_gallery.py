"""The audit's gallery: everything that was found is on it, nothing foreign runs, and no slide stops it."""

import itertools
import re
from dataclasses import replace
from html.parser import HTMLParser

import cv2
import numpy as np
import pytest

from tests.browser import look, needs_chromium, title
from tests.drawn import draw_cohort, draw_slide
from tilewise.auditing.cohort import AuditedCohort, AuditedSlide
from tilewise.auditing.decisions import propose
from tilewise.auditing.finding import Decision, Finding
from tilewise.cohort import Cohort, Slide
from tilewise.reporting import audit
from tilewise.reporting.audit import write_audit_report
from tilewise.reporting.audit_kinds import KINDS, MENUS
from tilewise.reporting.audit_sections import Sources, sections
from tilewise.reporting.audit_summary import class_rows, fates, look_first, verdict
from tilewise.units import Size


@pytest.fixture
def cohort(tmp_path):
    return Cohort.discover(draw_cohort(tmp_path / "cohort", num_slides=12))


def name(number):
    return f"img_{number:04d}.png"


def audited_of(cohort, findings, edited=(), **changes):
    """What the audit would make of these findings."""
    taken = {(item.slide, item.finding): item for item in (*propose(findings), *edited)}
    dropped = {item.slide for item in taken.values() if item.decision == "drop"}
    slides = tuple(
        replace(
            AuditedSlide(slide, Size(128, 96), None, slide.slide_id, True, "c", "p", ()),
            **changes.get(slide.slide_id, {}),
        )
        for slide in cohort.slides
        if slide.slide_id not in dropped
    )
    return AuditedCohort(slides, cohort.classes, tuple(sorted(findings)), tuple(taken.values()), tuple(sorted(dropped)))


def pair(kind="exact-copy", one=0, two=1, proposal="drop"):
    return [
        Finding(name(one), kind, name(two), "keep", 0.9, f"equals {name(two)}"),
        Finding(name(two), kind, name(one), proposal, 0.9, f"equals {name(one)}"),
    ]


def page_of(tmp_path, cohort, findings, edited=(), *, others=None, **changes):
    path = write_audit_report(
        tmp_path / "out", audited_of(cohort, findings, edited, **changes), cohort=cohort, others=others, workers=1
    )
    assert path == tmp_path / "out" / "report.html"
    return path.read_text("utf-8")


def section_of(page, kind):
    section = re.search(rf'<section id="kind-{kind}".*?</section>', page, re.DOTALL)
    assert section, kind
    return section[0]


def test_the_verdict_counts_every_slide_once(cohort):
    findings = [
        *pair(),
        Finding(name(2), "ink", "", "repair", 0.9, "green"),
        Finding(name(2), "mask-on-ink", "", "fix-mask", 0.9, "marks ink"),
        Finding(name(3), "mask-empty", "", "fix-mask", 1.0, "marks nothing"),
        Finding(name(4), "mask-size", "", "fix-mask", 1.0, "half as large"),
    ]
    audited = audited_of(cohort, findings, **{name(3): {"use_mask": False}})
    assert verdict(audited, cohort) == (
        "12 slides: 10 kept, 1 repaired, 1 dropped. Of those kept, 1 with the mask scaled and 1 without the mask."
    )
    assert sum(fate.number for fate in fates(audited)) == 12
    assert sum(fate.share for fate in fates(audited)) == pytest.approx(1)


def test_a_pair_is_one_card_that_says_its_evidence_once_and_shows_the_dropped_slide_on_the_right(cohort):
    audited = audited_of(cohort, pair(one=1, two=0))
    (section,) = sections(Sources(audited, cohort, {}))
    (card,) = section.cards
    assert [shot.name for shot in card.figures] == [name(1), name(0)]
    assert [shot.decision for shot in card.figures] == ["keep", "drop"]
    assert [entry.slide for entry in card.sentences] == [name(0)]
    assert card.labels_differ  # drawn slides take the two classes in turn


def test_what_the_second_of_a_pair_says_more_is_said(cohort):
    first, second = pair()
    audited = audited_of(cohort, [first, replace(second, evidence=f"{second.evidence}; and it carries ink")])
    (section,) = sections(Sources(audited, cohort, {}))
    assert len(section.cards[0].sentences) == 2


def test_sections_come_by_gravity_and_what_only_informs_comes_last_and_quiet(cohort):
    findings = [
        Finding(name(0), "pen", "", "keep", 1.0, "a line"),
        Finding(name(1), "ink", "", "repair", 0.9, "green"),
        Finding(name(2), "blank", "", "drop", 0.9, "nothing there"),
        Finding(name(3), "mask-empty", "", "fix-mask", 0.9, "marks nothing"),
    ]
    ordered = sections(Sources(audited_of(cohort, findings), cohort, {}))
    assert [section.kind.name for section in ordered] == ["blank", "ink", "mask-empty", "pen"]
    assert [section.quiet for section in ordered] == [False, False, False, True]


def test_every_finding_stands_on_the_page_with_proposal_decision_and_who_decided(tmp_path, cohort):
    findings = [Finding(name(n % 12), kind, "", "keep", 0.5, f"evidence {kind}") for n, kind in enumerate(KINDS)]
    findings.append(Finding(name(0), "a-new-kind", "", "drop", 0.75, "evidence of the new"))
    mine = Decision(name(0), "a-new-kind", "drop", "keep", "", "I looked", "Dr. Berg", "2031-05-04T10:00:00")
    page = page_of(tmp_path, cohort, findings, [mine])
    for finding in findings:
        assert finding.evidence in section_of(page, finding.kind)
    section = section_of(page, "a-new-kind")
    assert "proposed drop (confidence 0.75)" in section
    assert "Dr. Berg" in section
    assert "I looked" in section
    assert "2031-05-04" in section


def test_a_decision_about_nothing_that_was_found_is_shown_too(tmp_path, cohort):
    mine = Decision(name(5), "consent", "keep", "drop", "", "consent withdrawn", "Dr. Berg")
    assert "consent withdrawn" in page_of(tmp_path, cohort, pair(), [mine])


def test_silence_is_told_from_not_looked_at(tmp_path, cohort):
    alone = page_of(tmp_path, cohort, pair())
    assert "Not looked for" in alone
    assert ">Near copies</li>" in alone
    assert ">Exact copies</li>" not in alone
    assert ">In both cohorts</li>" not in alone
    compared = page_of(tmp_path, cohort, pair(), others={})
    assert "Not looked for" not in compared
    assert ">In both cohorts</li>" in compared


def test_a_slide_of_the_other_cohort_is_shown_even_where_it_has_the_name_of_one_of_ours(tmp_path, cohort):
    draw_slide(tmp_path / "test" / name(3), 99, klass=1)
    findings = [Finding(name(0), "in-both", name(3), "drop", 1.0, "the same")]
    audited = audited_of(cohort, findings)
    others = {name(3): Slide(name(3), tmp_path / "test" / name(3))}
    (section,) = sections(Sources(audited, cohort, others))
    paths = {shot.name: shot.request.slide.path for shot in section.cards[0].figures}
    assert paths[name(3)] == tmp_path / "test" / name(3)
    assert "of the other cohort" in page_of(tmp_path, cohort, findings, others=others)


def test_an_other_that_nobody_knows_is_named_and_not_shown(tmp_path, cohort):
    page = page_of(tmp_path, cohort, [Finding(name(0), "near-copy", "gone.png", "keep", 0.5, "like gone.png")])
    assert "it is no slide of this cohort" in section_of(page, "near-copy")


def test_a_broken_slide_is_shown_as_its_error_without_the_folders_above_the_cohort(tmp_path, cohort):
    cohort.slides[1].path.write_bytes(b"\x89PNG broken")
    section = section_of(page_of(tmp_path, cohort, pair()), "exact-copy")
    assert section.count("<img") == 1
    assert "images/img_0001.png" in section
    assert str(tmp_path) not in section


def test_foreign_text_is_escaped(tmp_path, cohort):
    evil = "<script>alert(1)</script>\"'&"
    slides = tuple(replace(slide, label=evil) if n == 0 else slide for n, slide in enumerate(cohort.slides))
    cohort = replace(cohort, slides=slides, classes=(evil, *cohort.classes))
    findings = [Finding(name(0), evil, "", "drop", 0.5, evil), *pair("exact-copy", 0, 2)]
    page = page_of(tmp_path, cohort, findings, [Decision(name(1), evil, "keep", "relabel", evil, evil, evil, evil)])
    assert page.count("<script") == 1
    parser = _Tags()
    parser.feed(page)
    assert not parser.open, "every element is closed"


def test_look_here_first_names_a_slide_once_with_every_reason(tmp_path, cohort):
    cohort = replace(cohort, slides=tuple(replace(one, label="AB"[n % 2]) for n, one in enumerate(cohort.slides)))
    findings = [
        *(Finding(name(0), "near-copy", name(other), "drop", 0.5, "alike") for other in (1, 3)),
        Finding(name(0), "blurred", "", "drop", 0.6, "out of focus"),
        Finding(name(4), "blank", "", "drop", 0.7, "nothing"),
        Finding(name(6), "blank", "", "drop", 0.99, "nothing"),
    ]
    both, unsure = look_first(sections(Sources(audited_of(cohort, findings), cohort, {})))
    assert [slide for slide, _ in both.links] == [name(0)]
    assert both.sentence.startswith("1 slide paired with a copy of another label")
    assert both.sentence.endswith(", and to be dropped or repaired at a confidence below 0.9")
    assert [slide for slide, _ in unsure.links] == [name(4)]
    first = page_of(tmp_path, cohort, findings).partition("Look here first")[2].partition("</aside>")[0]
    assert first.count(name(0)) == 1


def test_groups_of_several_labels_are_counted_as_in_the_table_of_findings(tmp_path, cohort):
    cohort = replace(cohort, slides=tuple(replace(one, label="AB"[n % 2]) for n, one in enumerate(cohort.slides)))
    findings = [
        *(Finding(name(n), "neighbouring-section", name(n + 1), "keep", 0.5, "one block") for n in (0, 2)),
        *(Finding(name(n), "label-conflict", name(1 - n % 2), "keep", 0.5, "A (3), B (2)") for n in range(5)),
    ]
    all_sections = sections(Sources(audited_of(cohort, findings), cohort, {}))
    (pointer,) = look_first(all_sections)
    assert pointer.sentence.startswith("5 slides in groups of more than one label (normal in a tissue block")
    assert sorted(slide for slide, _ in pointer.links) == [name(n) for n in range(5)]
    page = page_of(tmp_path, cohort, findings)
    row = page.partition('<th><a href="#kind-label-conflict">')[2].partition("</tr>")[0]
    assert '<td class="n">5</td>' in row


def test_commands_have_the_paths_as_from_where_the_audit_was_run(tmp_path, cohort, monkeypatch):
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "my audit"
    out.mkdir()
    page = page_of(out, cohort, [])
    assert "--decisions &#39;my audit/out/decisions.csv&#39; --out" in page
    monkeypatch.chdir(out / "out")
    assert "--decisions decisions.csv --out" in page_of(out, cohort, [])


def test_the_navigation_has_a_menu_for_each_kind_of_finding_and_none_that_is_empty(tmp_path, cohort):
    blank = [Finding(name(number), "blank", "", "drop", 0.99, "nothing") for number in range(3)]
    blurred = [Finding(name(number), "blurred", "", "drop", 0.99, "nothing") for number in (2, 3)]
    new = [Finding(name(5), kind, "", "keep", 1.0, "new") for kind in ("not-yet-known", "nor-this")]
    page = page_of(tmp_path, cohort, [*blank, *blurred, *new, *pair()])
    navigation = page.partition("<nav")[2].partition("</nav>")[0]
    assert re.findall(r"<summary>(\w+) <small>(\d+)</small>", navigation) == [("Slides", "4"), ("Others", "1")]
    assert '<a href="#kind-blank">Blank</a> <small>3</small>' in navigation
    assert '<a href="#kind-exact-copy">Exact copies</a>' in navigation
    assert "Masks" not in navigation
    assert {name for names in MENUS.values() for name in names} == set(KINDS)


def test_the_mask_is_drawn_as_an_outline_and_shown_as_it_is_where_it_is_at_fault(tmp_path, cohort):
    findings = [Finding(name(0), "mask-not-binary", "", "keep", 1.0, "values"), *pair()]
    page = page_of(tmp_path, cohort, findings)
    assert section_of(page, "mask-not-binary").count("<img") == 2
    assert section_of(page, "exact-copy").count('class="mask" d="M') == 2


def test_a_mask_of_half_the_size_is_outlined_where_it_belongs(tmp_path, cohort):
    mask = cv2.imread(str(cohort.slides[0].mask_path), cv2.IMREAD_GRAYSCALE)
    cv2.imwrite(str(cohort.slides[0].mask_path), mask[::2, ::2])
    page = page_of(tmp_path, cohort, [Finding(name(0), "mask-size", "", "fix-mask", 1.0, "half")])
    around = re.search(r'class="mask" d="([^"]+)"', section_of(page, "mask-size"))
    x = [float(point) for point in re.findall(r"[ML]([\d.]+)", around[1])]
    columns = np.flatnonzero(mask.any(axis=0))
    assert min(x) == pytest.approx(columns[0], abs=2)
    assert max(x) == pytest.approx(columns[-1], abs=2)


def test_a_repaired_slide_is_shown_before_and_after_with_the_tissue_that_was_lost(tmp_path, cohort):
    both = np.full((96, 256, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / "both.png"), both)
    repaired_slides = {
        name(0): {"before_after": tmp_path / "both.png", "tissue_lost": 0.0213, "repaired": "ink taken out"}
    }
    section = section_of(
        page_of(tmp_path, cohort, [Finding(name(0), "ink", "", "repair", 0.9, "green")], **repaired_slides), "ink"
    )
    assert "2.1 % of the tissue is lost" in section
    assert 'width="256"' in section


def test_class_balance_counts_relabelled_slides_where_they_went(cohort):
    # Six slides of each class; one of B is dropped, one of A becomes B.
    audited = audited_of(cohort, pair())
    moved = replace(audited.slides[0], slide=replace(audited.slides[0].slide, label="B"))
    audited = replace(audited, slides=(moved, *audited.slides[1:]))
    rows = {row.label: (row.before, row.after) for row in class_rows(audited, cohort)}
    assert rows == {"A": (6, 5), "B": (6, 6)}


def test_the_same_audit_gives_the_same_bytes(tmp_path, cohort):
    assert page_of(tmp_path, cohort, pair()) == page_of(tmp_path, cohort, pair())


def test_nothing_found_is_said(tmp_path, cohort):
    page = page_of(tmp_path, cohort, [])
    assert "Nothing was found on any slide." in page
    assert "12 slides: 12 kept, 0 dropped." in page


def test_hundreds_of_findings_keep_the_page_small_and_lose_none(tmp_path, cohort, monkeypatch):
    two = list(itertools.combinations(range(12), 2))
    many = [
        Finding(name(one), f"kind-{kind}", name(other), "keep", 0.5, f"evidence {kind} {one} {other}")
        for kind in range(4)
        for one, other in two
    ]
    page = page_of(tmp_path, cohort, many)
    assert len(two) > 60
    assert page.count("<img") == 4 * 60 * 2
    assert all(finding.evidence in page for finding in many)
    monkeypatch.setattr(audit, "_MOST_PICTURES", 100)
    assert page_of(tmp_path, cohort, many).count("<img") == 96
    monkeypatch.setattr(audit, "_MOST_BYTES", 60_000)
    page = page_of(tmp_path, cohort, many)
    assert 8 <= page.count("<img") < 96
    assert all(finding.evidence in page for finding in many)


def test_every_link_leads_somewhere(tmp_path, cohort):
    findings = [*pair(), Finding(name(4), "unreadable", "", "drop", 0.5, "broken")]
    many = [
        Finding(name(one), "near-copy", name(other), "drop", 0.5, "alike")
        for one, other in itertools.combinations(range(12), 2)
    ]
    page = page_of(tmp_path, cohort, [*findings, *many])
    links, anchors = set(re.findall(r'href="#([^"]+)"', page)), re.findall(r'\bid="([^"]+)"', page)
    assert links <= set(anchors)
    assert len(anchors) == len(set(anchors))
    assert not re.search(r'(?:href|src)="(?!#|data:)', page)


@needs_chromium
@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_shows_the_pair_and_asks_for_nothing(tmp_path, cohort, width):
    page_of(tmp_path, cohort, pair())
    page = tmp_path / "out" / "report.html"
    # The check is a script of its own, so that it is added to a copy whose policy lets it run. Images load eagerly:
    # the load event then waits for them, so that nothing has to be awaited after it.
    script = (
        "<script>let refused = 0; addEventListener('securitypolicyviolation', () => refused++);"
        "onload = () => { const seen = [...document.querySelectorAll('#kind-exact-copy img')];"
        "const box = seen.map(image => image.getBoundingClientRect());"
        "const asked = performance.getEntriesByType('resource').filter(one => !one.name.startsWith('data:'));"
        "document.title = [seen.length, ...seen.map(image => image.naturalWidth), box[1].left >= box[0].right,"
        "document.documentElement.scrollWidth <= innerWidth, asked.length, refused].join(' ') }</script>"
    )
    text, num = re.subn(r"script-src '[^']+'", "script-src 'unsafe-inline'", page.read_text("utf-8"))
    assert num == 1
    text = text.replace("<style>", f"{script}<style>")
    copy = tmp_path / "copy.html"
    copy.write_text(text.replace('loading="lazy"', 'loading="eager"'), encoding="utf-8")
    browser = look(copy, "--dump-dom", f"--window-size={width},900", "--enable-logging=stderr")
    assert title(browser.stdout) == "2 128 128 true true 0 0"
    assert "CONSOLE" not in browser.stderr


class _Tags(HTMLParser):
    _VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self._VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
