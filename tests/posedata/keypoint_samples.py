"""The same two people as every detector would write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from evolift.posedata.skeleton import (
    BODY25,
    COCO17,
    H36M17,
    HALPE26,
    MEDIAPIPE33,
    MPII16,
    OPENPOSE18,
    Skeleton,
)

SIZE = (640, 480)


def points(skeleton: Skeleton, seed: int = 0, people: int = 2) -> np.ndarray:
    """(people, joints, 3): pixels inside the image and a score; whole numbers of 1/64 survive every format."""
    generator = np.random.default_rng(seed)
    shape = (people, len(skeleton))
    u, v, score = generator.integers(64, 25_000, (3, *shape)) / 64
    return np.stack([u + 20, v * 0.5 + 20, 0.25 + score % 0.75], -1)


def flat(person: np.ndarray) -> list[float]:
    return [float(value) for value in person.reshape(-1)]


def coco_results(people: np.ndarray, **extra: Any) -> list[dict[str, Any]]:
    return [{"image_id": 7, "category_id": 1, "keypoints": flat(p), "score": 0.9} | extra for p in people]


def coco_annotations(people: np.ndarray) -> dict[str, Any]:
    flagged = people.copy()
    flagged[..., 2] = 2
    flagged[0, 0, 2], flagged[1, 1] = 1, 0
    return {
        "images": [
            {"id": 5, "file_name": "other.jpg"},
            {"id": 7, "file_name": "a.jpg", "width": 640, "height": 480},
        ],
        "annotations": [
            {
                "id": n,
                "image_id": 7,
                "category_id": 1,
                "keypoints": flat(p),
                "bbox": [1, 2, 30, 40],
                "num_keypoints": 16,
            }
            for n, p in enumerate(flagged)
        ]
        + [{"id": 9, "image_id": 5, "category_id": 1, "keypoints": [0] * 51, "iscrowd": 1}],
    }


def openpose(people: np.ndarray) -> dict[str, Any]:
    return {
        "version": 1.3,
        "people": [
            {"person_id": [-1], "pose_keypoints_2d": flat(p), "face_keypoints_2d": []} for p in people
        ],
    }


def mediapipe(people: np.ndarray, size: tuple[int, int] = SIZE) -> list[list[dict[str, float]]]:
    return [
        [
            {"x": (u + 0.5) / size[0], "y": (v + 0.5) / size[1], "z": 0.1, "visibility": s}
            for u, v, s in person.tolist()
        ]
        for person in people
    ]


def mmpose(people: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "keypoints": p[:, :2].tolist(),
            "keypoint_scores": p[:, 2].tolist(),
            "bbox": [[10, 20, 110, 220]],
            "bbox_score": 0.9,
        }
        for p in people
    ]


def csv_text(people: np.ndarray, skeleton: Skeleton) -> str:
    names = [f"{joint}_{part}" for joint in skeleton.joints for part in ("x", "y", "confidence")]
    rows = [",".join([f"img{n}.jpg", str(n), *map(str, flat(p))]) for n, p in enumerate(people)]
    return "\n".join([",".join(["image", "frame", *names]), *rows]) + "\n"


def _json(values: Any) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "keypoints.json"
        path.write_text(json.dumps(values))
        return path

    return write


def _openpose_folder(folder: Path) -> Path:
    for number, person in enumerate(points(BODY25)):
        (folder / f"clip_{number:012d}_keypoints.json").write_text(json.dumps(openpose(person[None])))
    (folder / "clip_000000000002_keypoints.json").write_text(json.dumps(openpose(points(BODY25)[:0])))
    return folder


def _csv(folder: Path) -> Path:
    path = folder / "keypoints.csv"
    path.write_text(csv_text(points(H36M17), H36M17))
    return path


def deeplabcut_text(people: np.ndarray, skeleton: Skeleton, *, individuals: bool) -> str:
    """Two people in two frames (the second person is missing in frame 1), or one person in two frames."""
    whose = ["a", "b"] if individuals else [""]
    columns = [
        (who, joint, axis) for who in whose for joint in skeleton.joints for axis in ("x", "y", "likelihood")
    ]
    lines = ["scorer," + ",".join("net" for _ in columns)]
    if individuals:
        lines.append("individuals," + ",".join(who for who, _, _ in columns))
        rows = [[*flat(people[0]), *flat(people[1])], [""] * len(columns)]
    else:
        rows = [flat(person) for person in people]
    lines += ["bodyparts," + ",".join(joint for _, joint, _ in columns)]
    lines += ["coords," + ",".join(axis for _, _, axis in columns)]
    lines += [",".join([str(number), *map(str, row)]) for number, row in enumerate(rows)]
    return "\n".join(lines) + "\n"


def sleap_text(people: np.ndarray, skeleton: Skeleton) -> str:
    names = [f"{joint}.{part}" for joint in skeleton.joints for part in ("x", "y", "score")]
    rows = [",".join([f"track_{n}", "4", "0.9", *map(str, flat(p))]) for n, p in enumerate(people)]
    return "\n".join([",".join(["track", "frame_idx", "instance.score", *names]), *rows]) + "\n"


def _text(text: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "keypoints.csv"
        path.write_text(text)
        return path

    return write


def _npz(folder: Path) -> Path:
    path = folder / "keypoints.npz"
    np.savez(path, keypoints=points(MPII16), skeleton="MPII16", frame=[3, 4])
    return path


def _lines(folder: Path) -> Path:
    path = folder / "keypoints.jsonl"
    lines = [
        {"skeleton": "COCO17", "joints_2d": p[:, :2].tolist(), "confidence": p[:, 2].tolist()}
        for p in points(COCO17)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def dwpose_frame(people: np.ndarray) -> dict[str, Any]:
    """COCO's joints in the order of OpenPose's COCO model, whose second joint is the middle of the shoulders."""
    neck = people[:, 5:7].mean(1, keepdims=True)
    order = (0, 17, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3)
    return dwpose_of(np.concatenate([people, neck], 1)[:, order])


def dwpose_of(rows: np.ndarray) -> dict[str, Any]:
    """People of OPENPOSE18 in a frame."""
    found = [{"pose_keypoints_2d": flat(row), "face_keypoints_2d": None} for row in rows]
    return {"people": found, "animals": [], "canvas_height": 480, "canvas_width": 640}


def yolo_results(people: np.ndarray, **extra: Any) -> list[dict[str, Any]]:
    box = {"x1": 10.0, "y1": 20.0, "x2": 110.0, "y2": 220.0}
    return [
        {"name": "person", "class": 0, "confidence": 0.9, "box": box}
        | {"keypoints": dict(zip(("x", "y", "visible"), p.T.tolist(), strict=True))}
        | extra
        for p in people
    ]


def objects(values: Sequence[Any]) -> np.ndarray:
    """A list as numpy.savez pickles it, however alike its entries are."""
    table = np.empty(len(values), object)
    table[:] = values
    return table


def write_detectron2(path: Path, frames: Sequence[np.ndarray]) -> Path:
    """As infer_video_d2.py; each of the frames has people of COCO's joints."""
    keypoints: list[list[Any]] = []
    boxes: list[list[Any]] = []
    for people in frames:
        zeros = np.zeros(people.shape[:2])
        rows = np.stack([people[..., 0], people[..., 1], zeros, people[..., 2]], 1)
        keypoints.append([[], rows if len(rows) else []])
        boxes.append([[], np.tile([10.0, 20, 110, 220, 0.9], (len(rows), 1)) if len(rows) else []])
    np.savez_compressed(
        path,
        boxes=objects(boxes),
        segments=objects([None] * len(boxes)),
        keypoints=objects(keypoints),
        metadata=np.array({"w": 640, "h": 480}, object),
    )
    return path


