"""The leaderboard's page, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from browser import Page, chromium
from page_payload import CLASSES, payload
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from benchmark.leaderboard.outputs.page.render import render

pytestmark = pytest.mark.slow  # a browser

HTML = render(payload())
NAMES = "#leaderboard tbody th button"
SORTED = "return document.querySelectorAll('#leaderboard [aria-sort={}]').length === 1"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    folder = tmp_path_factory.mktemp("page")
    with chromium(folder / "profile") as driver:
        yield Page(driver, folder / "leaderboard.html")


def header(page: Page, key: str) -> WebElement:
    """The sort button of a column."""
    titles = {column["key"]: column["title"] for column in payload()["leaderboard"]["columns"]}
    return page.sorter(titles[key])


def order(key: str, descending: bool) -> list[str]:
    """Names of the rows that have a value, sorted by it; equal values in no order that matters."""
    rows = [r for r in payload()["leaderboard"]["rows"] if r["values"][key] is not None]
    return [r["row"] for r in sorted(rows, key=lambda r: r["values"][key], reverse=descending)]


def test_opens_without_complaint(page: Page) -> None:
    page.open(HTML)
    page.see_all()
    assert page.complaints() == []
    assert page.text("#count") == "9 rows."
    assert page.texts(NAMES)[:7] == order("map50", descending=True)
    assert len(page.all("#leaderboard .bar")) == 7
    assert "interval" in page.one("#leaderboard .bar").get_attribute("aria-label")


@pytest.mark.parametrize("key", ["params", "latency_ms"])
def test_sorts_by_number_with_dashes_last(page: Page, key: str) -> None:
    page.open(HTML)
    values = {r["row"]: r["values"][key] for r in payload()["leaderboard"]["rows"]}
    for descending, said in ((False, "ascending"), (True, "descending")):
        header(page, key).click()
        page.until(SORTED.format(said))
        found = [values[name] for name in page.texts(NAMES)]
        there = [value for value in found if value is not None]
        assert there == sorted(there, reverse=descending)
        assert found[len(there) :] == [None] * (9 - len(there))


@pytest.mark.parametrize("key", [Keys.ENTER, Keys.SPACE])
def test_sorts_by_keyboard(page: Page, key: str) -> None:
    page.open(HTML)
    header(page, "row").send_keys(key)
    page.until(SORTED.format("ascending"))
    assert page.texts(NAMES) == [
        "convnext_large_fpn_3x",
        "convnext_tiny_fpn_3x",
        "r50_fpg_50e",
        "r50_fpn_3x",
        "r50_fpn_90k",
        "r50_fpn_freeanchor_1x",
        "r50_fpn_pisa_1x",
        "r101_fpn_3x",
        "x101_fpn_3x",
    ]
    assert page.text("#leaderboard [aria-sort=ascending]") == "Row"


def test_filters_and_figures_follow(page: Page) -> None:
    page.open(HTML)
    page.set("#filter-head", "=RetinaHead")
    assert page.text("#count") == "Showing 7 of 9 rows."
    assert "r50_fpn_freeanchor_1x" not in page.texts(NAMES)
    page.set("#filter-state", "=complete")
    assert page.text("#count") == "Showing 6 of 9 rows."
    page.see("#cost-figure")
    page.until("return document.querySelectorAll('#cost-figure .points .point').length === 6")
    page.one("#reset").click()
    assert page.text("#count") == "9 rows."


def test_every_label_that_tells_rows_apart_is_a_filter(page: Page) -> None:
    filters = [select.get_attribute("id") for select in page.open(HTML).all("#filters select")]
    keys = ("backbone", "neck", "head", "learning_method", "state")  # all rows are one model
    assert filters == [f"filter-{key}" for key in keys]
    data = payload()
    board = data["leaderboard"]
    head = next(c for c in board["columns"] if c["key"] == "head")
    board["columns"].append({**head, "key": "framework", "title": "Frame <b>work</b>"})
    for row in board["rows"]:
        row["values"]["framework"] = "timm" if "convnext" in row["row"] else None
    page.open(render(data))
    assert "Frame <b>work</b>" in page.texts("#leaderboard thead th")
    page.set("#filter-framework", "=timm")
    assert page.texts(NAMES) == ["convnext_large_fpn_3x", "convnext_tiny_fpn_3x"]
    page.set("#filter-framework", "=—")
    assert page.text("#count") == "Showing 7 of 9 rows."


def test_published_values_stand_beside_comparable_ones_only(page: Page) -> None:
    assert "Leaderboard mAP50" not in page.open(HTML).texts("#leaderboard thead th")
    assert page.all(".bar-published") == []
    page.open(render(payload(profile="full")))
    assert "Leaderboard mAP50" in page.texts("#leaderboard thead th")
    assert len(page.all(".bar-published")) == 7
    assert page.all(".caveat[role=note]") == []


def test_search(page: Page) -> None:
    page.open(HTML)
    page.set("#search", "convnext")
    assert page.texts(NAMES) == ["convnext_large_fpn_3x", "convnext_tiny_fpn_3x"]
    page.set("#search", "no such row")
    assert page.text("#leaderboard tbody") == "No row fits the filters."
    assert page.text("#count") == "Showing 0 of 9 rows."


def test_columns_show_and_hide(page: Page) -> None:
    page.open(HTML)
    assert "GFLOPs" not in page.texts("#leaderboard thead th")
    page.one("#column-menu summary").click()
    page.one("[data-column=flops]").click()
    assert "GFLOPs" in page.texts("#leaderboard thead th")
    assert "1163.85" in page.texts("#leaderboard tbody tr:first-child td")
    page.one("[data-column=flops]").click()
    assert "GFLOPs" not in page.texts("#leaderboard thead th")
    assert len(page.all("#column-menu input")) == len(payload()["leaderboard"]["columns"]) - 1


def test_cost_axis(page: Page) -> None:
    page.open(HTML)
    page.see("#cost-figure")
    assert any("Parameters (million)" in text for text in page.texts("#cost-figure text"))
    assert len(page.all("#cost-figure .points .point")) == 7
    assert "no line is drawn between them" in page.text(
        "#cost-figure .note"
    )  # of rows that share ranks
    page.set("#cost-axis", "latency_ms")
    assert "up to the 95th percentile" in page.text("#cost-figure .legend")
    assert any("Latency (ms)" in text for text in page.texts("#cost-figure text"))
    assert len(page.all("#cost-figure .points .point")) == 6  # the third row was not measured
    assert "r50_fpg_50e" in " ".join(page.texts("#cost-figure .note"))


def test_cost_axis_reads_a_plain_number_in_its_unit(page: Page) -> None:
    """All rows have the same, small number of parameters; multiply-adds go over a thousand billion."""
    data = payload()
    for row in data["leaderboard"]["rows"]:
        row["values"]["params"] = row["values"]["params"] and 767_738
    data["axes"][0]["rows"] = [[row, 767_738, map50] for row, _, map50 in data["axes"][0]["rows"]]
    page.open(render(data))
    page.see("#cost-figure")
    assert ticks(page) == ["0.767738"]
    assert any("Parameters (million)" in text for text in page.texts("#cost-figure text"))
    page.set("#cost-axis", "flops")
    assert ticks(page)[0] == "200" and ticks(page)[-1] == "1,200"


def ticks(page: Page) -> list[str]:
    return page.texts("#cost-figure [aria-label='x-axis tick label'] text")


def test_a_filter_leaves_the_front_of_the_rows_shown(page: Page) -> None:
    page.open(HTML)
    page.see("#cost-figure")
    page.set("#filter-backbone", "=ResNet-101")
    page.until("return document.querySelectorAll('#cost-figure .points .point').length === 1")
    assert [e.get_attribute("data-row") for e in page.all(".points .on-front")] == ["r101_fpn_3x"]
    page.one("#reset").click()
    page.until("return document.querySelectorAll('#cost-figure .points .point').length === 7")
    front = {e.get_attribute("data-row") for e in page.all(".points .on-front")}
    assert "r101_fpn_3x" not in front and "convnext_tiny_fpn_3x" in front


def test_costs_to_choose_are_the_columns_that_declare_an_axis(page: Page) -> None:
    page.open(HTML)
    declared = payload()["axes"]
    assert page.texts("#cost-axis option") == [axis["title"] for axis in declared]
    assert {axis["key"] for axis in declared} <= {
        column["key"] for column in payload()["leaderboard"]["columns"]
    }


def test_point_names_its_row_by_keyboard(page: Page) -> None:
    page.open(HTML)
    page.see("#cost-figure")
    page.js("document.querySelector('#cost-figure .points .point').focus()")
    name = page.one("#cost-figure .points .point").get_attribute("data-row")
    assert name in page.text("#tip")
    page.driver.switch_to.active_element.send_keys(Keys.ENTER)
    assert page.text("#details-title") == name


def test_front_is_what_nothing_beats(page: Page) -> None:
    page.open(HTML)
    page.see("#cost-figure")
    rows = [
        r["values"] | {"name": r["row"]}
        for r in payload()["leaderboard"]["rows"]
        if r["values"]["map50"]
    ]
    expected = {a["name"] for a in rows if not any(beats(b, a) for b in rows)}
    assert {"r50_fpn_freeanchor_1x", "r50_fpn_3x"} < expected  # equally large, equally good
    assert {e.get_attribute("data-row") for e in page.all(".points .on-front")} == expected


def beats(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Whether a row loses in no way and wins in one."""
    as_good = a["params"] <= b["params"] and a["map50"] >= b["map50"]
    return as_good and (a["params"], a["map50"]) != (b["params"], b["map50"])


