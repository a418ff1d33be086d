"""An audited cohort as a notebook shows it: what was decided, and slides that are not kept as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from tilewise.auditing.finding import GRAVITY, Decision
from tilewise.cohort import Slide
from tilewise.cohort.notebook import heading_html, label_html, page_html, paragraph_html, table_html, thumbnails_html
from tilewise.wording import count


def audited_html(
    name: str,
    class_rows: Iterable[tuple[str | None, int, int, int, int, int]],
    decisions: Sequence[Decision],
    actions: Mapping[str, str],
    sentences: Iterable[str],
    slides: Mapping[str, Slide],
) -> str:
    """One fragment of HTML.

    Args:
        name: of the cohort.
        class_rows: class, slides, kept, repaired, groups and masks used.
        decisions: about all slides.
        actions: slide -> what is done with it.
        sentences: what to know before training.
        slides: by id, as they were found.
    """
    num_kept = sum(action != "drop" for action in actions.values())
    counts = Counter(actions.values())
    rows = [
        (action, counts[action], _reasons(decisions, action))
        for action in sorted(counts, key=lambda action: -GRAVITY[action])
    ]
    class_table = [(label_html(label), *numbers) for label, *numbers in class_rows]
    return page_html(
        heading_html(f"Audit of {name}", f"{num_kept} of {count(len(actions), 'slide')} kept"),
        table_html(("class", "slides", "kept", "repaired", "groups", "masks used"), class_table),
        table_html(("decided", "slides", "findings"), rows, words={0, 2}),
        *(paragraph_html(sentence) for sentence in sentences),
        thumbnails_html(_changed(decisions, slides)),
    )


def _reasons(decisions: Iterable[Decision], action: str) -> str:
    kinds = Counter(decision.finding for decision in decisions if decision.decision == action)
    return ", ".join(f"{kind} {num}" for kind, num in kinds.most_common())


def _changed(decisions: Iterable[Decision], slides: Mapping[str, Slide]) -> dict[Slide, str]:
    """A slide for each thing that is done and each reason, the gravest first; slides that are kept are left out."""
    captions: dict[Slide, str] = {}
    for decision in sorted(decisions, key=lambda decision: (-GRAVITY[decision.decision], decision.finding)):
        caption = f"{decision.decision}: {decision.finding}"
        if decision.decision != "keep" and decision.slide in slides and caption not in captions.values():
            captions.setdefault(slides[decision.slide], caption)
    return captions
