"""BVH files as their makers write them: what stands in them otherwise than in the format's description."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.errors import InputError, StoreError
from evolift.posedata.importers.bvh import BvhSummary, import_bvh
from evolift.posedata.importers.bvh_file import parse_bvh
from evolift.posedata.importers.bvh_matching import matching_names
from evolift.posedata.importers.bvh_names import BVH_NAMES, HEAD_PER_LEG, BvhNames
from evolift.posedata.importers.root_offset import is_offset_added
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from tests.posedata.importers.test_bvh import bvh_text, slow_positions, standing, write_names

HEIGHT = 95.0


def on_the_floor(frames: int = 6) -> dict[str, np.ndarray]:
    """The figure with its hips where they are above a floor, cm."""
    motion = standing(frames)
    motion["Hips"][:, :3] = np.arange(3 * frames).reshape(frames, 3) / 10 + [30, HEIGHT, -20]
    return motion


def imported(folder: Path, data: str | bytes, **options: object) -> tuple[np.ndarray, BvhSummary]:
    (folder / "a.bvh").write_bytes(data if isinstance(data, bytes) else data.encode())
    if "names" not in options:
        options["names"] = write_names(folder)
    summary = import_bvh(folder / "a.bvh", folder / "a.h5", overwrite=True, **options)  # type: ignore[arg-type]  # options of several types
    with PoseStore(folder / "a.h5") as store:
        joints = store.read().joints_3d
    assert joints is not None
    return joints, summary


def expected(motion: dict[str, np.ndarray]) -> np.ndarray:
    """Ankles in mm, z up, by the slow kinematics."""
    feet = []
    for frame in range(len(motion["Hips"])):
        places = slow_positions(motion, frame)
        feet.append([places[name] for name in ("RightFoot", "LeftFoot")])
    x, y, z = np.moveaxis(10 * np.array(feet), -1, 0)
    return np.stack([x, -z, y], -1)


def with_nan_in_hands(text: str) -> str:
    """The last three channels of a frame, the rotation of a hand, which has nothing behind it."""
    lines = text.splitlines()
    lines[-2] = " ".join([*lines[-2].split()[:-3], "nan", "-nan(ind)", "-1.#IND00"])
    return "\n".join(lines)


SPELLINGS: dict[str, Callable[[str], str | bytes]] = {
    "byte order mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16": lambda text: text.encode("utf-16"),
    "old Mac and Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "Ctrl-Z at the end": lambda text: text + "\x1a",
    "lower case": lambda text: (
        text.replace("JOINT", "joint").replace("ROOT", "Root").replace("OFFSET", "offset")
        .replace("CHANNELS", "channels").replace("position", "POSITION").replace("rotation", "Rotation")
        .replace("End Site", "end site").replace("HIERARCHY", "hierarchy").replace("MOTION", "motion")
    ),
    "comments": lambda text: (
        "# made by hand\n" + text.replace("OFFSET", "// where it is\n\tOFFSET", 3)
        .replace("JOINT Head\n", "JOINT Head # the skull\n").replace("Frames:", "; length\nFrames:")
    ),
    "brackets beside names": lambda text: text.replace("JOINT Head\n\t\t\t{", "JOINT Head{"),
    "latin-1 names": lambda text: text.replace("End Site", "End Tête").encode("latin-1"),
    "nan of what is not needed": with_nan_in_hands,
    "nan at the end of a hand": lambda text: text.replace("OFFSET 0.000000 10.000000 0.000000", "OFFSET nan -nan(ind) -1.#IND", 1),
}  # fmt: skip


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spellings_are_the_same_motion(tmp_path: Path, spelling: str) -> None:
    text = bvh_text(on_the_floor())
    edited = SPELLINGS[spelling](text)
    assert edited != text
    plain, _ = imported(tmp_path, text)
    joints, summary = imported(tmp_path, edited)
    np.testing.assert_array_equal(joints, plain)
    np.testing.assert_allclose(joints[:, [3, 6]], expected(on_the_floor()), atol=0.05)
    assert summary.notes == ()


def test_names_with_blanks(tmp_path: Path) -> None:
    text = bvh_text(on_the_floor())
    plain, _ = imported(tmp_path, text)
    names = {"left_ankle": "Actor 1 Left Foot #2", "right_ankle": "Actor  1 Right Foot"}
    edited = text.replace("LeftFoot", names["left_ankle"]).replace("RightFoot", names["right_ankle"])
    names["right_ankle"] = "Actor 1 Right Foot"
    joints, _ = imported(tmp_path, edited, names=write_names(tmp_path, **names))
    np.testing.assert_array_equal(joints, plain)


@pytest.mark.parametrize(
    ("edit", "poses", "note"),
    [
        (lambda text: text.replace("Frames: 6", "Frames: 7"), 6, "declares 7 frames and holds 6, of which 6 are taken: it may be cut off"),
        (lambda text: text.replace("Frames: 6", "Frames: 5"), 6, "declares 5 frames and holds 6, of which 6 are taken"),
        (lambda text: " ".join(text.split(" ")[:-25]), 5, "holds 6, the last of them cut off, of which 5 are taken: it may be cut off"),
    ],
)  # fmt: skip
def test_other_numbers_of_frames_are_read_and_told(
    tmp_path: Path, edit: Callable[[str], str], poses: int, note: str
) -> None:
    text = bvh_text(on_the_floor())
    whole, _ = imported(tmp_path, text)
    joints, summary = imported(tmp_path, edit(text))
    np.testing.assert_array_equal(joints, whole[:poses])
    assert len(summary.notes) == 1
    assert note in summary.notes[0]


@pytest.mark.parametrize(
    ("is_added", "note"),
    [(True, "offset is added to the root's positions"), (False, "the root's positions are absolute")],
)
def test_the_floor_tells_what_the_roots_offset_means(tmp_path: Path, is_added: bool, note: str) -> None:
    motion = on_the_floor()
    right = expected(motion)
    offset = np.array([7.0, 94, -5])
    if is_added:
        motion["Hips"][:, :3] -= offset
    text = bvh_text(motion).replace(
        "OFFSET 0.000000 0.000000 0.000000", f"OFFSET {' '.join(map(str, offset))}", 1
    )
    joints, summary = imported(tmp_path, text)
    np.testing.assert_allclose(joints[:, [3, 6]], right, atol=0.05)
    assert len(summary.notes) == 1
    assert note in summary.notes[0]


def test_far_from_the_floor_the_offset_is_left_out_and_said(tmp_path: Path) -> None:
    motion = on_the_floor()
    motion["Hips"][:, 1] += 400
    text = bvh_text(motion).replace("OFFSET 0.000000 0.000000 0.000000", "OFFSET 0 94 0", 1)
    joints, summary = imported(tmp_path, text)
    np.testing.assert_allclose(joints[:, [3, 6]], expected(motion), atol=0.05)
    assert "does not tell whether the root's positions are absolute" in summary.notes[0]


def test_an_offset_without_height_tells_nothing() -> None:
    joints = np.zeros((3, 17, 3))
    for side in ("left", "right"):
        for name, height in (("hip", 900.0), ("knee", 500.0), ("ankle", 90.0)):
            joints[:, H36M17.index(f"{side}_{name}"), 2] = height
    assert is_offset_added(joints, np.array([500.0, 200, 0])) is None
    assert is_offset_added(joints, np.array([0.0, 0, 950])) is True
    assert is_offset_added(joints + np.array([0, 0, 950]), np.array([0.0, 0, 950])) is False
    assert is_offset_added(joints + np.array([0, 0, 9000]), np.array([0.0, 0, 950])) is None


@pytest.mark.parametrize("tip", ["OFFSET 0 0 0", "OFFSET nan nan nan"])
def test_a_head_without_a_tip_goes_on_in_the_line_of_the_neck(tmp_path: Path, tip: str) -> None:
    text = bvh_text(on_the_floor())
    before, after = text.split("JOINT Head\n")
    bare = before + "JOINT Head\n" + after.replace("OFFSET 0.000000 10.000000 0.000000", tip, 1)
    plain, _ = imported(tmp_path, text)
    joints, summary = imported(tmp_path, bare)
    head = H36M17.index("head")
    others = [place for place in range(17) if place not in (head, H36M17.index("nose"))]
    np.testing.assert_array_equal(joints[:, others], plain[:, others])
    motion = on_the_floor()
    leg = np.hypot(41, 3) + np.hypot(42, 3)
    for frame in range(len(joints)):
        places = slow_positions(motion, frame)
        x, y, z = 10 * places["Head"]
        assert np.linalg.norm(joints[frame, head] - [x, -z, y]) == pytest.approx(
            10 * HEAD_PER_LEG * leg, abs=0.05
        )
        assert joints[frame, head, 2] > y
    assert "no top of the head" in summary.notes[0]


def test_positions_of_inner_joints_that_were_not_written(tmp_path: Path) -> None:
    motion = on_the_floor()
    plain, _ = imported(tmp_path, bvh_text(motion))
    motion["Head"][:, :3] = 0
    joints, _ = imported(tmp_path, bvh_text(motion))
    np.testing.assert_allclose(joints, plain, atol=1e-3)  # its offset is what `standing` writes


def file_of(table: BvhNames, spelled: Callable[[str], str] = lambda name: name) -> str:
    """A hierarchy with all joints of a table, one below the other."""
    names = [name for joint, weights in table.joints.items() for name in weights if joint != "head"]
    every = dict.fromkeys([*names, *((table.skull,) if table.skull else ()), *table.marks])
    if "nose" in table.joints:
        every |= dict.fromkeys(table.joints["head"])
    opened = "".join(
        f"{'JOINT' if place else 'ROOT'} {spelled(name)} {{ OFFSET 0 1 0 CHANNELS 0 "
        for place, name in enumerate(every)
    )
    end = "End Site { OFFSET 0 1 0 } " + "} " * len(every)
    return f"HIERARCHY {opened}{end}\nMOTION\nFrames: 1\nFrame Time: 0.01\n0\n"


@pytest.mark.parametrize("table", BVH_NAMES.values(), ids=lambda table: table.name)
@pytest.mark.parametrize(
    "spelled",
    [str, str.upper, lambda name: f"Actor:{name}", lambda name: name.replace(" ", "_")],
    ids=["as it is", "capitals", "with a prefix", "underscores"],
)
def test_tables_are_told_from_the_joints(table: BvhNames, spelled: Callable[[str], str]) -> None:
    motion = parse_bvh(file_of(table, spelled).encode(), "a.bvh")
    assert matching_names(motion).name == table.name


def test_joints_of_no_table_are_one_sentence() -> None:
    text = file_of(BVH_NAMES["rokoko"]).replace("LeftShin", "LeftTibia")
    with pytest.raises(
        InputError,
        match=r"a\.bvh: its joints are of none of the built-in tables.*`names`.*\"pelvis\".*it has .*LeftTibia",
    ) as caught:
        matching_names(parse_bvh(text.encode(), "a.bvh"))
    assert "\n" not in str(caught.value)


def test_joints_of_two_tables_are_asked_for() -> None:
    """A file with the legs of both Rokoko's and Mixamo's."""
    legs = "".join(
        f"JOINT {side}{name} {{ OFFSET 0 1 0 CHANNELS 0 }} "
        for side in ("Left", "Right")
        for name in ("UpLeg", "Leg")
    )
    spine = "JOINT Spine1 { OFFSET 0 1 0 CHANNELS 0 } "
    text = file_of(BVH_NAMES["rokoko"]).replace("End Site", f"{legs}{spine}End Site")
    with pytest.raises(
        InputError, match=r"may be those of mixamo or rokoko: name the table by `names`; it has "
    ):
        matching_names(parse_bvh(text.encode(), "a.bvh"))


def test_a_table_that_does_not_fit_is_told_with_the_one_that_does(tmp_path: Path) -> None:
    (tmp_path / "a.bvh").write_text(file_of(BVH_NAMES["cmu-motionbuilder"]))
    with pytest.raises(InputError) as caught:
        import_bvh(tmp_path / "a.bvh", tmp_path / "o.h5", names="mixamo")
    assert str(caught.value).endswith("; its joints are those of cmu-motionbuilder: leave out `names`")
    for names in (None, "cmu-motionbuilder"):
        with pytest.raises(InputError) as caught:
            import_bvh(tmp_path / "a.bvh", tmp_path / "o.h5", names=names)
        assert "leave out" not in str(caught.value)


def test_one_bad_file_does_not_cost_the_folder(tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    text = bvh_text(on_the_floor())
    (clips / "a.bvh").write_text("nothing of the kind")
    (clips / "b.bvh").write_text(text)
    (clips / "c.bvh").write_text(text.replace("LeftHand", "LeftFist"))
    names = write_names(tmp_path)
    summary = import_bvh(clips, tmp_path / "out.h5", names=names)
    assert summary.files == 1
    assert list(summary.unread) == [str(clips / "a.bvh"), str(clips / "c.bvh")]
    assert "has no joint 'LeftHand'" in summary.unread[str(clips / "c.bvh")]
    with PoseStore(tmp_path / "out.h5") as store:
        assert set(store.table()["action"]) == {"b"}
        assert set(store.provenance.parameters["left_out"]) == set(summary.unread)  # type: ignore[call-overload]  # JSON values
    (clips / "b.bvh").unlink()
    with pytest.raises(InputError, match=r"none of the 2 files can be read: .*a\.bvh is not a BVH file"):
        import_bvh(clips, tmp_path / "new.h5", names=names)
    assert not (tmp_path / "new.h5").exists()


def test_an_axis_that_people_do_not_stand_along_is_doubted(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="looks as if -z was up"):
        imported(tmp_path, bvh_text(on_the_floor()), up="-y")
    _, summary = imported(tmp_path, bvh_text(on_the_floor()), up="-y", implausible=True)
    assert summary.up == "-y"
    assert "people in it stand along y, not along -y" in summary.notes[-1]
