"""Importer for MPII Human Pose (Andriluka et al., CVPR 2014): its own .mat file, or the .json that many trainings use.

`mpii_human_pose_v1_u12_1.mat` has a struct RELEASE: annolist (image.name, annorect: one per person, with scale, objpos and
annopoints.point: id, x, y, is_visible), img_train (1 where the joints are given), act (act_name). `train.json` and
`valid.json` of human-pose-estimation.pytorch are a list of people: image, center, scale, joints (16 times x, y) and
joints_vis (1 where a joint is labelled).

Both count pixels from 1, as MATLAB does; here the first one is 0. `scale` times 200 px is about a person's height; the box is
the square that the field's trainings use: its centre 15 px times scale below `center`, its side 1.25 times 200 px times
scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evolift.posedata.checked_json import expect, number, number_table
from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.importers.image_folder import relative_folder
from evolift.posedata.importers.joint_boxes import MIN_JOINTS
from evolift.posedata.importers.json_stream import stream_json_list
from evolift.posedata.importers.labelled_people import LabelledPerson, append_people
from evolift.posedata.joint_mapping import HIDDEN, UNLABELLED, VISIBLE, mapping_between
from evolift.posedata.mat_file import read_mat
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.plausibility import imported
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import MPII16, Skeleton
from evolift.posedata.store import PoseStoreWriter, Provenance

SCALE_PIXELS = 200.0
BOX_PADDING = 1.25
BOX_SHIFT = 15.0
_JOINTS = len(MPII16)


@dataclass(frozen=True)
class MpiiSummary:
    """What `import_mpii` did.

    Args:
        people, images: written.
        bare: people left out because they have too few labelled joints or no scale.
        unlabelled: images of the .mat file's test set, whose joints are not given out.
    """

    people: int
    images: int
    bare: int
    unlabelled: int


class _Counts:
    def __init__(self) -> None:
        self.bare = 0
        self.unlabelled = 0


def import_mpii(
    source: Path,
    images: Path,
    target: Path,
    *,
    skeleton: Skeleton,
    min_joints: int = MIN_JOINTS,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> MpiiSummary:
    """Write a pose store (2D joints) with a row for each person; images stay where they are.

    Args:
        source: the .mat or a .json file.
        images: folder of the images.
        target: the store to write.
        skeleton: MPII16, or one that it is mapped to.
        min_joints: labelled joints of 16 that a person needs to be taken.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store.
        progress: counts images that have been looked at.

    Raises:
        InputError: the file is damaged or not of one of the layouts, or an image is missing.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[source, images])
    counts = _Counts()
    people = (
        _people_of_mat(source, counts) if source.suffix.lower() == ".mat" else _people_of_json(source, counts)
    )
    provenance = Provenance(
        "evolift data import mpii",
        {"skeleton": skeleton.name, "min_joints": min_joints},
        inputs={source.name: sha256_of(source)},
    )
    root = relative_folder(images, target.parent)
    with PoseStoreWriter(
        target,
        skeleton,
        "none",
        provenance,
        image_root=root,
        source=source,
        implausible=imported(implausible),
        overwrite=overwrite,
    ) as writer:
        image_count = append_people(
            writer,
            _with_enough_joints(people, min_joints, counts),
            mapping_between(MPII16, skeleton),
            "mpii",
            images,
            progress,
            source=source,
        )
        writer.check_plausibility()
        written = len(writer)
        if not written:
            raise InputError(
                f"{source} has no person with {min_joints} labelled joints: give another file, or fewer by `min_joints`"
            )
    return MpiiSummary(written, image_count, counts.bare, counts.unlabelled)


def _with_enough_joints(
    people: Iterator[LabelledPerson], min_joints: int, counts: _Counts
) -> Iterator[LabelledPerson]:
    for one in people:
        if (one.visibility > UNLABELLED).sum() < min_joints:
            counts.bare += 1
        else:
            yield one


def _box(x: float, y: float, scale: float) -> np.ndarray:
    """Of a centre (pixels from 0) and a scale."""
    side = BOX_PADDING * SCALE_PIXELS * scale
    return np.array([x - side / 2, y + BOX_SHIFT * scale - side / 2, side, side])


