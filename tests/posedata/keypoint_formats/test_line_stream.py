from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest

from evolift.posedata.keypoint_formats.line_stream import KeypointStream, arriving_lines
from evolift.posedata.predictions.prediction_files import prediction_lines
from evolift.posedata.skeleton import COCO17
from tests.posedata.predictions.test_prediction_files import made


def test_nothing_waits_for_lines_that_have_not_come() -> None:
    go = threading.Event()

    def lines() -> Iterator[str]:
        yield "a"
        assert go.wait(10)
        yield "b"

    batches = arriving_lines(lines())
    assert next(batches) == [(1, "a")]
    go.set()
    assert list(batches) == [[(2, "b")]]


def test_lines_that_have_come_are_handled_together() -> None:
    batches = list(arriving_lines((str(n) for n in range(1000)), max_lines=64))
    assert [entry for batch in batches for entry in batch] == [(n + 1, str(n)) for n in range(1000)]
    assert max(map(len, batches)) == 64

    def broken() -> Iterator[str]:
        yield "a"
        raise OSError("the pipe broke")

    with pytest.raises(OSError, match="the pipe broke"):
        list(arriving_lines(broken()))


def test_a_wrong_line_is_told_and_the_others_are_read() -> None:
    good = json.dumps({"joints_2d": [[1, 2]] * 17, "person": "a"})
    stream = KeypointStream("standard input", COCO17)
    parts = stream.read([(7, good), (8, "{"), (9, '{"joints_2d": 3}'), (10, good)])
    assert [part.frame.tolist() for part in parts] == [[7], [10]]
    assert len(stream.failed) == 2
    assert stream.failed[0].startswith("standard input line 8 is not JSON")
    assert stream.failed[1] == "standard input line 9: joints_2d must be a list, not a number"


@pytest.mark.parametrize("name", ["image", "person"])
def test_a_name_that_cannot_be_answered_is_a_wrong_line(name: str) -> None:
    lines = [
        json.dumps({"joints_2d": [[1, 2]] * 17, name: value}) for value in ("a", "\ud800", "b\udcff", "c")
    ]
    stream = KeypointStream("standard input", COCO17)
    parts = stream.read(list(enumerate(lines, 1)))
    assert [getattr(part, name) for part in parts] == [("a",), ("c",)]
    assert [sentence.split(":")[0] for sentence in stream.failed] == [
        f"standard input line {n}" for n in (2, 3)
    ]


def test_a_header_in_the_stream_tells_the_skeleton() -> None:
    lines = list(enumerate(prediction_lines(made(3)), 1))
    together, apart = KeypointStream("s"), KeypointStream("s")
    rows = [len(part) for part in together.read(lines)]
    assert sum(rows) == 3
    assert sum(len(part) for line in lines for part in apart.read([line])) == 3
    assert not together.failed
    assert not apart.failed