def test_cost_axis_names_the_device(page: Page) -> None:
    page.open(HTML)
    page.see("#cost-figure")
    assert "abacus" not in page.text("#cost-figure")
    page.set("#cost-axis", "latency_ms")
    assert any("Latency (ms), CPU: abacus" in text for text in page.texts("#cost-figure text"))
    data = payload()
    data["leaderboard"]["rows"][0]["runs"][0]["device"] = "GPU: other"
    page.open(render(data))
    page.see("#cost-figure")
    page.set("#cost-axis", "latency_ms")
    assert any(
        "several devices, which do not compare" in t for t in page.texts("#cost-figure text")
    )
    assert "CPU: abacus; GPU: other" in " ".join(page.texts("#cost-figure .note"))


def test_curves_of_ticked_rows(page: Page) -> None:
    page.open(HTML)
    page.see("#curves-figure")
    assert len(page.all("#curves-figure .chips li")) == 5
    assert len(page.all("#curves-figure .line-end")) == 15
    epochs = page.texts("#curves-figure [aria-label='x-axis tick label'] text")
    assert epochs and all(text.isdecimal() for text in epochs)
    page.js("document.querySelector('.tick[data-row=r50_fpg_50e]').click()")
    page.until("return document.querySelectorAll('#curves-figure .line-end').length === 18")
    page.js(
        "[...document.querySelectorAll('#curves-controls button')].find(b => b.textContent === 'Loss').click()"
    )
    assert any("Training loss" in text for text in page.texts("#curves-figure text"))


