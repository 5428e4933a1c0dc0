from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.importers.bvh import import_bvh
from evolift.posedata.importers.bvh_file import moved_joints, parse_bvh, rest_positions
from evolift.posedata.importers.bvh_names import (
    BVH_NAMES,
    HEAD_PER_LEG,
    BvhNames,
    bvh_names,
    repair_bandai_namco,
    repair_cgspeed,
    repair_iclone,
)
from evolift.posedata.importers.capture_frame import AXES, detect_mirrored, detect_unit, detect_up, to_world
from evolift.posedata.importers.cmu_asfamc import import_cmu
from evolift.posedata.nose import is_nose
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from evolift.posedata.store_summary import summary_lines
from tests.posedata.acclaim_files import zipped

# name: (parent, offset in cm, channels) of a small figure in y-up axes, facing +z, so that its left is +x.
FIGURE: dict[str, tuple[str | None, tuple[float, float, float], str]] = {
    "Hips": (None, (0, 0, 0), "XYZ zxy"),
    "LeftUpLeg": ("Hips", (9, -2, 0), "zyx"),
    "LeftLeg": ("LeftUpLeg", (0, -41, 3), "zxy"),
    "LeftFoot": ("LeftLeg", (0, -42, -3), "zyx"),
    "RightUpLeg": ("Hips", (-9, -2, 0), "xyz"),
    "RightLeg": ("RightUpLeg", (0, -41, 3), "zyx"),
    "RightFoot": ("RightLeg", (0, -42, -3), "zyx"),
    "Spine": ("Hips", (0, 20, 0), "yxz"),
    "Neck": ("Spine", (0, 28, 0), "zyx"),
    "Head": ("Neck", (0, 14, 2), "XYZ zyx"),
    "LeftArm": ("Spine", (19, 26, 0), "zyx"),
    "LeftForeArm": ("LeftArm", (0, -28, -2), "zyx"),
    "LeftHand": ("LeftForeArm", (0, -27, 5), "zyx"),
    "RightArm": ("Spine", (-19, 26, 0), "zyx"),
    "RightForeArm": ("RightArm", (0, -28, -2), "zyx"),
    "RightHand": ("RightForeArm", (0, -27, 5), "zyx"),
}
NAMES = {
    "pelvis": "Hips", "spine": "Spine", "thorax": ["Neck", "Spine"], "skull": "Head", "head": {"Head_End": 1.0},
    "left_hip": "LeftUpLeg", "left_knee": "LeftLeg", "left_ankle": "LeftFoot",
    "right_hip": "RightUpLeg", "right_knee": "RightLeg", "right_ankle": "RightFoot",
    "left_shoulder": "LeftArm", "left_elbow": "LeftForeArm", "left_wrist": "LeftHand",
    "right_shoulder": "RightArm", "right_elbow": "RightForeArm", "right_wrist": "RightHand",
}  # fmt: skip
HEAD_END = np.array([0.0, 10, 0])


def channels_of(name: str) -> list[str]:
    words = FIGURE[name][2].split()
    positions = [f"{axis}position" for axis in words[0]] if len(words) == 2 else []
    return positions + [f"{axis.upper()}rotation" for axis in words[-1]]


def children_of(name: str) -> list[str]:
    return [child for child, entry in FIGURE.items() if entry[0] == name]


def file_order(name: str = "Hips") -> list[str]:
    return [name, *(deeper for child in children_of(name) for deeper in file_order(child))]


def joint_text(name: str, indent: str, scale: float) -> list[str]:
    parent, offset, _ = FIGURE[name]
    lines = [f"{indent}{'ROOT' if parent is None else 'JOINT'} {name}", indent + "{"]
    inner = indent + "\t"
    lines.append(f"{inner}OFFSET {' '.join(f'{scale * value:.6f}' for value in offset)}")
    lines.append(f"{inner}CHANNELS {len(channels_of(name))} {' '.join(channels_of(name))}")
    for child in children_of(name):
        lines += joint_text(child, inner, scale)
    if not children_of(name):
        end = " ".join(f"{scale * value:.6f}" for value in HEAD_END)
        lines += [inner + "End Site", inner + "{", f"{inner}\tOFFSET {end}", inner + "}"]
    return [*lines, indent + "}"]


