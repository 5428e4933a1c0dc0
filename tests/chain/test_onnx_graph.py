from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from evolift.chain.model import ChainModel
from evolift.chain.onnx_graph import chain_graph
from evolift.detector2d.crop import crop_from_image, invert_affine, warp_crop
from evolift.posedata.image_file import decode_image
from evolift.prediction.pipeline import Pipeline
from evolift.training.onnx_file import write_onnx
from tests.same_answers import assert_same_answers
from tests.settled_networks import settled_detector, settled_lifter


@pytest.mark.parametrize(
    ("how", "detector", "lifter", "flip_test"),
    [
        ("box", {}, {"non_local": True}, False),
        ("box", {"backbone": "tf_efficientnet_lite0", "decoding": "mode"}, {}, True),
        ("screen", {"depth_bins": 8}, {"architecture": "martinez", "input_axes": 3}, False),
    ],
)
def test_real_photographs_give_the_same_poses(
    tmp_path: Path,
    data_folder: Path,
    how: str,
    detector: dict[str, object],
    lifter: dict[str, object],
    flip_test: bool,
) -> None:
    chain = ChainModel(
        settled_detector(**detector), settled_lifter(normalisation=how, **lifter), flip_test=flip_test
    )
    path = tmp_path / "chain.onnx"
    differences = write_onnx(path, chain_graph(chain))
    assert list(differences) == ["joints_3d", "joints_2d", "confidence"]
    with zipfile.ZipFile(data_folder / "lspet_subset.zip") as archive:
        names = [name for name in archive.namelist() if name.endswith(".jpg")][:3]
        images = [decode_image(archive.read(name), name) for name in names]
    boxes = [(4.0, 6.0, image.shape[1] - 9.0, image.shape[0] - 11.0) for image in images]
    size = chain.detector.settings.size
    maps = [crop_from_image(box, size, padding=chain.detector.settings.padding) for box in boxes]
    given = {
        "crop": np.stack([warp_crop(image, one, size) for image, one in zip(images, maps, strict=True)]),
        "image_from_crop": np.stack([invert_affine(one) for one in maps]).astype(np.float32),
    }
    if how == "screen":
        given["image_size"] = np.array([image.shape[1::-1] for image in images], np.float32)
    joints_3d, joints_2d, confidence = onnxruntime.InferenceSession(str(path)).run(list(differences), given)
    pipeline = Pipeline(chain)
    for number, (image, box) in enumerate(zip(images, boxes, strict=True)):
        expected = pipeline.predict(image, box)
        width = size[0] / np.linalg.norm(maps[number][0, :2])
        assert_same_answers(joints_3d[number], expected.joints_3d, extent=1000.0)
        assert_same_answers(joints_2d[number], expected.joints_2d, extent=width)
        assert_same_answers(confidence[number], expected.confidence, extent=1.0)
    assert np.ptp(joints_3d) > 10


def test_the_file_says_how_sure_the_lifter_is(tmp_path: Path) -> None:
    chain = ChainModel(settled_detector(), settled_lifter(normalisation="box", uncertainty=True))
    path = tmp_path / "chain.onnx"
    assert list(write_onnx(path, chain_graph(chain))) == ["joints_3d", "joints_2d", "confidence", "sigma"]
    image = np.random.default_rng(0).integers(0, 255, (90, 120, 3), np.uint8)
    box = (20.0, 10.0, 60.0, 70.0)
    size = chain.detector.settings.size
    affine = crop_from_image(box, size, padding=chain.detector.settings.padding)
    given = {
        "crop": warp_crop(image, affine, size)[None],
        "image_from_crop": invert_affine(affine).astype(np.float32)[None],
    }
    sigma = onnxruntime.InferenceSession(str(path)).run(["sigma"], given)[0]
    expected = Pipeline(chain).predict(image, box).sigma_mm
    assert expected is not None
    assert_same_answers(sigma[0], expected, extent=1000.0)
