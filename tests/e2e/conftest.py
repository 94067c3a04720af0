"""What tests of the whole need: a browser, and servers on free ports."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def find_browser() -> str | None:
    """A Chromium of this machine, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def install_browser() -> str | None:
    """By apt where that is allowed; its path, or None."""
    if shutil.which("apt-get") and os.geteuid() == 0:
        environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["apt-get", "-qq", "update"], ["apt-get", "-qq", "-y", "install", "chromium"]):
            subprocess.run(command, env=environ, check=False, stdout=subprocess.DEVNULL)
    return find_browser()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium: the one that is there, else Debian's, else Playwright's own; else the tests fail."""
    from playwright.sync_api import Error, sync_playwright  # noqa: PLC0415 - only browser tests pay for it

    path = find_browser() or install_browser()
    if path is None:
        subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], check=False)
    with sync_playwright() as playwright:
        try:
            launched = playwright.chromium.launch(executable_path=path, args=list(SWITCHES))
        except Error as error:
            pytest.fail(f"No Chromium could be started. Install it: sudo apt-get install chromium\n{error}")
        yield launched
        launched.close()
