"""What a user's own keypoint names mean: a small file that maps them to the joints of a built-in skeleton.

The file is JSON::

    {"skeleton": "H36M17", "joints": {"hip_l": "left_hip", "hip_r": "right_hip", ...}}

Names that it does not mention are left out; joints that no name maps to are unlabelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from evolift.posedata.checked_json import expect, read_json
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import SKELETONS, Skeleton, skeleton_by_name


@dataclass(frozen=True)
class NameMapping:
    """Names of a source -> joints of a skeleton.

    Raises:
        InputError: a joint is not the skeleton's, or two names map to one joint.
    """

    skeleton: Skeleton
    joints: dict[str, str]

    def __post_init__(self) -> None:
        for joint in self.joints.values():
            self.skeleton.index(joint)
        taken = list(self.joints.values())
        twice = next((joint for joint in taken if taken.count(joint) > 1), None)
        if twice is not None:
            raise InputError(f"two names are mapped to {twice!r}")

    def arranged(
        self, names: Sequence[str], values: Float[np.ndarray, "rows names axes"]
    ) -> Float[np.ndarray, "rows joints axes"]:
        """Values in the order of the skeleton's joints, NaN where no name maps to one."""
        arranged = np.full((len(values), len(self.skeleton), values.shape[2]), np.nan)
        for number, name in enumerate(names):
            if name in self.joints:
                arranged[:, self.skeleton.index(self.joints[name])] = values[:, number]
        return arranged


def read_name_mapping(path: Path) -> NameMapping:
    """The mapping of a file.

    Raises:
        InputError: it is damaged, or maps to joints that are not there.
    """
    values = expect(read_json(path), dict, str(path))
    skeleton = skeleton_by_name(expect(values.get("skeleton"), str, f"{path}: skeleton"))
    joints = expect(values.get("joints"), dict, f"{path}: joints")
    for name, joint in joints.items():
        expect(joint, str, f"{path}: joints.{name}")
    try:
        return NameMapping(skeleton, joints)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def mapping_of_names(names: Sequence[str], where: str, skeleton: Skeleton | None = None) -> NameMapping:
    """The mapping of names that are a skeleton's own already.

    Args:
        names: of the source.
        where: the file, for messages.
        skeleton: theirs, if known; else the only one that has all the names.

    Raises:
        InputError: no skeleton or several have the names; the message asks for `mapping` or `skeleton`.
    """
    known = [skeleton] if skeleton is not None else list(SKELETONS.values())
    exact = [s for s in known if set(s.joints) == set(names)]
    fitting = exact or [s for s in known if set(names) <= set(s.joints)]
    if len(fitting) == 1:
        return NameMapping(fitting[0], {name: name for name in names})
    if fitting:
        raise InputError(
            f"{where}: its joints fit {' and '.join(s.name for s in fitting)}: say which with `skeleton`"
        )
    lacking = sorted(set(names) - set(skeleton.joints)) if skeleton is not None else sorted(names)
    whose = "no skeleton has the joints" if skeleton is None else f"skeleton {skeleton.name} lacks the joints"
    raise InputError(f"{where}: {whose} {', '.join(lacking)}: say what they mean with `mapping` FILE")
