"""The site in a real browser.

With and without JavaScript, on a phone, in dark mode, by keyboard and for screen readers.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

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
from tests.support.waiting import wait_until

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
BOARD = "board.example"  # to the browser, a server on another machine


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    ledger = make_ledger(folder)
    pins = [("plain-words", PURE, MISSING), ("scikit-learn", MISSING, MISSING), ("pure", PURE, PURE)]
    make_coverage(ledger, [pin("alpha", "2.0", MISSING, MISSING), *(pin(name, "3.0", *kinds) for name, *kinds in pins)])
    write_site(ledger, folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def browser(site: Path) -> Iterator[Browser]:
    with serve(site) as url, chromium(f"--host-resolver-rules=MAP {BOARD} 127.0.0.1") as driver:
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


def search(browser: Browser, words: str) -> list[str]:
    """Return the names of the packages that are found, in the order shown."""
    field = element(browser, "#search")
    field.send_keys(Keys.CONTROL, "a")
    field.send_keys(Keys.DELETE, words)
    return [row.split()[0] for row in shown(browser, "#packages tr")]


def test_search_normalizes_the_name(browser: Browser) -> None:
    browser.open("")
    for words in ("Plain_TEXT", "plain text", "plain.text "):
        assert search(browser, words) == ["plain-text"]
    assert shown(browser, "#found") == ["1 package for “plain.text”"]
    element(browser, "#search").send_keys(Keys.ENTER)
    assert browser.driver.current_url == f"{browser.url}/project/plain-text/index.html"


def test_search_finds_summary_module_and_keyword(browser: Browser) -> None:
    browser.open("")
    assert search(browser, "adds numbers") == ["alpha"]
    assert search(browser, "numbers adds") == ["alpha"]
    assert search(browser, "alpha_module") == ["alpha"]
    assert search(browser, "sums") == ["alpha"]
    assert search(browser, "") == ["alpha", "broken", "plain-text"]


def test_search_puts_the_name_before_the_summary(browser: Browser) -> None:
    browser.open("")
    assert search(browser, "text") == ["plain-text"]
    assert search(browser, "a") == ["alpha", "plain-text"]


def test_search_without_hit_offers_no_installation(browser: Browser) -> None:
    browser.open("")
    assert shown(browser, "#absent li, #unknown") == []
    assert search(browser, "Plain.Words") == []
    assert shown(browser, "#found") == ["No packages for “Plain.Words”"]
    assert shown(browser, "#absent li") == ["plain-words 3.0: pure Python for Python 3.13, missing for Python 3.14"]
    assert shown(browser, "#unknown") == ["This index does not have it. Ask for it"]
    assert search(browser, "sklearn") == []
    assert shown(browser, "#absent li") == ["scikit-learn 3.0: missing"]
    assert search(browser, "; rm") == []
    assert shown(browser, "#absent li") == []
    assert "pip install" not in shown(browser, ".search")[0]
    element(browser, "#unknown a").click()
    assert browser.run("return location.hash") == "#help"


@pytest.mark.parametrize("secure", [True, False], ids=["local", "plain http"])
def test_copy_button_copies_the_command(browser: Browser, secure: bool) -> None:
    """A page over plain http from another machine has no clipboard API."""
    address = browser.url if secure else browser.url.replace("127.0.0.1", BOARD)
    for permission in ("clipboardReadWrite", "clipboardSanitizedWrite"):
        browser.driver.execute_cdp_cmd("Browser.grantPermissions", {"permissions": [permission]})
    page = Browser(browser.driver, address)
    page.open("project/alpha/")
    assert page.run("return isSecureContext") is secure
    button = element(page, "#panel-pip button")
    button.click()
    wait_until(lambda: button.text == "Copied", seconds=5)
    command = element(page, "#panel-pip code").text
    page.open("boards/")
    field = element(page, "#cpuinfo")
    field.send_keys(Keys.CONTROL, "v")
    assert field.get_attribute("value") == command


def test_commands_of_another_machine_trust_its_host(browser: Browser) -> None:
    address = browser.url.replace("127.0.0.1", BOARD)
    page = Browser(browser.driver, address)
    page.open("project/alpha/")
    options = f"--index-url {address}/simple/ --trusted-host {BOARD}"
    assert shown(page, "#panel-pip pre") == [f"pip install {options} alpha"]
    for panel in browser.driver.find_elements(By.TAG_NAME, "details"):
        browser.run("arguments[0].open = true", panel)
    texts = shown(page, ".command code")
    assert f"[global]\nindex-url = {address}/simple/\ntrusted-host = {BOARD}" in texts
    assert f"pip download --requirement wheels.txt --no-deps {options} --dest wheels" in " ".join(texts)
    page.open("boards/")
    assert f"python3 board.py --index-url {address}/simple/" in shown(page, ".command code")


@pytest.mark.parametrize("width", [PHONE, 1280])
@pytest.mark.parametrize("path", ["", "project/alpha/"])
def test_install_line_is_in_the_first_screen(browser: Browser, path: str, width: int) -> None:
    browser.open(path, width=width)
    bottom = browser.run("return arguments[0].getBoundingClientRect().bottom", element(browser, "#panel-pip pre"))
    assert 0 < bottom < 800


def test_wide_table_on_phone_has_a_hint(browser: Browser) -> None:
    browser.open("coverage/", width=PHONE)
    assert "Scroll the table sideways to see all columns." in shown(browser, ".hint")
    browser.open("coverage/", width=DESK)
    assert shown(browser, ".hint") == []


COMMANDS = "return [...document.querySelectorAll('.command code')].map((code) => code.textContent)"


def test_commands_quote_the_folder_for_a_shell(browser: Browser, site: Path, tmp_path: Path) -> None:
    """What is pasted is the same word to a shell, whatever the folder's name."""
    folder = "it's a;b $(touch ran) & `c`"
    shutil.copytree(site, tmp_path / folder / "index")
    (tmp_path / "simple").mkdir()
    with serve(tmp_path) as url:
        browser.driver.get(f"{url}/{quote(folder)}/index/project/alpha/")
        commands = browser.run(COMMANDS)[:1]  # the others there are files, and the same
        browser.driver.get(f"{url}/{quote(folder)}/index/boards/")
        commands += browser.run(COMMANDS)
    for text in commands:
        script = f"printf '%s\\n' {text.replace('|', ' ')}"
        printed = subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, capture_output=True, text=True).stdout
        addresses = [line for line in printed.splitlines() if line.startswith("http")]
        assert addresses, text
        assert all(unquote(urlsplit(each).path).startswith(f"/{folder}/index/") for each in addresses), text
    assert not (tmp_path / "ran").exists()


