"""The protocol of an evaluation: which rows of a test store are scored, on which joints, and the words that say so.

Numbers of one lifter on Human3.6M differ by millimetres with the protocol, so that every table of scores carries its own.
What the protocol `h36m` is, read in the code that the published numbers were made with:

- subjects S9 and S11; the mean over the 15 actions of the mean over all poses of an action, of both subjects and all four
  cameras; a sequence belongs to the action that its name begins with, up to the space: "Walking" and "Walking 1" are one
  (VideoPose3D's run.py, `run_evaluation`; SemGCN's main_gcn.py and common/data_utils.py, `fetch`; Martinez et al. 2017, in
  issue 93 of 3d-pose-baseline);
- the root counts among the joints: its error is 0 in MPJPE (P1) and is not after the similarity alignment (P2), which is
  over the scored joints (common/loss.py of both);
- 17 joints (VideoPose3D), or 16 without Neck/Nose, which is Human3.6M's joint 14 of 32 (SemGCN, common/h36m_dataset.py);
- frames: SemGCN and VideoPose3D score all of the 50 a second unless `--downsample` says otherwise, and so did Martinez et
  al. (issues 59 and 83 of 3d-pose-baseline); methods on images score every 5th, 000001, 000006, ... (GraphCMR's and
  MeshGraphormer's lists; Iskakov et al. 2019, who found the difference to be small: issue 44 of
  learnable-triangulation-pytorch). Every 5th is the default here, `every=1` is SemGCN's count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Int64

from evolift.lifter.data.pairs import Pairs
from evolift.lifter.data.split import split_rows
from evolift.lifter.settings import PairSettings, ProtocolSettings, Split
from evolift.posedata.camera import project
from evolift.posedata.errors import InputError
from evolift.posedata.importers.human36m import canonical_action
from evolift.posedata.joint_mapping import UNLABELLED
from evolift.posedata.poses import label_each
from evolift.posedata.skeleton import H36M16, Skeleton

SUBJECTS = ("S9", "S11")
ACTIONS = (
    "Directions",
    "Discussion",
    "Eating",
    "Greeting",
    "Phoning",
    "Photo",
    "Posing",
    "Purchases",
    "Sitting",
    "SittingDown",
    "Smoking",
    "Waiting",
    "WalkDog",
    "Walking",
    "WalkTogether",
)
SEQUENCES = {
    (subject, action): 1 if (subject, action) == ("S11", "Directions") else 2
    for subject in SUBJECTS
    for action in ACTIONS
}
"""Sequences of each: two, but that one of S11's Directions is corrupt and left out by all."""
CAMERAS = 4
"""Of Human3.6M's room."""
EXACT_PIXELS = 1.0
"""2D joints that lie nearer to the projected 3D joints than this, pixels, in the median, are called ground truth."""


@dataclass(frozen=True)
class Protocol:
    """What a table of scores is of, in plain words; the record that stands beside the numbers.

    Args:
        name: "h36m", or "own" for the choices of a user.
        joints: that are scored, in number.
        cameras: that the poses are seen by.
        input_2d: where the 2D joints come from.
        frames: which of a sequence.
        test_set: subjects, actions and sequences, and what they lack of the published ones.
    """

    name: str
    joints: int
    cameras: str
    input_2d: str
    frames: str
    test_set: str

    def columns(self) -> dict[str, Any]:
        """The record as columns of a table of scores."""
        return {
            "protocol": self.name,
            "joints_scored": self.joints,
            "root": "counted",
            "cameras": self.cameras,
            "input_2d": self.input_2d,
            "frames": self.frames,
            "test_set": self.test_set,
        }


def check_pairs(protocol: ProtocolSettings, pairs: PairSettings, poses: int | None) -> None:
    """Refuse ways to see the poses that contradict a published protocol.

    Raises:
        InputError: naming the setting.
    """
    if protocol.protocol is None:
        return
    if pairs.cameras != "store":
        raise InputError(
            f"`cameras` must be store by the `protocol` {protocol.protocol}, not {pairs.cameras}: its numbers are of Human3.6M's own cameras"
        )
    noisy = ("noise", "errors", "missing", "missing_limbs", "swapped", "depth_noise")
    changed = [name for name in noisy if getattr(pairs, name)]
    changed += ["poses"] if poses is not None else []
    if changed:
        raise InputError(
            f"`{changed[0]}` contradicts the `protocol` {protocol.protocol}, which takes all 2D joints as the store has them: leave one of them out"
        )


def scored_skeleton(skeleton: Skeleton, protocol: ProtocolSettings) -> Skeleton:
    """The joints that are scored, some or all of the lifter's.

    Raises:
        InputError: the lifter has other joints than Human3.6M's, or not as many.
    """
    joints = protocol.joints
    if joints is None and protocol.protocol is None:
        return skeleton
    if not set(H36M16.joints) <= set(skeleton.joints) or len(skeleton) > 17:
        raise InputError(
            f"`joints` and `protocol` are of Human3.6M's joints, and the lifter is for {skeleton.name}: leave them out"
        )
    if joints == 17 and len(skeleton) < 17:
        raise InputError(
            f"`joints` cannot be 17: the lifter is for {skeleton.name}, which has 16: leave it out or give 16"
        )
    return H36M16 if joints == 16 else skeleton


