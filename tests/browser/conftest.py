"""Real Chromium, the system's own, with the page's errors collected and its accessibility checked."""

import os
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize, async_playwright

SHOTS = Path(__file__).parents[2] / "build" / "screenshots"
PHONE_SIZE = ViewportSize(width=390, height=844)
DESK_SIZE = ViewportSize(width=1280, height=800)


@dataclass
class Watched:
    """A page and what went wrong in it. `shot` keeps a picture under build/screenshots."""

    page: Page
    errors: list[str] = field(default_factory=list)

    async def shot(self, name: str) -> None:
        await self.page.screenshot(path=SHOTS / f"{name}.png", full_page=False)

    async def is_accessible(self) -> None:
        """Fails with axe's own words for every violation of WCAG 2 A and AA."""
        found = await Axe().run(self.page, options={"runOnly": ["wcag2a", "wcag2aa"]})
        told = [
            f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']][:3]}"
            for one in found.response["violations"]
        ]
        assert not told, told

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(message.text)


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """CI fails rather than skips: `.ci/run` installs the browser."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium on the PATH: `apt-get install chromium`")
        pytest.skip("no Chromium on the PATH: `apt-get install chromium`")
    SHOTS.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        await browser.close()


@dataclass
class Pages:
    """Opens watched pages; each in a context of its own, as another person's browser would be."""

    browser: Browser
    opened: list[Watched] = field(default_factory=list)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def open(self, url: str, *, phone: bool = False, dark: bool = False, language: str = "en") -> Watched:
        context = await self.browser.new_context(
            viewport=PHONE_SIZE if phone else DESK_SIZE,
            color_scheme="dark" if dark else "light",
            locale=language,
            base_url=url,
        )
        self.contexts.append(context)
        watched = Watched(await context.new_page())
        watched.page.on("console", watched._heard)
        watched.page.on("pageerror", lambda error: watched.errors.append(str(error)))
        self.opened.append(watched)
        await watched.page.goto(url)
        return watched


@pytest.fixture
async def pages(browser: Browser) -> AsyncIterator[Pages]:
    """Closed afterwards; a test fails if any page of it had an error on its console."""
    pages = Pages(browser)
    yield pages
    errors = [error for page in pages.opened for error in page.errors]
    for context in pages.contexts:
        await context.close()
    assert not errors, errors