def _detectron2(folder: Path) -> Path:
    return write_detectron2(folder / "clip.mp4.npz", [points(COCO17)])


def _videopose3d(folder: Path) -> Path:
    path = folder / "data_2d_custom_clip.npz"
    sides = [[1, 3, 5, 7, 9, 11, 13, 15], [2, 4, 6, 8, 10, 12, 14, 16]]
    metadata = {"layout_name": "coco", "num_joints": 17, "keypoints_symmetry": sides}
    np.savez(
        path,
        positions_2d=np.array({"clip.mp4": {"custom": [points(COCO17)]}}, object),
        metadata=np.array(metadata | {"video_metadata": {"clip.mp4": {"w": 640, "h": 480}}}, object),
    )
    return path


def _npy(folder: Path) -> Path:
    np.save(folder / "keypoints.npy", points(HALPE26))
    return folder / "keypoints.npy"


def write_sleap_analysis(path: Path, people: np.ndarray, skeleton: Skeleton) -> Path:
    """Two tracks in one frame."""
    with h5py.File(path, "w") as file:
        file["tracks"] = people[..., :2].transpose(0, 2, 1)[..., None]
        file["point_scores"] = people[..., 2][..., None]
        file["node_names"] = np.array([joint.encode() for joint in skeleton.joints])
        file["track_names"] = np.array([b"track_0", b"track_1"])
        file["video_path"] = "videos/clip.mp4"
    return path


