"""A report as one self-contained HTML page: headings, paragraphs, tables, images, turning skeletons and links.

Every text that a caller gives is shown as it is: markup in it (a file named `<script>`) has no effect. The page follows
the reader's light or dark setting, prints well, and loads nothing from elsewhere.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urlsplit

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from evolift.drawing.page_script import script_data, script_hash
from evolift.drawing.turning_poses import DATA_ID, SCRIPT, Film, TurningPose, panel
from evolift.posedata.image_file import encoded_image
from evolift.posedata.output_file import write_text

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1d1f23; --faint: #d5d8dd; --quiet: #5c626c; --link: #0b5fa5; }
@media (prefers-color-scheme: dark) { :root { --paper: #17191d; --ink: #eceef2; --faint: #3b4048; --quiet: #a5acb8; --link: #8ec7ff; } }
@media print { :root { --paper: #ffffff; --ink: #000000; --faint: #cccccc; --quiet: #444444; --link: #000000; } body { max-width: none; }
  figure, table, tr { break-inside: avoid; } h2, h3 { break-after: avoid; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1.25rem 4rem; max-width: 64rem; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { font-size: 1.3rem; margin-top: 2.2rem; } h3 { font-size: 1.05rem; margin-top: 1.5rem; }
p { max-width: 44rem; } a { color: var(--link); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 1rem 0; }
caption { text-align: left; font-weight: 600; padding-bottom: .3rem; }
th, td { overflow-wrap: break-word; padding: .25rem .7rem; border-bottom: 1px solid var(--faint); text-align: left; vertical-align: top; }
th:first-child, td:first-child { padding-left: 0; } td.number, th.number { text-align: right; white-space: nowrap; }
figure { margin: 1rem 0; } img { max-width: 100%; height: auto; border-radius: 4px; background: #ffffff; }
figcaption { color: var(--quiet); font-size: .875rem; max-width: 44rem; }
pre { padding: .7rem .9rem; border: 1px solid var(--faint); border-radius: 4px; overflow-x: auto; overflow-wrap: normal; font-size: .875rem; }
dl { display: grid; grid-template-columns: fit-content(40%) minmax(0, 1fr); gap: .2rem 1.2rem; } dt { color: var(--quiet); } dd { margin: 0; }
.panels { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 13rem), 1fr)); gap: 1rem; align-items: start; margin: 1rem 0; }
.panels figure { margin: 0; } .panels img { width: 100%; }
canvas { display: block; width: 100%; aspect-ratio: 4 / 5; max-height: 24rem; border: 1px solid var(--faint); border-radius: 4px; cursor: grab; touch-action: pan-y; }
button { font: inherit; padding: .3rem .8rem; min-height: 2.2rem; } [hidden] { display: none !important; }
.panels .numbers { display: block; margin: 0; align-self: center; }
.numbers dt { font-size: 2rem; font-weight: 650; line-height: 1.2; color: var(--ink); font-variant-numeric: tabular-nums; } .numbers dd { color: var(--quiet); margin: 0 0 1.2rem; }
"""


@dataclass(frozen=True)
class PageLink:
    """A link, on a line of its own or in a cell of a table.

    Args:
        target: an http(s) address, or the path of a file relative to the report's folder.
        text: shown; the target if empty.

    Raises:
        ValueError: the address is of a kind that may run code (`javascript:`, `data:`).
    """

    target: str | Path
    text: str = ""

    def __post_init__(self) -> None:
        address = self.target
        if isinstance(address, str) and urlsplit(address.strip()).scheme.lower() not in ("", "http", "https"):
            raise ValueError(f"a link must be http, https or a path (got {address!r})")

    def __str__(self) -> str:
        return self.text or str(self.target)

    def element(self) -> str:
        """The link as an HTML element."""
        address = str(self.target)
        if isinstance(self.target, Path):
            address = quote(self.target.as_posix())
            if not self.target.is_absolute():
                address = "./" + address  # so that a colon in a file name does not make it a scheme
        return f'<a href="{html.escape(address)}">{html.escape(str(self))}</a>'