def test_heat_map(page: Page) -> None:
    page.open(HTML)
    page.see("#classes-figure")
    assert page.texts(".heat thead th")[1:] == list(CLASSES)
    assert len(page.all(".heat td")) == 7 * len(CLASSES)
    assert len(page.all(".heat td.blank")) == 7  # no battery in the validation images
    best = payload()["leaderboard"]["rows"][8]["per_class"]["Metal"]
    page.js(
        "[...document.querySelectorAll('#classes-controls button')].find(b => b.textContent === 'mAP').click()"
    )
    assert f"{best['mAP']:.3f}" == page.texts(".heat tbody tr:first-child td")[3]


def test_gallery_tells_hits_from_other_boxes_and_starts_with_the_worst_image(page: Page) -> None:
    data = payload()
    [first, second] = images = data["gallery"]["images"][:2]
    boxes = [[0.0, 0.0, 100.0, 100.0], [200.0, 200.0, 300.0, 300.0]]
    for image in images:
        image["truth"] = [{"label": "Glass", "xyxy": box} for box in boxes]
    missed, near = [400.0, 300.0, 500.0, 400.0], [0.0, 0.0, 100.0, 60.0]
    guesses = [("Glass", boxes[0]), ("Glass", near), ("Metal", boxes[1]), ("Glass", missed)]
    some = [
        {"label": label, "xyxy": box, "score": 0.9 - 0.1 * i}
        for i, (label, box) in enumerate(guesses)
    ]
    all_ = [{"label": "Glass", "xyxy": box, "score": 0.9} for box in boxes]
    data["gallery"] |= {"images": images, "predictions": {"convnext_large_fpn_3x": [all_, some]}}
    page.open(render(data))
    page.see("#gallery-figure")
    assert page.texts("figcaption") == [second["file"], first["file"]]
    kinds = (
        "return [...document.querySelectorAll('.photo svg > g')].map(g => g.getAttribute('class'))"
    )
    assert page.js(kinds)[:6] == [
        *("truth found", "truth missed", "prediction hit"),
        *("prediction false", "prediction wrong", "prediction false"),
    ]
    name = "convnext_large_fpn_3x: 4 boxes; 1 hit, 1 of a wrong class, 2 false, 1 missed"
    assert page.texts(".panel-name")[0] == name
    assert page.all(".tag") == []  # they would hide the picture
    page.one("#gallery-labels").click()
    assert page.texts(".tag") != []
    page.js("document.querySelector('.photo').click()")
    assert page.text("#enlarged h3") == second["file"]
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.until("return !document.querySelector('#enlarged').open")


