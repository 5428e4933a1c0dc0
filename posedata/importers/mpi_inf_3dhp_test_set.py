"""Importer for the test set of MPI-INF-3DHP: `TS1/annot_data.mat` and `TS1/imageSequence/img_000001.jpg`.

The file is MATLAB's HDF5: annot2 (frames, 1, 17, 2) px, annot3 (frames, 1, 17, 3) mm in the camera's frame, valid_frame and
activity_annotation (frames, 1). There is no calibration: focal lengths and principal point are those that make the 3D
joints fall on the 2D ones, by least squares, and a file in which no camera does so is refused. Where the camera stands is not
known, so that the store is in the camera's frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
from jaxtyping import Float64

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, reason_of
from evolift.posedata.hdf5_file import require_sound_file
from evolift.posedata.image_file import read_image_size
from evolift.posedata.importers.image_folder import image_inside, relative_folder
from evolift.posedata.importers.mpi_inf_3dhp import (
    MAX_PIXELS,
    UNLABELLED_JOINTS,
    Mpi3dhpSummary,
    pose_rows,
)
from evolift.posedata.output_file import check_output, sha256_of
from evolift.posedata.plausibility import imported
from evolift.posedata.poses import label_each
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance
from evolift.posedata.store_layout import refuse_links

H36M17_OF_17 = (14, 8, 9, 10, 11, 12, 13, 15, 1, 16, 0, 5, 6, 7, 2, 3, 4)
"""Joints of H36M17 among the 17 of the test set, which are head top, neck, right arm, left arm, right leg, left leg, ...
The last, `head`, stands in the place of the nose and is left out as in the training set."""
_STUDIO, _OUTDOORS = (2048, 2048), (1920, 1080)
SIZES = dict.fromkeys(("TS1", "TS2", "TS3", "TS4"), _STUDIO) | dict.fromkeys(("TS5", "TS6"), _OUTDOORS)


def import_mpi_inf_3dhp_test_set(
    source: Path,
    target: Path,
    *,
    subjects: Sequence[str] | None = None,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> Mpi3dhpSummary:
    """Write a pose store (H36M17, camera frame, 2D, boxes) of the frames that the test set marks as valid.

    Images stay where they are; a sequence whose folder imageSequence is not there makes a store without images, and
    then all must lack it.

    Args:
        source: folder with TS1/annot_data.mat and so on.
        target: the store to write.
        subjects: only these, for example ["TS1"]; None takes all.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store.
        progress: counts sequences.

    Raises:
        InputError: a file is missing or damaged.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[source])
    found = {path.parent.name: path for path in sorted(source.glob("TS*/annot_data.mat"))}
    for subject in [*found, *(subjects or ())]:
        if subject not in SIZES or subject not in found:
            raise InputError(
                f"{source} must hold TS1 to TS6 of the test set, {subject!r} is not one that is there"
            )
    found = {subject: path for subject, path in found.items() if subjects is None or subject in subjects}
    with_images = {subject for subject, path in found.items() if (path.parent / "imageSequence").is_dir()}
    if with_images and len(with_images) < len(found):
        raise InputError(
            f"{source}: {min(set(found) - with_images)} has no folder imageSequence and {min(with_images)} has one: give all or none"
        )
    provenance = Provenance(
        "evolift data import mpi-inf-3dhp",
        {"subjects": None if subjects is None else sorted(subjects)},
        inputs={path.relative_to(source).as_posix(): sha256_of(path) for path in found.values()},
    )
    root = relative_folder(source, target.parent) if with_images else ""
    unmarked = 0
    with PoseStoreWriter(
        target,
        H36M17,
        "camera",
        provenance,
        image_root=root,
        unlabelled=UNLABELLED_JOINTS,
        source=source,
        implausible=imported(implausible),
        overwrite=overwrite,
    ) as writer:
        for subject, path in found.items():
            joints_2d, joints_3d, activities, is_valid = read_test_annotation(path)
            unmarked += int((~is_valid).sum())
            frames = np.flatnonzero(is_valid) + 1
            images = (
                [f"{subject}/imageSequence/img_{frame:06d}.jpg" for frame in frames] if with_images else None
            )
            for image in images or ():
                if not image_inside(source, image, str(path)).is_file():
                    raise InputError(f"{source / image} is missing: download the test set again")
            size = SIZES[subject] if images is None else read_image_size(source / images[0])
            camera = writer.add_camera(
                _fitted_camera(joints_2d[is_valid], joints_3d[is_valid], size, subject, path)
            )
            actions = label_each([f"activity {number}" for number in activities[is_valid]])
            writer.append(
                pose_rows(
                    subject,
                    actions,
                    frames,
                    joints_3d[is_valid],
                    joints_2d[is_valid],
                    camera,
                    images,
                    str(path),
                )
            )
            progress(1, len(found))
        written = len(writer)
    return Mpi3dhpSummary(len(found), written, {}, unmarked, source if with_images else None)


