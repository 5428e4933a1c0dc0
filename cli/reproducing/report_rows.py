"""The report's table: its 14 rows, and which orderings of them it is about.

Scores are MPJPE in mm on Human3.6M, from the report. Codes: A augmentation, B bone loss, D evolved data, E extra data
(the validation split is trained on), G no joint grouping, H higher resolution, I integral regression, O occlusion, P
pre-training on ground truth, R 3D regression, S SemGCN head, U last layer unfrozen, 3 three-dimensional SemGCN input.
What each means in options is in cli/recipes/report-row-NN.toml.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from evolift.posedata.errors import InputError

VALIDATION, TEST = "validation", "test"


@dataclass(frozen=True)
class ReportRow:
    """One row.

    Args:
        number: 1 to 14.
        backbone: as the report names it; "SemGCN" in rows 10 to 14, which are chains behind row 5's detector.
        extensions: codes.
        published: MPJPE on Human3.6M, mm.
        split: that it was scored on.
    """

    number: int
    backbone: str
    extensions: tuple[str, ...]
    published: float
    split: str

    @property
    def recipe(self) -> str:
        """Name of the row's recipe, such as "report-row-01"."""
        return f"report-row-{self.number:02d}"


def _row(number: int, backbone: str, extensions: str, published: float, split: str = TEST) -> ReportRow:
    return ReportRow(number, backbone, tuple(extensions.split()), published, split)


ROWS = {
    row.number: row
    for row in (
        _row(1, "AlexNet", "R", 141.50),
        _row(2, "AlexNet", "O", 84.50),
        _row(3, "ResNet50", "I", 72.15),
        _row(4, "ResNet50", "I O", 63.01),
        _row(5, "ResNeXt101", "I O A", 54.14),
        _row(6, "ResNeXt101", "I O A S 3", 57.43),
        _row(7, "ResNet152", "I O A H E", 50.94),
        _row(8, "ResNeXt101", "I O A H E", 46.48),
        _row(9, "ResNeXt101", "I O A B", 54.60, VALIDATION),
        _row(10, "SemGCN", "", 66.87, VALIDATION),
        _row(11, "SemGCN", "P", 60.08, VALIDATION),
        _row(12, "SemGCN", "P U", 54.12, VALIDATION),
        _row(13, "SemGCN", "P U G", 46.05, VALIDATION),
        _row(14, "SemGCN", "P U G D", 45.68, VALIDATION),
    )
}


@dataclass(frozen=True)
class Ordering:
    """One thing that the report shows: `better` has the smaller error than `worse`."""

    claim: str
    better: int
    worse: int

    @property
    def backbones_differ(self) -> bool:
        """Whether the report's two rows have different backbones."""
        return ROWS[self.better].backbone != ROWS[self.worse].backbone

    @property
    def is_of_backbones_alone(self) -> bool:
        """Whether the backbone is all that the report's two rows differ in."""
        return self.backbones_differ and ROWS[self.better].extensions == ROWS[self.worse].extensions

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits to compare on, the first that both rows are scored on here.

        The report's, where it scored both rows on the same one. Otherwise the test split comes first: checkpoints are
        chosen on the other, which flatters.
        """
        ours, other = ROWS[self.better].split, ROWS[self.worse].split
        return (ours,) if ours == other else (TEST, VALIDATION)


ORDERINGS = (
    Ordering("occlusion (O) helps AlexNet with 3D regression", 2, 1),
    Ordering("integral regression (I) with ResNet50 beats 3D regression (R) with AlexNet", 3, 1),
    Ordering("occlusion (O) helps integral regression", 4, 3),
    Ordering("augmentation (A) with ResNeXt101 beats ResNet50 without", 5, 4),
    Ordering("higher resolution and extra data (H, E) help", 8, 5),
    Ordering("ResNeXt101 beats ResNet152", 8, 7),
    Ordering("the bone loss (B) does not help", 5, 9),
    Ordering("pre-training on ground truth (P) helps", 11, 10),
    Ordering("unfreezing the last layer (U) helps", 12, 11),
    Ordering("no joint grouping (G) beats grouping", 13, 12),
    Ordering("evolved data (D) helps", 14, 13),
)

_PART = re.compile(r"(\d+)(?:-(\d+))?(?:x(\d+))?")


def chosen_rows(texts: tuple[str, ...]) -> dict[int, int]:
    """Row number -> with how many seeds, from words like `3`, `10-14` and `10-14x2`; all with one if there are none.

    Raises:
        InputError: a word is none of these, or names a row that the report does not have.
    """
    if not texts:
        return dict.fromkeys(ROWS, 1)
    chosen: dict[int, int] = {}
    for text in texts:
        for part in filter(None, text.split(",")):
            match = _PART.fullmatch(part)
            if match is None:
                raise InputError(f"rows look like 3, 10-14 or 10-14x2 (with two seeds), not {part!r}")
            first, last, seeds = (int(group) if group else None for group in match.groups())
            numbers = range(first or 0, (last or first or 0) + 1)
            if not numbers or not set(numbers) <= set(ROWS) or seeds == 0:
                raise InputError(
                    f"the report's rows are 1 to {max(ROWS)}, each with one seed or more: not {part}"
                )
            for number in numbers:
                chosen[number] = max(chosen.get(number, 0), seeds or 1)
    return dict(sorted(chosen.items()))
