"""Right colours at the right pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evolift.drawing.colours import HALO_COLOUR, LEFT_COLOUR, RIGHT_COLOUR, TORSO_COLOUR
from evolift.drawing.overlay import draw_box, draw_joints, sigma_in_pixels
from evolift.posedata.skeleton import H36M17, LSP14

_NAMES = {
    "pelvis": (160, 160), "right_hip": (130, 160), "right_knee": (125, 220), "right_ankle": (120, 290),
    "left_hip": (190, 160), "left_knee": (195, 220), "left_ankle": (200, 290), "spine": (160, 120),
    "thorax": (160, 80), "nose": (160, 60), "head": (160, 30), "left_shoulder": (205, 85),
    "left_elbow": (230, 130), "left_wrist": (235, 180), "right_shoulder": (115, 85), "right_elbow": (90, 130),
    "right_wrist": (85, 180),
}  # fmt: skip
WRIST = H36M17.index("right_wrist")
JOINTS = np.array([_NAMES[name] for name in H36M17.joints], np.float32)


def _black(height: int = 320, width: int = 320) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def _at(image: np.ndarray, point: np.ndarray) -> tuple[int, ...]:
    return tuple(int(v) for v in image[round(float(point[1])), round(float(point[0]))])


@pytest.mark.parametrize(
    ("joint", "parent", "colour"),
    [
        ("right_ankle", "right_knee", RIGHT_COLOUR),
        ("right_wrist", "right_elbow", RIGHT_COLOUR),
        ("left_ankle", "left_knee", LEFT_COLOUR),
        ("left_shoulder", "thorax", LEFT_COLOUR),
        ("nose", "thorax", TORSO_COLOUR),
        ("spine", "pelvis", TORSO_COLOUR),
    ],
)
def test_joint_and_bone_have_the_colour_of_their_side(
    joint: str, parent: str, colour: tuple[int, ...]
) -> None:
    drawn = draw_joints(_black(), JOINTS, H36M17)
    a, b = JOINTS[H36M17.index(joint)], JOINTS[H36M17.index(parent)]
    assert _at(drawn, a) == colour
    assert _at(drawn, (a + b) / 2) == colour


def test_first_pixel_is_0_0_and_u_is_the_column() -> None:
    joints = np.full((17, 2), np.nan)
    joints[H36M17.index("head")] = (40, 7)
    drawn = draw_joints(_black(50, 80), joints, H36M17)
    rows, columns = np.nonzero((drawn == TORSO_COLOUR).all(-1))
    assert (rows.mean(), columns.mean()) == pytest.approx((7, 40), abs=0.05)
    drawn_part = drawn.sum(-1).astype(float)
    assert drawn_part[:, 40].argmax() < 15


def test_mirrored_labels_give_another_image_with_sides_swapped() -> None:
    drawn = draw_joints(_black(), JOINTS, H36M17)
    mirrored = draw_joints(_black(), JOINTS[list(H36M17.mirror)], H36M17)
    assert _at(drawn, JOINTS[H36M17.index("right_wrist")]) == RIGHT_COLOUR
    assert _at(mirrored, JOINTS[H36M17.index("right_wrist")]) == LEFT_COLOUR
    assert (drawn != mirrored).any()


def test_hidden_joints_are_rings_and_unlabelled_ones_are_absent() -> None:
    visibility = np.full(17, 2, np.uint8)
    hidden, absent = H36M17.index("right_wrist"), H36M17.index("left_wrist")
    visibility[hidden], visibility[absent] = 1, 0
    drawn = draw_joints(_black(), JOINTS, H36M17, visibility=visibility)
    assert _at(drawn, JOINTS[hidden]) == HALO_COLOUR
    assert (drawn[175:186, 80:91] == RIGHT_COLOUR).all(-1).any()
    assert not drawn[170:190, 225:245].any()
    elbow = JOINTS[H36M17.index("left_elbow")]
    assert _at(drawn, (JOINTS[absent] + elbow) / 2) == (0, 0, 0)


def test_joints_of_low_confidence_are_rings_nan_confidence_too() -> None:
    confidence = np.full(17, 0.9)
    confidence[3], confidence[6] = 0.1, np.nan
    drawn = draw_joints(_black(), JOINTS, H36M17, confidence=confidence)
    assert _at(drawn, JOINTS[3]) == HALO_COLOUR
    assert _at(drawn, JOINTS[6]) == HALO_COLOUR
    assert _at(drawn, JOINTS[1]) == RIGHT_COLOUR


def test_input_is_not_changed_and_lines_grow_with_the_image() -> None:
    image = _black()
    draw_joints(image, JOINTS, H36M17)
    assert not image.any()
    for scale, width in ((2, 4), (4, 8)):
        drawn = draw_joints(_black(320 * scale, 320 * scale), JOINTS * scale, H36M17)
        across_the_shin = (drawn[260 * scale] == RIGHT_COLOUR).all(-1).sum()
        assert across_the_shin == pytest.approx(width, abs=1)


def test_several_people_and_other_skeletons() -> None:
    people = np.stack([JOINTS[:14] * 0.5, JOINTS[:14] * 0.5 + [150, 100]])
    drawn = draw_joints(_black(), people, LSP14, visibility=np.full((2, 14), 2, np.uint8))
    alone = draw_joints(_black(), people[0], LSP14)
    assert (drawn != 0).sum() > 1.5 * (alone != 0).sum()


def test_clipping_far_joints_keeps_the_direction_of_their_bones() -> None:
    joints = np.full((17, 2), np.nan)
    joints[H36M17.index("left_elbow")] = (0, 0)
    joints[H36M17.index("left_wrist")] = (1e9, 1e9)
    drawn = draw_joints(_black(), joints, H36M17)
    assert _at(drawn, np.array([200, 200])) == LEFT_COLOUR
    assert _at(drawn, np.array([250, 200])) == (0, 0, 0)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=34, max_size=34))
def test_any_numbers_can_be_drawn(values: list[float]) -> None:
    drawn = draw_joints(_black(40, 60), np.array(values).reshape(17, 2), H36M17)
    assert drawn.shape == (40, 60, 3)


def test_bad_shapes_are_named() -> None:
    with pytest.raises(
        ValueError, match=r"joints of skeleton H36M17 must end in \(17, 2\) \(got \(14, 2\)\)"
    ):
        draw_joints(_black(), JOINTS[:14], H36M17)
    with pytest.raises(
        ValueError, match=r"an image must be uint8 of shape .* \(got uint8 of shape \(0, 5, 3\)\)"
    ):
        draw_joints(np.zeros((0, 5, 3), np.uint8), JOINTS, H36M17)


def test_box_lies_on_its_pixels() -> None:
    drawn = draw_box(_black(), np.array([50.0, 60.0, 100.0, 40.0]), colour=(1, 200, 3))
    for point in ((50, 80), (100, 60), (150, 80), (100, 100)):
        assert _at(drawn, np.array(point)) == pytest.approx((1, 200, 3), abs=30)
    assert _at(drawn, np.array([100, 80])) == (0, 0, 0)
    with pytest.raises(ValueError, match="four finite numbers"):
        draw_box(_black(), np.array([0.0, 0.0, np.inf, 1.0]))


def test_a_label_is_written_inside_the_box_and_always_inside_the_image() -> None:
    black, far, ink = _black(), np.array([-500.0, -500.0, 9.0, 9.0]), (200, 1, 3)
    for box, corner in ((np.array([50.0, 60.0, 200.0, 40.0]), (50, 60)), (far, (0, 0)), (-far, None)):
        plain = draw_box(black, box, colour=ink)
        labelled = draw_box(black, box, colour=ink, label="Person 12 ä")
        rows, columns = np.nonzero((plain != labelled).any(-1))
        if corner is not None:
            np.testing.assert_allclose((columns.min(), rows.min()), corner, atol=3)
        text = np.nonzero((labelled.astype(int) == ink).all(-1) & (plain != labelled).any(-1))
        assert np.ptp(text[1]) > 40
        for across, all_of_it in zip(text, (rows, columns), strict=True):  # a margin on each side
            assert all_of_it.min() < across.min() <= across.max() < all_of_it.max()
        assert np.ptp(rows) < 40
    assert not black.any()


def test_sigma_is_a_translucent_disc_of_its_radius_below_the_skeleton_told_in_words() -> None:
    sigma = np.full(17, np.nan)
    sigma[WRIST] = 30.0
    plain = draw_joints(_black(), JOINTS, H36M17)
    drawn = draw_joints(_black(), JOINTS, H36M17, sigma_px=sigma)
    assert _at(drawn, JOINTS[WRIST]) == RIGHT_COLOUR
    u, v = JOINTS[WRIST]
    inside, outside = _at(drawn, np.array([u - 27, v])), _at(drawn, np.array([u - 33, v]))
    assert inside == pytest.approx(0.4 * np.array(RIGHT_COLOUR), abs=1)
    assert outside == (0, 0, 0)
    changed = (drawn != plain).any(-1)
    assert changed[295:, :200].any(), "the words"
    changed[290:] = False
    rows, columns = np.nonzero(changed)
    assert (rows.max() - rows.min(), columns.max() - columns.min()) == pytest.approx((60, 60), abs=2)
    assert (draw_joints(_black(), JOINTS, H36M17, sigma_px=np.full(17, 1e9)) != 0).any(-1).all()


def test_sigma_has_the_scale_of_its_person() -> None:
    joints_3d = np.random.default_rng(0).normal(0, 300, (2, 17, 3)).astype(np.float32)
    scale = np.array([0.25, 0.1])
    joints_2d = joints_3d[..., :2] * scale[:, None, None] + [[[400, 300]], [[50, 90]]]
    joints_2d[0, 3] = np.nan
    sigma = np.random.default_rng(1).uniform(5, 200, (2, 17)).astype(np.float32)
    found = sigma_in_pixels(joints_2d, joints_3d, sigma)
    assert found is not None
    np.testing.assert_allclose(found, sigma * scale[:, None], rtol=1e-4)
    unknown = sigma_in_pixels(joints_2d, np.full_like(joints_3d, np.nan), sigma)
    assert unknown is not None
    assert np.isnan(unknown).all()
    assert sigma_in_pixels(joints_2d, joints_3d, None) is None
