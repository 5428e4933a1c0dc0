"""Which rows of a pose store train a lifter, and which validate it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from evolift.lifter.settings import Split
from evolift.posedata.errors import InputError
from evolift.posedata.seeds import numpy_generator_at


def split_rows(
    table: pd.DataFrame, split: Split, seed: int
) -> tuple[Int64[np.ndarray, "training"], Int64[np.ndarray, "validation"]]:
    """Row numbers for training and for validation.

    Rows of the validation subjects and of the validation actions validate. If neither is given, clips drawn at random are
    held out until they have at least the validation share of the rows. Never a part of a clip, which is all rows of one
    subject and one action: neighbouring frames are nearly the same pose.

    Evolved rows (generation above 0) never validate, and those that descend from a row that may not train (held out, or
    of another subject or action than asked for) do not train either.

    Args:
        table: of `PoseStore.table`.
        split: which rows.
        seed: of the draw of clips.

    Raises:
        InputError: a named subject or action is not in the table, or no row is left for training.
    """
    used = _named(table, "subject", split.subjects) & _named(table, "action", split.actions)
    bred = table["generation"].to_numpy() > 0 if "generation" in table else np.zeros(len(table), bool)
    held_out = _held_out(table, split, used & ~bred, seed) & used
    validation = held_out & ~bred
    training = used & ~held_out & ~_descendants(table, ~bred & ~(used & ~held_out))
    if not training.any():
        raise InputError("no poses are left for training: choose other subjects, actions or validation clips")
    return np.flatnonzero(training), np.flatnonzero(validation)


def _held_out(
    table: pd.DataFrame, split: Split, candidates: Bool[np.ndarray, "rows"], seed: int
) -> Bool[np.ndarray, "rows"]:
    if split.validation_subjects or split.validation_actions:
        held_out = np.zeros(len(table), bool)
        if split.validation_subjects:
            held_out |= _named(table, "subject", split.validation_subjects)
        if split.validation_actions:
            held_out |= _named(table, "action", split.validation_actions)
        return held_out
    clip = table.groupby(["subject", "action"], observed=True, sort=True).ngroup().to_numpy()
    sizes = np.bincount(clip[candidates], minlength=clip.max() + 1)
    clips = np.flatnonzero(sizes)
    wanted = split.validation_share * sizes.sum()
    if wanted == 0 or len(clips) < 2:
        return np.zeros(len(table), bool)
    order = numpy_generator_at(seed).permutation(clips)[:-1]  # one clip always stays for training
    count = int(np.searchsorted(np.cumsum(sizes[order]), wanted)) + 1
    drawn: np.ndarray = np.isin(clip, order[:count]) & candidates
    return drawn


def _named(table: pd.DataFrame, column: str, names: tuple[str, ...]) -> Bool[np.ndarray, "rows"]:
    if not names:
        return np.ones(len(table), bool)
    known = {str(name) for name in table[column].cat.categories}
    unknown = sorted(set(names) - known)
    if unknown:
        raise InputError(f"there is no {column} {unknown[0]!r}: the store has {', '.join(sorted(known))}")
    named: np.ndarray = table[column].isin(names).to_numpy()
    return named


def _descendants(table: pd.DataFrame, of: Bool[np.ndarray, "rows"]) -> Bool[np.ndarray, "rows"]:
    """Rows with an ancestor among `of`."""
    if "generation" not in table or not of.any():
        return np.zeros(len(table), bool)
    generation = table["generation"].to_numpy()
    parents = [table[name].to_numpy() for name in ("parent_a", "parent_b")]
    is_descendant = of.copy()
    # Parents are of an earlier generation, so one pass by generation reaches all.
    for number in range(1, int(generation.max()) + 1):
        rows = np.flatnonzero(generation == number)
        for parent in parents:
            has_parent = rows[parent[rows] >= 0]
            is_descendant[has_parent] |= is_descendant[parent[has_parent]]
    is_descendant &= ~of
    return is_descendant
