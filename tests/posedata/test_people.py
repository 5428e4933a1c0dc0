from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from posedata import people
from posedata.actors import TRAIN_ACTIONS, make_clip, write_actor_store
from posedata.bodies import BODIES
from posedata.body_surface import body_parts
from posedata.camera import Camera, look_at
from posedata.errors import InputError, OutputError, StoreError
from posedata.ground import draw_ground
from posedata.looks import Look, draw_look
from posedata.mesh import Mesh
from posedata.motions import MOTIONS
from posedata.people import (
    SURFACE_SHARE,
    SURFACE_SLACK,
    image_name,
    limb_radii,
    render_store,
    sampled_row,
    visibility_of,
)
from posedata.poses import Poses, repeated_label
from posedata.rendering import SUPERSAMPLING, Renderer
from posedata.scene import FARTHEST, Lamp, Scene, draw_scene, floor_under, person_mesh
from posedata.seeds import numpy_generator_at
from posedata.skeleton import COCO17, H36M17
from posedata.store import PoseStore, PoseStoreWriter, Provenance
from posedata.surface_grid import normals_of, triangles_of

SIZE = 96
PARTS_AT = {
    "left_wrist": "left_hand",
    "right_wrist": "right_hand",
    "left_ankle": "left_foot",
    "right_ankle": "right_foot",
    "head": "head",
    "spine": "trunk",
}


@pytest.fixture(scope="module")
def actors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("actors") / "actors.h5"
    write_actor_store(
        path, subjects=["F1", "M2"], actions=TRAIN_ACTIONS, clips_per_action=1, frames=12, seed=1
    )
    return path


@pytest.fixture(scope="module")
def poses(actors: Path) -> np.ndarray:
    with PoseStore(actors) as store:
        return store.read().joints_3d


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    with Renderer(SIZE) as window:
        yield window