def chosen_rows(
    path: Path,
    table: pd.DataFrame,
    protocol: ProtocolSettings,
    *,
    subjects: tuple[str, ...] = (),
    actions: tuple[str, ...] = (),
) -> tuple[Int64[np.ndarray, "rows"], pd.Categorical, str]:
    """Rows of a store that are scored, before frames are left out.

    Args:
        path: of the store, for messages.
        table: of `PoseStore.table`.
        protocol: a published one brings its subjects and actions.
        subjects, actions: only these; actions of a published protocol are named without the number of the sequence.

    Returns:
        Increasing row numbers, the action of every row of the table (sequences of a published protocol merged), and the
        test set in words.

    Raises:
        InputError: a name is not in the store or not of the protocol, or nothing is left.
    """
    if protocol.protocol is None:
        rows, _ = split_rows(table, Split(subjects=subjects, actions=actions, validation_share=0.0), 0)
        names = sorted(table["subject"].iloc[rows].astype(str).unique())
        people = ", ".join(names) if len(names) <= 8 else f"{len(names)} subjects"
        return rows, table["action"].array, f"{people}: {table['action'].iloc[rows].nunique()} actions"
    _check_named("subjects", subjects, SUBJECTS)
    _check_named("actions", actions, ACTIONS)
    sequence = _canonical(table["action"])
    action = label_each([name.split(" ")[0] for name in sequence])
    rows = _published_rows(path, table, action, subjects or SUBJECTS, actions or ACTIONS)
    return rows, action, _published_words(table.iloc[rows], sequence[rows], action[rows])


def _published_rows(
    path: Path,
    table: pd.DataFrame,
    action: pd.Categorical,
    subjects: tuple[str, ...],
    actions: tuple[str, ...],
) -> Int64[np.ndarray, "rows"]:
    """Rows of the subjects and actions, in a store that the protocol can be of."""
    of_subjects = table["subject"].isin(subjects).to_numpy()
    rows = np.flatnonzero(of_subjects & action.isin(list(actions)))
    if not of_subjects.any():
        problem = f"the `protocol` h36m is of the subjects {' and '.join(subjects)}, and it has none of them: give a store of Human3.6M with them"
    elif not len(rows):
        problem = f"none of its poses of the test subjects has one of the actions {', '.join(actions)}, which the `protocol` h36m is a mean over: import it with its actions"
    elif "generation" in table and (table["generation"].iloc[rows] > 0).any():
        problem = (
            "it has evolved poses, and the `protocol` h36m is of real ones: give the store of the test set"
        )
    elif "camera" not in table or (table["camera"].iloc[rows] < 0).any():
        problem = "it does not tell the cameras of its poses, and the `protocol` h36m is of Human3.6M's own: import it with them"
    else:
        return rows
    raise InputError(f"{path}: {problem}")


def _check_named(field: str, names: Sequence[str], known: Sequence[str]) -> None:
    strange = [name for name in names if name not in known]
    if strange:
        raise InputError(
            f"`{field}`: {strange[0]!r} is not of the `protocol` h36m, which has {', '.join(known)}"
        )


def _canonical(actions: pd.Series) -> np.ndarray:
    """The names of sequences as VideoPose3D has them."""
    codes, names = pd.factorize(actions.astype(str))
    return np.array([canonical_action(str(name)) for name in names], object)[codes]


def _published_words(chosen: pd.DataFrame, sequence: np.ndarray, action: pd.Categorical) -> str:
    """The rows of the test set in words, with what is missing of the published one."""
    facts = pd.DataFrame(
        {
            "subject": chosen["subject"].astype(str).to_numpy(),
            "action": action.astype(str),
            "sequence": sequence,
        }
    )
    facts["camera"] = chosen["camera"].to_numpy()
    found = facts.groupby(["subject", "action"])["sequence"].nunique()
    views = facts.groupby("subject")["camera"].nunique()
    missing = [f"all of {subject}" for subject in SUBJECTS if subject not in views]
    for (subject, name), count in SEQUENCES.items():
        there = int(found.get((subject, name), 0))
        if subject in views and there < count:
            missing.append(f"{subject} {name}" + (f" ({there} of {count})" if there else ""))
    words = f"{', '.join(name for name in SUBJECTS if name in views)}: {facts['action'].nunique()} actions"
    words += f" ({int(found.sum())} of the {sum(SEQUENCES.values())} published sequences"
    words += f", without {', '.join(missing)})" if missing else ")"
    few = views[views < CAMERAS]
    return words + "".join(f", {count} of {CAMERAS} cameras of {name}" for name, count in few.items())