def _people_of_json(source: Path, counts: _Counts) -> Iterator[LabelledPerson]:
    for place, entry in enumerate(stream_json_list(source)):
        where = f"{source}: [{place}]"
        expect(entry, dict, where)
        if "joints" not in entry:
            raise InputError(
                f"{where} has no joints: the test set's are not given out, give train.json or valid.json"
            )
        joints = number_table(entry["joints"], 2, f"{where}.joints")
        flags = number_table([entry.get("joints_vis")], _JOINTS, [f"{where}.joints_vis"])[0]
        centre = number_table([entry.get("center")], 2, [f"{where}.center"])[0]
        scale = number(entry.get("scale"), f"{where}.scale")
        if len(joints) != _JOINTS:
            raise InputError(
                f"{where}.joints must be {_JOINTS}, they are {len(joints)}: give a .json of MPII"
            )
        if not np.isin(flags, (0, 1)).all():
            raise InputError(f"{where}.joints_vis must be 0 or 1: give a .json of MPII")
        visibility = np.where(flags == 1, VISIBLE, UNLABELLED).astype(np.uint8)
        if not (np.isfinite(joints[flags == 1]).all() and np.isfinite([*centre, scale]).all()):
            raise InputError(f"{where}: a number is not finite: download it again")
        if scale <= 0:
            counts.bare += 1
            continue
        image = expect(entry.get("image"), str, f"{where}.image")
        yield LabelledPerson(
            image, place + 1, "photograph", joints - 1, visibility, _box(centre[0] - 1, centre[1] - 1, scale)
        )


def _people_of_mat(source: Path, counts: _Counts) -> Iterator[LabelledPerson]:
    release = _release(source)
    images, is_train = _listed(release.annolist), np.ravel(release.img_train)
    acts = _listed(getattr(release, "act", []))
    for place, (image, given) in enumerate(zip(images, is_train, strict=True), start=1):
        if not given:
            counts.unlabelled += 1
            continue
        where = f"{source}: annolist({place})"
        try:
            name = str(image.image.name)
            action = str(acts[place - 1].act_name) if len(acts) == len(images) else ""
            for rect in _listed(image.annorect):
                person = _person_of_rect(rect, name, place, action or "unknown")
                if person is None:
                    counts.bare += 1
                else:
                    yield person
        except (AttributeError, TypeError, ValueError, IndexError) as error:
            raise InputError(
                f"{where} is not as MPII's are ({reason_of(error)}): download it again"
            ) from None


def _release(source: Path) -> Any:
    try:
        release = read_mat(source, ("RELEASE",), squeeze=True)["RELEASE"]
        if len(_listed(release.annolist)) != np.size(release.img_train):
            raise ValueError("annolist and img_train differ in length")
        if np.asarray(release.img_train).dtype.kind not in "biuf":
            raise ValueError("img_train is no list of numbers")
    except (KeyError, AttributeError, ValueError) as error:
        raise InputError(
            f"{source} is not MPII's .mat file with a struct RELEASE ({reason_of(error)}): download it again"
        ) from None
    return release


def _listed(value: Any) -> list[Any]:
    """Entries of a struct array, which scipy gives as one struct if there is one, and as an empty array if there is none."""
    return (
        list(value.ravel())
        if isinstance(value, np.ndarray)
        else list(value)
        if isinstance(value, list)
        else [value]
    )


def _person_of_rect(rect: Any, image: str, number: int, action: str) -> LabelledPerson | None:
    """None if it has no joints, or no scale and centre."""
    points = _listed(getattr(getattr(rect, "annopoints", None), "point", []))
    scale, centre = getattr(rect, "scale", None), getattr(rect, "objpos", None)
    if not points or scale is None or np.size(scale) != 1 or centre is None or not hasattr(centre, "x"):
        return None
    joints, visibility = np.zeros((_JOINTS, 2)), np.zeros(_JOINTS, np.uint8)
    for point in points:
        joint = int(point.id)
        if not 0 <= joint < _JOINTS:
            raise ValueError(f"a joint has the number {joint}")
        joints[joint] = float(point.x) - 1, float(point.y) - 1
        visibility[joint] = _visibility(getattr(point, "is_visible", None))
    box = _box(float(centre.x) - 1, float(centre.y) - 1, float(scale))
    if not (np.isfinite(joints).all() and np.isfinite(box).all()):
        raise ValueError("a number is not finite")
    return LabelledPerson(image, number, action, joints, visibility, box) if box[2] > 0 else None


def _visibility(flag: Any) -> int:
    """It is a number, a text, or empty: joints of the head have none and count as visible."""
    if flag is None or np.size(flag) == 0:
        return VISIBLE
    return VISIBLE if int(flag) == 1 else HIDDEN
