"""The routes of the review page. Slides are named by number, so that no path of a request reaches the file system."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import cv2
import numpy as np
from fastapi import FastAPI, HTTPException, Path, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from tilewise.auditing.decision_log import LABEL, Act, DecisionLog
from tilewise.auditing.decisions import decisions_csv
from tilewise.cohort.mask import read_scaled_mask
from tilewise.errors import TilewiseError
from tilewise.serving.review.deep_zoom import DeepZoom
from tilewise.serving.review.guard import SameOriginOnly
from tilewise.serving.review.payloads import (
    describe_decisions,
    describe_heat,
    describe_overlay,
    describe_run,
    describe_slide,
    list_slides,
)
from tilewise.serving.review.reviewed_run import ReviewedRun, ReviewedSlide
from tilewise.serving.review.summary import summarise_review
from tilewise.serving.review.tile_pack import TILE_PX, level_sizes

if TYPE_CHECKING:
    from tilewise.serving.review.heat import HeatMaker

_TYPES: Final = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
_FOLDERS: Final = ("static", "openseadragon")
_MASK_PX: Final = 1536
_FOREVER: Final = {"cache-control": "private, max-age=3600"}
_FRESH: Final = {"cache-control": "no-store"}
_TEXT: Final = 2000
Number = Annotated[int, Path(ge=0, description="Number of a slide in the run's cohort.")]


class DecisionBody(BaseModel):
    """One act of a reviewer."""

    model_config = ConfigDict(extra="forbid")

    slide: int = Field(ge=0, description="Number of the slide.")
    finding: str = Field(max_length=100, description="Kind of the finding; empty for the slide as a whole.")
    act: Literal["accept", "reject", "drop", "relabel", "read", "skip"]
    value: str = Field("", max_length=_TEXT, description="The class of `relabel`, or that was read.")
    reason: str = Field("", max_length=_TEXT)
    blind: bool = Field(False, description="Whether the page hid label, model and audit until now.")
    session: str = Field(min_length=1, max_length=100, description="Whose undo takes it back.")


class SessionBody(BaseModel):
    """Whose last act is meant."""

    model_config = ConfigDict(extra="forbid")

    session: str = Field(min_length=1, max_length=100)


class Review:
    """A run under review, and what its page asks for.

    Args:
        run: the run.
        log: where decisions go.
        reviewer: who decides.
        blind: whether the page hides label, model and audit of slides about which the reviewer has not decided, and
            has no switch for it.
    """

    def __init__(self, run: ReviewedRun, log: DecisionLog, reviewer: str, *, blind: bool = False) -> None:
        self.run, self.log, self.reviewer, self.blind = run, log, reviewer, blind
        self.numbers = {item.slide.slide_id: number for number, item in enumerate(run.slides)}
        self.zoom = DeepZoom([item.slide.path for item in run.slides], max_pixels=run.max_pixels)

    @cached_property
    def heat(self) -> HeatMaker:
        """What makes the heat of slides."""
        from tilewise.serving.review.heat import HeatMaker  # brings torch, which takes longer than the page

        rows = {item.slide.slide_id: item.row for item in self.run.slides if item.row is not None}
        return HeatMaker(self.run.folder, rows, self.run.made_masks)

    def item(self, number: int) -> ReviewedSlide:
        """A slide by its number.

        Raises:
            HTTPException: there is none.
        """
        if number >= len(self.run.slides):
            raise HTTPException(404, "no such slide")
        return self.run.slides[number]

    def decide(self, body: DecisionBody) -> tuple[str, str]:
        """Store an act; returns the slide and what it is about.

        Raises:
            HTTPException: it names no slide, finding or class of the run.
        """
        act = self._act(body)
        # After a first decision the page has shown everything, even if that decision was taken back.
        act = replace(act, blind=body.blind and act.slide not in self.log.decided_by(self.reviewer))
        self.log.append(act, session=body.session)
        return act.slide, act.finding

    def decided(self, subject: tuple[str, str] | None = None) -> dict[str, Any]:
        """What counts now; of one slide and finding where these are given."""
        num_acts = self.log.num_acts()
        payload = describe_decisions(self.log.current(subject), self.numbers, num_acts)
        if subject is None:
            payload["own"] = [self.numbers[one] for one in self.log.decided_by(self.reviewer) if one in self.numbers]
        return payload

    def _act(self, body: DecisionBody) -> Act:
        item = self.item(body.slide)
        name = item.slide.slide_id
        act = Act(name, body.finding, "", "keep", "", body.reason, self.reviewer)
        if body.act == "read":
            return self._read(body, replace(act, finding=LABEL))
        if body.act == "relabel" or body.finding == LABEL:
            return self._about_label(body, replace(act, finding=LABEL))
        if not body.finding:
            if body.act not in {"drop", "skip"}:
                raise HTTPException(422, "a slide as a whole can be dropped or skipped")
            return replace(act, decision=body.act)
        suspicion = next((one for one in item.suspicions if one.kind == body.finding), None)
        if suspicion is None:
            raise HTTPException(422, "the slide has no such finding")
        decision, _, value = suspicion.proposal.partition(": ")
        act = replace(act, proposal=suspicion.proposal, reason=body.reason or "; ".join(suspicion.evidence))
        if body.act == "drop":  # whatever the finding: a slide that is left out has nothing more to be decided
            return replace(act, finding="", proposal="", decision="drop")
        if body.act == "accept":
            return replace(act, decision=decision, value=value)  # type: ignore[arg-type] # an audit proposes actions
        return replace(act, decision="keep" if body.act == "reject" else body.act)

    def _about_label(self, body: DecisionBody, act: Act) -> Act:
        if body.act == "accept":  # a class is named by whoever takes it, never accepted by the way
            raise HTTPException(422, "a label is confirmed by `reject`, or changed by `relabel`")
        item, value = self.item(body.slide), body.value
        label = self._label(item)
        is_corrected = body.act == "reject" and label in self.run.classes and label != item.slide.label
        if is_corrected:  # to confirm a corrected label is to decide for it, not for the table's
            value = str(label)
        if is_corrected or body.act == "relabel":
            self._require_class(value)
            reason = body.reason or f"label was {item.slide.label or 'missing'}; corrected in review"
            return replace(act, decision="relabel", value=value, reason=reason)
        if body.act == "drop":
            return replace(act, finding="", decision="drop")
        return replace(act, decision="skip" if body.act == "skip" else "keep")

    def _read(self, body: DecisionBody, act: Act) -> Act:
        """A class that was named without regard to the label: it confirms the label, or changes it."""
        self._require_class(body.value)
        item = self.item(body.slide)
        if body.value == item.slide.label == item.label:
            return act
        reason = body.reason or f"label was {item.slide.label or 'missing'}; read as {body.value} in review"
        return replace(act, decision="relabel", value=body.value, reason=reason)

    def _require_class(self, name: str) -> None:
        if name not in self.run.classes:
            raise HTTPException(422, "no such class in the run")

    def _label(self, item: ReviewedSlide) -> str | None:
        """The label of a slide as the page shows it."""
        act = self.log.current((item.slide.slide_id, LABEL)).get((item.slide.slide_id, LABEL))
        return act.value if act is not None and act.decision == "relabel" else item.label


def create_app(review: Review, hosts: frozenset[str], token: str | None) -> FastAPI:  # noqa: C901 - one function per route
    """The application of one run under review.

    Args:
        review: the run.
        hosts: `HOST:PORT` that the server answers to.
        token: that a browser must have been opened with; None lets all users of this machine in.
    """
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SameOriginOnly, hosts=hosts, token=token)
    files = _static_files()
    listed = JSONResponse(list_slides(review.run)).body

    @app.exception_handler(TilewiseError)
    async def failed(_: Request, error: TilewiseError) -> Response:
        return JSONResponse({"detail": str(error)}, status_code=422, headers=_FRESH)

    @app.get("/")
    async def page() -> Response:
        return Response(files["index.html"][0], media_type="text/html", headers=_FRESH)

    @app.get("/static/{name}")
    async def static(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return Response(files[name][0], media_type=files[name][1], headers={"cache-control": "no-cache"})

    @app.get("/api/run")
    def run() -> Response:
        return JSONResponse(describe_run(review.run, review.reviewer, blind=review.blind), headers=_FRESH)

    @app.get("/api/slides")
    async def slides() -> Response:
        return Response(listed, media_type="application/json", headers=_FRESH)

    @app.get("/api/slides/{number}")
    def slide(number: Number) -> Response:
        review.item(number)
        payload = describe_slide(review.run, number)
        try:
            size = review.zoom.slide(number).size
            payload |= {"size": list(size), "levels": len(level_sizes(size)), "tile": TILE_PX}
        except TilewiseError as error:
            payload["unreadable"] = str(error)
        return JSONResponse(payload, headers=_FRESH)

    @app.get("/api/slides/{number}/heat")
    def heat(number: Number) -> Response:
        return JSONResponse(describe_heat(review.heat.of(review.item(number).slide.slide_id)), headers=_FRESH)

    @app.get("/api/slides/{number}/mask.png")
    def mask(number: Number) -> Response:
        slide, size = review.item(number).slide, review.zoom.slide(number).size
        path = review.run.mask_of(number)
        region, _ = read_scaled_mask(replace(slide, mask_path=path), size)
        scale = min(1.0, _MASK_PX / max(size))
        small = cv2.resize(region.astype(np.uint8) * 255, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        plane = np.zeros((*small.shape, 4), np.uint8)
        plane[:, :, 3] = small
        return Response(cv2.imencode(".png", plane)[1].tobytes(), media_type="image/png", headers=_FOREVER)

    @app.get("/api/pairs/{number}/{other}")
    def pair(number: Number, other: Number) -> Response:
        from tilewise.serving.review.pairs import lay_on  # brings SciPy, which takes longer than the page

        one, two = (review.item(index).slide for index in (number, other))
        return JSONResponse(describe_overlay(lay_on(one, two, max_pixels=review.run.max_pixels)), headers=_FRESH)

    @app.get("/tiles/{number}/{level}/{column}/{row}")
    def tile(number: Number, level: int, column: int, row: int) -> Response:
        review.item(number)
        data = review.zoom.slide(number).tile(level, column, row)
        if data is None:
            raise HTTPException(404)
        return Response(data, media_type="image/jpeg", headers=_FOREVER)

    @app.get("/thumbnails/{number}")
    def thumbnail(number: Number) -> Response:
        review.item(number)
        return Response(review.zoom.thumbnail(number), media_type="image/jpeg", headers=_FOREVER)

    @app.get("/api/decisions")
    def decisions(acts: int = -1) -> Response:
        is_known = acts == review.log.num_acts()
        return JSONResponse({"acts": acts} if is_known else review.decided(), headers=_FRESH)

    @app.get("/api/summary")
    def summary() -> Response:
        return JSONResponse(summarise_review(review.run, review.log).to_json(), headers=_FRESH)

    @app.get("/api/decisions.csv")
    def export() -> Response:
        headers = _FRESH | {"content-disposition": "attachment; filename=decisions.csv"}
        return Response(decisions_csv(review.log.decisions()), media_type="text/csv", headers=headers)

    @app.post("/api/decisions")
    def decide(body: DecisionBody) -> Response:
        subject = review.decide(body)
        return JSONResponse(review.decided(subject) | {"about": _numbered(review, subject)}, headers=_FRESH)

    @app.post("/api/{word}")
    def turn(word: Literal["undo", "redo"], body: SessionBody) -> Response:
        turned = review.log.undo(body.session) if word == "undo" else review.log.redo(body.session)
        if turned is None:
            return JSONResponse({"acts": review.log.num_acts(), "about": None}, headers=_FRESH)
        return JSONResponse(review.decided(turned) | {"about": _numbered(review, turned)}, headers=_FRESH)

    return app


def _numbered(review: Review, subject: tuple[str, str]) -> list[Any]:
    return [review.numbers.get(subject[0]), subject[1]]


def _static_files() -> dict[str, tuple[bytes, str]]:
    """Name -> bytes and type of every file of the page, read once."""
    files = {}
    for folder in _FOLDERS:
        for file in resources.files("tilewise.serving.review").joinpath(folder).iterdir():
            kind = _TYPES.get(file.name.rpartition(".")[2])
            if kind is not None:
                files[file.name] = (file.read_bytes(), kind)
    return files
