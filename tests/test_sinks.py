"""What a stranger has written is shown as text: it steers no terminal, runs in no spreadsheet, marks up no page."""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from desk import Desk, make_desk
from rich.console import Console

from benchmark.cli import main
from benchmark.writing.addresses import public
from benchmark.writing.console import PlainConsole
from benchmark.writing.markdown import escape, link
from benchmark.writing.plain_stream import plain_log, print_plainly, steerless
from benchmark.writing.spreadsheet import cell

SCREEN = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r\x08"
LONG = "=long" * 20_000
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def detboard(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command line in this process; gives its exit status, and what it has printed."""

    def run(*arguments: object) -> tuple[int, str]:
        code = 0
        with monkeypatch.context() as patched:
            patched.setattr(sys, "argv", ["detboard", *map(str, arguments)])
            for name in ("stdout", "stderr"):
                patched.setattr(sys, name, getattr(sys, name))
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


@pytest.fixture
def hostile(tmp_path: Path, synthetic_data: Path) -> Desk:
    """A desk whose experiment and records were written by a stranger."""
    desk = make_desk(tmp_path / "desk", synthetic_data)

    def change(content: dict[str, Any]) -> None:
        content["title"] = f"Tiny {SCREEN} <b>$x$"
        labels = {"Model": '=HYPERLINK("http://x")', f"Notes{SCREEN}": LONG, "@sum": "-1.5"}
        content["rows"][0]["labels"].update(labels)
        content["rows"][1]["labels"] = {"Model": f"|<!-- detboard:tiny:end -->{SCREEN}"}

    desk.change(change)
    for path in desk.results.glob("runs/momentum-*/record.json"):
        record = json.loads(path.read_text())
        record["provenance"]["git"]["commit"] = "](x)|<i>" + "0" * 32
        record["provenance"]["hashes"]["config"] = "|<i>c3c3c3"
        message = f"{SCREEN} [x](http://evil) " + "m" * 100_000
        record["failure"] = {"kind": "error", "message": message, "log_tail": SCREEN}
        path.write_text(json.dumps({**record, "state": "failed"}))
    return desk


def test_a_strangers_text_is_text_wherever_it_is_shown(hostile: Desk, detboard: Run) -> None:
    told = ""
    for verb in ("plan", "report", "sweep"):
        where = (hostile.experiment, "--results", hostile.results, "--data-root", hostile.data)
        _, printed = detboard(verb, *where)
        told += printed
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", told)
    assert "Tiny \\x1b[2J" in told
    files = {path.suffix: path for path in hostile.results.glob("tiny.*")}
    text = {suffix: path.read_text() for suffix, path in files.items()}
    readme = (hostile.folder / "README.md").read_text()
    assert LONG in text[".json"]
    for shown in (text[".md"], text[".csv"], text[".html"], readme):
        assert LONG[:200] in shown
        assert "long" * 2 + "=long" * 60 not in shown
        assert len(shown) < 2_000_000
    assert readme.count("detboard:tiny:end -->") == 2
    for markdown in (text[".md"], readme):
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", markdown)
        assert not re.search(r"<[bi]>|[^\\]\]\(x\)|\$x\$|\]\(http://evil", markdown)
    lines = [*csv.reader(io.StringIO(text[".csv"]))]
    assert any(value.startswith("'=HYPERLINK") for value in lines[1])
    assert "-1.5" in lines[1]
    assert not any(value.startswith(("=", "+", "@")) for line in lines for value in line)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        (" =1", "' =1"),
        ("\r=1", "'\r=1"),
        ("\uff1d1", "'\uff1d1"),
        ("-1.5", "-1.5"),
        ("+1e-3", "+1e-3"),
        (-1.5, -1.5),
        (None, None),
        ("a=1", "a=1"),
        ("x" * 300, "x" * 300),
    ],
)
def test_no_cell_of_a_spreadsheet_is_a_formula(value: object, shown: object) -> None:
    assert cell(value) == shown


def test_long_texts_that_differ_still_differ_when_they_are_cut() -> None:
    one, other = (str(cell("x" * 100_000 + end)) for end in "ab")
    assert one != other
    assert len(one) == len(other) < 300


@pytest.mark.parametrize(
    "target",
    [
        "javascript:alert(1)",
        "../../x",
        "x)",
        "x|y",
        "x y",
        "",
        None,
        "//evil",
        "file:///etc/passwd",
    ],
)
def test_links_lead_below_the_file_or_to_a_web_page(target: str | None) -> None:
    assert link("a[b", target) == r"a\[b"
    assert link("a", "runs/r50-s0-full-1234abcd") == "[a](runs/r50-s0-full-1234abcd)"
    assert link("a", "https://wandb.ai/a/b?c=d") == "[a](https://wandb.ai/a/b?c=d)"


def test_markdown_takes_no_formulas() -> None:
    assert escape("costs $5 or $6") == "costs &#36;5 or &#36;6"


def test_colours_are_rich_s_own(capsys: pytest.CaptureFixture[str]) -> None:
    console = PlainConsole()
    console.print(f"a{SCREEN}b")
    assert (
        capsys.readouterr().out == r"a\x1b[2J\x1b]0;owned\u009b31m\u202eb" + "\n"
    )  # rich drops some


def test_help_and_usage_errors_keep_their_style(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    print_plainly()
    Console(force_terminal=True, color_system="standard", width=80).print("[bold]Usage[/bold]")
    assert "\x1b[1mUsage" in written.getvalue()
    print("\x1b[1mUsage")
    assert written.getvalue().endswith("\\x1b[1mUsage\n")


def test_no_encoding_leads_past_the_guard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii", errors="replace") as ascii_stream:
        monkeypatch.setattr(sys, "stdout", ascii_stream)
        print_plainly()
        typer.echo("\x9b2J\u202e\u2014")
    assert (tmp_path / "out").read_bytes() == b"\\u009b2J\\u202e?\n"


def test_the_log_of_a_job_keeps_its_colours_alone() -> None:
    written = io.StringIO()
    print(f"\x1b[31mred\x1b[0m{SCREEN}\x1b[8mhidden", file=plain_log(written))
    assert written.getvalue() == f"\x1b[31mred\x1b[0m{steerless(SCREEN)}\\x1b[8mhidden\n"


SIGNED = "https://bucket.s3.amazonaws.com/w.pth?X-Amz-Signature=5ec2e7&versionId=3"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://me:s3cr3t@wandb.example.org/a", "https://wandb.example.org/a"),
        ("http://tok3n@proxy:3128", "http://proxy:3128"),
        (
            "postgresql+psycopg://u:p/a@ss@db/x?sslpassword=q",
            "postgresql+psycopg://db/x?sslpassword=***",
        ),
        (SIGNED, "https://bucket.s3.amazonaws.com/w.pth?X-Amz-Signature=***&versionId=3"),
        ("https://a.blob.net/w?sv=1&sig=a%2Bb&se=2", "https://a.blob.net/w?sv=1&sig=***&se=2"),
        ("https://hub/w.pth?access_token=abc)", "https://hub/w.pth?access_token=***)"),
        ("https:/me:s3cr3t@example.org/results", "https:/example.org/results"),  # as a path has it
        ("https://hub/w.pth#access_token=abc", "https://hub/w.pth#access_token=***"),
        ("torchvision://resnet50, a@b.org, https://x.org/@me", None),
        ("https://wandb.ai/a/b/runs/c?nw=nwuser", None),
        ("mail me@x.org; key=5", None),
    ],
)
def test_addresses_are_shown_without_secrets(said: str, shown: str | None) -> None:
    assert public(f"at {said} now") == f"at {shown or said} now"
    written = io.StringIO()
    print(f"Loads checkpoint from {said}", file=plain_log(written))
    assert written.getvalue() == f"Loads checkpoint from {shown or said}\n"
