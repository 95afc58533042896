"""The site in a real browser.

With and without JavaScript, on a phone, in dark mode, by keyboard and for screen readers.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from factory.board.finder import judge, of_cpuinfo
from factory.publish.server import serve
from factory.site.states import MISSING, PURE
from factory.site.writer import write_site
from tests.support.boards import SAMPLES
from tests.support.browser import Browser, axe_source, chromium
from tests.support.ledgers import make_coverage, make_ledger, pin

pytestmark = pytest.mark.environment

PAGES = (
    "",
    "project/alpha/",
    "project/alpha/1.10.html",
    "project/broken/",
    "boards/",
    "boards/k1.html",
    "coverage/",
    "builds/",
    "nowhere",
)
PHONE, DESK = 390, 1200


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    folder = tmp_path_factory.mktemp("site")
    ledger = make_ledger(folder)
    make_coverage(ledger, [pin("alpha", "2.0", MISSING, MISSING), pin("plain-words", "3.0", PURE, MISSING)])
    write_site(ledger, folder / "out")
    with serve(folder / "out") as url, chromium() as driver:
        yield Browser(driver, url)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    return axe_source(tmp_path_factory.mktemp("axe"))


def element(browser: Browser, selector: str) -> WebElement:
    return browser.driver.find_element(By.CSS_SELECTOR, selector)


def shown(browser: Browser, selector: str) -> list[str]:
    found = browser.driver.find_elements(By.CSS_SELECTOR, selector)
    return [each.text for each in found if each.is_displayed()]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_page_has_no_accessibility_violation(browser: Browser, axe: str, page: str, dark: bool) -> None:
    browser.open(page, dark=dark, width=PHONE if dark else DESK)
    for panel in browser.driver.find_elements(By.TAG_NAME, "details"):
        browser.run("arguments[0].open = true", panel)
    assert browser.barriers(axe) == []


@pytest.mark.parametrize("page", PAGES)
def test_page_on_phone_does_not_scroll_sideways(browser: Browser, page: str, tmp_path: Path) -> None:
    browser.open(page, width=PHONE)
    assert browser.run("return document.documentElement.scrollWidth") == PHONE
    browser.screenshot(tmp_path / "page.png")
    assert (tmp_path / "page.png").stat().st_size > 5_000


def test_page_loads_existing_files_without_errors(browser: Browser) -> None:
    browser.complaints()
    for page in PAGES[:-1]:
        browser.open(page)
        assert browser.complaints() == [], page
        loaded = browser.run("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert [name for name in loaded if not name.startswith(browser.url)] == []


def test_search_normalizes_the_name(browser: Browser) -> None:
    browser.open("")
    search = element(browser, "#search")
    search.send_keys("Plain_TEXT")
    assert [row.split()[0] for row in shown(browser, "#packages tr")] == ["plain-text"]
    assert shown(browser, "#found") == ["1 package with “plain-text” in the name"]
    search.send_keys(Keys.ENTER)
    assert browser.driver.current_url == f"{browser.url}/project/plain-text/index.html"


def test_search_without_hit_shows_coverage_and_hints(browser: Browser) -> None:
    browser.open("")
    assert shown(browser, "#absent li, #unknown") == []
    element(browser, "#search").send_keys("Plain.Words")
    assert shown(browser, "#found") == ["No packages with “plain-words” in the name"]
    assert shown(browser, "#absent li") == ["plain-words 3.0: pure Python for Python 3.13, missing for Python 3.14"]
    assert shown(browser, "#unknown code") == ["pip install plain-words", "docs/add-a-recipe.md"]
    element(browser, "#search").send_keys("; rm")
    assert shown(browser, "#absent li") == []
    assert shown(browser, "#unknown code")[0] == "pip install NAME"


def test_tabs_open_by_keyboard_without_javascript(browser: Browser) -> None:
    browser.use_scripts(False)
    try:
        browser.open("project/alpha/")
        assert shown(browser, ".panel code") == ["pip install --index-url URL/simple/ alpha"]
        element(browser, "#with-pip").send_keys(Keys.ARROW_RIGHT)
        assert shown(browser, ".panel code") == ["uv pip install --default-index URL/simple/ alpha"]
    finally:
        browser.use_scripts(True)


def test_site_without_javascript_has_all_content(browser: Browser) -> None:
    browser.use_scripts(False)
    try:
        browser.open("")
        assert len(shown(browser, "#packages tr")) == 3
        assert shown(browser, ".search") == []
        assert shown(browser, 'main a[href="coverage/index.html"]') == ["Coverage"]
        browser.open("boards/")
        assert shown(browser, "#paste") == []
        assert "SpacemiT K1" in element(browser, "main").text
    finally:
        browser.use_scripts(True)


def test_commands_have_the_address_of_the_site(browser: Browser) -> None:
    browser.open("project/alpha/")
    assert shown(browser, ".panel code") == [f"pip install --index-url {browser.url}/simple/ alpha"]
    browser.open("boards/")
    assert f"python3 board.py --index-url {browser.url}/simple/" in shown(browser, ".command code")


def test_first_tab_key_skips_the_navigation(browser: Browser) -> None:
    browser.open("project/alpha/")
    element(browser, "body").send_keys(Keys.TAB)
    assert browser.driver.switch_to.active_element.text == "Skip to the content"
    browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert browser.run("return document.activeElement.id") == "content"


STRANGE = (
    "nothing",
    "isa: rv32imafdc",
    "isa: rv64imac",
    "isa: rv64gcb",
    "isa : rv64gc_",
    "isa: rv64gcv_zfhmin_zvfhmin",
    "isa: rv64imafdcv\nmvendorid: nonsense\nmarchid: 0x",
    "isa: rv64imafdcv\nmvendorid: 0x\nmarchid: 0x0\nuarch: spacemit,x60",
    "isa: rv64imafdcv\nmvendorid: 0x5b7\nmarchid: nonsense\nuarch: thead,c908",
    "isa: rv64imafdcv\nmvendorid: 0x5B7\nuarch: thead,c920v2",
    "isa: rv64imafdcv\nmvendorid: 1463\nmarchid: 1",
    "isa: rv64imafdcv\nmvendorid: 0x0\nmarchid: 0x0",
    "isa: rv64imafdcv\nuarch: thead,c920",
    "isa: rv64imafdc_xtheadvector\nmvendorid: 0x710",
    "isa: rv64gcv\n\nisa: rv64gc_zba_zbb_zbs",
    "isa: rv64gcv\nmvendorid: 0x710\n\nisa: rv64gcv",
    "isa: rv64gc\n\nisa: rv32gc",
)
PASTE = "cpuinfo.value = arguments[0]; cpuinfo.dispatchEvent(new Event('input')); return verdict.dataset.profile"


def test_pasted_cpuinfo_gets_profile_of_board_finder(browser: Browser) -> None:
    browser.open("boards/")
    for sample in (*(text for text, *_ in SAMPLES.values()), *STRANGE):
        assert browser.run(PASTE, sample) == judge(of_cpuinfo(sample)).profile, sample


def test_pasted_markup_stays_text(browser: Browser) -> None:
    browser.open("boards/")
    hostile = "isa: rv64gc\nuarch: <img src=x onerror=document.title='run'>"
    browser.run(PASTE, hostile)
    assert "<img src=x" in shown(browser, "#verdict")[0]
    assert "run" not in browser.driver.title
