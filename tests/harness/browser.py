"""A real browser without a window, and the report form served on loopback for it."""

import contextlib
import os
import re
import shutil
import subprocess

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from . import keeper
from .processes import ROOT, stop

MISSING = "there is no Chromium: `make browser` installs it"
PICTURES = ROOT / "target" / "pages"
PHONE, DESK = {"width": 375, "height": 700}, {"width": 1280, "height": 800}


def chromium():
    """Where it is, by any of its names."""
    return next((it for it in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if it), None)


@contextlib.contextmanager
def running():
    """Left out where there is no browser, and said at the end of the run; where everything must hold, it fails."""
    path = chromium()
    if not path:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(MISSING)
    # Chromium's own sandbox does not start as root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def serving(credential, *accounts):
    """The address of the pages; `accounts` can be chosen."""
    build = ["cargo", "build", "--locked", "--quiet", "-p", "front", "--example", "pages"]
    subprocess.run(build, cwd=ROOT, check=True)
    binary = ROOT / "target" / "debug" / "examples" / "pages"
    process = subprocess.Popen([binary, credential, *accounts], stdout=subprocess.PIPE, text=True, start_new_session=True)
    keeper.watch(process.pid)
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    finally:
        stop(process)


def axe_finds(page):
    """What a person with a screen reader, a keyboard or weak eyes would stumble over."""
    response = Axe().run(page).response
    assert len(response["passes"]) > 10, "axe looked at nothing"
    return [f"{it['id']}: {node['html']}" for it in response["violations"] for node in it["nodes"]]


def picture(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=PICTURES / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.png", full_page=True)


def fits(page):
    """Nothing is cut off at the side, and every control is large enough for a thumb."""
    sizes = [it.bounding_box() for it in page.locator("input:not([type=hidden]), select, textarea, button").all()]
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth") and all(it["height"] >= 44 for it in sizes)
