"""The normalisations `camera` and `box`: what a lifter sees does not depend on lens, place in the image, or where the camera looks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from evolift.chain.model import ChainModel
from evolift.lifter.data.pairs import PairMaker, Pairs, as_batch, seen
from evolift.lifter.data.pose_source import Mixture, PosePart
from evolift.lifter.normalisation import normalise, turned
from evolift.lifter.settings import LifterSettings, PairSettings, ViewSettings
from evolift.lifter.straight_view import Lens
from evolift.posedata.camera import Camera, project
from evolift.posedata.camera_rig import CameraBatch
from evolift.posedata.errors import InputError
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from tests.settled_networks import settled_detector, settled_lifter

NONE = np.zeros(5)
STRONG = np.array([-0.08, 0.02, 0.002, -0.003, 0.0])


def lens_of(camera: Camera, rows: int = 1) -> Lens:
    return Lens(
        torch.from_numpy(np.tile(camera.K, (rows, 1, 1))),
        torch.from_numpy(np.tile(camera.distortion, (rows, 1))),
    )


def camera(focal: float, pan: float = 0.0, cx: float = 500.0, distortion: np.ndarray = NONE) -> Camera:
    """A camera in the origin that looks along z, panned."""
    K = np.array([[focal, 0, cx], [0, focal * 1.01, 480.0], [0, 0, 1]])
    R = Rotation.from_euler("Y", -pan, degrees=True).as_matrix()
    return Camera(K, 1000, 1000, R, np.zeros(3), distortion)


TURNING = st.sampled_from(["camera", "box"])


@given(
    how=TURNING,
    focal=st.floats(500, 4000),
    pan=st.floats(-25, 25),
    cx=st.floats(300, 700),
    is_distorted=st.booleans(),
)
@settings(max_examples=80, deadline=None)
def test_lens_and_pan_change_nothing_of_what_is_seen(how, focal, pan, cx, is_distorted) -> None:
    person = np.random.default_rng(0).normal([200, -100, 4500], 400, (17, 3))
    model = settled_lifter(normalisation=how)
    in_world = []
    for one in (camera(1145.0), camera(focal, pan, cx, STRONG / 4 if is_distorted else NONE)):
        pixels = torch.from_numpy(one.project(person))[None]
        plane, _ = turned(pixels, None, lens_of(one), how)
        with torch.no_grad():
            lifted = model.double().lift(pixels, None, None, lens_of(one))[0].numpy()
        in_world.append((plane.numpy(), lifted @ one.R))  # x_world = R^T x_camera, for rows
    np.testing.assert_allclose(in_world[1][0], in_world[0][0], atol=5e-5)
    np.testing.assert_allclose(in_world[1][1], in_world[0][1], atol=0.1)


@pytest.mark.parametrize("how", ["camera", "box"])
def test_the_target_is_the_pose_in_the_frame_of_the_virtual_camera(tiny_store, how) -> None:
    with PoseStore(tiny_store) as store:
        part = PosePart(tiny_store, np.arange(len(store)), H36M17)
    pairs = seen(part, part.bodies_at(0, 0), ViewSettings(), torch.Generator().manual_seed(0))
    batch = as_batch(pairs, LifterSettings(normalisation=how), 0.0, torch.Generator())
    _, rotation = turned(pairs.pixels, pairs.visibility, pairs.lens, how)
    relative = pairs.root_relative(0)
    torch.testing.assert_close(batch["target"] @ rotation.transpose(1, 2), relative, atol=0.01, rtol=0)
    assert not torch.allclose(batch["target"], relative, atol=20), "these people are not straight ahead"
    # A pose in that frame projects to the input: root at its depth, four units per focal length, or half the box one.
    absolute = pairs.joints @ rotation
    plane = absolute[..., :2] / absolute[..., 2:]
    per_unit = 0.25 if how == "camera" else (plane.amax(1) - plane.amin(1)).amax(1)[:, None, None] / 2
    torch.testing.assert_close(batch["inputs"], plane / per_unit, atol=5e-4, rtol=0)
    middle = (batch["inputs"].amin(1) + batch["inputs"].amax(1)) / 2
    assert float(middle.abs().max()) < 5e-4, "the person is in the middle of the view"


def test_depth_alone_is_never_turned(tiny_store) -> None:
    with PoseStore(tiny_store) as store:
        part = PosePart(tiny_store, np.arange(len(store)), H36M17)
    pairs = seen(part, part.bodies_at(0, 0), ViewSettings(), torch.Generator().manual_seed(0))
    relative = pairs.root_relative(0)
    for values in ({"target": "z"}, {"input_axes": 3}):
        how = LifterSettings(normalisation="box", **values)
        batch = as_batch(pairs, how, 0.0, torch.Generator())
        wanted = normalise(pairs.pixels, pairs.visibility, None, "box")
        assert torch.equal(batch["inputs"][..., :2], wanted)
        assert torch.equal(batch["target"], relative[..., 2:] if how.target == "z" else relative)
        model = settled_lifter(normalisation="box", **values)
        given = torch.cat([pairs.pixels, relative[..., 2:]], -1)[..., : how.input_axes]
        with torch.no_grad():
            assert torch.equal(model.lift(given, None, None, pairs.lens), model.lift(given))


def test_a_mirrored_pair_is_what_its_mirrored_lens_sees(tiny_store) -> None:
    with PoseStore(tiny_store) as store:
        part = PosePart(tiny_store, np.arange(len(store)), H36M17)
    plain = seen(part, part.bodies_at(0, 0), ViewSettings(), torch.Generator().manual_seed(0))
    K = plain.cameras.K.clone()
    K[:, 0, 1], K[:, 0, 2] = 3.0, 431.0
    distortion = torch.from_numpy(STRONG).float().expand(len(K), 5)
    cameras = CameraBatch(K, plain.cameras.R, plain.cameras.t, plain.cameras.size, distortion)
    lens = cameras.with_mirrored_lenses(torch.ones(len(K), dtype=torch.bool))
    straight = project(plain.joints, K, distortion)
    mirrored = project(plain.joints * torch.tensor([-1.0, 1.0, 1.0]), lens.K, lens.distortion)
    torch.testing.assert_close(mirrored[..., 0], 999 - straight[..., 0], atol=0.01, rtol=0)
    torch.testing.assert_close(mirrored[..., 1], straight[..., 1], atol=0.01, rtol=0)
    some = torch.arange(len(K)) % 2 == 0
    assert torch.equal(cameras.with_mirrored_lenses(some).K[1::2], K[1::2])


@pytest.mark.parametrize("how", ["camera", "box"])
def test_it_learns_from_pairs_as_the_other_normalisations_do(tiny_store, how) -> None:
    with PoseStore(tiny_store) as store:
        part = PosePart(tiny_store, np.arange(len(store)), H36M17)
    maker = PairMaker(
        Mixture([part], [1.0]),
        PairSettings(batch_size=32, missing=0.2, noise=1.0),
        LifterSettings(normalisation=how),
        0,
    )
    batch = maker(0, 0, 1)
    assert all(bool(values.isfinite().all()) for values in batch.values())
    assert 0.3 < float(batch["inputs"].abs().amax()) < 3, "numbers of order one"


@pytest.mark.parametrize("how", ["camera", "box"])
def test_the_mirrored_answer_to_the_mirrored_input_is_averaged(how) -> None:
    model = settled_lifter(normalisation=how)
    pixels = 500 + 120 * torch.randn(3, 17, 2, generator=torch.Generator().manual_seed(0))
    lens = lens_of(camera(1000.0), 3)
    mirror = list(H36M17.mirror)
    with torch.no_grad():
        wanted = model.lift(pixels, None, None, lens)
        # The principal point is 500 and not 499.5, so the mirrored camera's is 499.
        given = torch.stack([999 - pixels[..., 0], pixels[..., 1]], -1)[:, mirror]
        K = lens.intrinsics.clone()
        K[:, 0, 2] = 999 - K[:, 0, 2]
        other = model.lift(given, None, None, Lens(K)) * torch.tensor([-1.0, 1.0, 1.0])
        got = model.lift(pixels, None, None, lens, flip_test=True)
    torch.testing.assert_close(got, (wanted + other[:, mirror]) / 2, atol=0.01, rtol=0)


def test_what_needs_a_camera_and_gets_none_says_so() -> None:
    model = settled_lifter(normalisation="camera")
    with pytest.raises(InputError, match="needs the camera: give its intrinsics or its focal length"):
        model.lift(torch.zeros(1, 17, 2))
    with pytest.raises(InputError, match="needs the camera"):
        normalise(torch.zeros(1, 17, 2), None, None, "camera")
    with pytest.raises(
        InputError, match="which those who use a chain need not know: chain one of box or screen"
    ):
        ChainModel(settled_detector(), model)
    for values in ({"target": "z"}, {"input_axes": 3}):
        with pytest.raises(InputError, match="turns the camera"):
            LifterSettings(normalisation="camera", **values)


@pytest.mark.parametrize("how", ["camera", "box"])
def test_people_whom_no_one_camera_can_see_get_no_pose_and_teach_nothing(how) -> None:
    model = settled_lifter(normalisation=how)
    pixels = torch.full((2, 17, 2), 500.0)
    pixels[0] += 40 * torch.randn(17, 2, generator=torch.Generator().manual_seed(0))
    pixels[1, 0, 0], pixels[1, 1, 0] = 1e6, -1e6
    lens = lens_of(camera(900.0), 2)
    with torch.no_grad():
        lifted = model.lift(pixels, None, None, lens)
    assert bool(lifted[0].isfinite().all())
    assert bool(lifted[1].isnan().all())
    cameras = CameraBatch(lens.intrinsics, torch.eye(3).expand(2, 3, 3), torch.zeros(2, 3), pixels[:, 0])
    seen_whole = torch.full((2, 17), 2, dtype=torch.uint8)
    pairs = Pairs(pixels, seen_whole, torch.randn(2, 17, 3), cameras)
    batch = as_batch(pairs, model.settings, 0.0, torch.Generator())
    assert bool((batch["inputs"][1] == 0).all()), "a NaN would spoil the batch norms of all"
    assert bool(batch["target"][1].isnan().all())


def test_box_without_a_camera_answers_as_one_that_looks_straight_at_the_person() -> None:
    model = settled_lifter(normalisation="box")
    pixels = 500 + 120 * torch.randn(2, 17, 2, generator=torch.Generator().manual_seed(0))
    middle = (pixels.amin(1) + pixels.amax(1)) / 2
    ahead = torch.eye(3).repeat(2, 1, 1) * 1000
    ahead[:, :2, 2], ahead[:, 2, 2] = middle, 1
    with torch.no_grad():
        torch.testing.assert_close(
            model.lift(pixels, None, None, Lens(ahead)), model.lift(pixels), atol=1e-2, rtol=0
        )