@pytest.fixture(scope="module")
def rendered(actors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("rendered") / "people.h5"
    render_store(actors, target, images=20, size=SIZE, seed=7)
    return target


def plain_look(seed: int = 0) -> Look:
    return draw_look(np.random.default_rng(seed))


def camera_before(joints: np.ndarray, *, behind: bool = False, distance: float = 4000) -> Camera:
    """A camera that looks the person in the face (or at the back)."""
    across = joints[H36M17.index("left_hip")] - joints[H36M17.index("right_hip")]
    ahead = np.cross(across, [0, 0, 1.0])
    ahead /= np.linalg.norm(ahead)
    middle = joints.mean(0).astype(np.float64)
    R, t = look_at(middle + ahead * distance * (-1 if behind else 1), middle)
    return Camera.from_focal_length(1.7 * SIZE, SIZE, SIZE, R=R, t=t)


def scene_of(mesh: Mesh, camera: Camera, look: Look, surroundings: Mesh | None = None) -> Scene:
    dark = np.zeros((SIZE, SIZE, 3), np.float32)
    lamps = (Lamp((0.0, 0.0, -1.0), (1.0, 1.0, 1.0), 0.0),)
    return Scene(camera, mesh.seen_from(camera), surroundings, lamps, 1.0, dark, look)


def ray_cast(mesh: Mesh, direction: np.ndarray) -> float:
    """Depth of the first surface on a ray from the camera: Moeller and Trumbore's test on every triangle."""
    a, b, c = (mesh.points[mesh.triangles[:, corner]] for corner in range(3))
    first, second = b - a, c - a
    p = np.cross(direction, second)
    determinant = (first * p).sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        u = (-a * p).sum(-1) / determinant
        q = np.cross(-a, first)
        v = (direction * q).sum(-1) / determinant
        t = (second * q).sum(-1) / determinant
        hit = (np.abs(determinant) > 1e-12) & (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 0)
    return float((t[hit] * direction[2]).min()) if hit.any() else FARTHEST


def test_surfaces_are_closed_outward_and_around_the_joints(poses: np.ndarray):
    for joints in poses[::17]:
        parts = body_parts(joints, plain_look().build, floor_under(joints.astype(np.float64)))
        for name, part in parts.items():
            triangles = triangles_of({name: part})
            corners = part.points.reshape(-1, 3)[triangles]
            corners = corners - corners.mean((0, 1))
            volume = np.einsum("ti,ti->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
            assert volume > 1e4, name  # mm^3: positive when triangles turn outward
            assert np.isfinite(normals_of(part)).all()
            np.testing.assert_allclose(part.points[:, 0], part.points[:, -1], atol=1e-6)
        for side in ("left", "right"):
            for joint, part, bound in (("knee", "leg", 90), ("elbow", "arm", 70), ("wrist", "hand", 40)):
                away = parts[f"{side}_{part}"].points - joints[H36M17.index(f"{side}_{joint}")]
                assert np.linalg.norm(away, axis=-1).min() < bound


def test_the_nose_the_toes_and_the_left_hand_are_where_they_belong(poses: np.ndarray):
    for joints in poses[::13]:
        look = plain_look()
        build = replace(look.build, face_turn=0.0, face_nod=0.0)
        parts = body_parts(joints, build, floor_under(joints.astype(np.float64)))
        j = joints.astype(np.float64)
        left = j[H36M17.index("left_shoulder")] - j[H36M17.index("right_shoulder")]
        ahead = np.cross(left, j[H36M17.index("thorax")] - j[H36M17.index("spine")])
        head = parts["head"]
        nose = head.points[np.abs(head.along - 0.4).argmin(), np.abs(head.around - np.pi / 2).argmin()]
        assert (nose - head.points.mean((0, 1))) @ ahead > 0
        for side in ("left", "right"):
            wrist = j[H36M17.index(f"{side}_wrist")]
            other = j[H36M17.index("right_wrist" if side == "left" else "left_wrist")]
            fingers = parts[f"{side}_hand"].points[-1].mean(0)
            assert np.linalg.norm(fingers - wrist) < np.linalg.norm(fingers - other) or (
                np.linalg.norm(wrist - other) < 250
            )


def test_toes_point_ahead_when_standing(standing_pose: np.ndarray):
    parts = body_parts(standing_pose, plain_look().build, 0.0)
    for side in ("left", "right"):
        foot = parts[f"{side}_foot"].points
        assert foot[-1, :, 0].mean() - foot[0, :, 0].mean() > 200  # the pose faces +x
        assert -25 < foot[..., 2].min() < 10  # the sole is on the floor
        thumb, palm = (parts[f"{side}_{name}"].points.mean((0, 1)) for name in ("thumb", "hand"))
        assert thumb[0] > palm[0] + 15  # thumbs ahead when the arms hang


@pytest.mark.parametrize("behind", [False, True])
def test_the_left_hands_colour_appears_at_the_left_wrist(poses: np.ndarray, renderer: Renderer, behind: bool):
    seen = matched = 0
    for joints in poses[::9].astype(np.float64):
        look = plain_look()
        floor = floor_under(joints)
        mesh = person_mesh(joints, look, floor)
        names, sizes = zip(
            *(
                (name, part.points[..., 0].size)
                for name, part in body_parts(joints, look.build, floor).items()
            ),
            strict=True,
        )
        part_of_point = np.repeat(np.arange(len(names)), sizes)
        colours = np.stack([part_of_point / 20, np.full(len(part_of_point), 0.2), 1 - part_of_point / 20], -1)
        camera = camera_before(joints, behind=behind)
        picture, depth = renderer.draw(scene_of(replace(mesh, colours=colours), camera, look))
        pixels = camera.project(joints)
        flags = visibility_of(camera.to_camera(joints), pixels, depth, look.build)
        for joint, part in PARTS_AT.items():
            k = H36M17.index(joint)
            # Hands and feet begin at their joint: look a little further along them.
            if flags[k] != 2 or not (pixels[k] > 3).all() or not (pixels[k] < SIZE - 4).all():
                continue
            u, v = np.rint(pixels[k]).astype(int)
            window = picture[v - 3 : v + 4, u - 3 : u + 4, 0].reshape(-1) * 20
            matched += np.abs(window - names.index(part)).min() < 0.3
            seen += 1
    # Where a joint is just behind another limb, by less than its own radius, that limb is seen.
    assert seen > 60
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
    compared = hidden = unsure = 0
    for i, joints in enumerate(poses[::19]):
        scene = draw_scene(numpy_generator_at(3, i), joints, SIZE)
        _, depth = renderer.draw(scene)
        everything = (
            scene.person if scene.surroundings is None else Mesh.joined([scene.person, scene.surroundings])
        )
        in_camera = scene.camera.to_camera(joints.astype(np.float64))
        pixels = scene.camera.project(joints.astype(np.float64))
        flags = visibility_of(in_camera, pixels, depth, scene.look.build)
        allowed = SURFACE_SHARE * limb_radii(scene.look.build) + SURFACE_SLACK
        for k in range(len(H36M17)):
            inside = (pixels[k] > -0.5).all() and (pixels[k] < SIZE - 0.5).all()
            covered_by = in_camera[k, 2] - ray_cast(everything, in_camera[k] / in_camera[k, 2])
            u, v = np.rint(pixels[k] * SUPERSAMPLING + 0.5).astype(int)
            around = depth[max(v - 1, 0) : v + 2, max(u - 1, 0) : u + 2]
            near = np.append(in_camera[k, 2] - around, covered_by) < allowed[k]
            if inside and near.any() != near.all():
                unsure += 1  # an edge within a pixel: rays and pixels may differ
                continue
            compared += 1
            hidden += flags[k] == 1
            assert flags[k] == (2 if inside and covered_by < allowed[k] else 1), (i, H36M17.joints[k])
    assert compared > 200
    assert unsure < 0.12 * compared
    assert 0.1 < hidden / compared < 0.9


def test_depth_is_right_at_the_middle_of_a_ball(renderer: Renderer):
    turned = np.linspace(0, 2 * np.pi, 40), np.linspace(-np.pi / 2, np.pi / 2, 30)
    longitude, latitude = np.meshgrid(*turned)
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
    _, depth = renderer.draw(scene_of(mesh, camera, plain_look()))
    middle = (SIZE * SUPERSAMPLING) // 2
    assert abs(depth[middle, middle] - 2700) < 5
    assert depth[0, 0] > 0.999 * FARTHEST
    # Its outline is where the projection says: asin(r/d) off the axis.
    covered = np.flatnonzero(depth[middle] < 10_000)
    radius = np.tan(np.arcsin(300 / 3000)) * 200
    np.testing.assert_allclose(
        (covered + 0.5)[[0, -1]] / SUPERSAMPLING - 0.5, (SIZE - 1) / 2 + radius * np.array([-1, 1]), atol=0.6
    )


def test_a_rendered_store_holds_what_its_pictures_show(actors: Path, rendered: Path):
    with PoseStore(actors) as source, PoseStore(rendered) as store:
        labels = store.read()
        assert store.coordinate_frame == "camera"
        assert store.image_folder == rendered.parent / "people_images"
        assert len(store) == len(store.cameras) == len(list(store.image_folder.iterdir())) == 20
        rows = [sampled_row(7, i, len(source)) for i in range(20)]
        assert len(set(rows)) == 20
        original = source.read(np.array(rows))
        assert list(labels.subject) == list(original.subject)
        assert list(labels.action) == list(original.action)
        np.testing.assert_array_equal(labels.frame, original.frame)
        for i, camera in enumerate(store.cameras):
            np.testing.assert_allclose(
                camera.to_camera(original.joints_3d[i]), labels.joints_3d[i], atol=0.05
            )
            np.testing.assert_allclose(camera.project(original.joints_3d[i]), labels.joints_2d[i], atol=0.01)
            picture = cv2.imread(str(store.image_folder / labels.image[i]))
            assert picture.shape == (SIZE, SIZE, 3)
            assert labels.image[i] == image_name(i)
            left, top, width, height = labels.box[i]
            assert left >= -0.5
            assert top >= -0.5
            assert left + width <= SIZE - 0.5 + 1e-3
            assert top + height <= SIZE - 0.5 + 1e-3
            inside = labels.joints_2d[i][labels.visibility[i] == 2]
            assert ((inside >= [left - 1, top - 1]) & (inside <= [left + width + 1, top + height + 1])).all()
        assert set(np.unique(labels.visibility)) == {1, 2}
        assert store.provenance.inputs.keys() == {"actors.h5"}


def test_pictures_do_not_depend_on_their_number_or_on_the_workers(
    actors: Path, rendered: Path, tmp_path: Path
):
    target = tmp_path / "people.h5"
    render_store(actors, target, images=20, size=SIZE, seed=7, workers=2)
    folder = tmp_path / "people_images"
    for i in range(20):
        assert (folder / image_name(i)).read_bytes() == (
            rendered.parent / "people_images" / image_name(i)
        ).read_bytes()
    with PoseStore(target) as many, PoseStore(rendered) as few:
        a, b = many.read(slice(0, 20)), few.read()
        for column in ("joints_3d", "joints_2d", "visibility", "box"):
            np.testing.assert_array_equal(getattr(a, column), getattr(b, column))


def test_the_window_keeps_nothing_of_the_picture_before(poses: np.ndarray, renderer: Renderer):
    scenes = [draw_scene(numpy_generator_at(2, i), poses[9 * i], SIZE) for i in range(4)]
    first = [renderer.draw(scene) for scene in scenes]
    for scene, (picture, depth) in zip(reversed(scenes), reversed(first), strict=True):
        again, depth_again = renderer.draw(scene)
        np.testing.assert_array_equal(again, picture)
        np.testing.assert_array_equal(depth_again, depth)


def test_another_seed_gives_other_pictures(actors: Path, rendered: Path, tmp_path: Path):
    render_store(actors, tmp_path / "other.h5", images=1, size=SIZE, seed=8)
    one, other = (
        cv2.imread(str(folder / image_name(0)))
        for folder in (rendered.parent / "people_images", tmp_path / "other_images")
    )
    assert np.abs(one.astype(int) - other).mean() > 5


def test_people_scenes_and_cameras_vary(poses: np.ndarray):
    scenes = [draw_scene(numpy_generator_at(0, i), poses[7 * i % len(poses)], 64) for i in range(30)]
    elevation = [scene.camera.R[2, 2] for scene in scenes]
    assert np.ptp(np.degrees(np.arcsin(elevation))) > 25
    assert np.ptp([scene.camera.K[0, 0] for scene in scenes]) > 60
    assert len({scene.look.shirt.colour for scene in scenes}) > 25
    assert len({scene.look.sleeve_end for scene in scenes}) >= 3
    assert sum(scene.surroundings is None for scene in scenes) < 15
    middles = np.stack(
        [scene.camera.project(scene.camera.to_world(scene.person.points)).mean(0) for scene in scenes]
    )
    assert (middles.std(0) > 1.5).all()


def test_bad_input_leaves_nothing_behind(actors: Path, rendered: Path, tmp_path: Path):
    coco = tmp_path / "coco.h5"
    flat = Poses(
        repeated_label("a", 1),
        repeated_label("b", 1),
        np.zeros(1, np.int64),
        joints_3d=np.ones((1, 17, 3), np.float32),
    )
    with PoseStoreWriter(coco, COCO17, "world", Provenance("test")) as writer:
        writer.append(flat)
    out = tmp_path / "out" / "people.h5"
    with pytest.raises(StoreError, match="skeleton is COCO17, H36M17 is needed"):
        render_store(coco, out, images=1)
    with pytest.raises(InputError, match="'camera' frame: rendering needs the world frame"):
        render_store(rendered, out, images=1)
    with pytest.raises(StoreError, match="is not a file"):
        render_store(tmp_path / "missing.h5", out, images=1)
    for wrong in (
        {"images": 0},
        {"images": 1, "size": 16},
        {"images": 1, "workers": -1},
        {"images": 1, "seed": -1},
    ):
        with pytest.raises(InputError, match="at least 1 image"):
            render_store(actors, out, **wrong)
    assert not out.parent.exists()
    (tmp_path / "taken_images").mkdir()
    with pytest.raises(OutputError, match="taken_images exists: choose another output or add --overwrite"):
        render_store(actors, tmp_path / "taken.h5", images=1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coco.h5", "taken_images"]


def test_an_error_while_rendering_keeps_the_old_output(
    actors: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    target = tmp_path / "people.h5"
    render_store(actors, target, images=2, size=32, seed=1)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(people, "outline_box", fail)
    with pytest.raises(KeyboardInterrupt):
        render_store(actors, target, images=2, size=32, seed=2, overwrite=True)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    monkeypatch.undo()
    render_store(actors, target, images=1, size=32, seed=2, overwrite=True)
    assert [path.name for path in (tmp_path / "people_images").iterdir()] == [image_name(0)]


def test_without_opengl_the_packages_to_install_are_named():
    code = (
        "from posedata.rendering import Renderer\n"
        "from posedata.errors import InputError\n"
        "try:\n    Renderer(64)\n"
        "except InputError as error:\n    print('SAID', error)\n"
    )
    hidden = {
        "VTK_DEFAULT_OPENGL_WINDOW": "vtkOSOpenGLRenderWindow",
        "PATH": "",
        "PYTHONPATH": str(Path(people.__file__).parents[1]),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=hidden
    )
    assert "SAID" in done.stdout, done.stderr
    assert "apt install libegl1" in done.stdout


def test_the_ground_lies_where_its_plane_is(standing_pose: np.ndarray):
    camera = camera_before(standing_pose.astype(np.float64))
    picture, seen, mean = draw_ground(np.random.default_rng(0), camera, 0.0)
    assert picture.shape == (SIZE, SIZE, 3)
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


def test_skirts_cover_both_thighs_and_hide_when_not_worn(poses: np.ndarray):
    for joints in poses[::11]:
        floor = floor_under(joints.astype(np.float64))
        build = plain_look().build
        worn = body_parts(joints, replace(build, skirt=0.9, skirt_flare=0.3), floor)["skirt"].points
        hidden = body_parts(joints, replace(build, skirt=0.0), floor)["skirt"].points
        thighs = [
            joints[H36M17.index(f"{side}_hip")] * 0.4 + joints[H36M17.index(f"{side}_knee")] * 0.6
            for side in ("left", "right")
        ]
        low, high = worn.reshape(-1, 3).min(0), worn.reshape(-1, 3).max(0)
        for thigh in thighs:
            assert ((thigh > low - 1) & (thigh < high + 1)).all()
        pelvis = joints[H36M17.index("pelvis")]
        assert np.linalg.norm(hidden - pelvis, axis=-1).max() < 140


def test_hands_that_carry_the_body_lie_on_the_floor():
    for action in ("crawl", "handstand"):
        joints = make_clip(BODIES["M1"], MOTIONS[action], frames=30, fps=10, seed=3, clip=0)
        for pose in joints[::3]:
            parts = body_parts(pose, plain_look().build, 0.0)
            for side in ("left", "right"):
                assert parts[f"{side}_hand"].points[..., 2].min() > -45