def read_test_annotation(
    path: Path,
) -> tuple[Float64[np.ndarray, "frames 17 2"], Float64[np.ndarray, "frames 17 3"], np.ndarray, np.ndarray]:
    """2D and 3D joints in the order of H36M17, number of the activity, and whether the frame is valid.

    Raises:
        InputError: it is not such a file.
    """
    require_sound_file(path, InputError)
    try:
        with h5py.File(path, "r") as file:
            refuse_links(path, file, InputError)
            held = {
                name: np.asarray(file[name])
                for name in ("annot2", "annot3", "valid_frame", "activity_annotation")
            }
            if any(array.dtype.kind not in "biuf" for array in held.values()):
                raise ValueError("one of them holds no numbers")
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        raise InputError(
            f"{path} is not a MATLAB 7.3 file with annot2, annot3, valid_frame and activity_annotation ({reason_of(error)}): download it again"
        ) from None
    frames = held["valid_frame"].size
    for name, axes in (("annot2", 2), ("annot3", 3)):
        if held[name].size != frames * 17 * axes or held[name].dtype.kind != "f" or not frames:
            raise InputError(
                f"{path}: {name} must be numbers of shape ({frames}, 1, 17, {axes}), it has {held[name].shape}: download it again"
            )
    joints_2d, joints_3d = (
        held[name].reshape(frames, 17, -1)[:, H36M17_OF_17].astype(np.float64)
        for name in ("annot2", "annot3")
    )
    is_valid = held["valid_frame"].reshape(-1) > 0
    if not (np.isfinite(joints_2d[is_valid]).all() and np.isfinite(joints_3d[is_valid]).all()):
        raise InputError(f"{path}: a joint of a valid frame is not finite: download it again")
    if not np.isin(held["activity_annotation"], np.arange(256)).all():
        raise InputError(f"{path}: activity_annotation must be whole numbers: download it again")
    if not is_valid.any() or held["activity_annotation"].size != frames:
        raise InputError(f"{path} has no valid frames, or no activity for each: download it again")
    return joints_2d, joints_3d, held["activity_annotation"].reshape(-1).astype(int), is_valid


def _fitted_camera(
    joints_2d: np.ndarray, joints_3d: np.ndarray, size: tuple[int, int], name: str, path: Path
) -> Camera:
    r"""Focal lengths and principal point that minimise :math:`\sum (f_x x + c_x z - u z)^2`, likewise for y."""
    depth = joints_3d[..., 2].reshape(-1)
    K = np.eye(3)
    for axis in (0, 1):
        along = np.stack([joints_3d[..., axis].reshape(-1), depth], 1)
        K[axis, [axis, 2]] = np.linalg.lstsq(along, joints_2d[..., axis].reshape(-1) * depth)[0]
    distance = np.inf
    if (np.diag(K) > 0).all():
        camera = Camera(K, *size, name=name)
        distance = float(np.median(np.linalg.norm(camera.project(joints_3d) - joints_2d, axis=-1)))
    if not distance <= MAX_PIXELS:
        raise InputError(
            f"{path}: no camera sees its 3D joints where its 2D joints are ({distance:.0f} px): download it again"
        )
    return camera