def test_gallery_of_two_rows_from_a_score_on(page: Page) -> None:
    page.open(HTML)
    page.see("#gallery-figure")
    images = payload()["gallery"]
    page.set("#gallery-threshold", "0")
    assert len(page.all(".photo g.prediction")) == 12
    assert len(page.all(".photo g.truth")) == 12
    page.set("#gallery-threshold", "0.5")
    boxes = [box for image in images["predictions"]["convnext_large_fpn_3x"] for box in image]
    assert len(page.all(".photo g.prediction")) == sum(box["score"] >= 0.5 for box in boxes)
    page.set("#gallery-other", "=x101_fpn_3x")
    assert len(page.all(".photo")) == 8
    page.js("document.querySelector('#gallery-truth').click()")
    assert page.all(".photo g.truth") == []


def test_gallery_keeps_the_row_beside_it_while_the_first_is_none(page: Page) -> None:
    def shown() -> tuple[list[str], str]:
        names = {text.partition(":")[0] for text in page.texts(".panel-name")}
        return sorted(names), page.js("return document.querySelector('#gallery-other').value")

    page.open(HTML)
    page.see("#gallery-figure")
    beside, other = "=x101_fpn_3x", "r101_fpn_3x"
    page.set("#gallery-other", beside)
    page.set("#gallery-row", "none")
    assert shown() == (["x101_fpn_3x"], beside)
    page.set("#gallery-row", f"={other}")
    assert shown() == ([other, "x101_fpn_3x"], beside)
    assert len(page.all(".photo")) == 8
    assert page.texts(".panel-name")[0].startswith(other)


def test_details_by_keyboard(page: Page) -> None:
    page.open(HTML)
    page.one("[data-open=convnext_tiny_fpn_3x]").send_keys(Keys.ENTER)
    assert page.text("#details-title") == "convnext_tiny_fpn_3x"
    assert page.js("return location.hash") == "#row=convnext_tiny_fpn_3x"
    assert page.texts(".dialog-body > h3") == ["Values", "3 runs", "Config difference"]
    assert page.texts(".run:first-of-type dt")[-1] == "Validation data hash"
    told = page.text("#details")
    for run in payload()["leaderboard"]["rows"][7]["runs"]:
        for key in ("run_id", "commit", "config_sha256", "train_sha256", "val_sha256", "device"):
            assert run[key] in told
    assert "with uncommitted changes" in told
    assert "offline, for wandb sync" in told and "not tracked" in told
    assert page.one("#details a").get_attribute("href").startswith("https://wandb.ai/")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.until("return !document.querySelector('#details').open")
    page.until("return location.hash === ''")