class ReportPage:
    """A page that is put together part by part; each method returns the page, so that calls may be chained.

    Args:
        title: of the page and of its first heading.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []
        self._turning: list[TurningPose | Film] = []

    def heading(self, text: str, level: Literal[2, 3] = 2) -> ReportPage:
        """Add a heading of level 2 or 3; returns the page."""
        return self._add(f"<h{level}>{html.escape(text)}</h{level}>")

    def paragraph(self, text: str) -> ReportPage:
        """Add a paragraph of plain text; returns the page."""
        return self._add(f"<p>{html.escape(text)}</p>")

    def code(self, text: str) -> ReportPage:
        """Text with its line breaks, such as a command and its output."""
        return self._add(f"<pre><code>{html.escape(text)}</code></pre>")

    def table(
        self, table: pd.DataFrame, caption: str = "", *, index: bool = True, decimals: int = 1
    ) -> ReportPage:
        """A pandas table.

        Args:
            table: numbers are right-aligned, missing ones a dash, and a `PageLink` is a link; several levels of columns or rows are joined.
            caption: above it.
            index: show the row names.
            decimals: of numbers that are not whole.
        """
        names = [_joined(column) for column in table.columns]
        numeric = [pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes]
        head = [_cell("th", _joined(list(table.index.names)), scope="col")] if index else []
        head += [
            _cell("th", name, number=is_number, scope="col")
            for name, is_number in zip(names, numeric, strict=True)
        ]
        rows = []
        for label, values in zip(table.index, table.itertuples(index=False, name=None), strict=True):
            cells = [_cell("th", _joined(label), scope="row")] if index else []
            cells += [
                _cell("td", v if isinstance(v, PageLink) else _written(v, decimals), number=n)
                for v, n in zip(values, numeric, strict=True)
            ]
            rows.append(f"<tr>{''.join(cells)}</tr>")
        title = f"<caption>{html.escape(caption)}</caption>" if caption else ""
        return self._add(
            f'<div class="wide"><table>{title}<thead><tr>{"".join(head)}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        )

    def image(
        self,
        image: UInt8[np.ndarray, "height width 3"],
        caption: str = "",
        *,
        alternative: str = "",
        lossless: bool | None = None,
    ) -> ReportPage:
        """An RGB image, embedded.

        Args:
            image: uint8.
            caption: below it.
            alternative: for people who cannot see it; the caption if empty.
            lossless: PNG if True, JPEG if False; the smaller of the two if None.

        Raises:
            ValueError: it is not RGB uint8.
        """
        return self._add(_figure(image, caption, alternative, lossless))

    def images(
        self, images: Sequence[UInt8[np.ndarray, "_height _width 3"]], captions: Sequence[str]
    ) -> ReportPage:
        """RGB images with captions, side by side where there is room: one below the other on a telephone.

        Raises:
            ValueError: one is not RGB uint8, or captions are not as many.
        """
        figures = [_figure(image, caption) for image, caption in zip(images, captions, strict=True)]
        return self._add(f'<div class="panels">{"".join(figures)}</div>')

    def turning(
        self, shown: Sequence[TurningPose | Film], numbers: Sequence[tuple[str, str]] = ()
    ) -> ReportPage:
        """Skeletons that turn, and films, side by side where there is room and on one scale (see `turning_poses`).

        The first ones bring the page's button that stops all movement.

        Args:
            shown: one panel each.
            numbers: large numbers, each with what it is, as a last panel.
        """
        first = len(self._turning)
        self._turning += shown
        parts = [panel(one, first + number) for number, one in enumerate(shown)]
        if numbers:
            told = [f"<dt>{html.escape(a)}</dt><dd>{html.escape(b)}</dd>" for a, b in numbers]
            parts.append(f'<dl class="numbers">{"".join(told)}</dl>')
        button = "" if first else '<p><button id="movement" type="button" hidden>Stop movement</button></p>'
        return self._add(f'<div class="panels">{"".join(parts)}</div>{button}')

    def link(self, target: str | Path, text: str = "") -> ReportPage:
        """A link on a line of its own.

        Args:
            target: an http(s) address, or the path of a file relative to the report's folder.
            text: shown; the target if empty.

        Raises:
            ValueError: the address is of a kind that may run code (`javascript:`, `data:`).
        """
        return self._add(f"<p>{PageLink(target, text).element()}</p>")

    def page(self) -> str:
        """The whole page as the text of an HTML file."""
        title = html.escape(self.title)
        allowed, script = "", ""
        if self._turning:
            data = script_data([one.data() for one in self._turning])
            allowed = f"; script-src '{script_hash(SCRIPT)}'"
            script = (
                f'<script id="{DATA_ID}" type="application/json">{data}</script>\n<script>{SCRIPT}</script>\n'
            )
        page = (
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'{allowed}\">\n"
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
            f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n"
            + "\n".join(self._parts)
            + f"\n</main>\n{script}</body>\n</html>\n"
        )
        return page.encode("utf-8", "replace").decode()  # file names may hold bytes that are no text

    def write(self, path: Path, *, overwrite: bool = False) -> None:
        """Write the page, whole or not at all.

        Raises:
            OutputError: the file exists, or cannot be written.
        """
        write_text(path, self.page(), overwrite=overwrite)

    def _add(self, part: str) -> ReportPage:
        self._parts.append(part)
        return self


def _figure(
    image: UInt8[np.ndarray, "height width 3"],
    caption: str = "",
    alternative: str = "",
    lossless: bool | None = None,
) -> str:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"an image must be uint8 of shape (height, width, 3) (got {image.shape})")
    kinds = {True: ("png",), False: ("jpeg",), None: ("png", "jpeg")}[lossless]
    codes = [(kind, encoded_image(image, f".{kind}", quality=88, compression=9)) for kind in kinds]
    kind, code = min(codes, key=lambda pair: len(pair[1]))
    source = f"data:image/{kind};base64,{base64.b64encode(code).decode()}"
    text = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    height, width = image.shape[:2]
    return f'<figure><img src="{source}" width="{width}" height="{height}" alt="{html.escape(alternative or caption)}">{text}</figure>'


def _cell(tag: str, content: str | PageLink, *, number: bool = False, scope: str = "") -> str:
    attributes = (' class="number"' if number else "") + (f' scope="{scope}"' if scope else "")
    inside = content.element() if isinstance(content, PageLink) else html.escape(content)
    return f"<{tag}{attributes}>{inside}</{tag}>"


def _joined(label: object) -> str:
    parts = label if isinstance(label, (tuple, list)) else (label,)
    return ", ".join(str(part) for part in parts if part is not None)


def _written(value: object, decimals: int) -> str:
    if value is None or value is pd.NA or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return "–"
    if isinstance(value, (float, np.floating)):
        return f"{value:,.{decimals}f}".replace("-", "−").replace(",", "\u202f")
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return f"{value:,}".replace("-", "−").replace(",", "\u202f")
    return str(value)
