"""The files of a downloaded data set, in a folder or still in the zip they came in (read without extracting)."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath
from types import TracebackType

from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.file_limits import require_size
from evolift.posedata.npz_file import NPZ_DAMAGES
from evolift.posedata.output_file import sha256_of


class SourceFiles:
    """Read files by their path inside a folder or a zip archive. A context manager.

    It may be passed to worker processes: each opens the archive for itself.

    Args:
        path: the folder or the zip file.
        single: endings of files that may be given as they are, for example (".bvh",).

    Raises:
        InputError: it is none of these, it is empty, or the zip is truncated or damaged.
    """

    def __init__(self, path: Path, single: tuple[str, ...] = ()) -> None:
        self.path = path
        self.is_single = path.is_file() and path.suffix.lower() in single
        self._archive: zipfile.ZipFile | None = None
        if path.is_dir():
            self.names = sorted(
                entry.relative_to(path).as_posix() for entry in path.rglob("*") if entry.is_file()
            )
        elif self.is_single:
            self.path, self.names = path.parent, [path.name]
        elif path.is_file():
            self.names = sorted(entry.filename for entry in self._zip.infolist() if not entry.is_dir())
        else:
            raise InputError(f"{path} is neither a folder nor a file: give the downloaded folder or zip")
        if not self.names:
            raise InputError(f"{path} holds no files: give the downloaded folder or zip")

    @property
    def is_archive(self) -> bool:
        """Whether the files are in a zip."""
        return not self.path.is_dir()

    @property
    def _zip(self) -> zipfile.ZipFile:
        if self._archive is None:
            try:
                self._archive = zipfile.ZipFile(self.path)
            except NPZ_DAMAGES as error:
                raise InputError(
                    f"{self.path} is not a whole zip file ({reason_of(error)}): download or copy it again"
                ) from None
        return self._archive

    def with_ending(self, ending: str) -> list[str]:
        """Names that end so, upper or lower case, sorted; hidden files are left out."""
        return [
            name
            for name in self.names
            if name.lower().endswith(ending) and not PurePosixPath(name).name.startswith(".")
        ]

    def read(self, name: str) -> bytes:
        """Bytes of one file.

        Raises:
            InputError: it cannot be read, or the zip is damaged there.
        """
        try:
            size = self._zip.getinfo(name).file_size if self.is_archive else (self.path / name).stat().st_size
            require_size(size, "max_unpacked", self.label(name))
            return self._zip.read(name) if self.is_archive else (self.path / name).read_bytes()
        except NPZ_DAMAGES as error:
            raise InputError(
                f"{self.label(name)} cannot be read ({reason_of(error)}): download or copy it again"
            ) from None

    def label(self, name: str) -> str:
        """How messages call one of the files."""
        return f"{self.path}: {name}" if self.is_archive else str(self.path / name)

    def hashes(self, names: list[str]) -> dict[str, str]:
        """SHA-256 for provenance: of the archive, or of the named files of the folder."""
        if self.is_archive:
            return {self.path.name: sha256_of(self.path)}
        return {name: sha256_of(self.path / name) for name in names}

    def close(self) -> None:
        """Close the zip archive, if the source is one and it is open."""
        if self._archive is not None:
            self._archive.close()
            self._archive = None

    def __enter__(self) -> SourceFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_archive": None}
