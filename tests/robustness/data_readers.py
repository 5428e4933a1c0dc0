"""The readers of other people's data, each with a small sound file: importers, keypoints of detectors, images, videos."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from evolift.posedata.skeleton import COCO17, MPII16
from tests.robustness.readers import Bodies, Sample, imported, reader
from tests.robustness.verdicts import PIXELS, nonsense_of


@reader("CMU clips")
def _amc(folder: Path, bodies: Bodies) -> Sample:
    return _cmu(folder, "01_01.amc")


@reader("CMU skeleton")
def _asf(folder: Path, bodies: Bodies) -> Sample:
    return _cmu(folder, "01.asf")


def _standing_still(text: str) -> str:
    """In place of a clip: the rest pose of the skeleton, 8 frames."""
    from tests.posedata.acclaim_files import BONES, amc_text

    values = {"root": np.tile([0.0, 17, 0, 0, 0, 0], (8, 1))}
    return amc_text(
        values | {name: np.zeros((8, len(dof.split()))) for name, (*_, dof) in BONES.items() if dof}
    )


def _cmu(folder: Path, name: str) -> Sample:
    from evolift.posedata.importers.cmu_asfamc import import_cmu
    from tests.posedata.acclaim_files import write_database

    source = write_database(folder / "cmu", {"01_01": 8}, _standing_still)
    path = next(source.rglob(name))
    return imported(
        path,
        lambda target: import_cmu(source, target, overwrite=True),
        folder,
        "words",
        "01_01",
        "01.asf",
        "cmu",
    )


@reader("CMU zip")
def _cmu_zip(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.importers.cmu_asfamc import import_cmu
    from tests.posedata.acclaim_files import write_database, zipped

    path = zipped(
        write_database(folder / "cmu", {"01_01": 8, "02_01": 8}, _standing_still), folder / "cmu.zip"
    )
    return imported(
        path, lambda target: import_cmu(path, target, overwrite=True), folder, "zip", ".asf", ".amc"
    )


@reader("BVH")
def _bvh(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.importers.bvh import import_bvh
    from tests.posedata.one_person import bvh_text

    path = folder / "walk.bvh"
    head, _, frame = bvh_text().replace("Frames: 1", "Frames: 6").rstrip("\n").rpartition("\n")
    path.write_text("\n".join([head, *[frame] * 6, ""]))
    return imported(path, lambda target: import_bvh(path, target, overwrite=True), folder, "words")


@reader("BVH zip")
def _bvh_zip(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.importers.bvh import import_bvh
    from tests.posedata.one_person import bvh_text

    path = folder / "walks.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.bvh", "b.bvh"):
            archive.writestr(name, bvh_text())
    return imported(
        path, lambda target: import_bvh(path, target, overwrite=True), folder, "zip", "a.bvh", "b.bvh"
    )


@reader("BVH names")
def _bvh_names(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.importers.bvh import import_bvh
    from tests.posedata.importers.test_bvh import NAMES, bvh_text, random_motion

    path, motion = folder / "names.json", folder / "walk.bvh"
    path.write_text(json.dumps(NAMES))
    motion.write_text(bvh_text(random_motion(6, rotation=3.0)))

    def take(target: Path) -> None:
        import_bvh(motion, target, names=path, unit="cm", up="y", mirrored=False, overwrite=True)

    return imported(path, take, folder, "json", "walk.bvh")


@reader("SMPL npz")
def _smpl(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.importers.smpl_joints import import_smpl_joints
    from tests.posedata.importers.test_smpl_joints import write_amass

    path = write_amass(folder / "amass" / "walk.npz", bodies.standing, 8, pose_hand=0, mojo_verts=0)
    return imported(path, lambda target: import_smpl_joints(path, target, overwrite=True), folder, "npz")


@reader("SMPL npy")
def _smpl_npy(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.importers.smpl_joints import import_smpl_joints
    from tests.posedata.importers.test_smpl_joints import smpl_joints

    path = folder / "walk.npy"
    np.save(path, smpl_joints(8, bodies.standing))
    return imported(
        path, lambda target: import_smpl_joints(path, target, rate=30, overwrite=True), folder, "npy"
    )


def _videopose3d(is_2d: bool) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.posedata.importers.videopose3d import import_videopose3d
        from tests.posedata.human36m_files import walking
        from tests.posedata.importers import test_videopose3d as files

        positions = {
            "S1": {
                "Directions 1": walking(4, bodies.standing) / 1000,
                "Photo": walking(3, bodies.standing, 1) / 1000,
            }
        }
        path_3d = files.write_3d(folder, positions)
        table = files.seen_2d(positions, files.true_joints)
        path_2d = files.write_2d(folder, metadata=files.H36M_METADATA, table=table)
        path = path_2d if is_2d else path_3d
        sources = [path_3d, path_2d]
        return imported(
            path,
            lambda target: import_videopose3d(sources, target, overwrite=True),
            folder,
            "npz",
            path_3d.name,
            path_2d.name,
        )

    return make


reader("VideoPose3D 3D")(_videopose3d(False))
reader("VideoPose3D 2D")(_videopose3d(True))


def _mmpose(name: str, format: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.posedata.importers.mmpose_npz import import_mmpose
        from tests.posedata.importers import test_mmpose_npz as files

        source = files.write_mmpose(folder, files.mmpose_arrays(folder, bodies.standing))
        cameras = files.write_cameras(folder)

        def take(target: Path) -> None:
            import_mmpose(source, target, cameras=cameras, overwrite=True)

        return imported(folder / name, take, folder, format, source.name)

    return make


reader("MMPose npz")(_mmpose("h36m_train.npz", "npz"))
reader("MMPose cameras.pkl")(_mmpose("cameras.pkl", "pickle"))


def _human36m(name: str, format: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        pytest.importorskip("cdflib")
        from evolift.posedata.importers.human36m_cdf import import_human36m
        from tests.posedata.human36m_files import walking, write_metadata
        from tests.posedata.importers.test_human36m_cdf import write_cdf

        source, metadata = folder / "h36m", write_metadata(folder)
        place = source / "S1" / "MyPoseFeatures" / "D3_Positions"
        write_cdf(place / "Photo.cdf", walking(4, bodies.standing).reshape(-1, 96))

        def take(target: Path) -> None:
            import_human36m(source, target, metadata=metadata, overwrite=True)

        return imported(folder / name, take, folder, format, metadata.name, "Photo.cdf")

    return make


reader("Human3.6M CDF")(_human36m("h36m/S1/MyPoseFeatures/D3_Positions/Photo.cdf", "cdf"))
reader("Human3.6M metadata.xml")(_human36m("metadata.xml", "xml"))


def _pose_baseline(name: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.posedata.importers.pose_baseline import import_pose_baseline
        from tests.posedata.human36m_files import write_pose_baseline

        source = write_pose_baseline(folder, bodies.standing, sequences={"S1": {"Photo": 4}})
        return imported(
            source / name,
            lambda target: import_pose_baseline(source, target, overwrite=True),
            folder,
            "hdf5",
            "Photo.",
        )

    return make


reader("3d-pose-baseline poses")(_pose_baseline("S1/MyPoses/3D_positions/Photo.h5"))
reader("3d-pose-baseline detections")(_pose_baseline("S1/StackedHourglass/Photo.54138969.h5"))
reader("3d-pose-baseline cameras")(_pose_baseline("cameras.h5"))


def _mpi_inf_3dhp(name: str, format: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.posedata.importers.mpi_inf_3dhp import import_mpi_inf_3dhp
        from tests.posedata.importers.test_mpi_inf_3dhp import people, write_sequence

        place = write_sequence(folder / "3dhp" / "S1" / "Seq1", people(3, bodies.standing))

        def take(target: Path) -> None:
            import_mpi_inf_3dhp(folder / "3dhp", target, cameras=("0", "1"), overwrite=True)

        return imported(place / name, take, folder, format, "annot.mat", "camera.calibration")

    return make


reader("MPI-INF-3DHP annot.mat")(_mpi_inf_3dhp("annot.mat", "mat"))
reader("MPI-INF-3DHP calibration")(_mpi_inf_3dhp("camera.calibration", "words"))


@reader("MPI-INF-3DHP test set")
def _mpi_inf_3dhp_test_set(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.importers.mpi_inf_3dhp_test_set import import_mpi_inf_3dhp_test_set
    from tests.posedata.importers.test_mpi_inf_3dhp import people, write_test_set

    write_test_set(folder / "test", people(4, bodies.standing))
    path = folder / "test" / "TS1" / "annot_data.mat"
    return imported(
        path,
        lambda target: import_mpi_inf_3dhp_test_set(folder / "test", target, overwrite=True),
        folder,
        "hdf5",
        "TS1",
    )


@reader("COCO annotations")
def _coco(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.importers.coco import import_coco
    from tests.posedata.importers.test_coco import write_coco

    path = write_coco(folder)
    return imported(
        path,
        lambda target: import_coco(path, folder / "val2017", target, skeleton=COCO17, overwrite=True),
        folder,
        "json",
        "0000000",
    )


def _mpii(suffix: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.posedata.importers.mpii import import_mpii
        from tests.posedata.importers.test_mpii import IMAGES, write_json, write_mat

        path = write_mat(folder) if suffix == "mat" else write_json(folder)
        return imported(
            path,
            lambda target: import_mpii(path, folder / "images", target, skeleton=MPII16, overwrite=True),
            folder,
            suffix,
            *IMAGES,
            "images",
        )

    return make


reader("MPII json")(_mpii("json"))
reader("MPII mat")(_mpii("mat"))


@reader("LSP mat")
def _lsp(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.importers.lsp import import_lsp
    from tests.posedata.importers.test_lsp import annotation, write_dataset

    source = write_dataset(folder / "lspet", annotation(5))
    return imported(
        source / "joints.mat",
        lambda target: import_lsp(source, target, overwrite=True),
        folder,
        "mat",
        "lspet",
        "im0",
    )


def _voc(name: str, format: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.detector2d.voc_objects import voc_occluders

        root = folder / "VOC2012"
        for place in ("Annotations", "JPEGImages", "SegmentationObject"):
            (root / place).mkdir(parents=True)
        numbers = np.zeros((120, 160), np.uint8)
        numbers[10:50, 50:90], numbers[60:110, 80:130] = 1, 2
        objects = "".join(
            f"<object><name>{one}</name><difficult>0</difficult><truncated>0</truncated></object>"
            for one in ("dog", "sofa")
        )
        Image.fromarray(numbers).convert("P").save(root / "SegmentationObject" / "a.png")
        Image.fromarray(np.stack([numbers * 40] * 3, -1)).save(root / "JPEGImages" / "a.jpg", quality=95)
        (root / "Annotations" / "a.xml").write_text(f"<annotation>{objects}</annotation>")
        return Sample(root / name, lambda: voc_occluders(folder), format, names=("VOC2012", "a.xml"))

    return make


reader("VOC annotation")(_voc("Annotations/a.xml", "xml"))
reader("VOC segmentation")(_voc("SegmentationObject/a.png", "image"))


def _nonsense_of_people(values: Any) -> str | None:
    return nonsense_of(values, PIXELS)


def _keypoints(name: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
        from tests.posedata.keypoint_samples import SAMPLES

        format, skeleton, write = SAMPLES[name]
        source = write(folder)
        path = min(source.iterdir()) if source.is_dir() else source
        structure = {
            ".json": "json",
            ".jsonl": "lines",
            ".csv": "words",
            ".npz": "npz",
            ".npy": "npy",
            ".h5": "hdf5",
        }[path.suffix]
        options = (
            {}
            if format in ("coco", "detectron2", "videopose3d", "yolo", "dwpose", "openpose", "mediapipe")
            else {"skeleton": skeleton}
        )

        def read() -> Any:
            return read_keypoints(source, **options)  # type: ignore[arg-type]

        return Sample(path, read, structure, _nonsense_of_people, (source.name,))

    return make


# Imported late by the makers, but the names are needed for the table.
_KEYPOINTS = (
    "coco results", "whole body", "alphapose", "openpose file", "openpose folder", "mediapipe", "mediapipe video", "mmpose",
    "mmpose video", "mmpose demo", "csv", "deeplabcut", "deeplabcut people", "sleap", "npz", "jsonl", "dwpose", "yolo results",
    "detectron2", "videopose3d", "sleap analysis", "npy",
)  # fmt: skip
for _name in _KEYPOINTS:
    reader(f"keypoints {_name}")(_keypoints(_name))


@reader("keypoints trc")
def _trc(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
    from tests.posedata.keypoint_formats.test_tool_files import trc
    from tests.posedata.keypoint_samples import points

    path = folder / "clip.trc"
    path.write_text(trc(points(COCO17), list(COCO17.joints)))
    return Sample(path, lambda: read_keypoints(path), "words", _nonsense_of_people)


@reader("keypoints yolo labels")
def _yolo_labels(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
    from tests.posedata.keypoint_formats.test_tool_files import label
    from tests.posedata.keypoint_samples import SIZE, points

    path = folder / "labels" / "clip_1.txt"
    path.parent.mkdir()
    path.write_text("".join(label(person, 0.9) + "\n" for person in points(COCO17)))
    return Sample(
        path, lambda: read_keypoints(path.parent, image_size=SIZE), "words", _nonsense_of_people, ("labels",)
    )


@reader("keypoints coco annotations")
def _coco_keypoints(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
    from tests.posedata.keypoint_samples import coco_annotations, points

    path = folder / "person_keypoints.json"
    path.write_text(json.dumps(coco_annotations(points(COCO17))))
    return Sample(path, lambda: read_keypoints(path), "json", _nonsense_of_people)


def _image(name: str, **options: Any) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.posedata.image_file import read_image, read_image_size
        from evolift.posedata.image_header import is_animated

        if name.endswith("heic"):
            pytest.importorskip("pillow_heif").register_heif_opener()
        path = folder / name
        rows, columns = np.mgrid[:40, :56]
        pixels = np.stack([4 * columns, 6 * rows, (rows * columns) % 256], -1).astype(np.uint8)
        picture = Image.fromarray(pixels)
        exif = Image.Exif()
        exif[274] = 6  # the orientation
        if name.endswith(("jpg", "png", "webp")):
            options["exif"] = exif
        if name.startswith("moving"):
            options.update(save_all=True, append_images=[picture.rotate(90)])
        picture.save(path, **options)
        return Sample(path, lambda: (read_image(path), read_image_size(path), is_animated(path)), "image")

    return make


for _name, _options in {
    "photo.jpg": {"quality": 90}, "photo.png": {}, "photo.webp": {"quality": 80}, "photo.bmp": {}, "photo.gif": {},
    "photo.heic": {}, "photo.tiff": {}, "packed.tiff": {"compression": "tiff_lzw"}, "moving.gif": {}, "moving.webp": {},
    "progressive.jpg": {"progressive": True},
}.items():  # fmt: skip
    reader(f"image {_name}")(_image(_name, **_options))


def _video(name: str, codec: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.posedata.opencv_quiet import quiet_opencv
        from evolift.posedata.video_file import VideoReader

        path = folder / name
        with quiet_opencv():
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, (64, 48))
            for number in range(6):
                writer.write(np.full((48, 64, 3), 20 + 30 * number, np.uint8))
            writer.release()

        def read() -> Any:
            with VideoReader(path) as video:
                frames = [(frame, video.time) for _, frame in zip(range(200), video, strict=False)]
                return frames, video.size, video.frames_per_second, video.is_cut_off

        return Sample(path, read, "video")

    return make


reader("video mp4")(_video("clip.mp4", "mp4v"))
reader("video avi")(_video("clip.avi", "MJPG"))


@reader("image of photograph data")
def _lsp_images(folder: Path, bodies: Bodies) -> Sample:
    """As an importer takes it."""
    from evolift.posedata.importers.lsp import import_lsp
    from tests.posedata.importers.test_lsp import annotation, write_dataset

    source = write_dataset(folder / "lspet", annotation(3))
    return imported(
        source / "images" / "im00002.jpg",
        lambda target: import_lsp(source, target, overwrite=True),
        folder,
        "image",
        "lspet",
    )
