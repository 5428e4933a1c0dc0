"""A stream of JSON lines taken as it comes: what has arrived is handled together, and nothing waits for more."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator

from evolift.posedata.checked_json import parse_json
from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.image_units import in_pixels
from evolift.posedata.keypoint_formats.keypoints import Keypoints
from evolift.posedata.keypoint_formats.line_keypoints import read_keypoint_lines
from evolift.posedata.keypoint_formats.name_mapping import NameMapping
from evolift.posedata.keypoint_formats.reading import Reading
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
        mapping: what names or numbers of joints mean, in place of a skeleton.
        image_size: (width, height) in pixels of images whose lines do not tell it.

    Attributes:
        failed: a sentence for each line that could not be read, in the order of the stream.
    """

    def __init__(
        self,
        where: str,
        skeleton: Skeleton | None = None,
        mapping: NameMapping | None = None,
        image_size: tuple[int, int] | None = None,
    ) -> None:
        self._reading = Reading(where, skeleton=skeleton, mapping=mapping, image_size=image_size)
        self._told: set[str] = set()
        self.where = where
        self.failed: list[str] = []

    def notes(self) -> list[str]:
        """Sentences on what was assumed or passed over since this was asked last, each only once."""
        notes = [*self._reading.notes, *self._reading.unread()]
        new = [note for note in dict.fromkeys(notes) if note not in self._told]
        self._told.update(new)
        self._reading.notes.clear()
        return new

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
                self._take_header(read_header(values, at)["skeleton"], at)
                return []
        if any(FORMAT in line for _, line in batch) and len(batch) > 1:
            return [part for entry in batch for part in self._together([entry])]
        lines, first = (line for _, line in batch), batch[0][0]
        parts = list(read_keypoint_lines(lines, self._reading, rows=len(batch), first=first))
        if (size := self._reading.image_size) is not None:
            parts = [part.with_image_size(size) for part in parts]
        at = f"{self.where} line {first}" if len(batch) == 1 else self.where
        parts = [in_pixels(part, at, by_row=True) for part in parts]
        try:
            "".join(name for part in parts for name in (*part.image, *part.person)).encode()
        except UnicodeEncodeError:
            raise InputError(
                f"{self.where} line {first}: image and person must be Unicode, without half characters"
            ) from None
        return parts

    def _take_header(self, skeleton: Skeleton, where: str) -> None:
        given = self._reading
        if given.mapping is not None:
            raise InputError(f"{where} says that joints are {skeleton.name}'s: leave out `mapping`")
        self._reading = Reading(self.where, skeleton=skeleton, image_size=given.image_size)
        if given.skeleton not in (None, skeleton):
            self._reading.notes.append(f"its header says {skeleton.name}, which counts, not `skeleton`")