def _sleap_analysis(folder: Path) -> Path:
    return write_sleap_analysis(folder / "clip.analysis.h5", points(COCO17), COCO17)


def _whole_body() -> list[dict[str, Any]]:
    rest = np.ones((2, 133 - 17, 3))
    return coco_results(np.concatenate([points(COCO17), rest], 1))


# name of the sample -> (format, skeleton, writer)
SAMPLES: dict[str, tuple[str, Skeleton, Callable[[Path], Path]]] = {
    "coco results": ("coco", COCO17, _json(coco_results(points(COCO17)))),
    "whole body": ("coco", COCO17, _json(_whole_body())),
    "alphapose": ("alphapose", COCO17, _json(coco_results(points(COCO17), image_id="a.jpg", box=[1, 2, 3, 4]))),
    "alphapose halpe": ("alphapose", HALPE26, _json(coco_results(points(HALPE26), image_id="a.jpg"))),
    "alphapose mpii": ("alphapose", MPII16, _json(coco_results(points(MPII16), image_id="a.jpg"))),
    "openpose file": ("openpose", BODY25, _json(openpose(points(BODY25)))),
    "openpose folder": ("openpose", BODY25, _openpose_folder),
    "mediapipe": (
        "mediapipe",
        MEDIAPIPE33,
        _json({"width": 640, "height": 480, "pose_landmarks": mediapipe(points(MEDIAPIPE33))}),
    ),
    "mediapipe video": (
        "mediapipe",
        MEDIAPIPE33,
        _json(
            {"width": 640, "height": 480, "frames": [{"frame": n, "poseLandmarks": p} for n, p in enumerate(mediapipe(points(MEDIAPIPE33)))]}
        ),
    ),
    "mmpose": ("mmpose", COCO17, _json(mmpose(points(COCO17)))),
    "mmpose video": (
        "mmpose",
        HALPE26,
        _json([{"frame_id": n, "instances": [p]} for n, p in enumerate(mmpose(points(HALPE26)))]),
    ),
    "mmpose demo": (
        "mmpose",
        COCO17,
        _json({"meta_info": {}, "instance_info": [{"frame_id": 1, "instances": mmpose(points(COCO17))}]}),
    ),
    "csv": ("csv", H36M17, _csv),
    "deeplabcut": ("deeplabcut", H36M17, _text(deeplabcut_text(points(H36M17), H36M17, individuals=False))),
    "deeplabcut people": ("deeplabcut", COCO17, _text(deeplabcut_text(points(COCO17), COCO17, individuals=True))),
    "sleap": ("sleap", H36M17, _text(sleap_text(points(H36M17), H36M17))),
    "npz": ("npz", MPII16, _npz),
    "jsonl": ("jsonl", COCO17, _lines),
    "dwpose": ("dwpose", OPENPOSE18, _json([dwpose_of(points(OPENPOSE18))])),
    "yolo results": ("yolo", COCO17, _json(yolo_results(points(COCO17)))),
    "detectron2": ("detectron2", COCO17, _detectron2),
    "videopose3d": ("videopose3d", COCO17, _videopose3d),
    "sleap analysis": ("sleap", COCO17, _sleap_analysis),
    "npy": ("npy", HALPE26, _npy),
}  # fmt: skip
