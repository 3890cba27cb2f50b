"""The page's text, and the page with data that is hostile, missing, odd or much."""

from __future__ import annotations

import copy
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from boards import make_board, make_record, make_row, make_table, result
from browser import Page, chromium
from page_payload import payload

import benchmark.leaderboard.outputs.page.render as module
from benchmark.leaderboard.document import leaderboard_of
from benchmark.leaderboard.outputs.base import Material
from benchmark.leaderboard.outputs.page.payload import payload as collected
from benchmark.leaderboard.outputs.page.render import render
from benchmark.run.record import State
from benchmark.run.runs import Runs

pytestmark = pytest.mark.slow  # a browser

EVIL = (
    "<script>window.hacked = 1</script>",
    '"><img src=x onerror="window.hacked = 2">',
    "</script><script>window.hacked = 3</script><!-- <script>",
    "'); window.hacked = 4; ('\u2028",
)
HTML = render(payload())
NAMES = "#leaderboard tbody th button"
SORT = """
const [button, done] = arguments, start = performance.now();
new MutationObserver((_, observer) => {
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
}).observe(document.querySelector('#leaderboard tbody'), {childList: true});
button.click();
"""  # gives the time until the sorted rows are painted


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    with chromium(folder / "profile") as driver:
        yield Page(driver, folder / "leaderboard.html")


# The text of the page


def test_same_payload_same_bytes() -> None:
    assert render(payload()) == HTML


