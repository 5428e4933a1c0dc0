from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from evolift.posedata.camera import Camera
from evolift.posedata.seeds import numpy_generator_at
from evolift.posedata.skeleton import H36M17
from evolift.synthetic.acting.actors import TRAIN_ACTIONS, make_clip
from evolift.synthetic.acting.bodies import BODIES
from evolift.synthetic.acting.motions import MOTIONS
from evolift.synthetic.rendering.body_surface import body_parts
from evolift.synthetic.rendering.ground import draw_ground
from evolift.synthetic.rendering.mesh import Mesh
from evolift.synthetic.rendering.occlusion import SURFACE_SHARE, SURFACE_SLACK, limb_radii, visibility_of
from evolift.synthetic.rendering.renderer import SUPERSAMPLING, Renderer
from evolift.synthetic.rendering.scene import FARTHEST, draw_scene, floor_under, person_mesh
from tests.synthetic.rendering.rendered_scenes import (
    SIZE,
    camera_before,
    plain_appearance,
    ray_cast,
    scene_of,
)

PARTS_AT = {
    "left_wrist": "left_hand",
    "right_wrist": "right_hand",
    "left_ankle": "left_foot",
    "right_ankle": "right_foot",
    "head": "head",
    "spine": "trunk",
}


@pytest.fixture(scope="module")
def poses() -> np.ndarray:
    clips = [
        make_clip(BODIES[body], MOTIONS[action], frames=12, fps=10, seed=1, clip=0)
        for body in ("F1", "M2")
        for action in TRAIN_ACTIONS
    ]
    return np.concatenate(clips)


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    with Renderer(SIZE) as window:
        yield window


@pytest.mark.parametrize("behind", [False, True])
def test_the_left_hands_colour_appears_at_the_left_wrist(poses: np.ndarray, renderer: Renderer, behind: bool):
    seen = matched = 0
    for joints in poses[::17].astype(np.float64):
        appearance = plain_appearance()
        floor = floor_under(joints)
        mesh = person_mesh(joints, appearance, floor)
        names, sizes = zip(
            *(
                (name, part.points[..., 0].size)
                for name, part in body_parts(joints, appearance.build, floor).items()
            ),
            strict=True,
        )
        part_of_point = np.repeat(np.arange(len(names)), sizes)
        colours = np.stack([part_of_point / 20, np.full(len(part_of_point), 0.2), 1 - part_of_point / 20], -1)
        camera = camera_before(joints, behind=behind)
        image, depth = renderer.draw(scene_of(replace(mesh, colours=colours), camera, appearance))
        pixels = camera.project(joints)
        flags = visibility_of(camera.to_camera(joints), pixels, depth, appearance.build)
        for joint, part in PARTS_AT.items():
            k = H36M17.index(joint)
            # Hands and feet begin at their joint: look a little further along them.
            if flags[k] != 2 or not (pixels[k] > 3).all() or not (pixels[k] < SIZE - 4).all():
                continue
            u, v = np.rint(pixels[k]).astype(int)
            window = image[v - 3 : v + 4, u - 3 : u + 4, 0].reshape(-1) * 20
            matched += np.abs(window - names.index(part)).min() < 0.3
            seen += 1
    # Where a joint is just behind another limb, by less than its own radius, that limb is seen.
    assert seen > 45
    assert matched > 0.95 * seen


def test_a_person_seen_from_behind_has_left_on_the_left_and_no_face(
    poses: np.ndarray, standing_pose: np.ndarray
):
    joints = standing_pose.astype(np.float64)
    front, back = camera_before(joints).project(joints), camera_before(joints, behind=True).project(joints)
    left, right = H36M17.index("left_hip"), H36M17.index("right_hip")
    assert front[left, 0] > front[right, 0]
    assert back[left, 0] < back[right, 0]


def test_depth_buffer_and_flags_agree_with_ray_casting(poses: np.ndarray, renderer: Renderer):
    compared = hidden = uncertain = 0
    for i, joints in enumerate(poses[::23]):
        scene = draw_scene(numpy_generator_at(3, i), joints, SIZE)
        _, depth = renderer.draw(scene)
        everything = (
            scene.person if scene.surroundings is None else Mesh.joined([scene.person, scene.surroundings])
        )
        in_camera = scene.camera.to_camera(joints.astype(np.float64))
        pixels = scene.camera.project(joints.astype(np.float64))
        flags = visibility_of(in_camera, pixels, depth, scene.appearance.build)
        allowed = SURFACE_SHARE * limb_radii(scene.appearance.build) + SURFACE_SLACK
        for k in range(len(H36M17)):
            inside = (pixels[k] > -0.5).all() and (pixels[k] < SIZE - 0.5).all()
            covered_by = in_camera[k, 2] - ray_cast(everything, in_camera[k] / in_camera[k, 2])
            u, v = np.rint(pixels[k] * SUPERSAMPLING + 0.5).astype(int)
            around = depth[max(v - 1, 0) : v + 2, max(u - 1, 0) : u + 2]
            near = np.append(in_camera[k, 2] - around, covered_by) < allowed[k]
            if inside and near.any() != near.all():
                uncertain += 1  # an edge within a pixel: rays and pixels may differ
                continue
            compared += 1
            hidden += flags[k] == 1
            assert flags[k] == (2 if inside and covered_by < allowed[k] else 1), (i, H36M17.joints[k])
    assert compared > 180
    assert uncertain < 0.12 * compared
    assert 0.1 < hidden / compared < 0.9