def test_tabs_open_by_keyboard_without_javascript(browser: Browser) -> None:
    browser.use_scripts(False)
    try:
        browser.open("project/alpha/")
        assert shown(browser, ".panel .command code") == ["pip install --index-url URL/simple/ alpha"]
        element(browser, "#with-pip").send_keys(Keys.ARROW_RIGHT)
        assert shown(browser, ".panel .command code") == ["uv pip install --default-index URL/simple/ alpha"]
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
    assert shown(browser, ".panel .command code") == [f"pip install --index-url {browser.url}/simple/ alpha"]
    browser.open("boards/")
    assert f"python3 board.py --index-url {browser.url}/simple/" in shown(browser, ".command code")


def test_verdict_names_what_the_system_needs(browser: Browser) -> None:
    browser.open("boards/")
    browser.run(PASTE, SAMPLES["BPI-F3 (K1), its vendor's Linux 6.1"][0])
    (words, _link) = shown(browser, "#verdict > *")
    assert words.startswith(
        "Spacemit(R) X60 has the profile k1. It has the vector extension RVV 1.0. Wheels run on it."
    )
    assert "depends on the system: glibc 2.39 suffices for all, and Python 3.13 or 3.14." in words


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
    "isa: rv64imafdcv\nuarch: renamed,x1\nmvendorid: 0x710\nmarchid: 0x8000000058000001",
    "isa: rv64imafdcv\nuarch: renamed,x1\nmodel name: Spacemit(R) X60",
    "isa: rv64imafdcv\nmodel name: constructor\nuarch: constructor",
    "isa: rv64imafdc_xtheadvector\nmvendorid: 0x710",
    "isa: rv64gcv\n\nisa: rv64gc_zba_zbb_zbs",
    "isa: rv64gcv\nmvendorid: 0x710\n\nisa: rv64gcv",
    "isa: rv64gc\n\nisa: rv32gc",
    "isa: rv128gc",
    "isa: rv64gc\n\nisa: rv128gcv",
    "isa: RV64GCV",
    "isa: gcv",
    "isa: ",
    "isa: rv64",
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
