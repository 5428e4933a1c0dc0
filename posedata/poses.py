"""Poses in memory: the rows that a pose store holds, as numpy arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from jaxtyping import Float32, Int32, Int64, UInt8

from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import Skeleton

NO_CAMERA = -1
NO_PARENT = -1


@dataclass(frozen=True, eq=False)
class Lineage:
    """Where evolved poses come from.

    Args:
        generation: 0 for poses that were not bred.
        parent_a, parent_b: rows of the same store; `NO_PARENT` (-1) where there is none. A `parent_b` below that is a donor, a pose
            of another store (`evolift.posedata.store_layout.Provenance.donor_of`).
        operator: what made the pose, for example "crossover+mutation"; "" for poses that were not bred.
    """

    generation: Int32[np.ndarray, "rows"]
    parent_a: Int64[np.ndarray, "rows"]
    parent_b: Int64[np.ndarray, "rows"]
    operator: pd.Categorical

    @classmethod
    def unbred(cls, rows: int) -> Lineage:
        """The lineage of `rows` original poses, which have no parents."""
        none = np.full(rows, NO_PARENT, np.int64)
        return cls(np.zeros(rows, np.int32), none, none, repeated_label("", rows))


@dataclass(frozen=True, eq=False)
class Poses:
    """Rows of a pose store. At least one of `joints_3d` and `joints_2d` is given.

    Args:
        subject, action: labels per row.
        frame: frame number in the source.
        joints_3d: millimetres, in the frame that the store names.
        joints_2d: pixels of the row's image or camera; 0 where unlabelled.
        visibility: 0 unlabelled, 1 labelled but hidden, 2 visible; given exactly when `joints_2d` is.
        camera: index into the store's cameras, `NO_CAMERA` (-1) for none.
        image: path of each row's image, relative to the store's image root ("" for none).
        box: person box (left, top, width, height), pixels.
        lineage: of evolved stores.

    Raises:
        ValueError: lengths differ, or neither kind of joints is given, or `visibility` is missing or alone.
    """

    subject: pd.Categorical
    action: pd.Categorical
    frame: Int64[np.ndarray, "rows"]
    joints_3d: Float32[np.ndarray, "rows joints 3"] | None = None
    joints_2d: Float32[np.ndarray, "rows joints 2"] | None = None
    visibility: UInt8[np.ndarray, "rows joints"] | None = None
    camera: Int32[np.ndarray, "rows"] | None = None
    image: Sequence[str] | None = None
    box: Float32[np.ndarray, "rows 4"] | None = None
    lineage: Lineage | None = None

    def __post_init__(self) -> None:
        if self.joints_3d is None and self.joints_2d is None:
            raise ValueError("poses need joints_3d or joints_2d")
        if (self.joints_2d is None) != (self.visibility is None):
            raise ValueError("joints_2d and visibility must be given together")
        for name, value in self._arrays():
            if len(value) != len(self.frame):
                raise ValueError(f"{name} has {len(value)} rows, frame has {len(self.frame)}")

    def __repr__(self) -> str:
        kinds = [name for name in ("joints_3d", "joints_2d") if getattr(self, name) is not None]
        return f"<Poses: {len(self)} of {len(self.subject.unique())} subjects, {' and '.join(kinds)}>"

    @classmethod
    def of_joints(
        cls,
        joints_3d: npt.ArrayLike,
        skeleton: Skeleton,
        *,
        subject: str = "someone",
        action: str = "something",
    ) -> Poses:
        """Poses of one person, numbered in their order.

        Args:
            joints_3d: (poses, joints, 3), mm.
            skeleton: of the joints.
            subject, action: labels of all poses.

        Raises:
            InputError: the array has another shape.
        """
        try:
            joints = np.asarray(joints_3d, np.float32)
        except (TypeError, ValueError):
            joints = np.zeros(0, np.float32)
        if joints.ndim != 3 or joints.shape[1:] != (len(skeleton), 3) or not len(joints):
            raise InputError(
                f"`joints_3d` must be (poses, {len(skeleton)}, 3) millimetres for the skeleton {skeleton.name}, not {np.shape(joints_3d)}"
            )
        rows = len(joints)
        labels = repeated_label(subject, rows), repeated_label(action, rows)
        return cls(*labels, np.arange(rows), joints)

    def __len__(self) -> int:
        return len(self.frame)

    def __getitem__(self, rows: slice | np.ndarray) -> Poses:
        """The chosen rows (a slice, an index array or a boolean mask)."""
        taken = {name: _take(value, rows) for name, value in self._arrays() if "." not in name}
        if self.lineage is not None:
            taken["lineage"] = Lineage(
                **{f.name: _take(getattr(self.lineage, f.name), rows) for f in fields(Lineage)}
            )
        return Poses(**taken)

    def _arrays(self) -> Iterator[tuple[str, Sequence[str] | np.ndarray | pd.Categorical]]:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name == "lineage" and value is not None:
                yield from ((f"lineage.{f.name}", getattr(value, f.name)) for f in fields(Lineage))
            elif value is not None:
                yield entry.name, value

    @staticmethod
    def concatenate(parts: Sequence[Poses]) -> Poses:
        """One after the other; every part must have the same optional columns.

        Raises:
            ValueError: there are no parts, or their columns differ.
        """
        if not parts:
            raise ValueError("nothing to concatenate")
        if len({tuple(name for name, _ in part._arrays()) for part in parts}) > 1:
            raise ValueError("parts have different columns")
        names = [name for name, _ in parts[0]._arrays() if "." not in name]
        joined = {name: _join([getattr(part, name) for part in parts]) for name in names}
        lineages = [part.lineage for part in parts if part.lineage is not None]
        if lineages:
            joined["lineage"] = Lineage(
                **{f.name: _join([getattr(lineage, f.name) for lineage in lineages]) for f in fields(Lineage)}
            )
        return Poses(**joined)


def repeated_label(label: str, rows: int) -> pd.Categorical:
    """A categorical column of `rows` rows that all have the same label."""
    return labelled(np.zeros(rows, np.int32), [label])


def labelled(codes: Int32[np.ndarray, "rows"], labels: Sequence[str]) -> pd.Categorical:
    """One of `labels` per row, given by its index."""
    categories: Any = pd.Index(list(labels), dtype=object)  # pandas-stubs has no index of strings as objects
    return pd.Categorical.from_codes(codes, categories=categories)


def label_each(labels: Sequence[str]) -> pd.Categorical:
    """The labels of rows, one for each."""
    places = {label: place for place, label in enumerate(dict.fromkeys(labels))}
    return labelled(np.array([places[label] for label in labels], np.int32), list(places))


def _take(value: Sequence[str] | np.ndarray | pd.Categorical, rows: slice | np.ndarray):  # type: ignore[no-untyped-def]  # same kind out as in
    if isinstance(value, (np.ndarray, pd.Categorical)):
        return value[rows]
    if isinstance(rows, slice):
        return list(value[rows])
    return list(np.asarray(value, object)[rows])


def _join(values: list):  # type: ignore[no-untyped-def,type-arg]  # same kind out as in
    if isinstance(values[0], pd.Categorical):
        return pd.api.types.union_categoricals(values)
    if isinstance(values[0], np.ndarray):
        return np.concatenate(values)
    return [item for value in values for item in value]
