"""What was asked of a reading of keypoints, and what a reader used of it and of the file: nothing is passed over in silence.

A reader takes options from a `Reading` (asking for one counts as using it) and says which columns or keys the file has
and which of them it read::

    columns = joint_columns(reading, place, count, names=names)   # uses `skeleton` or `mapping`
    reading.found("columns", header, {"frame", "nose_x", "nose_y"})

`evolift.posedata.keypoint_formats.keypoint_files.read_keypoints` then refuses the options that nobody asked for and tells
the names that nobody read. The size of images is used there, for every format; only a reader that cannot wait asks for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from evolift.posedata.errors import InputError
from evolift.posedata.keypoint_formats.name_mapping import NamedColumns, NameMapping
from evolift.posedata.skeleton import Skeleton


class Reading:
    """The options of one reading, and what became of them.

    Args:
        where: the file, for messages.
        skeleton: that the file's joints are said to be.
        mapping: what the file's names are said to mean.
        image_size: (width, height) in pixels of images of which the file does not tell it.

    Attributes:
        notes: sentences for the user, to be added to.
        columns: what joints were found to be, kept by a reader of many lines.

    Raises:
        InputError: skeleton and mapping contradict each other.
    """

    def __init__(
        self,
        where: str,
        *,
        skeleton: Skeleton | None = None,
        mapping: NameMapping | None = None,
        image_size: tuple[int, int] | None = None,
    ) -> None:
        if skeleton is not None and mapping is not None:
            if skeleton != mapping.skeleton:
                raise InputError(
                    f"`mapping` has the joints of {mapping.skeleton.name}, `skeleton` says {skeleton.name}: leave `skeleton` out"
                )
            skeleton = None  # said twice
        self.where = where
        self.image_size = image_size
        self.notes: list[str] = []
        self.columns: dict[tuple[object, ...], NamedColumns] = {}
        self._options: dict[str, Skeleton | NameMapping | None] = {"skeleton": skeleton, "mapping": mapping}
        self._used: set[str] = set()
        self._unread: dict[str, dict[str, None]] = {}
        self._told: set[tuple[str, str]] = set()

    @property
    def skeleton(self) -> Skeleton | None:
        """The given skeleton, which the reader heeds."""
        self._used.add("skeleton")
        given = self._options["skeleton"]
        return given if isinstance(given, Skeleton) else None

    @property
    def mapping(self) -> NameMapping | None:
        """The given mapping, which the reader heeds."""
        self._used.add("mapping")
        given = self._options["mapping"]
        return given if isinstance(given, NameMapping) else None

    def tells(self, skeleton: Skeleton, place: str) -> Skeleton:
        """The skeleton that the file itself tells.

        Args:
            skeleton: which it is.
            place: where the file says so, for the message.

        Raises:
            InputError: another one was given.
        """
        given = self.skeleton
        if given is not None and given != skeleton:
            raise InputError(
                f"{place} says that its joints are {skeleton.name}'s, `skeleton` {given.name}: leave `skeleton` out"
            )
        return skeleton

    def found(self, kind: str, names: Iterable[str], read: Collection[str]) -> None:
        """Take note of what a file has and of what was read of it.

        Args:
            kind: what the names are, for the sentence: "columns", "arrays", "keys of people".
            names: all that are there.
            read: those that are read, or that say nothing about a pose in this format.
        """
        unread = self._unread.setdefault(kind, {})
        unread.update((str(name), None) for name in names if name not in read)

    def unread(self) -> list[str]:
        """Sentences on names that nobody read, each name once for ever: a stream asks again and again."""
        sentences = []
        for kind, names in self._unread.items():
            new = [name for name in names if (kind, name) not in self._told]
            self._told.update((kind, name) for name in new)
            if new:
                sentences.append(f"{kind} that are not read: {listed(new)}")
        return sentences

    def require_used(self, format: str) -> None:
        """Refuse options that the reader did not ask for.

        Args:
            format: of the file, for the message.

        Raises:
            InputError: naming the options.
        """
        unused = [
            name for name, value in self._options.items() if value is not None and name not in self._used
        ]
        if unused:
            flags = " and ".join(f"`{name}`" for name in unused)
            raise InputError(
                f"{self.where}: {format} files tell themselves which joints they have: leave out {flags}"
            )


def listed(names: Sequence[str], shown: int = 8) -> str:
    """Names with commas; of many only the first, and how many more there are."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
