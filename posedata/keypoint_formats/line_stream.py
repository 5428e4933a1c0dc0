"""A stream of JSON lines taken as it comes: what has arrived is handled together, and nothing waits for more."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator

from evolift.posedata.checked_json import parse_json
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.keypoints import Keypoints
from evolift.posedata.keypoint_formats.line_keypoints import read_keypoint_lines
from evolift.posedata.predictions.prediction_header import FORMAT, read_header
from evolift.posedata.skeleton import Skeleton

MAX_LINES = 1024
_WAITING = 4096


def arriving_lines(lines: Iterable[str], *, max_lines: int = MAX_LINES) -> Iterator[list[tuple[int, str]]]:
    """Lines with their numbers (from 1), as many at a time as have arrived, read ahead in a thread.

    Args:
        lines: of a stream; reading the next may take as long as it likes.
        max_lines: largest number of lines that are given together.
    """
    arrived: queue.Queue[tuple[int, str] | BaseException | None] = queue.Queue(_WAITING)

    def read() -> None:
        try:
            for entry in enumerate(lines, 1):
                arrived.put(entry)
            arrived.put(None)
        except BaseException as error:  # raised again where lines are taken
            arrived.put(error)

    threading.Thread(target=read, daemon=True).start()
    is_open = True
    while is_open:
        batch: list[tuple[int, str]] = []
        while len(batch) < max_lines and (not batch or not arrived.empty()):
            entry = arrived.get()
            if isinstance(entry, BaseException):
                raise entry
            if entry is None:
                is_open = False
                break
            batch.append(entry)
        if batch:
            yield batch


class KeypointStream:
    """Keypoints of lines as they arrive; lines that are wrong are told apart from the others.

    Args:
        where: what messages call the stream.
        skeleton: of lines that do not name one; a header in the stream replaces it.

    Attributes:
        failed: a sentence for each line that could not be read, in the order of the stream.
    """

    def __init__(self, where: str, skeleton: Skeleton | None = None) -> None:
        self.where, self.skeleton = where, skeleton
        self.failed: list[str] = []

    def read(self, batch: list[tuple[int, str]]) -> list[Keypoints]:
        """People of some lines, in their order, people of one skeleton together."""
        try:
            return self._together(batch)
        except InputError:
            parts = []
            for entry in batch:
                try:
                    parts += self._together([entry])
                except InputError as error:
                    self.failed.append(str(error))
            return parts

    def _together(self, batch: list[tuple[int, str]]) -> list[Keypoints]:
        if len(batch) == 1 and FORMAT in batch[0][1]:
            number, line = batch[0]
            at = f"{self.where} line {number}"
            values = parse_json(line, at)
            if isinstance(values, dict) and values.get("format") == FORMAT:
                self.skeleton = read_header(values, at)["skeleton"]
                return []
        if any(FORMAT in line for _, line in batch) and len(batch) > 1:
            return [part for entry in batch for part in self._together([entry])]
        lines, first = (line for _, line in batch), batch[0][0]
        parts = list(
            read_keypoint_lines(lines, self.where, skeleton=self.skeleton, rows=len(batch), first=first)
        )
        try:
            "".join(name for part in parts for name in (*part.image, *part.person)).encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{self.where} line {first}: image and person must be Unicode, without half characters"
            ) from None
        return parts
