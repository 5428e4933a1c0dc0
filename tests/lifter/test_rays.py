"""Joints put on the rays of their pixels, against OpenCV and a search for the place of the person."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares

from evolift.cli.lifter import lifter
from evolift.lifter.evaluation import evaluate_lifters, open_test_set
from evolift.lifter.rays import on_rays
from evolift.lifter.settings import EVALUATION_PAIRS
from evolift.lifter.straight_view import Lens
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import H36M17
from tests.settled_networks import settled_lifter

K = np.array([[1145.0, 0, 512.0], [0, 1150.0, 507.0], [0, 0, 1]])
DISTORTION = np.array([-0.2, 0.24, 0.001, -0.002, 0.01])
ROOT = H36M17.root
PLACE = np.array([300.0, -200.0, 4200.0])


def scene(people: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray, Lens]:
    """Root-relative joints, the pixels that OpenCV says, and the lens."""
    rng = np.random.default_rng(seed)
    joints = rng.normal(0, 350, (people, len(H36M17), 3))
    joints -= joints[:, ROOT, None]
    pixels = np.stack(
        [cv2.projectPoints(one + PLACE, np.zeros(3), np.zeros(3), K, DISTORTION)[0][:, 0] for one in joints]
    )
    return (
        joints,
        pixels,
        Lens(torch.tensor(K).expand(people, 3, 3), torch.tensor(DISTORTION).expand(people, 5)),
    )


def moved(
    joints: np.ndarray, pixels: np.ndarray, lens: Lens, visibility: np.ndarray | None = None
) -> np.ndarray:
    seen = None if visibility is None else torch.from_numpy(visibility)
    return on_rays(torch.from_numpy(joints), torch.from_numpy(pixels), seen, lens, ROOT).numpy()


def undistorted(pixels: np.ndarray) -> np.ndarray:
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 200, 1e-12)
    return cv2.undistortPoints(pixels[:, None], K, DISTORTION, criteria=criteria)[:, 0]


def test_a_true_pose_stays_and_true_depths_find_x_and_y() -> None:
    joints, pixels, lens = scene()
    np.testing.assert_allclose(moved(joints, pixels, lens), joints, atol=1e-3)
    wrong = joints + np.random.default_rng(1).normal(0, 60, joints.shape) * [1, 1, 0]
    wrong[:, ROOT] = 0
    error, before = (
        np.linalg.norm(one - joints, axis=-1).mean() for one in (moved(wrong, pixels, lens), wrong)
    )
    assert error < before / 4


@given(seed=st.integers(0, 99), hidden=st.sets(st.integers(0, 16), max_size=12))
@settings(max_examples=25, deadline=None)
def test_the_place_is_the_one_that_a_search_finds(seed: int, hidden: set[int]) -> None:
    joints, pixels, lens = scene(1, seed)
    said = joints + np.random.default_rng(seed).normal(0, 50, joints.shape)
    said -= said[:, ROOT, None]
    visibility = np.full((1, len(H36M17)), 2, np.uint8)
    visibility[0, list(hidden)] = 0
    pixels[0, list(hidden)] = np.nan
    seen = visibility[0] > 0
    ray = undistorted(pixels[0, seen])

    def beside(place: np.ndarray) -> np.ndarray:
        return (said[0, seen, :2] + place[:2] - ray * (said[0, seen, 2:] + place[2])).ravel()

    place = least_squares(beside, PLACE, x_scale=[1, 1, 10], xtol=1e-14, ftol=1e-14).x
    expected = said[0] + place
    expected[seen, :2] = ray * expected[seen, 2:]
    np.testing.assert_allclose(moved(said, pixels, lens, visibility)[0], expected - expected[ROOT], atol=0.2)


def test_people_whose_distance_is_not_told_stay() -> None:
    joints, pixels, lens = scene(4)
    visibility = np.full(pixels.shape[:2], 2, np.uint8)
    visibility[0] = 0
    visibility[1, 1:] = 0
    pixels[2] = pixels[2, :1]
    pixels[3] += 40 * (pixels[3] - pixels[3].mean(0))  # as large as if it were in the camera
    assert (moved(joints, pixels, lens, visibility) == joints).all()


def test_a_lifter_is_scored_on_rays(tiny_store: Path, tmp_path: Path) -> None:
    model = settled_lifter()
    tests = open_test_set(tiny_store, H36M17, EVALUATION_PAIRS)
    plain, put = (evaluate_lifters({"lifter": model}, tests, rays=rays) for rays in (False, True))
    assert not plain["rays"].any()
    assert put["rays"].all()
    pairs = tests.pairs
    lifted = model.lift(pairs.pixels, pairs.visibility, pairs.cameras.size, pairs.lens, rays=True).detach()
    error = (lifted - tests.truth).norm(dim=-1).mean()
    overall = put[(put["group"] == "all") & (put["name"] == "overall")]["mpjpe"].item()
    assert overall == pytest.approx(float(error), rel=1e-4)
    assert overall != pytest.approx(plain["mpjpe"].iloc[0], rel=1e-3)
    model.save(tmp_path / "lifter.safetensors")
    result = CliRunner().invoke(
        lifter,
        ["evaluate", str(tmp_path / "lifter.safetensors"), "--data", str(tiny_store), "--rays"],
    )
    assert result.exit_code == 0, result.output
    assert f"MPJPE {overall:.1f} mm" in result.output
    assert "on the rays" in " ".join(result.output.split())


def test_rays_need_a_camera_and_a_whole_answer() -> None:
    _, pixels, lens = scene()
    given = torch.from_numpy(pixels).float()
    size = torch.full((3, 2), 1000.0)
    with pytest.raises(InputError, match="focal length"):
        settled_lifter().lift(given, None, size, rays=True)
    with pytest.raises(InputError, match="target z"):
        settled_lifter(target="z").lift(given, None, size, lens, rays=True)
