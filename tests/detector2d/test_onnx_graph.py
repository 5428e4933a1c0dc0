from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from evolift.detector2d.crop import crop_from_image, invert_affine, warp_crop
from evolift.detector2d.detection import detect_joints
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.onnx_graph import detector_graph
from evolift.posedata.image_file import decode_image
from evolift.training.onnx_file import write_onnx
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_detector

BOX = (-0.5, -0.5, 100.0, 80.0)


def run_on(
    path: Path, model: DetectorModel, images: list[np.ndarray], box: tuple[float, ...]
) -> list[np.ndarray]:
    size = model.settings.size
    maps = [crop_from_image(box, size, padding=model.settings.padding) for _ in images]
    given = {
        "crop": np.stack(
            [warp_crop(image, affine, size) for image, affine in zip(images, maps, strict=True)]
        ),
        "image_from_crop": np.stack([invert_affine(affine) for affine in maps]).astype(np.float32),
    }
    return list(onnxruntime.InferenceSession(str(path)).run(None, given))


@pytest.mark.parametrize(
    "settings",
    [
        {"input_height": 96},
        {"depth_bins": 8, "head": "deconvolution", "head_widths": (16, 16, 16)},
        {"head": "regression", "depth_bins": 8},
        {"decoding": "mode"},
        {"decoding": "mode", "depth_bins": 8, "head": "deconvolution", "head_widths": (16, 16, 16)},
    ],
    ids=["light", "volumetric", "regression", "mode", "volumetric mode"],
)
def test_the_file_finds_what_the_detector_finds(tmp_path: Path, settings: dict[str, object]) -> None:
    model = settled_detector(**settings)
    path = tmp_path / "detector.onnx"
    write_onnx(path, detector_graph(model))
    generator = np.random.default_rng(0)
    images = [generator.integers(0, 255, (80, 100, 3), np.uint8) for _ in range(3)]
    found = run_on(path, model, images, BOX)
    assert len(found) == model.settings.dimensions
    for number, image in enumerate(images):
        expected = detect_joints(model, image, [BOX])
        assert_same_answers(found[0][number], expected.joints[0])
        assert_same_answers(found[1][number], expected.confidence[0], extent=1.0)
        if expected.depth is not None:
            assert_same_answers(found[2][number], expected.depth[0], extent=1000.0)
            assert np.abs(expected.depth[0]).max() < 5000, (
                "a network that is settled says millimetres of people"
            )
    assert np.ptp(found[0], axis=0).max() > 0.01, "different images give different joints"


def test_real_photographs_give_the_same_joints(tmp_path: Path, data_folder: Path) -> None:
    with zipfile.ZipFile(data_folder / "lspet_subset.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:3]
        images = [decode_image(archive.read(name), name) for name in names]
    model = settled_detector()
    path = tmp_path / "detector.onnx"
    write_onnx(path, detector_graph(model))
    for image in images:
        box = (10.0, 5.0, image.shape[1] - 20.0, image.shape[0] - 10.0)
        joints, confidence = run_on(path, model, [image], box)
        expected = detect_joints(model, image, [box])
        shown = crop_from_image(box, model.settings.size, padding=model.settings.padding)
        width = model.settings.input_width / np.linalg.norm(shown[0, :2])
        assert_same_answers(joints[0], expected.joints[0], extent=width)
        assert_same_answers(confidence[0], expected.confidence[0], extent=1.0)


def test_the_file_tells_how_to_cut_crops(tmp_path: Path) -> None:
    model = settled_detector(padding=1.5, input_height=96)
    path = tmp_path / "detector.onnx"
    write_onnx(path, detector_graph(model))
    metadata = json.loads(
        onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map["evolift"]
    )
    assert metadata["input_size"] == [64, 96]
    assert metadata["padding"] == 1.5
    assert metadata["skeleton"]["joints"][0] == "pelvis"
    assert metadata["units"] == {"joints_2d": "px", "confidence": "0 to 1"}
    assert metadata["image_scaling"]["is_inside_the_graph"] is True
    np.testing.assert_allclose(metadata["image_scaling"]["mean"], model.image_mean.tolist())
