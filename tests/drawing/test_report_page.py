from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolift.drawing.report_page import ReportPage
from evolift.posedata.errors import OutputError
from tests.headless_chromium import HeadlessPage

NASTY = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"' onload='x' &amp;"


class _Elements(HTMLParser):
    """Tags with their attributes, and the text of the body."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._is_body = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._is_body = self._is_body or tag == "body"

    def handle_data(self, data: str) -> None:
        if self._is_body:
            self.text += data


def _image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)


def _everything(text: str) -> ReportPage:
    table = pd.DataFrame({text: [text, None], "error": [1234.567, np.nan]}, index=[text, "b"])
    page = ReportPage(text).heading(text).paragraph(text).code(text).table(table, text)
    return page.image(_image(), text).link(Path(text.replace("\0", "") or "x"), text)


def test_hostile_texts_stay_texts() -> None:
    elements = _Elements(_everything(NASTY).page())
    tags = [tag for tag, _ in elements.tags]
    assert tags.count("script") == 0
    assert tags.count("img") == 1
    handlers = [name for _, attributes in elements.tags for name in attributes if name.startswith("on")]
    assert handlers == []
    assert elements.text.count(NASTY) == 10


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=40))
def test_any_text_is_shown_unchanged(text: str) -> None:
    elements = _Elements(ReportPage("t").paragraph(text).page())
    assert elements.text == f"\n\nt\n{text}\n\n\n\n"


def test_table_numbers() -> None:
    table = pd.DataFrame({"rows": [12345, -2], "error": [1.25, np.nan], "name": ["a", None]})
    text = _Elements(ReportPage("t").table(table, index=False, decimals=2).page()).text
    assert text.split("error")[1].startswith("name12\u202f3451.25a−2––")


def test_levels_of_columns_and_rows_are_joined() -> None:
    table = pd.DataFrame({("lifter", "before"): [1.0]}, index=pd.MultiIndex.from_tuples([("S1", "walk")]))
    text = _Elements(ReportPage("t").table(table).page()).text
    assert "lifter, before" in text
    assert "S1, walk" in text


def test_a_image_comes_back_with_its_colours() -> None:
    page = ReportPage("t").image(_image(), "an image", lossless=True).page()
    match = re.search(r"data:image/png;base64,([^\"]+)", page)
    assert match
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(match[1]), np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert (decoded[..., ::-1] == _image()).all()
    assert 'width="40" height="30" alt="an image"' in page


def test_the_smaller_code_is_chosen() -> None:
    assert "image/png" in ReportPage("t").image(np.zeros((300, 300, 3), np.uint8)).page()
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), np.uint8)
    assert "image/jpeg" in ReportPage("t").image(noise).page()


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x", "file:///x"]
)
def test_links_that_could_run_code_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="a link must be http, https or a path"):
        ReportPage("t").link(address)


def test_a_file_name_is_never_a_scheme() -> None:
    page = ReportPage("t").link(Path("javascript:alert(1)")).link(Path("sub/größe #1.png")).page()
    assert [attributes["href"] for tag, attributes in _Elements(page).tags if tag == "a"] == [
        "./javascript%3Aalert%281%29",
        "./sub/gr%C3%B6%C3%9Fe%20%231.png",
    ]


def test_an_existing_report_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    ReportPage("one").write(path)
    with pytest.raises(OutputError, match="exists"):
        ReportPage("two").write(path)
    assert "<h1>one</h1>" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("dark", [False, True])
def test_in_a_browser(tmp_path: Path, dark: bool) -> None:
    _everything(NASTY).write(tmp_path / "report.html")
    with HeadlessPage(500, 800, dark=dark) as page:
        page.open(tmp_path / "report.html")
        assert page.errors == []
        assert len(page.requests) == 1
        assert page.evaluate("document.title") == NASTY
        assert page.evaluate("document.querySelector('img').naturalWidth") == 40
        assert page.evaluate("document.documentElement.scrollWidth <= 500")
        paper = int(page.screenshot()[2, 2].max())
        assert paper < 60 if dark else paper > 200