def test_depth_is_right_at_the_middle_of_a_ball(renderer: Renderer):
    rotated = np.linspace(0, 2 * np.pi, 40), np.linspace(-np.pi / 2, np.pi / 2, 30)
    longitude, latitude = np.meshgrid(*rotated)
    unit = np.stack(
        [np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)], -1
    )
    index = np.arange(30 * 40).reshape(30, 40)
    a, b, c, d = (x.reshape(-1) for x in (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]))
    points = unit.reshape(-1, 3)
    mesh = Mesh(
        points * 300 + [0, 0, 3000],
        points,
        np.ones_like(points),
        np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]),
    )
    camera = Camera.from_focal_length(200.0, SIZE, SIZE)
    _, depth = renderer.draw(scene_of(mesh, camera, plain_appearance()))
    middle = (SIZE * SUPERSAMPLING) // 2
    assert abs(depth[middle, middle] - 2700) < 5
    assert depth[0, 0] > 0.999 * FARTHEST
    # Its outline is where the projection says: asin(r/d) off the axis.
    covered = np.flatnonzero(depth[middle] < 10_000)
    radius = np.tan(np.arcsin(300 / 3000)) * 200
    np.testing.assert_allclose(
        (covered + 0.5)[[0, -1]] / SUPERSAMPLING - 0.5, (SIZE - 1) / 2 + radius * np.array([-1, 1]), atol=0.6
    )


def test_the_window_keeps_nothing_of_the_image_before(poses: np.ndarray, renderer: Renderer):
    scenes = [draw_scene(numpy_generator_at(2, i), poses[9 * i], SIZE) for i in range(4)]
    first = [renderer.draw(scene) for scene in scenes]
    for scene, (image, depth) in zip(reversed(scenes), reversed(first), strict=True):
        again, depth_again = renderer.draw(scene)
        np.testing.assert_array_equal(again, image)
        np.testing.assert_array_equal(depth_again, depth)


def test_people_scenes_and_cameras_vary(poses: np.ndarray):
    scenes = [draw_scene(numpy_generator_at(0, i), poses[7 * i % len(poses)], 64) for i in range(30)]
    elevation = [scene.camera.R[2, 2] for scene in scenes]
    assert np.ptp(np.degrees(np.arcsin(elevation))) > 25
    assert np.ptp([scene.camera.K[0, 0] for scene in scenes]) > 60
    assert len({scene.appearance.shirt.colour for scene in scenes}) > 25
    assert len({scene.appearance.sleeve_end for scene in scenes}) >= 3
    assert sum(scene.surroundings is None for scene in scenes) < 15
    middles = np.stack(
        [scene.camera.project(scene.camera.to_world(scene.person.points)).mean(0) for scene in scenes]
    )
    assert (middles.std(0) > 1.5).all()


def test_without_opengl_the_packages_to_install_are_named():
    code = (
        "from evolift.synthetic.rendering.renderer import Renderer\n"
        "from evolift.posedata.errors import InputError\n"
        "try:\n    Renderer(64)\n"
        "except InputError as error:\n    print('SAID', error)\n"
    )
    hidden = {
        "VTK_DEFAULT_OPENGL_WINDOW": "vtkOSOpenGLRenderWindow",
        "PATH": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=hidden
    )
    assert "SAID" in done.stdout, done.stderr
    assert "apt install libegl1" in done.stdout


def test_the_ground_lies_where_its_plane_is(standing_pose: np.ndarray):
    camera = camera_before(standing_pose.astype(np.float64))
    image, seen, mean = draw_ground(np.random.default_rng(0), camera, 0.0)
    assert image.shape == (SIZE, SIZE, 3)
    assert ((mean >= 0) & (mean <= 1)).all()
    rng = np.random.default_rng(1)
    points = np.concatenate([rng.uniform(-1500, 1500, (200, 2)), np.zeros((200, 1))], -1)
    pixels = np.rint(camera.project(points)).astype(int)
    inside = ((pixels >= 0) & (pixels < SIZE)).all(-1)
    assert inside.sum() > 50
    assert seen[pixels[inside, 1], pixels[inside, 0]].all()
    assert not seen[: SIZE // 3].any()  # above the horizon of a level camera
    _, nothing, _ = draw_ground(np.random.default_rng(0), camera, camera.position[2] + 100)
    assert not nothing.any()


def test_what_torch_loads_later_does_not_kill_a_process_that_has_rendered() -> None:
    code = "from evolift.synthetic.rendering.renderer import Renderer\nwith Renderer(32): pass\nimport triton"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    if "No module named 'triton'" in done.stderr:
        pytest.skip("this torch has no triton")
    assert done.returncode == 0, done.stderr