def test_page_names_nothing_outside_itself() -> None:
    own = re.sub(r"<script>\n.*?\n</script>", "", HTML, count=3, flags=re.DOTALL)  # the libraries
    loads = re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*|url\((?!data:)|@import""", own)
    assert loads == []
    assert "default-src 'none'" in HTML


def test_data_cannot_end_its_element() -> None:
    data = payload()
    data["leaderboard"]["rows"][0]["row"] = EVIL[2] + EVIL[3]
    text = re.search(r'id="payload">(.*?)</script>', render(data), re.DOTALL)
    assert text is not None
    assert not set("<>&\u2028\u2029") & set(text[1])
    assert json.loads(text[1]) == data


def test_numbers_that_json_lacks_are_refused() -> None:
    data = payload()
    data["leaderboard"]["rows"][0]["values"]["map50"] = float("nan")
    with pytest.raises(ValueError, match="JSON"):
        render(data)


def test_no_script_ends_its_element() -> None:
    folder = Path(module.__file__).parent
    scripts = [*folder.glob("js/*.js"), *folder.glob("vendor/*.js")]
    assert len(scripts) > 10
    for script in scripts:
        text = script.read_text(encoding="utf-8").lower()
        assert "</script" not in text and "<!--" not in text, script


def test_every_library_is_named_with_its_licence() -> None:
    folder = Path(module.__file__).parent / "vendor"
    told = (folder / "README.md").read_text(encoding="utf-8")
    for script in folder.glob("*.js"):
        assert f"`{script.name}`" in told
        assert (folder / f"{script.name.split('.')[0]}.LICENSE.txt").is_file()


def test_every_licence_is_in_the_page() -> None:
    licences = [*(Path(module.__file__).parent / "vendor").glob("*.LICENSE.txt")]
    assert len(licences) == 5
    shown = html.unescape(HTML)
    for licence in licences:
        assert licence.read_text(encoding="utf-8").strip() in shown, licence


def test_head_counts_rows_of_which_every_seed_is_complete(tmp_path: Path) -> None:
    board = make_board(
        result(make_row("half"), make_record("half"), State.WAITING),
        result(make_row("whole"), make_record("whole"), make_record("whole", 1)),
    )
    assert "<dt>Rows complete</dt><dd>1 of 2<" in render(collected(Material(board, Runs(tmp_path))))


def test_images_are_counted_from_the_first_complete_run_on(tmp_path: Path) -> None:
    waiting = leaderboard_of(make_table(result(make_row(), State.WAITING)))
    assert "<dd>waste<small>2 classes</small>" in render(
        collected(Material(waiting, Runs(tmp_path)))
    )
    assert "<dd>synthetic<small>24 validation images, 10 classes</small>" in HTML


# In the browser


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_of_the_data_runs(page: Page, evil: str) -> None:
    data = poisoned(evil)
    page.open(render(data))
    page.see_all()
    page.js("document.querySelector('[data-open]').click()")
    page.js("document.querySelector('#column-menu').open = true")
    for box in range(len(page.all("#column-menu input"))):
        page.js(
            "const b = document.querySelectorAll('#column-menu input')[arguments[0]]; if (!b.checked) b.click()",
            box,
        )
    page.js(
        "document.querySelector('#cost-figure .points .point').dispatchEvent(new Event('focus'))"
    )
    assert page.js("return window.hacked ?? null") is None
    assert page.text("#details-title") == evil + "convnext_large_fpn_3x"
    assert page.js("return document.querySelectorAll('a[href^=javascript]').length") == 0
    assert page.complaints() == []


# Whose keys are names.
NAMED = ("per_class", "rows", "predictions", "seed", "curves", "common", "run_texts")


def poisoned(evil: str) -> dict[str, Any]:
    """The payload with that text before every name, label, class, message and config value."""
    keep = {"key", "group", "state", "better", "src", "level", "schema_version", "url", "commit"}
    keep |= {"tick", "value"}  # formats

    def taint(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            named = key in NAMED or "." in key
            return {evil + k if named else k: taint(v, k) for k, v in value.items()}
        if isinstance(value, list):
            return [taint(item) for item in value]
        return evil + value if isinstance(value, str) and key not in keep else value

    data = taint(copy.deepcopy(payload())) | {"scores": payload()["scores"]}
    data["leaderboard"]["rows"][8]["runs"][0]["url"] = "javascript:window.hacked=5"
    return data


@pytest.mark.parametrize("rows", [0, 1])
def test_little_or_nothing_to_show(page: Page, rows: int) -> None:
    page.open(render(payload(rows=rows, seeds=1, classes=("Thing",))))
    page.see_all()
    assert page.complaints() == []
    assert page.text("#count") == ("1 row." if rows else "0 rows.")
    if not rows:
        assert page.text("#leaderboard tbody") == "The experiment has no rows."
        assert page.text("#gallery-figure") == "No row is complete."


def test_all_failed(page: Page) -> None:
    page.open(render(payload(rows=[1])))
    page.see_all()
    assert page.complaints() == []
    assert "No row shown has both mAP50 and parameters" in page.text("#cost-figure")
    assert page.text("#curves-figure .note") == "No run has written a training curve yet."
    assert set(page.texts("#leaderboard .is-failed")) == {"failed", "failed (oom)"}


def test_many_classes_and_long_names(page: Page) -> None:
    classes = tuple(f"a class with quite a long name {number}" for number in range(80))
    data = payload(classes=classes)
    data["leaderboard"]["rows"][0]["row"] = data["leaderboard"]["rows"][0]["values"]["row"] = (
        "x" * 300
    )
    page.open(render(data), width=390, height=844)
    page.see_all()
    assert len(page.all(".heat thead th")) == 81
    assert page.js("return document.documentElement.scrollWidth") == 390
    assert page.complaints() == []


def test_thousand_rows(page: Page) -> None:
    page.open(render(payload(rows=1000)))
    opened = page.js("return performance.getEntriesByName('detboard-open')[0].duration")
    loaded = page.js("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert len(page.all(NAMES)) == 200
    sorting = page.driver.execute_async_script(SORT, page.sorter("Parameters (M)"))
    assert page.texts(NAMES)[0].startswith("r50_fpn")
    page.set("#search", "convnext")
    assert page.text("#count") == "Showing 222 of 1,000 rows."
    page.set("#search", "")
    page.js("[...document.querySelectorAll('#more button')].at(-1).click()")
    assert len(page.all(NAMES)) == 1000
    all_sorting = page.driver.execute_async_script(SORT, page.sorter("mAP50 (smoke)"))
    told = (
        f"page loaded {loaded:.0f} ms, of which its script {opened:.0f} ms; sorted {sorting:.0f} ms"
    )
    print(f"1,000 rows: {told}, with all rows listed {all_sorting:.0f} ms")
    assert page.complaints() == []
