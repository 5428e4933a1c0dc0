from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from evolift.detector2d.crop import (
    affine_of_resized,
    apply_affine,
    crop_from_image,
    crop_to_fraction,
    crop_to_image,
    invert_affine,
    rotate_3d,
    shrink,
    warp_crop,
)
from evolift.posedata.errors import InputError

SIZE = (96, 128)
BOX = (60.2, 40.7, 80.0, 150.0)


def dot_centre(image: np.ndarray) -> np.ndarray:
    v, u = np.mgrid[: image.shape[0], : image.shape[1]]
    weight = image.astype(np.float64)
    return np.array([(u * weight).sum(), (v * weight).sum()]) / weight.sum()


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("angle", [0.0, 0.4])
def test_joints_come_back_to_the_dots_of_the_image(flip: bool, angle: float) -> None:
    affine = crop_from_image(BOX, SIZE, padding=1.1, scale=0.9, angle=angle, flip=flip)
    v, u = np.mgrid[:260, :220]
    for centre in ([95.3, 100.6], [110.0, 140.25], [90.7, 125.0]):
        image = np.exp(-((u - centre[0]) ** 2 + (v - centre[1]) ** 2) / (2 * 8.0**2))
        warped = cv2.warpAffine(image, affine, SIZE, flags=cv2.INTER_LINEAR)
        fraction = crop_to_fraction(dot_centre(warped), SIZE)
        back = crop_to_image(
            torch.tensor(fraction)[None, None], torch.tensor(invert_affine(affine))[None], SIZE
        )
        np.testing.assert_allclose(back[0, 0].numpy(), centre, atol=1e-3)


def test_box_fills_the_crop_edge_to_edge() -> None:
    affine = crop_from_image((10, 20, 30, 60), (64, 128))
    np.testing.assert_allclose(apply_affine(affine, np.array([10.0, 20.0])), [-0.5, -0.5], atol=1e-9)
    np.testing.assert_allclose(apply_affine(affine, np.array([40.0, 80.0])), [63.5, 127.5], atol=1e-9)


def test_narrow_box_is_widened_and_padded() -> None:
    affine = crop_from_image((0, 0, 10, 100), (50, 100), padding=2.0, scale=1.5)
    # The box is widened to 50 x 100, then three times that is shown in 50 x 100 pixels.
    np.testing.assert_allclose(affine[:, :2], np.eye(2) / 3, atol=1e-12)


def test_flip_mirrors_and_rotation_is_clockwise() -> None:
    box = (-50, -50, 100, 100)
    right = np.array([10.0, 0.0])
    middle = np.array([49.5, 49.5])
    np.testing.assert_allclose(
        apply_affine(crop_from_image(box, (100, 100), flip=True), right) - middle, [-10, 0]
    )
    rotated = apply_affine(crop_from_image(box, (100, 100), angle=np.pi / 2), right) - middle
    np.testing.assert_allclose(rotated, [0, 10], atol=1e-9)


@given(
    st.tuples(st.floats(-100, 100), st.floats(-100, 100), st.floats(1, 300), st.floats(1, 300)),
    st.floats(0.5, 2),
    st.floats(-3, 3),
    st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_inverse(box: tuple[float, float, float, float], scale: float, angle: float, flip: bool) -> None:
    affine = crop_from_image(box, SIZE, scale=scale, angle=angle, flip=flip)
    points = np.array([[0.0, 0.0], [30.0, 5.0], [-7.0, 90.0]])
    np.testing.assert_allclose(
        apply_affine(invert_affine(affine), apply_affine(affine, points)), points, atol=1e-6
    )


def test_crop_to_image_has_gradients_and_ignores_depth() -> None:
    affine = torch.tensor(invert_affine(crop_from_image(BOX, SIZE, angle=0.3)))[None].expand(2, 2, 3)
    joints = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda j: crop_to_image(j, affine, SIZE), (joints,))
    torch.testing.assert_close(
        crop_to_image(joints, affine, SIZE), crop_to_image(joints[..., :2], affine, SIZE)
    )


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_shrinking_first_does_not_move_the_image(factor: int) -> None:
    v, u = np.mgrid[:361, :403]
    image = np.repeat(np.exp(-((u - 190.3) ** 2 + (v - 170.8) ** 2) / 800)[..., None], 3, 2)
    image = np.rint(image * 255).astype(np.uint8)
    affine = crop_from_image((20, 20, 350, 330), (64, 64))
    small, from_small = shrink(image, affine, factor)
    warped = cv2.warpAffine(small.astype(np.float64), from_small, (64, 64))
    np.testing.assert_allclose(
        dot_centre(warped[..., 0]), apply_affine(affine, np.array([190.3, 170.8])), atol=0.02
    )
    np.testing.assert_allclose(
        dot_centre(warp_crop(image, affine, (64, 64))[..., 0]), dot_centre(warped[..., 0]), atol=0.05
    )


def test_affine_of_resized_keeps_edges() -> None:
    affine = np.array([[0.5, 0.1, 3.0], [-0.2, 0.4, -1.0]])
    resized = affine_of_resized(affine, (100, 60), (50, 20))
    for corner, small in (([-0.5, -0.5], [-0.5, -0.5]), ([99.5, 59.5], [49.5, 19.5])):
        np.testing.assert_allclose(
            apply_affine(affine, np.array(corner)), apply_affine(resized, np.array(small)), atol=1e-9
        )


def test_3d_turns_as_its_projection_does() -> None:
    joints = np.random.default_rng(0).normal(0, 300, (17, 3)).astype(np.float32)
    for flip in (False, True):
        affine = crop_from_image((0, 0, 50, 60), (64, 64), angle=0.7, flip=flip)
        rotated = rotate_3d(joints, affine)
        # Under a weak perspective the crop's pixels are the rotated x and y, up to scale.
        zoom = np.sqrt(abs(np.linalg.det(affine[:, :2])))
        np.testing.assert_allclose(joints[:, :2] @ affine[:, :2].T / zoom, rotated[:, :2], atol=1e-3)
        np.testing.assert_array_equal(rotated[:, 2], joints[:, 2])
        np.testing.assert_allclose(np.linalg.norm(rotated, axis=1), np.linalg.norm(joints, axis=1), rtol=1e-5)


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (0, 0, 5, -1), (0, 0, float("nan"), 4)])
def test_box_without_area(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(InputError, match="has no area: give a box with positive width and height"):
        crop_from_image(box, SIZE)