@pytest.mark.parametrize(
    ("source", "links"),
    [("https://example.org/paper?table=2", 1), ("javascript:alert(1)", 0), ("Lin 2017", 0)],
)
def test_where_a_published_value_stands_is_a_link_if_it_is_of_the_web(
    source: str, links: int, page: Page
) -> None:
    """In the dialog, and in the table once its column is shown."""
    data = payload()
    like = next(column for column in data["leaderboard"]["columns"] if column["key"] == "run_ids")
    data["leaderboard"]["columns"].append({**like, "key": "published_source", "title": "Stands in"})
    data["leaderboard"]["rows"][7]["values"]["published_source"] = source
    page.open(render(data), fragment="#row=convnext_tiny_fpn_3x")
    found = [a.get_attribute("href") for a in page.all("#details-values + div a")]
    assert found == [source] * links and source in page.text("#details-values + div")
    page.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.one("#column-menu summary").click()
    page.one("[data-column=published_source]").click()
    assert len(page.all(f"#leaderboard a[href='{source}']")) == links
    assert source in page.text("#leaderboard") and page.complaints() == []


def test_config_difference(page: Page) -> None:
    page.open(HTML, fragment="#row=convnext_tiny_fpn_3x")
    page.set("#diff-other", "=r50_fpn_3x")
    lines = {
        line[0]: line[1:]
        for line in page.js(
            "return [...document.querySelectorAll('.diff tbody tr')].map(tr => [...tr.cells].map(c => c.textContent))"
        )
    }
    assert lines["model.backbone.type"] == ["convnext_tiny", "resnet50"]
    assert lines["model.backbone.layer_scale_init_value"] == ["1.0", "—"]
    assert "train_cfg.max_epochs" not in lines and "model.neck.type" not in lines


def test_what_was_changed_to_fit_is_told(page: Page) -> None:
    page.open(HTML, fragment="#row=r101_fpn_3x")
    assert page.texts(".changes li") == [
        "bbox_head.num_classes: 80 -> 10",
        "LVISMetric -> CocoMetric",
    ]
    assert "Changed to fit" in page.texts(".dialog-body > h3")
    assert page.texts(".notes li") == ["boxes in 11 of 12 images"]
    assert page.texts(".jumps button") == [
        "Values",
        "Runs",
        "Changed to fit",
        "Notes",
        "Config difference",
    ]
    page.open(HTML, fragment="#row=r50_fpn_3x")
    assert page.texts(".changes li") == []
    assert page.texts(".jumps button") == ["Values", "Runs", "Config difference"]


def test_failure_and_reasons_are_told(page: Page) -> None:
    page.open(HTML, fragment="#row=r50_fpn_pisa_1x")
    assert "CUDA out of memory" in page.text("#details .failure")
    page.open(HTML, fragment="#row=r50_fpg_50e")
    assert "The device was busy." in page.text("#details")
    page.open(HTML, fragment="#row=r50_fpn_90k")
    assert "another config: r50_fpn_90k-s0-smoke-87654321." in page.text("#details .note")


def test_reason_of_a_dash_by_keyboard(page: Page) -> None:
    page.open(HTML)
    page.js("document.querySelector('#leaderboard abbr[title*=busy]').focus()")
    assert page.text("#tip") == "The device was busy."
    assert page.one("#tip").is_displayed()
    page.js("document.activeElement.blur()")
    assert not page.one("#tip").is_displayed()


def test_no_error_shares_says_why(page: Page) -> None:
    data = payload()
    for row, reasons in zip(data["leaderboard"]["rows"], data["reasons"], strict=True):
        errors = [key for key in row["values"] if key.startswith("tide_")]
        row["values"] |= dict.fromkeys(errors)
        reasons |= dict.fromkeys(errors, "No hit was scored.")
    page.open(render(data))
    page.see("#errors-figure")
    assert page.text("#errors-figure") == "No row shown has error shares. No hit was scored."


def test_low_scores_lower_the_threshold(page: Page) -> None:
    data = payload()
    best = data["gallery"]["predictions"]["convnext_large_fpn_3x"]
    for image in best:
        for box in image:
            box["score"] /= 10
    page.open(render(data))
    page.see("#gallery-figure")
    scores = [box["score"] for image in best for box in image]
    assert float(page.text("#gallery-controls output")) <= min(scores)
    assert len(page.all(".photo g.prediction")) == len(scores)