def random_motion(frames: int, seed: int = 0, rotation: float = 20.0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    motion = {}
    for name in file_order():
        columns = [
            rng.normal(0, 10, frames) if channel.endswith("position") else rng.normal(0, rotation, frames)
            for channel in channels_of(name)
        ]
        motion[name] = np.round(np.stack(columns, 1), 4)
    return motion


def bvh_text(motion: dict[str, np.ndarray], *, scale: float = 1.0, frame_time: str = ".0083333") -> str:
    frames = len(motion["Hips"])
    lines = [
        "HIERARCHY",
        *joint_text("Hips", "", scale),
        "MOTION",
        f"Frames: {frames}",
        f"Frame Time: {frame_time}",
    ]
    for frame in range(frames):
        numbers = []
        for name in file_order():
            for channel, value in zip(channels_of(name), motion[name][frame], strict=True):
                numbers.append(f"{scale * value if channel.endswith('position') else value:.6f}")
        lines.append(" ".join(numbers) + " ")
    return "\n".join([*lines, ""])


def rotation(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(
        {
            "X": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "Y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "Z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


def slow_matrices(motion: dict[str, np.ndarray], frame: int) -> dict[str, np.ndarray]:
    """One frame, joint by joint: each channel is a 4x4 matrix, multiplied in the order of the file."""
    matrices: dict[str, np.ndarray] = {}
    for name in file_order():
        parent, offset, _ = FIGURE[name]
        matrix = np.eye(4) if parent is None else matrices[parent]
        channels = channels_of(name)
        local = np.eye(4)
        local[:3, 3] = offset
        if parent is not None and any(channel.endswith("position") for channel in channels):
            local[:3, 3] = 0  # a placed joint
        for channel, value in zip(channels, motion[name][frame], strict=True):
            step = np.eye(4)
            if channel.endswith("position"):
                step["XYZ".index(channel[0]), 3] = value
            else:
                step[:3, :3] = rotation(channel[0], value)
            local = local @ step
        matrices[name] = matrix @ local
    return matrices


def slow_positions(motion: dict[str, np.ndarray], frame: int) -> dict[str, np.ndarray]:
    """Where the joints and end sites of one frame are, and the nose in front of the head, which looks along its +z."""
    matrices = slow_matrices(motion, frame)
    positions = {name: matrix[:3, 3] for name, matrix in matrices.items()}
    for name in file_order():
        if not children_of(name):
            positions[f"{name}_End"] = (matrices[name] @ np.append(HEAD_END, 1))[:3]
    thorax, skull, top = (
        (positions["Neck"] + positions["Spine"]) / 2,
        positions["Head"],
        positions["Head_End"],
    )
    length = 115 / 178 * (np.linalg.norm(skull - thorax) + np.linalg.norm(top - skull))
    down, ahead = -np.cos(np.radians(40)), np.sin(np.radians(40))
    positions["nose"] = top + length * matrices["Head"][:3, :3] @ [0, down, ahead]
    return positions


def standing(frames: int, seed: int = 0) -> dict[str, np.ndarray]:
    """The figure upright with small movements, the head where its offset is."""
    motion = random_motion(frames, seed, rotation=5.0)
    motion["Head"][:, :3] = [0, 14, 2]
    return motion


def write_names(folder: Path, **changes: object) -> Path:
    """`NAMES` as a file; a change to None leaves the joint out."""
    names = {joint: name for joint, name in (NAMES | changes).items() if name is not None}
    (folder / "names.json").write_text(json.dumps(names))
    return folder / "names.json"


def test_forward_kinematics_against_a_matrix_per_channel() -> None:
    motion = random_motion(5, rotation=90)
    parsed = parse_bvh(bvh_text(motion).encode(), "a.bvh")
    names = [*file_order(), "Head_End", "LeftFoot_End"]
    positions, rotations = moved_joints(parsed, np.arange(5), names)
    for frame in range(5):
        expected, matrices = slow_positions(motion, frame), slow_matrices(motion, frame)
        for name in names:
            np.testing.assert_allclose(positions[name][frame], expected[name], atol=1e-5)
            matrix = matrices[name.removesuffix("_End")][:3, :3]  # an end site turns with its joint
            np.testing.assert_allclose(rotations[name][frame], matrix, atol=1e-6)


def test_the_rest_pose_is_the_offsets_without_any_rotation() -> None:
    motion = {name: np.zeros((1, len(channels_of(name)))) for name in file_order()}
    motion["Head"][:, :3] = FIGURE["Head"][1]  # its position channels replace the offset
    expected = slow_positions(motion, 0)
    rest = rest_positions(parse_bvh(bvh_text(random_motion(2)).encode(), "a.bvh"))
    assert len(rest) == len(file_order()) + 5  # hands, feet and head have end sites
    for name, place in rest.items():
        np.testing.assert_allclose(place, expected[name], atol=1e-6)


def test_position_channels_replace_the_offset_and_those_of_the_root_add_to_it() -> None:
    text = """HIERARCHY ROOT a { OFFSET 1 2 3 CHANNELS 3 Xposition Yposition Zposition
        JOINT b { OFFSET 10 20 30 CHANNELS 2 Yposition Zrotation End Site { OFFSET 5 0 0 } } }
        MOTION\nFrames: 1\nFrame Time: 0.04\n100 200 300 7 90\n"""
    positions, _ = moved_joints(parse_bvh(text.encode(), "a.bvh"), np.array([0]), ["a", "b", "b_End"])
    np.testing.assert_allclose(positions["a"], [[101, 202, 303]])
    np.testing.assert_allclose(positions["b"], [[111, 209, 333]])
    np.testing.assert_allclose(positions["b_End"], [[111, 214, 333]])


def test_windows_line_ends_and_chosen_rows_change_nothing() -> None:
    text = bvh_text(random_motion(6))
    parsed = parse_bvh(text.replace("\n", "\r\n").encode(), "a.bvh")
    every = moved_joints(parse_bvh(text.encode(), "a.bvh"), np.arange(6), ["Head_End"])
    chosen = moved_joints(parsed, np.array([5, 0]), ["Head_End"])
    for some, all_rows in zip(chosen, every, strict=True):
        np.testing.assert_array_equal(some["Head_End"], all_rows["Head_End"][[5, 0]])
    assert parsed.frame_time == pytest.approx(1 / 120, rel=1e-4)


def test_store_in_millimetres_z_up_with_unit_and_axes_detected(tmp_path: Path) -> None:
    motion = standing(25)
    (tmp_path / "clip.bvh").write_text(bvh_text(motion))
    summary = import_bvh(tmp_path / "clip.bvh", tmp_path / "out.h5", names=write_names(tmp_path), fps=10)
    assert (summary.millimetres, summary.up, summary.mirrored) == (10.0, "y", False)
    assert summary.detected == ("unit", "up", "mirrored")
    with PoseStore(tmp_path / "out.h5", skeleton=H36M17) as store:
        poses = store.read()
    assert poses.frame.tolist() == [1, 13, 25]
    assert set(poses.action) == {"clip"}
    assert set(poses.subject) == {"unknown"}
    assert poses.joints_3d is not None
    for row, frame in enumerate((0, 12, 24)):
        expected = slow_positions(motion, frame)
        x, y, z = 10 * expected["LeftHand"]
        np.testing.assert_allclose(poses.joints_3d[row, H36M17.index("left_wrist")], [x, -z, y], atol=1e-2)
        x, y, z = 5 * (expected["Neck"] + expected["Spine"])
        np.testing.assert_allclose(poses.joints_3d[row, H36M17.index("thorax")], [x, -z, y], atol=1e-2)
        x, y, z = 10 * expected["nose"]
        np.testing.assert_allclose(poses.joints_3d[row, H36M17.index("nose")], [x, -z, y], atol=1e-2)


@pytest.mark.parametrize(
    ("unit", "millimetres"), [("m", 1000), ("cm", 10), ("mm", 1), ("inch", 25.4), ("cmu", 25.4 / 0.45)]
)
def test_every_unit_is_detected_and_can_be_given(tmp_path: Path, unit: str, millimetres: float) -> None:
    (tmp_path / "clip.bvh").write_text(bvh_text(standing(10), scale=10 / millimetres))
    names = write_names(tmp_path)
    assert import_bvh(tmp_path / "clip.bvh", tmp_path / "a.h5", names=names).millimetres == pytest.approx(
        millimetres
    )
    given = import_bvh(tmp_path / "clip.bvh", tmp_path / "b.h5", names=names, unit=unit)
    assert given.detected == ("up", "mirrored")
    given = import_bvh(tmp_path / "clip.bvh", tmp_path / "c.h5", names=names, unit=str(millimetres))
    assert given.millimetres == pytest.approx(millimetres)


def world_figure(frames: int = 20) -> np.ndarray:
    """H36M17 poses of the figure in its own y-up axes, cm."""
    motion = standing(frames)
    poses = []
    for frame in range(frames):
        at = slow_positions(motion, frame)
        poses.append(
            [
                at["Head_End"]
                if joint == "head"
                else at["Neck"]
                if joint == "thorax"
                else at[str(NAMES.get(joint, joint))]
                for joint in H36M17.joints
            ]
        )
    return np.array(poses)


def test_axes_are_told_from_people_standing() -> None:
    y_up = world_figure()
    assert detect_up(y_up) == "y"
    assert detect_up(to_world(y_up, 1.0, "y", False)) == "z"
    assert detect_up(y_up[..., [1, 2, 0]]) == "x"
    assert detect_up(-y_up) == "-y"
    assert detect_up(to_world(-y_up, 1.0, "-y", False)) == "z"
    on_their_hands = -y_up
    for side in ("left", "right"):
        wrist, shoulder = (H36M17.index(f"{side}_{joint}") for joint in ("wrist", "shoulder"))
        on_their_hands[:, wrist] = on_their_hands[:, shoulder] - [0, 55, 0]
    assert detect_up(on_their_hands) is None
    lying = y_up[..., [2, 0, 1]]
    assert detect_up(np.concatenate([y_up, lying])) is None


def test_left_and_right_are_told_from_bent_limbs() -> None:
    y_up = world_figure()
    assert detect_mirrored(y_up) is False
    assert detect_mirrored(y_up * [-1, 1, 1]) is True
    assert detect_mirrored(y_up[:, list(H36M17.mirror)]) is True
    assert detect_unit(y_up) == "cm"
    assert detect_unit(y_up / 1e5) is None
    straight = y_up.copy()
    for side in ("left", "right"):
        for first, middle, last in (("hip", "knee", "ankle"), ("shoulder", "elbow", "wrist")):
            a, b, c = (H36M17.index(f"{side}_{joint}") for joint in (first, middle, last))
            straight[:, b] = (straight[:, a] + straight[:, c]) / 2
    assert detect_mirrored(straight) is None


def test_to_world_keeps_handedness_unless_told() -> None:
    points = np.random.default_rng(0).normal(size=(1, 17, 3))
    for up in AXES:
        axis, sign = "xyz".index(up[-1]), -1 if up.startswith("-") else 1
        basis = to_world(np.eye(3)[[0, 1, 2] + [0] * 14][None], 1.0, up, False)[0, :3]
        assert np.linalg.det(basis) == pytest.approx(1)
        assert basis[axis].tolist() == [0, 0, sign]
        basis = to_world(np.eye(3)[[0, 1, 2] + [0] * 14][None], 1.0, up, True)[0, :3]
        assert np.linalg.det(basis) == pytest.approx(-1)
    np.testing.assert_allclose(to_world(points, 2.0, "z", False), 2 * points)


def test_files_that_disagree_or_tell_nothing_are_refused(tmp_path: Path) -> None:
    names = write_names(tmp_path)
    folder = tmp_path / "clips"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.bvh").write_text(bvh_text(standing(5)))
    (folder / "odd.bvh").write_text(bvh_text(standing(5), scale=0.01))
    with pytest.raises(
        InputError, match=r"odd\.bvh: its unit of length looks other than in .*a\.bvh: import it apart"
    ):
        import_bvh(folder, tmp_path / "out.h5", names=names)
    (folder / "odd.bvh").write_text(bvh_text(standing(5), scale=1e-6))
    summary = import_bvh(folder, tmp_path / "out.h5", names=names)  # it follows the others
    assert summary.files == 3
    (tmp_path / "one").mkdir()
    (folder / "odd.bvh").rename(tmp_path / "one" / "odd.bvh")
    with pytest.raises(InputError, match="the unit of length cannot be told from its poses: give `unit`"):
        import_bvh(tmp_path / "one", tmp_path / "new.h5", names=names)
    with pytest.raises(InputError, match="the unit 'yard' is not known: give m, cm"):
        import_bvh(folder, tmp_path / "new.h5", names=names, unit="yard")
    assert not (tmp_path / "new.h5").exists()


def test_a_mirrored_file_comes_out_right_way_round(tmp_path: Path) -> None:
    motion = standing(10)
    text = bvh_text(motion)
    swapped = text.replace("Left", "Tmp").replace("Right", "Left").replace("Tmp", "Right")
    (tmp_path / "good.bvh").write_text(text)
    (tmp_path / "swapped.bvh").write_text(swapped)
    names = write_names(tmp_path)
    import_bvh(tmp_path / "good.bvh", tmp_path / "good.h5", names=names)
    assert import_bvh(tmp_path / "swapped.bvh", tmp_path / "swapped.h5", names=names).mirrored is True
    poses = {}
    for name in ("good", "swapped"):
        with PoseStore(tmp_path / f"{name}.h5") as store:
            joints = store.read().joints_3d
        assert joints is not None
        assert detect_mirrored(joints.astype(np.float64)) is False
        poses[name] = joints
    # The mirror image, of which the nose is in front as well.
    image = poses["good"][:, list(H36M17.mirror)] * [-1, 1, 1]
    np.testing.assert_allclose(poses["swapped"], image, atol=1e-2)


def in_other_axes(text: str, axes: str) -> str:
    """The same motion in a file whose x, y and z are the given axes of this one: "yzx" has x up.

    A rotation about an axis stays one by the same angle, because these are even permutations.
    """
    place = {old: "xyz"[new] for new, old in enumerate(axes)}
    text = re.sub(
        r"OFFSET (\S+) (\S+) (\S+)",
        lambda m: " ".join(["OFFSET", *(m["xyz".index(axis) + 1] for axis in axes)]),
        text,
    )
    return re.sub("([XYZ])(position|rotation)", lambda m: place[m[1].lower()].upper() + m[2], text)


def mirrored_motion(text: str) -> str:
    """The same motion in a file with x the other way round: positions along x, rotations about y and z change their sign."""
    changes = [
        word in ("Xposition", "Yrotation", "Zrotation") for word in re.findall(r"[XYZ](?:pos|rot)\w+", text)
    ]
    head, motion = text.split(".0083333\n")
    head = re.sub(r"OFFSET (\S+)", lambda m: f"OFFSET {-float(m[1]):.6f}", head)
    rows = []
    for line in motion.splitlines():
        values = zip(changes, line.split(), strict=True)
        rows.append(
            " ".join(f"{-float(value) if is_changed else float(value):.6f}" for is_changed, value in values)
        )
    return "\n".join([head + ".0083333", *rows, ""])


@pytest.mark.parametrize(
    ("edit", "told", "turned"),  # where the world's x and y axes are in that of the file with y up
    [
        (lambda text: in_other_axes(text, "yzx"), ("x", False), [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        (lambda text: in_other_axes(text, "zxy"), ("z", False), [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        (mirrored_motion, ("y", True), np.eye(3)),
        (
            lambda text: in_other_axes(mirrored_motion(text), "yzx"),
            ("x", True),
            [[0, 1, 0], [-1, 0, 0], [0, 0, 1]],
        ),
    ],
)
def test_the_same_motion_in_other_axes_has_its_nose_in_the_same_place(
    tmp_path: Path, edit: Callable[[str], str], told: tuple[str, bool], turned: object
) -> None:
    text = bvh_text(standing(12))
    names = write_names(tmp_path)
    stores = {}
    for name, content in (("plain", text), ("other", edit(text))):
        (tmp_path / f"{name}.bvh").write_text(content)
        summary = import_bvh(tmp_path / f"{name}.bvh", tmp_path / f"{name}.h5", names=names)
        with PoseStore(tmp_path / f"{name}.h5") as store:
            assert store.unlabelled == ()
            stores[name] = store.read().joints_3d
    assert (summary.up, summary.mirrored) == told
    np.testing.assert_allclose(stores["other"], stores["plain"] @ np.array(turned).T, atol=1e-2)
    ahead = np.cross(
        *(stores["other"][:, H36M17.index(end)] - stores["other"][:, H36M17.index(start)]
          for start, end in (("right_hip", "left_hip"), ("pelvis", "thorax")))
    )  # fmt: skip
    nose = stores["other"][:, H36M17.index("nose")] - stores["other"][:, H36M17.index("thorax")]
    assert ((nose * ahead).sum(-1) > 0).all()


@pytest.mark.parametrize("changes", [{}, {"skull": None, "neck": "Head"}, {"neck": "Spine"}])
def test_a_table_may_call_the_base_of_the_skull_neck(tmp_path: Path, changes: dict[str, object]) -> None:
    motion = standing(6)
    (tmp_path / "a.bvh").write_text(bvh_text(motion))
    import_bvh(tmp_path / "a.bvh", tmp_path / "out.h5", names=write_names(tmp_path, **changes))
    with PoseStore(tmp_path / "out.h5") as store:
        assert store.unlabelled == ()
        assert store.provenance.parameters["nose"] == "placed in the frame of Head"
        joints = store.read().joints_3d
    x, y, z = 10 * slow_positions(motion, 4)["nose"]
    np.testing.assert_allclose(joints[4, H36M17.index("nose")], [x, -z, y], atol=1e-2)


def test_without_a_skull_the_nose_is_unlabelled(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(bvh_text(standing(6)))
    import_bvh(tmp_path / "a.bvh", tmp_path / "with.h5", names=write_names(tmp_path))
    import_bvh(tmp_path / "a.bvh", tmp_path / "out.h5", names=write_names(tmp_path, skull=None))
    with PoseStore(tmp_path / "out.h5") as store, PoseStore(tmp_path / "with.h5") as other:
        assert store.unlabelled == ("nose",)
        assert store.provenance.parameters["nose"] == "unlabelled"
        assert "unlabelled in 3D: nose" in summary_lines(store)
        joints, expected = store.read().joints_3d, other.read().joints_3d
    expected[:, H36M17.index("nose")] = np.nan
    np.testing.assert_array_equal(joints, expected)


def test_a_table_with_a_nose_of_its_own_needs_no_skull(tmp_path: Path) -> None:
    motion = standing(6)
    (tmp_path / "a.bvh").write_text(bvh_text(motion))
    import_bvh(
        tmp_path / "a.bvh", tmp_path / "out.h5", names=write_names(tmp_path, nose=["Head", "Head_End"])
    )
    with PoseStore(tmp_path / "out.h5") as store:
        assert store.unlabelled == ()
        assert store.provenance.parameters["nose"] == "of the table"
        joints = store.read().joints_3d
    at = slow_positions(motion, 4)
    x, y, z = 5 * (at["Head"] + at["Head_End"])
    np.testing.assert_allclose(joints[4, H36M17.index("nose")], [x, -z, y], atol=1e-2)


def test_a_rest_pose_that_leans_does_not_tell_the_nose(tmp_path: Path) -> None:
    upright = bvh_text(standing(6))
    leaning = upright.replace("OFFSET 0.000000 20.000000 0.000000", "OFFSET 0.000000 10.000000 20.000000")
    assert leaning != upright
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "b.bvh").write_text(leaning)
    names = write_names(tmp_path)
    import_bvh(tmp_path / "clips", tmp_path / "out.h5", names=names, unit="cm", up="y", mirrored=False)
    with PoseStore(tmp_path / "out.h5") as store:
        assert store.unlabelled == ("nose",)
    (tmp_path / "clips" / "a.bvh").write_text(upright)
    with pytest.raises(
        InputError,
        match=r"b\.bvh: it does not tell where the nose is, other than the files before: import it apart",
    ):
        import_bvh(tmp_path / "clips", tmp_path / "new.h5", names=names, unit="cm", up="y", mirrored=False)
    (tmp_path / "clips" / "a.bvh").rename(tmp_path / "clips" / "c.bvh")
    with pytest.raises(InputError, match=r"c\.bvh: it tells where the nose is, other than the files before"):
        import_bvh(tmp_path / "clips", tmp_path / "new.h5", names=names, unit="cm", up="y", mirrored=False)
    assert not (tmp_path / "new.h5").exists()


BAD = {
    "it has no MOTION with Frames and Frame Time": lambda text: text.split("MOTION")[0],
    "holds no frames": lambda text: text.split(".0083333\n")[0] + ".0083333\n",
    "frame 3: it has 30 numbers, 54 channels are declared": lambda text: (
        " ".join(text.rsplit("\n", 2)[0].split(" ")[:-25]) + "\n" + text.rsplit("\n", 2)[1]
    ),
    "frame 1: 'abc' is not a finite number": lambda text: text.replace(
        text.split(".0083333\n")[1].split()[4], "abc", 1
    ),
    "frame 1: 'nan' is not a finite number": lambda text: text.replace(
        text.split(".0083333\n")[1].split()[4], "nan", 1
    ),
    "frame time '0' is not a positive number": lambda text: text.replace(".0083333", "0"),
    "two joints are called 'LeftFoot'": lambda text: text.replace("RightFoot", "LeftFoot"),
    "stands where 'OFFSET' should": lambda text: text.replace("OFFSET", "OFSET", 1),
    "the channels of 'Hips' are": lambda text: text.replace("Xposition", "Wposition", 1),
    "its hierarchy is damaged": lambda text: text.replace("CHANNELS 3", "CHANNELS three", 1),
    "closes a bracket": lambda text: text.replace("MOTION", "}\nMOTION"),
    "is not closed": lambda text: text.replace("}\nMOTION", "MOTION"),
    "has no joint 'LeftHand'": lambda text: text.replace("LeftHand", "LeftFist"),
}


@pytest.mark.parametrize("message", BAD)
def test_damaged_files_are_one_sentence_and_leave_nothing(tmp_path: Path, message: str) -> None:
    text = bvh_text(standing(4))
    edited = BAD[message](text)
    assert edited != text
    (tmp_path / "clip.bvh").write_text(edited)
    names = write_names(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=message) as caught:
        import_bvh(tmp_path / "clip.bvh", tmp_path / "out.h5", names=names)
    assert "clip.bvh" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_bad_sources_and_names(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "a.txt").write_text("a")
    with pytest.raises(InputError, match=r"holds no \.bvh files"):
        import_bvh(tmp_path / "a", tmp_path / "out.h5")
    with pytest.raises(InputError, match="there are no BVH names 'maya': choose one of cmu-cgspeed, mixamo"):
        bvh_names("maya")
    with pytest.raises(InputError, match="'spine' is missing"):
        BvhNames("mine", {joint: {"a": 1.0} for joint in H36M17.joints if joint != "spine"})
    with pytest.raises(InputError, match="'tail' is not a joint of H36M17"):
        BvhNames("mine", {joint: {"a": 1.0} for joint in (*H36M17.joints, "tail")})
    with pytest.raises(InputError, match="weights of 'head' do not sum to 1"):
        BvhNames("mine", {joint: {"a": 1.0} for joint in H36M17.joints} | {"head": {"a": 0.5}})
    for key in ("skull", "neck"):
        (tmp_path / "names.json").write_text(json.dumps(NAMES | {key: ["Head", "Neck"]}))
        with pytest.raises(InputError, match=rf"'{key}' must be one joint, not \['Head', 'Neck'\]"):
            bvh_names(tmp_path / "names.json")
    (tmp_path / "names.json").write_text('{"pelvis": 3}')
    with pytest.raises(InputError, match="is not a JSON table of joint names: 3 is not a joint name"):
        bvh_names(tmp_path / "names.json")
    (tmp_path / "names.json").write_text("[")
    with pytest.raises(InputError, match="is not JSON"):
        bvh_names(tmp_path / "names.json")
    with pytest.raises(InputError, match="cannot be read"):
        bvh_names(tmp_path / "nowhere.json")


def test_faster_than_the_file_and_existing_output(tmp_path: Path) -> None:
    (tmp_path / "clip.bvh").write_text(bvh_text(standing(4), frame_time="0.033333"))
    names = write_names(tmp_path)
    with pytest.raises(InputError, match="has 30 frames per second, so 60 cannot be kept"):
        import_bvh(tmp_path / "clip.bvh", tmp_path / "out.h5", names=names, fps=60)
    (tmp_path / "out.h5").write_text("mine")
    with pytest.raises(OutputError, match=r"out\.h5 exists"):
        import_bvh(tmp_path / "clip.bvh", tmp_path / "out.h5", names=names)


def test_a_zip_of_files_and_a_given_subject(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    for name in ("b", "a"):
        (tmp_path / "clips" / f"{name}.bvh").write_text(bvh_text(standing(3)))
    archive = zipped(tmp_path / "clips", tmp_path / "clips.zip")
    import_bvh(archive, tmp_path / "out.h5", names=write_names(tmp_path), subject="S1")
    with PoseStore(tmp_path / "out.h5") as store:
        assert store.table()["action"].tolist() == ["a"] * 3 + ["b"] * 3
        assert set(store.table()["subject"]) == {"S1"}


@pytest.mark.parametrize("table", BVH_NAMES.values(), ids=lambda table: table.name)
def test_left_names_are_on_left_joints(table: BvhNames) -> None:
    for joint, weights in table.joints.items():
        for name in weights:
            side = (
                name.removeprefix("mixamorig:")
                .replace("CC_Base_L_", "left")
                .replace("CC_Base_R_", "right")
                .replace("Bip01 L ", "left")
                .replace("Bip01 R ", "right")
            )
            if joint.startswith("left_"):
                assert side.lower().startswith("left") or side.endswith("_L")
            if joint.startswith("right_"):
                assert side.lower().startswith("right") or side.endswith("_R")


def bandai_namco_text(head_end: str) -> str:
    """Two frames in the layout of the Bandai-Namco files: bones of the trunk along x, an end site on the head.

    As in these, the spine turns by a right angle about its own axis, without which the hips are along y and the shoulders along z.
    The person faces z.
    """
    channels = "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    frames: list[list[float]] = [[], []]

    def joint(
        name: str, offset: str, *children: str, rotation: float = 0.0, twist: float = 0.0, kind: str = "JOINT",
        end: str = "0 0 0",
    ) -> str:  # fmt: skip
        inner = " ".join(children) or f"End Site {{ OFFSET {end} }}"
        for values in frames:
            values[:0] = [*map(float, offset.split()), rotation, twist, 0]
        return f"{kind} {name} {{ OFFSET {offset} {channels} {inner} }}"

    # Written from the last joint to the first, so that the columns come in the order of the file.
    legs = [
        joint(f"UpperLeg_{side}", f"-2 {y} 0",
              joint(f"LowerLeg_{side}", f"{sign}39 0 0", joint(f"Foot_{side}", f"{sign}41 0 0"), rotation=rotation / 9),
              rotation=rotation)
        for side, y, sign, rotation in (("R", 6.5, "-", 0.0), ("L", -6.5, "", 180.0))
    ][::-1]  # fmt: skip
    arms = [
        joint(f"Shoulder_{side}", f"13 -0.2 {z}",
              joint(f"UpperArm_{side}", f"0 0 {z}",
                    joint(f"LowerArm_{side}", "-24 0 0", joint(f"Hand_{side}", "-22 0 0"), rotation=-9.0)))
        for side, z in (("R", -5), ("L", 5))
    ][::-1]  # fmt: skip
    head = joint("Neck", "16.4 0 0", joint("Head", "6.5 0 0", end=head_end))
    chest = joint("Spine", "15.7 0 0", joint("Chest", "9 0 0", head, *arms), twist=90.0)
    root = joint("joint_Root", "0 0 0", joint("Hips", "1 94 -4", chest, *legs, rotation=90.0), kind="ROOT")
    lines = [" ".join(f"{value:g}" for value in values) for values in frames]
    return "\n".join(["HIERARCHY", root, "MOTION", "Frames: 2", "Frame Time: 0.0333333", *lines, ""])


def test_bandai_namco_heads_get_their_top(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(bandai_namco_text("0 0 0"))
    summary = import_bvh(
        tmp_path / "a.bvh", tmp_path / "out.h5", names="bandai-namco", unit="cm", up="y", mirrored=False
    )
    assert [note for note in summary.notes if "top of the head" in note] == [
        f"{tmp_path / 'a.bvh'}: no top of the head, which is put up the head's own axis, {HEAD_PER_LEG:g} of the leg above the skull"
    ]
    with PoseStore(tmp_path / "out.h5") as store:
        joints = store.read().joints_3d
    assert joints is not None
    nose, head, thorax = (joints[:, H36M17.index(name)] for name in ("nose", "head", "thorax"))
    length = 65 + 1250 * 0.08  # the neck, and up from the skull an eighth of 80 cm
    np.testing.assert_allclose(head - thorax, [[0, 0, length]] * 2, atol=1e-2)
    down, ahead = (length * 115 / 178 * part for part in (np.cos(np.radians(40)), np.sin(np.radians(40))))
    np.testing.assert_allclose(nose - head, [[0, -ahead, -down]] * 2, atol=1e-2)  # the file's z is -y here
    for joint in ("hip", "shoulder"):
        across = joints[:, H36M17.index(f"left_{joint}")] - joints[:, H36M17.index(f"right_{joint}")]
        assert (across[:, 0] > 50).all()  # so the nose is in front
    knees = joints[:, [H36M17.index("left_knee"), H36M17.index("right_knee")], 2]
    assert (knees < joints[:, 0, 2, None]).all()
    parsed = parse_bvh(bandai_namco_text("12 1 0").encode(), "a.bvh")
    assert repair_bandai_namco(parsed) is parsed  # a file that has the top keeps it


@pytest.mark.parametrize("prefix", ["mixamorig:", "mixamorig1:", "mixamorig_", ""])
@pytest.mark.parametrize("has_top", [True, False])
def test_exports_of_mixamo(tmp_path: Path, prefix: str, has_top: bool) -> None:
    text = bvh_text(standing(5))
    for name, other in (("Spine", "Spine1"), *((name, name) for name in FIGURE if name != "Spine")):
        text = text.replace(f"JOINT {name}\n", f"JOINT {prefix}{other}\n").replace(
            f"ROOT {name}\n", f"ROOT {prefix}{other}\n"
        )
    if has_top:  # the end site of the head becomes a joint, without channels
        before, after = text.split("Head\n", 1)
        end = "End Site"
        after = after.replace(end, f"JOINT {prefix}HeadTop_End", 1)
        place = after.index("10.000000 0.000000\n") + len("10.000000 0.000000\n")
        after = after[:place] + "CHANNELS 0\nEnd Site { OFFSET 0 1 0 }\n" + after[place:]
        text = before + "Head\n" + after
    (tmp_path / "a.bvh").write_text(text)
    import_bvh(tmp_path / "a.bvh", tmp_path / "out.h5", names="mixamo")
    motion = standing(5)
    with PoseStore(tmp_path / "out.h5") as store:
        joints = store.read().joints_3d
    assert joints is not None
    x, y, z = 10 * slow_positions(motion, 3)["Head_End"]
    np.testing.assert_allclose(joints[3, H36M17.index("head")], [x, -z, y], atol=1e-2)


def test_joints_in_one_place_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(bvh_text(standing(3)))
    for changes, told in (
        ({"thorax": "Head"}, "skull lies on thorax"),
        ({"head": ["Neck", "Spine"], "skull": None}, "head lies on thorax"),
        ({"nose": "Head_End"}, "head lies on nose"),
        ({"left_knee": "LeftFoot"}, "left_ankle lies on left_knee"),
    ):
        names = write_names(tmp_path, **changes)
        with pytest.raises(InputError, match=rf"a\.bvh: {told} by these names of joints"):
            import_bvh(tmp_path / "a.bvh", tmp_path / "out.h5", names=names)
    assert not (tmp_path / "out.h5").exists()


def test_a_clip_that_tells_nothing_waits_for_one_that_does(tmp_path: Path) -> None:
    (tmp_path / "clips").mkdir()
    straight = {name: np.zeros_like(values) for name, values in standing(4).items()}
    straight["Head"][:, :3] = [0, 14, 2]
    flat = bvh_text(straight).replace(" 3.000000\n", " 0.000000\n").replace(" -3.000000\n", " 0.000000\n")
    flat = flat.replace(" -2.000000\n", " 0.000000\n").replace(" 5.000000\n", " 0.000000\n")
    (tmp_path / "clips" / "a.bvh").write_text(flat)
    names = write_names(tmp_path)
    with pytest.raises(InputError, match=r"a\.bvh: the left and right cannot be told"):
        import_bvh(tmp_path / "clips", tmp_path / "out.h5", names=names)
    (tmp_path / "clips" / "b.bvh").write_text(bvh_text(standing(6)))
    summary = import_bvh(tmp_path / "clips", tmp_path / "out.h5", names=names)
    assert (summary.files, summary.poses, summary.mirrored) == (2, 10, False)
    with PoseStore(tmp_path / "out.h5") as store:
        assert store.table()["action"].tolist() == ["a"] * 4 + ["b"] * 6


def test_a_file_without_the_lost_segments_is_not_repaired(tmp_path: Path) -> None:
    parsed = parse_bvh(bvh_text(standing(2)).encode(), "a.bvh")
    with pytest.raises(InputError, match="is not of the cgspeed conversion"):
        repair_cgspeed(parsed)
    with pytest.raises(InputError, match=r"has no joint 'CC_Base_Head': it is not of iClone's names"):
        repair_iclone(parsed)


@pytest.mark.parametrize("table", BVH_NAMES.values(), ids=lambda table: table.name)
def test_every_table_tells_the_nose_or_the_skull(table: BvhNames) -> None:
    assert set(table.joints) | {"nose"} == set(H36M17.joints)
    assert ("nose" in table.joints) == (table.skull is None)


@pytest.mark.real_data
def test_real_walks_agree_with_their_native_files(data_folder: Path, tmp_path: Path) -> None:
    summary = import_bvh(data_folder / "cmu_walk_bvh.zip", tmp_path / "bvh.h5", names="cmu-cgspeed")
    assert (summary.files, summary.up, summary.mirrored) == (49, "y", False)
    assert summary.left_out == 4
    import_cmu(data_folder / "cmu_asfamc_subset.zip", tmp_path / "amc.h5", subjects=["02"])
    with PoseStore(tmp_path / "bvh.h5") as converted, PoseStore(tmp_path / "amc.h5") as native:
        for clip in ("02_01", "02_02"):
            rows = [np.flatnonzero(store.table()["action"] == clip) for store in (converted, native)]
            a, b = converted.read(rows[0]), native.read(rows[1])
            assert np.array_equal(a.frame, b.frame)
            assert a.joints_3d is not None
            assert b.joints_3d is not None
            distance = np.linalg.norm(a.joints_3d - b.joints_3d, axis=-1)
            assert distance.shape[1] == 17  # the nose too, which both place by their own head
            assert distance.max() < 0.5
            assert set(a.subject) == {"02"}


@pytest.mark.real_data
def test_real_dancers_of_iclone_look_ahead(data_folder: Path, tmp_path: Path) -> None:
    archive = data_folder / "cmu_dance_basketball_bvh.zip"
    summary = import_bvh(archive, tmp_path / "out.h5", names="iclone", fps=5)
    assert (summary.files, summary.millimetres, summary.up, summary.mirrored) == (34, 10.0, "y", False)
    with PoseStore(tmp_path / "out.h5") as store:
        assert store.unlabelled == ()
        assert store.provenance.parameters["nose"] == "placed in the frame of CC_Base_Head"
        joints = store.read().joints_3d
    at = {name: joints[:, H36M17.index(name)].astype(np.float64) for name in H36M17.joints}
    assert np.median(at["head"][:, 2] - at["thorax"][:, 2]) > 100
    for joint in ("hip", "shoulder"):
        ahead = np.cross(at[f"left_{joint}"] - at[f"right_{joint}"], at["thorax"] - at["pelvis"])
        ahead /= np.linalg.norm(ahead, axis=-1, keepdims=True)
        assert np.median(((at["nose"] - at["thorax"]) * ahead).sum(-1)) > 60
        assert np.median(((at["nose"] - at["head"]) * ahead).sum(-1)) > 0
    assert is_nose(joints)
