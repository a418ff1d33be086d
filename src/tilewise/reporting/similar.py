"""A page of slides that look like an example."""

from __future__ import annotations

from pathlib import Path

from tilewise.auditing.similar import SimilarSlides
from tilewise.cohort import Cohort
from tilewise.reporting.audit_pictures import PictureRequest, small_pictures
from tilewise.reporting.templates import environment, read
from tilewise.reporting.text import without_folders
from tilewise.store import write_text
from tilewise.version import __version__

_EXAMPLE = "example"


def write_similar_report(path: Path, similar: SimilarSlides, *, cohort: Cohort, workers: int | None = None) -> Path:
    """Write the example and its neighbours as one HTML file that loads nothing; returns where.

    Args:
        path: of the page.
        similar: what was found.
        cohort: where it was found.
        workers: processes that draw; None takes every processor.
    """
    slides = {slide.slide_id: slide for slide in cohort.slides}
    requests = {_EXAMPLE: PictureRequest(similar.example)}
    requests |= {f"slide {one.slide}": PictureRequest(slides[one.slide]) for one in similar.neighbours}
    root = str(cohort.root)
    view = {
        "title": cohort.root.name,
        "style": read("report.css") + read("audit_gallery.css"),
        "version": __version__,
        "similar": similar,
        "pictures": small_pictures(requests, root=root, workers=workers),
        "failures": [(failure.item, without_folders(failure.message, root)) for failure in similar.failures],
        "example": _EXAMPLE,
    }
    write_text(path, environment().get_template("similar.html").render(view))
    return path