def test_equal_scores_show_the_best_few_boxes(page: Page) -> None:
    data = payload()
    best = data["gallery"]["predictions"]["convnext_large_fpn_3x"]
    for image in best:
        image[:] = [box | {"score": 0.0112} for box in image * 10]
    page.open(render(data))
    page.see("#gallery-figure")
    assert len(page.all(".photo g.prediction")) == 5 * len(best)
    assert "the best 5 of 30 boxes" in page.text(".panel-name")
    assert page.text("#gallery-controls output") == "0.01"
    button = "[...document.querySelectorAll('#gallery-controls button')].find(b => b.textContent === 'All')"
    page.js(f"{button}.click()")
    assert len(page.all(".photo g.prediction")) == 30 * len(best)


def test_long_device_is_named_in_full_on_a_phone(page: Page) -> None:
    data, name = payload(), "CPU: " + "quite a long name " * 5
    for row in data["leaderboard"]["rows"]:
        for run in row["runs"]:
            run["device"] = name
    page.open(render(data), width=390, height=844)
    page.see("#cost-figure")
    page.set("#cost-axis", "latency_ms")
    assert f"Measured on {name}." in page.texts("#cost-figure .note")


def test_theme(page: Page) -> None:
    page.open(HTML)
    colours = set()
    for name in ("light", "dark"):
        page.one("#theme").click()
        assert page.text("#theme") == f"Theme: {name}"
        colours.add(page.js("return getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2
    page.driver.refresh()
    assert page.text("#theme") == "Theme: dark"
    page.one("#theme").click()
    assert page.text("#theme") == "Theme: auto"


def test_phone_scrolls_only_down(page: Page) -> None:
    page.open(HTML, width=390, height=844)
    page.see_all()
    assert not page.one("#filter-backbone").is_displayed()
    page.one("#filter-menu summary").click()
    assert page.one("#filter-backbone").is_displayed()
    page.one("#column-menu summary").click()
    left, right = page.js(
        "const b = document.querySelector('.menu-body').getBoundingClientRect(); return [b.left, b.right]"
    )
    assert 0 <= left < right <= 390
    assert page.js(
        "const b = document.querySelector('.menu-body'); return b.scrollWidth <= b.clientWidth"
    )
    assert page.js("return document.documentElement.scrollWidth") == 390
    page.js("document.querySelector('[data-open]').click()")
    assert page.js("return document.querySelector('.dialog-body').scrollWidth <= 390")
    assert page.complaints() == []


def test_print_leaves_controls_out(page: Page) -> None:
    page.open(HTML)
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not page.one("#filters").is_displayed()
        assert (
            page.js("return getComputedStyle(document.querySelector('#table-scroll')).maxHeight")
            == "none"
        )
        assert len(page.all("#leaderboard tbody tr")) == 9
    finally:
        page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_the_split_that_judges_is_what_is_sorted_and_drawn(page: Page) -> None:
    data = payload()
    board = data["leaderboard"]
    board["judge"] = "test"
    known = {column["key"]: column for column in board["columns"]}
    for key in ("map50", "map50_low", "map50_high"):
        of_test = {**known[key], "key": f"test_{key}", "title": f"Test {known[key]['title']}"}
        board["columns"].append(of_test)
        for row in board["rows"]:
            value = row["values"][key]
            row["values"][f"test_{key}"] = None if value is None else round(1 - value, 4)
    board["rows"][0]["test_per_class"] = {name: {"mAP50": 0.5, "mAP": 0.25} for name in CLASSES}
    page.open(render({**data, "judged_by": "ranked by mAP50 on the test split (9 images)"}))
    page.see_all()
    assert page.complaints() == []
    assert page.texts(NAMES)[:7] == order("map50", descending=False)
    label = page.one("#leaderboard .bar").get_attribute("aria-label")
    top = max(r["values"]["test_map50"] for r in board["rows"] if r["values"]["test_map50"])
    assert label is not None
    assert label.startswith(f"mAP50 {top}, interval")
    assert "Ranked by mAP50 on the test split (9 images)" in page.texts(".caveat")
    assert "test" in page.texts("#classes-controls button")
