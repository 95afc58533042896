"""Headless Chromium for tests: the machine's, else Debian's, installed on demand."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

BROWSERS, DRIVER = ("chromium", "google-chrome"), "chromedriver"
AXE = "axe-core@4.14.1"
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars")
# What axe calls serious and worse; lesser findings are advice.
SERIOUS = ("serious", "critical")
RUN_AXE = "const done = arguments[arguments.length - 1]; axe.run().then(found => done(found.violations))"


@dataclass(frozen=True, slots=True)
class Browser:
    """A browser and the address of the site that it opens."""

    driver: Chrome
    url: str

    def open(self, path: str, *, width: int = 1200, dark: bool = False) -> None:
        """Open a page in a window of that many pixels."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._command("Emulation.setEmulatedMedia", {"features": [scheme]})
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self._command("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get(f"{self.url}/{path}")

    def use_scripts(self, allowed: bool) -> None:
        """Allow or forbid JavaScript for pages opened later."""
        self._command("Emulation.setScriptExecutionDisabled", {"value": not allowed})

    def run(self, script: str, *arguments: object) -> Any:
        return self.driver.execute_script(script, *arguments)

    def screenshot(self, path: Path) -> None:
        """Take a picture of the whole page."""
        width, height = self.run("return [innerWidth, document.documentElement.scrollHeight]")
        metrics = {"width": width, "height": min(height, 4000), "deviceScaleFactor": 1, "mobile": width < 600}
        self._command("Emulation.setDeviceMetricsOverride", metrics)
        self.driver.get_screenshot_as_file(str(path))

    def complaints(self) -> list[str]:
        """Return the browser's log since the last call: blocked scripts, missing files, errors."""
        messages = [entry["message"] for entry in self.driver.get_log("browser")]  # type: ignore[no-untyped-call]
        # Chromium asks for it of its own accord where a page for installers names no icon.
        return [message for message in messages if "/favicon.ico" not in message]

    def barriers(self, axe: str) -> list[str]:
        """Return axe's serious accessibility findings of the page."""
        self.run(axe)
        found = self.driver.execute_async_script(RUN_AXE)
        return [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
            for each in found
            if each["impact"] in SERIOUS
            for node in each["nodes"]
        ]

    def _command(self, name: str, parameters: dict[str, Any]) -> None:
        self.driver.execute_cdp_cmd(name, parameters)


@contextmanager
def chromium(*further: str) -> Iterator[Chrome]:
    """Start a browser, with further options of its command line."""
    program, driver = _programs() or _install()
    options = ChromeOptions()
    options.binary_location = program
    for option in (*OPTIONS, *further):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # The proxy that the machine may have knows nothing of this machine's own addresses.
    options.add_argument("--no-proxy-server")
    started = Chrome(options=options, service=Service(driver))
    try:
        yield started
    finally:
        started.quit()


def axe_source(folder: Path) -> str:
    """Fetch axe-core with npm into `folder` and return its text."""
    if shutil.which("npm") is None:
        _apt("npm")
    subprocess.run(["npm", "pack", "--silent", AXE, "--pack-destination", folder], check=True, capture_output=True)
    (archive,) = folder.glob("axe-core-*.tgz")
    with tarfile.open(archive) as packed:
        member = packed.extractfile("package/axe.min.js")
        assert member is not None
        return member.read().decode()


def _programs() -> tuple[str, str] | None:
    found = [path for path in map(shutil.which, BROWSERS) if path is not None]
    driver = shutil.which(DRIVER)
    return (found[0], driver) if found and driver is not None else None


def _install() -> tuple[str, str]:
    _apt("chromium", "chromium-driver")
    programs = _programs()
    assert programs is not None
    return programs


def _apt(*packages: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    commands: Sequence[Sequence[str]] = (["update"], ["install", "--yes", "--no-install-recommends", *packages])
    for command in commands:
        subprocess.run(["apt-get", "--quiet", *command], check=command[0] == "install", env=environment)