def frame_gap(table: pd.DataFrame) -> int | None:
    """The commonest number of frames from one row of a sequence to the next, as one camera sees it; None if none has two."""
    camera = table["camera"].to_numpy() if "camera" in table else np.zeros(len(table), int)
    keys = [
        table["frame"].to_numpy(),
        camera,
        *(table[name].cat.codes.to_numpy() for name in ("action", "subject")),
    ]
    order = np.lexsort(keys)
    frame, *others = (key[order] for key in keys)
    same = np.logical_and.reduce([np.diff(key) == 0 for key in others])
    gaps = np.diff(frame)[same]
    gaps = gaps[gaps > 0]
    if not len(gaps):
        return None
    values, counts = np.unique(gaps, return_counts=True)
    return int(values[counts.argmax()])


def thinned(
    path: Path, table: pd.DataFrame, rows: Int64[np.ndarray, "rows"], every: int | None
) -> tuple[Int64[np.ndarray, "kept"], str]:
    """Rows of every nth frame, counted from the first of their sequence, and that in words.

    The frame numbers decide: rows that a store has of every 5th frame already stay as they are.

    Args:
        path: of the store, for messages.
        table: of `PoseStore.table`.
        rows: among which to choose.
        every: n; None keeps all rows.

    Raises:
        InputError: the store does not have every nth frame.
    """
    chosen = table.iloc[rows]
    gap = frame_gap(chosen)
    stored = "" if gap in (None, 1) else f"; the store has every {_ordinal(gap or 1)}"
    if every is None:
        return rows, f"all rows of the store{stored}"
    if gap is not None and every % gap:
        raise InputError(
            f"{path}: it has every {_ordinal(gap)} frame, of which every {_ordinal(every)} cannot be taken by `every`: import it again with all frames, or with a rate that fits"
        )
    if gap == every:
        return rows, "all frames" if every == 1 else f"every {_ordinal(every)}, as the store has them"
    first = chosen.groupby(["subject", "action"], observed=True)["frame"].transform("min")
    kept = ((chosen["frame"] - first) % every == 0).to_numpy()
    return rows[kept], f"every {_ordinal(every)} by the store's frame numbers"


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 // 10 != 1 else 0, "th")
    return f"{number}{ending}"


def cameras_in_words(pairs: PairSettings, seen: pd.DataFrame) -> str:
    """The cameras that poses were seen by; `seen` are their rows of the store's table."""
    if pairs.cameras == "ring":
        return "four around each pose, as in Human3.6M"
    if pairs.cameras == "random":
        return "a random one for each pose"
    counts = seen.groupby("subject", observed=True)["camera"].nunique()
    few, many = counts.min(), counts.max()
    return f"the store's own, {few if few == many else f'{few} to {many}'} for each subject"


def input_in_words(pairs: PairSettings, seen: Pairs, *, from_store: bool) -> str:
    """Where the 2D joints come from.

    Args:
        pairs: how poses were seen.
        seen: the pairs with their noise.
        from_store: whether the pixels are those of the store, not projected.
    """
    noise = []
    if pairs.noise:
        noise.append(f"gaussian noise of {pairs.noise:g} % of the box")
    if pairs.errors is not None:
        noise.append(f"errors of {Path(pairs.errors).name}")
    if pairs.missing:
        noise.append(f"{100 * pairs.missing:g} % of the joints missing")
    if pairs.missing_limbs:
        noise.append(f"{100 * pairs.missing_limbs:g} % of the limbs missing")
    if pairs.swapped:
        noise.append(f"sides swapped in {100 * pairs.swapped:g} %")
    words = "the store's 2D joints" if from_store else "projected 3D joints (ground truth)"
    if from_store and not noise:
        away = _pixels_from_projection(seen)
        kind = "ground truth" if away < EXACT_PIXELS else "detected"
        words += f" ({kind}: {away:.1f} px from the projected 3D joints in the median)"
    return " with ".join([words, *([" and ".join(noise)] if noise else [])])


def _pixels_from_projection(seen: Pairs) -> float:
    exact = project(seen.joints, seen.cameras.K, seen.cameras.distortion)
    away = torch.linalg.vector_norm(seen.pixels - exact, dim=-1)
    return float(away[(seen.visibility != UNLABELLED) & away.isfinite()].median())


def protocol_lines(scores: pd.DataFrame) -> list[str]:
    """The record in the columns of `evolift.lifter.evaluation.evaluate_lifters` as sentences."""
    first = scores.iloc[0]
    of_inputs = scores.drop_duplicates("checkpoint")
    inputs = [
        f"normalised by {row['normalisation']}, answer {row['answer']}"
        + (", flip test" if row["flip_test"] else "")
        + (", put on the rays of the 2D joints" if row["rays"] else "")
        for _, row in of_inputs.iterrows()
    ]
    if len(set(inputs)) > 1:
        inputs = [f"{name}: {words}" for name, words in zip(of_inputs["checkpoint"], inputs, strict=True)]
    else:
        inputs = inputs[:1]
    published = first["protocol"] != "own"
    lines = (
        [f"Protocol {first['protocol']}: published are the action-wise means of MPJPE (P1) and P-MPJPE (P2)."]
        if published
        else []
    )
    return [
        *lines,
        f"Scored: {first['joints_scored']} joints, the root counted; frames: {first['frames']}; {first['test_set']}.",
        f"Cameras: {first['cameras']}. 2D: {first['input_2d']}; {'; '.join(inputs)}.",
    ]
