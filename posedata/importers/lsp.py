"""Importer for the Leeds Sports Pose photographs: LSP (2,000) and its extended training set LSPET (10,000).

The two archives differ in more than the order of their axes. LSPET's third value says whether a joint is visible;
without it the coordinates may be meaningless, so such joints count as unlabelled. LSP's third value says whether a
joint is occluded; its coordinates are good all the same.

References: Johnson & Everingham, BMVC 2010 (LSP) and CVPR 2011 (LSPET).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Float32, UInt8

from evolift.posedata.errors import InputError
from evolift.posedata.importers.image_folder import (
    check_image,
    image_inside,
    new_image_folder,
    relative_folder,
)
from evolift.posedata.importers.joint_boxes import joint_boxes
from evolift.posedata.importers.source_files import SourceFiles
from evolift.posedata.joint_mapping import HIDDEN, UNLABELLED, VISIBLE, mapping_between
from evolift.posedata.mat_file import parse_mat
from evolift.posedata.output_file import check_output
from evolift.posedata.plausibility import imported
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.skeleton import H36M17, LSP14
from evolift.posedata.store import PoseStoreWriter, Provenance

_SUBJECTS = {"LSP": "lsp", "LSPET": "lspet"}
_IMAGE_NAME = re.compile(r"im(\d+)\.(jpe?g|png)$", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class LspAnnotation:
    """What `joints.mat` holds, in the order of the image numbers.

    Args:
        variant: "LSP" or "LSPET".
        joints: LSP14, pixels; 0 where unlabelled.
        visibility: 0 unlabelled, 1 labelled but hidden, 2 visible.
    """

    variant: str
    joints: Float32[np.ndarray, "images 14 2"]
    visibility: UInt8[np.ndarray, "images 14"]

    def boxes(self) -> tuple[Float32[np.ndarray, "images 4"], Bool[np.ndarray, "images"]]:
        """Boxes around the labelled joints, and which of them are of use."""
        return joint_boxes(self.joints, self.visibility)


@dataclass(frozen=True)
class LspSummary:
    """What `import_lsp` did.

    Args:
        variant: "LSP" or "LSPET".
        poses: written.
        left_out: photographs with too few labelled joints, or all of them in one line of pixels.
        images: folder that the store's image paths are relative to.
    """

    variant: str
    poses: int
    left_out: int
    images: Path


def import_lsp(
    source: Path,
    target: Path,
    *,
    first: int = 1,
    last: int | None = None,
    implausible: bool = False,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> LspSummary:
    """Write a pose store (2D joints, H36M17) from LSP or LSPET.

    From a zip, the photographs go into the folder `<target stem>_images` beside the store; from a folder, they
    stay where they are and the store refers to them.

    Args:
        source: the zip as downloaded, or a folder; holds `joints.mat` and `images/im00001.jpg` and so on.
        target: the store to write.
        first, last: image numbers, from 1, both included; None is the last that there is.
        implausible: accept poses that do not look like people's in millimetres with z up, rows of no sense among them; these
            rows are left out otherwise (`evolift.posedata.plausibility`).
        overwrite: replace an existing store and its folder of photographs.
        progress: counts photographs.

    Raises:
        InputError: a file is missing or damaged, or there are no such numbers.
        OutputError: the target exists or cannot be written.
    """
    check_output(target, overwrite=overwrite, inputs=[source])
    with SourceFiles(source) as files:
        annotation_name, annotation = _read_annotation(files)
        last = len(annotation.joints) if last is None else last
        if not 1 <= first <= last <= len(annotation.joints):
            raise InputError(
                f"{source} has the images 1 to {len(annotation.joints)}: first {first} and last {last} do not fit"
            )
        images = _images(files, first, last)
        _, is_usable = annotation.boxes()
        chosen = [number for number in images if is_usable[number - 1]]
        provenance = Provenance(
            "evolift data import lsp",
            {"first": first, "last": last},
            inputs=files.hashes([annotation_name, *images.values()]),
        )
        folder = target.with_name(f"{target.stem}_images") if files.is_archive else source
        image_root = folder.name if files.is_archive else relative_folder(folder, target.parent)
        writer = PoseStoreWriter(
            target,
            H36M17,
            "none",
            provenance,
            image_root=image_root,
            source=source,
            implausible=imported(implausible),
            overwrite=overwrite,
        )
        with writer:
            kept = new_image_folder(folder, writer, overwrite=overwrite) if files.is_archive else None
            for number, name in images.items():
                if not files.is_archive:
                    image_inside(source, name, str(source))
                data = files.read(name)
                check_image(data, files.label(name))
                if kept is not None and is_usable[number - 1]:
                    (kept / PurePosixPath(name).name).write_bytes(data)
                progress(1, len(images))
            names = [images[number] for number in chosen]
            paths = [PurePosixPath(name).name for name in names] if files.is_archive else names
            if chosen:
                writer.append(_rows(annotation, np.array(chosen), paths))
            writer.check_plausibility()
    return LspSummary(annotation.variant, len(writer), len(images) - len(chosen), folder)


def parse_annotation(data: bytes, label: str) -> LspAnnotation:
    """Read `joints.mat` of LSP (3x14xN) or LSPET (14x3xN); which of them is told by the shape.

    Args:
        data: bytes of the file.
        label: what to call it in messages.

    Raises:
        InputError: it is not a MATLAB file of one of the two forms, or a labelled joint is not finite.
    """
    values = parse_mat(data, label, ("joints",)).get("joints")
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        raise InputError(f"{label} is not a MATLAB file with a matrix 'joints': download it again")
    values = values.astype(np.float64)
    shape = values.shape
    if len(shape) != 3 or shape[:2] not in ((14, 3), (3, 14)) or shape[2] == 0:
        raise InputError(
            f"{label}: 'joints' must be 14x3xN (LSPET) or 3x14xN (LSP), it is {'x'.join(map(str, shape))}"
        )
    variant = "LSPET" if shape[0] == 14 else "LSP"
    values = values.transpose(2, 0, 1) if variant == "LSPET" else values.transpose(2, 1, 0)
    flag = values[..., 2]
    if not np.isin(flag, (0, 1)).all():
        raise InputError(f"{label}: the third value of a joint must be 0 or 1: download it again")
    if variant == "LSPET":
        visibility = np.where(flag == 1, VISIBLE, UNLABELLED)
    else:
        visibility = np.where(flag == 1, HIDDEN, VISIBLE)
    joints = np.where(visibility[..., None] == UNLABELLED, 0, values[..., :2])
    strange = ~np.isfinite(joints).all((1, 2))
    if strange.any():
        raise InputError(
            f"{label}: image {int(strange.argmax()) + 1} has a labelled joint that is not finite"
        )
    return LspAnnotation(variant, joints.astype(np.float32), visibility.astype(np.uint8))


def _read_annotation(files: SourceFiles) -> tuple[str, LspAnnotation]:
    names = [name for name in files.with_ending(".mat") if PurePosixPath(name).name == "joints.mat"]
    if len(names) != 1:
        raise InputError(
            f"{files.path} holds {len(names)} files joints.mat, one is needed: give the folder or zip of LSP or LSPET"
        )
    return names[0], parse_annotation(files.read(names[0]), files.label(names[0]))


def _images(files: SourceFiles, first: int, last: int) -> dict[int, str]:
    """Image number -> name in the source, in the order of the numbers."""
    found = {
        int(match[1]): name for name in files.names if (match := _IMAGE_NAME.match(PurePosixPath(name).name))
    }
    wanted = range(first, last + 1)
    missing = [number for number in wanted if number not in found]
    if missing:
        raise InputError(
            f"{files.path} lacks {len(missing)} of the images {first} to {last}, first im{missing[0]:05d}.jpg: download it again"
        )
    return {number: found[number] for number in wanted}


def _rows(annotation: LspAnnotation, numbers: np.ndarray, paths: list[str]) -> Poses:
    boxes, _ = annotation.boxes()
    rows = numbers - 1
    joints, visibility = mapping_between(LSP14, H36M17).convert(
        annotation.joints[rows], annotation.visibility[rows]
    )
    return Poses(
        repeated_label(_SUBJECTS[annotation.variant], len(rows)),
        repeated_label("sport", len(rows)),
        numbers.astype(np.int64),
        joints_2d=joints,
        visibility=visibility,
        image=paths,
        box=boxes[rows],
    )
