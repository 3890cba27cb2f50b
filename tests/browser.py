"""A headless Chromium for tests of pages, and what tests ask of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WAIT_S = 20


@contextmanager
def chromium(profile: Path) -> Iterator[webdriver.Chrome]:
    """A browser of its own; the test is skipped where Debian's packages are not installed."""
    if not CHROMIUM or not DRIVER:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    # Reduced motion: a click cannot land while the page still scrolls smoothly.
    arguments = (
        "headless=new no-sandbox disable-gpu disable-dev-shm-usage force-prefers-reduced-motion"
    )
    for argument in arguments.split():
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


class Page:
    """A page that is open in a browser."""

    def __init__(self, driver: webdriver.Chrome, file: Path) -> None:
        self.driver = driver
        self.file = file

    def open(self, html: str, width: int = 1440, height: int = 900, fragment: str = "") -> Page:
        """Opens it from disk at that size, as a phone below 600 px, with nothing remembered."""
        self.file.write_text(html, encoding="utf-8")
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.get("about:blank")  # else a new fragment alone would not load the page again
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get_log("browser")
        self.driver.get(self.file.as_uri() + fragment)
        return self

    def js(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def all(self, css: str) -> list[WebElement]:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css: str) -> str:
        return self.js("return document.querySelector(arguments[0]).textContent", css)

    def texts(self, css: str) -> list[str]:
        return self.js(
            "return [...document.querySelectorAll(arguments[0])].map(e => e.textContent)", css
        )

    def set(self, css: str, value: str) -> None:
        """Sets a control as a reader would, events included."""
        self.js(
            "const e = document.querySelector(arguments[0]); e.value = arguments[1];"
            "for (const kind of ['input', 'change']) e.dispatchEvent(new Event(kind, {bubbles: true}))",
            css,
            value,
        )

    def see(self, css: str) -> None:
        """Scrolls there and waits until something is drawn in it."""
        self.js("document.querySelector(arguments[0]).scrollIntoView({behavior: 'instant'})", css)
        self.until(f"return document.querySelector('{css}').childElementCount > 0")

    def until(self, script: str) -> None:
        WebDriverWait(self.driver, WAIT_S, 0.02).until(
            lambda driver: driver.execute_script(script), script
        )

    def complaints(self) -> list[str]:
        """What the browser's console holds since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def see_all(self) -> None:
        """Scrolls through all figures, so that each is drawn."""
        for section in ("cost", "curves", "classes", "errors", "gallery"):
            self.see(f"#{section}-figure")

    def sorter(self, title: str) -> WebElement:
        """The button that sorts by the column with that heading."""
        return self.js(
            "return [...document.querySelectorAll('#leaderboard thead th')]"
            ".find(th => th.textContent === arguments[0]).querySelector('.dt-column-order')",
            title,
        )
