"""New HDF5 files that a full disk cannot harm.

The HDF5 library keeps what it could not write and tries again when a file is closed and when the process ends, which then
crashes. So it writes through an object that never refuses: the first error is kept, what follows it is thrown away, and
the error is raised when the library has returned. An interruption (Ctrl-C) waits until then too.
"""

from __future__ import annotations

import contextlib
import io
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from evolift.posedata.output_file import PartialFile

_INTERRUPTIONS = (signal.SIGINT, signal.SIGTERM)


class Hdf5Output:
    """A new HDF5 file; it appears under its name when it is whole.

    Args:
        path: of the file.
        overwrite: replace an existing one.

    Attributes:
        file: to write into, inside of `writing` only.

    Raises:
        OutputError: the file exists, somebody else writes it, or it cannot be written.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        self._partial = PartialFile(path, overwrite=overwrite)
        try:
            self._sink = _Sink(self._partial.path)
            with _signals_later():
                # The formats of HDF5 1.10 hold no times, so that the same values give the same bytes.
                self.file = h5py.File(self._sink, "w", libver=("v110", "v110"))
        except BaseException:
            self._partial.abandon()
            raise

    @contextlib.contextmanager
    def writing(self) -> Iterator[h5py.File]:
        """Write into the file in the block.

        Raises:
            OutputError: the file system refused, now or before.
        """
        with _signals_later():
            try:
                yield self.file
            except Exception:
                self._check()  # the library may have stumbled over what it had to read back and was lost
                raise
        self._check()

    def _check(self) -> None:
        if self._sink.error is not None:
            raise self._partial.refused(self._sink.error) from None

    def finish(self) -> None:
        """Close the file and give it its name.

        Raises:
            OutputError: the file system refuses.
        """
        try:
            self._close()
            self._check()
        except BaseException:
            self._partial.abandon()
            raise
        self._partial.finish()

    def abandon(self) -> None:
        """Throw the new file away; what was under the path before stays."""
        self._close()
        self._partial.abandon()

    def _close(self) -> None:
        with _signals_later():
            try:
                self.file.close()
            except Exception:
                if self._sink.error is None:
                    raise
            finally:
                self._sink.close()


@contextlib.contextmanager
def whole_hdf5(path: Path, *, overwrite: bool = False) -> Iterator[h5py.File]:
    """A new HDF5 file for the block; it gets its name when the block ends without an error.

    Raises:
        OutputError: the file exists, somebody else writes it, or the file system refuses.
    """
    output = Hdf5Output(path, overwrite=overwrite)
    try:
        with output.writing() as file:
            yield file
    except BaseException:
        output.abandon()
        raise
    output.finish()


class _Sink(io.RawIOBase):
    """A file that takes all that is written; `error` tells why the first part of it was lost, if any was."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        rest = memoryview(data)
        while rest and self.error is None:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self.error = error
        return len(data)

    def readinto(self, buffer: Any) -> int:
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        if self.error is None:
            try:
                return self._file.truncate(size)
            except OSError as error:
                self.error = error
        return size or 0

    def close(self) -> None:
        self._file.close()
        super().close()


@contextlib.contextmanager
def _signals_later() -> Iterator[None]:
    """Interruptions wait for the end of the block: an exception in the middle of the HDF5 library would break its state."""
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    waiting: list[tuple[int, Any]] = []
    before = {number: signal.getsignal(number) for number in _INTERRUPTIONS}
    for number, handler in before.items():
        if callable(handler):
            signal.signal(number, lambda number, frame: waiting.append((number, frame)))
    try:
        yield
    finally:
        for number, handler in before.items():
            if callable(handler):
                signal.signal(number, handler)
        for came, frame in waiting[:1]:
            before[signal.Signals(came)](came, frame)  # type: ignore[operator,misc]  # only callable ones were put off
