"""The review page in a headless Chromium, as a reviewer drives it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.browser import CHROMIUM, FLAGS

_PATIENCE_S = 90.0


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


class ReviewPage:
    """One open page, which `prepare` may change before it is loaded; what goes wrong in it is collected."""

    def __init__(
        self, browser: Browser, address: str, *, prepare: Callable[[Page], None] | None = None, **context: Any
    ) -> None:
        self.page: Page = browser.new_context(viewport={"width": 1500, "height": 900}, **context).new_page()
        if prepare is not None:
            prepare(self.page)
        self.faults: list[str] = []
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", self._note)
        self.page.goto(address)
        self.until("Boolean(window.review?.panes()[0]?.image?.getFullyLoaded())")

    def _note(self, line: ConsoleMessage) -> None:
        # Slides that cannot be read have no thumbnail.
        if line.type == "error" and "status of 422" not in line.text:
            self.faults.append(line.text)

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)

    def until(self, script: str) -> Any:
        """Wait until the page answers with anything but false; the page's policy forbids Playwright's own way."""
        end = time.monotonic() + _PATIENCE_S
        while not (answer := self.page.evaluate(script)):
            assert time.monotonic() < end, f"{script}: {self.faults}"
            time.sleep(0.02)
        return answer

    def press(self, *keys: str) -> None:
        """Press keys and wait until what they decide is stored."""
        for key in keys:
            self.page.keyboard.press(key)
        self.ask("review.settled()")

    def decided(self) -> int:
        return int(self.ask("document.body.dataset.decided"))

    def place(self) -> tuple[int, str | None]:
        """Number of the slide, and the kind of the finding in focus."""
        script = (
            "[review.state.number, review.state.slides[review.state.number].items[review.state.item]?.kind ?? null]"
        )
        number, kind = self.ask(script)
        return number, kind

    def pixels(self, selector: str) -> np.ndarray:
        """What is seen at an element, uint8 (H, W, 3)."""
        import cv2

        data = np.frombuffer(self.page.locator(selector).screenshot(), np.uint8)
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
