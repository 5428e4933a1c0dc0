from __future__ import annotations

from pathlib import Path

import pytest

from evolift.posedata.errors import InputError
from evolift.posedata.input_file import read_text, reading, require_regular_file


def test_text_comes_without_its_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"\xef\xbb\xbfa\r\nb")
    assert read_text(tmp_path / "a.csv") == "a\nb"
    assert read_text(tmp_path / "a.csv", newline="") == "a\r\nb"


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.csv cannot be read: No such file or directory$"):
        read_text(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"b\.csv is not a text file in UTF-8$"):
        read_text(tmp_path / "b.csv")
    with pytest.raises(InputError, match=r"b\.csv is not a text file in UTF-8: give a CSV file$"):
        read_text(tmp_path / "b.csv", "give a CSV file")
    with pytest.raises(ZeroDivisionError), reading(tmp_path):
        1 / 0  # noqa: B018 - other errors pass


def test_a_folder_is_no_file_and_a_missing_one_is_told_by_who_opens_it(tmp_path: Path) -> None:
    require_regular_file(tmp_path / "none")
    with pytest.raises(InputError, match="is a folder: give a file"):
        require_regular_file(tmp_path)
    with pytest.raises(InputError, match="cannot be read: File name too long"):
        require_regular_file(tmp_path / ("x" * 300))
