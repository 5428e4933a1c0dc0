from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from evolift.posedata.errors import EvoliftError, InputError, OutputError
from evolift.posedata.importers.amc_file import moved_bones, parse_amc
from evolift.posedata.importers.asf_file import parse_asf
from evolift.posedata.importers.cmu_asfamc import import_cmu
from evolift.posedata.importers.cmu_clips import BONES_OF_JOINTS, GLITCHES, find_clips, read_clip
from evolift.posedata.importers.frame_rate import kept_frames
from evolift.posedata.importers.settings import CmuSettings
from evolift.posedata.importers.source_files import SourceFiles
from evolift.posedata.nose import is_nose
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore
from tests.posedata.acclaim_files import (
    BONES,
    LENGTH_UNIT,
    amc_text,
    asf_text,
    random_values,
    write_database,
    zipped,
)

MILLIMETRES = 25.4 / LENGTH_UNIT


def rotation(axis: str, degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(
        {
            "x": [[1, 0, 0], [0, c, -s], [0, s, c]],
            "y": [[c, 0, s], [0, 1, 0], [-s, 0, c]],
            "z": [[c, -s, 0], [s, c, 0], [0, 0, 1]],
        }[axis]
    )


def slow_bones(
    values: dict[str, np.ndarray], frame: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Ends and rotations of one frame, bone by bone, from the description of the format: L = C Rz Ry Rx C^-1."""
    root = values["root"][frame]
    rotations = {"root": rotation("z", root[5]) @ rotation("y", root[4]) @ rotation("x", root[3])}
    ends = {"root": MILLIMETRES * root[:3]}
    for name, (parent, direction, length, axis, dof) in BONES.items():
        angles = dict.fromkeys("xyz", 0.0)
        if dof:
            angles |= {word[1]: value for word, value in zip(dof.split(), values[name][frame], strict=True)}
        C = rotation("z", axis[2]) @ rotation("y", axis[1]) @ rotation("x", axis[0])
        M = rotation("z", angles["z"]) @ rotation("y", angles["y"]) @ rotation("x", angles["x"])
        rotations[name] = rotations[parent] @ C @ M @ np.linalg.inv(C)
        ends[name] = ends[parent] + MILLIMETRES * length * rotations[name] @ np.array(direction)
    return ends, rotations


def test_forward_kinematics_against_a_bone_by_bone_reference() -> None:
    values = random_values(7)
    skeleton = parse_asf(asf_text().encode(), "s.asf")
    motion = parse_amc(amc_text(values).encode(), "m.amc", skeleton)
    ends, rotations = moved_bones(skeleton, motion, np.arange(7), list(BONES))
    for frame in range(7):
        expected, turned = slow_bones(values, frame)
        for name in BONES:
            np.testing.assert_allclose(ends[name][frame], expected[name], atol=1e-6)
            np.testing.assert_allclose(rotations[name][frame], turned[name], atol=1e-9)


def test_joints_are_the_declared_bones_in_a_z_up_world(tmp_path: Path) -> None:
    values = random_values(4)
    with SourceFiles(write_database(tmp_path, {"05_01": 4})) as files:
        poses = read_clip(files, find_clips(files)[0])
    for frame in range(4):
        ends, rotations = slow_bones(values, frame)
        places = {
            joint: np.mean([ends[bone] for bone in bones], 0) for joint, bones in BONES_OF_JOINTS.items()
        }
        # At rest the head looks along z: the nose lies in front of it and below, as far as neck and skull tell.
        skull = ends["upperneck"]
        length = np.linalg.norm(skull - places["thorax"]) + np.linalg.norm(places["head"] - skull)
        bone = np.array([0, -np.cos(np.radians(40)), np.sin(np.radians(40))])
        places["nose"] = places["head"] + 115 / 178 * length * rotations["head"] @ bone
        for joint, (x, y, z) in places.items():
            np.testing.assert_allclose(poses.joints[frame, H36M17.index(joint)], [x, -z, y], atol=1e-3)
        assert set(places) == set(H36M17.joints)
    assert poses.frames.tolist() == [1, 2, 3, 4]


def test_left_joints_are_left_bones_and_sides_are_alike() -> None:
    for joint, bones in BONES_OF_JOINTS.items():
        if joint.startswith("left_"):
            assert all(bone.startswith("l") for bone in bones)
            assert BONES_OF_JOINTS["right_" + joint.removeprefix("left_")] == tuple(
                "r" + bone[1:] for bone in bones
            )
    assert set(BONES_OF_JOINTS) | {"nose"} == set(H36M17.joints)


def test_store_from_folder_and_zip(tmp_path: Path) -> None:
    folder = write_database(tmp_path / "cmu", {"05_01": 30, "05_02": 13, "06_01": 25})
    archive = zipped(folder, tmp_path / "cmu.zip")
    summary = import_cmu(folder, tmp_path / "folder.h5", CmuSettings(fps=10))
    import_cmu(archive, tmp_path / "zip.h5", CmuSettings(fps=10))
    with PoseStore(tmp_path / "folder.h5", skeleton=H36M17) as a, PoseStore(tmp_path / "zip.h5") as b:
        assert np.array_equal(a.read().joints_3d, b.read().joints_3d)
        table = a.table()
        assert list(b.provenance.inputs) == ["cmu.zip"]
        assert len(a.provenance.inputs) == 5
        assert a.coordinate_frame == "world"
        assert a.provenance.parameters == {"fps": 10, "subjects": None}
    assert table["frame"].tolist() == [1, 13, 25, 1, 13, 1, 13, 25]
    assert table["action"].tolist() == ["05_01"] * 3 + ["05_02"] * 2 + ["06_01"] * 3
    assert table["subject"].tolist() == ["05"] * 5 + ["06"] * 3
    assert (summary.clips, summary.poses, summary.native_frames, summary.subjects) == (3, 8, 68, ("05", "06"))


def test_the_last_frame_is_not_dropped(tmp_path: Path) -> None:
    import_cmu(write_database(tmp_path / "cmu", {"05_01": 9}), tmp_path / "out.h5")
    with PoseStore(tmp_path / "out.h5") as store:
        assert store.read().frame.tolist() == list(range(1, 10))


def test_workers_do_not_change_a_byte(tmp_path: Path) -> None:
    folder = write_database(tmp_path / "cmu", {"05_01": 30, "05_02": 13, "06_01": 25})
    for num_workers in (1, 2):
        import_cmu(folder, tmp_path / f"{num_workers}.h5", CmuSettings(num_workers=num_workers))
    assert (tmp_path / "1.h5").read_bytes() == (tmp_path / "2.h5").read_bytes()


def test_subjects_are_chosen_by_name(tmp_path: Path) -> None:
    folder = write_database(tmp_path / "cmu", {"05_01": 3, "06_01": 3})
    import_cmu(folder, tmp_path / "out.h5", subjects=["06"])
    with PoseStore(tmp_path / "out.h5") as store:
        assert set(store.table()["subject"]) == {"06"}
    with pytest.raises(InputError, match="has no subject '07': it has 05, 06"):
        import_cmu(folder, tmp_path / "new.h5", subjects=["06", "07"])


def test_glitches_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = write_database(tmp_path / "cmu", {"03_02": 90})
    summary = import_cmu(folder, tmp_path / "out.h5", CmuSettings(fps=60))
    assert GLITCHES["03_02"] == (0, 55)
    assert summary.left_out == 28
    with PoseStore(tmp_path / "out.h5") as store:
        assert store.read().frame.tolist() == list(range(57, 91, 2))


def test_the_first_and_last_frame_of_a_glitch_are_left_out_and_no_more(tmp_path: Path) -> None:
    with SourceFiles(write_database(tmp_path, {"03_02": 58})) as files:
        poses = read_clip(files, find_clips(files)[0])
    assert poses.frames.tolist() == [57, 58]  # rows 56 and 57
    assert poses.left_out == 56


def test_kept_frames() -> None:
    assert kept_frames(25, 120, 10).tolist() == [0, 12, 24]
    assert kept_frames(24, 120, 10).tolist() == [0, 12]
    assert kept_frames(4, 120, None).tolist() == [0, 1, 2, 3]
    assert kept_frames(4, 120, 120).tolist() == [0, 1, 2, 3]
    assert kept_frames(1, 120, 1).tolist() == [0]
    assert kept_frames(13, 120, 50).tolist() == [0, 2, 4, 7, 9, 12]
    long = kept_frames(1_000_000, 120, 10)
    assert np.array_equal(long, np.arange(0, 1_000_000, 12))
    for fps in (0, -1, 121):
        with pytest.raises(InputError, match="fps must be above 0 and at most the 120 of the source"):
            kept_frames(10, 120, fps)


BAD_MOTIONS = {
    "moves the bone 'tail', which is not in": lambda text: text.replace("lradius", "tail"),
    "bone 'lradius' has 2 channels, 1 in": lambda text: text.replace("lradius ", "lradius 1.0 "),
    "does not move 'rwrist' of": lambda text: "".join(
        line for line in text.splitlines(keepends=True) if not line.startswith("rwrist")
    ),
    "it ends inside its 5th frame": lambda text: text[: len(text) - 200],
    "has not the bones of the first": lambda text: "lhumerus".join(text.rsplit("rhumerus", 1)),
    "is not an AMC file: it has no :DEGREES line": lambda text: text.replace(":DEGREES", ""),
    "its angles are in radians": lambda text: text.replace(":DEGREES", ":RADIANS"),
    "is not an AMC file": lambda text: "",
    "frames are missing after frame 2": lambda text: text.replace("\r\n3\r\n", "\r\n7\r\n"),
    "frame 1: 'abc' is not a finite number": lambda text: text.replace("1.5e-14", "abc", 1),
    "frame 1: 'nan' is not a finite number": lambda text: text.replace("1.5e-14", "nan", 1),
    f"frame 1: '{'1' * 24}' is not a finite number": lambda text: text.replace("1.5e-14", "1" * 1000, 1),
    "frame 5: it has 45 numbers, 46 channels are declared": lambda text: re.sub(
        r"(lhumerus \S+ \S+) \S+(?!.*lhumerus)", r"\1", text, flags=re.DOTALL
    ),
}


@pytest.mark.parametrize("message", BAD_MOTIONS)
def test_damaged_motions_are_one_sentence_and_leave_nothing(tmp_path: Path, message: str) -> None:
    folder = write_database(tmp_path / "cmu", {"05_01": 5}, BAD_MOTIONS[message])
    with pytest.raises(InputError, match=message) as caught:
        import_cmu(folder, tmp_path / "out.h5")
    assert "05_01.amc" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [entry.name for entry in tmp_path.iterdir()] == ["cmu"]


BAD_SKELETONS = {
    "it has no section :hierarchy": lambda text: text.split(":hierarchy")[0],
    "its angles are in 'rad'": lambda text: text.replace("angle deg", "angle rad"),
    "which has no bone data": lambda text: text.replace("name lfoot", "name lfeet"),
    "is not in the hierarchy": lambda text: text.replace("    ltibia lfoot\r\n", ""),
    "names 'lfoot' twice": lambda text: text.replace("rtibia rfoot", "rtibia rfoot lfoot"),
    "before 'nothing' has a parent": lambda text: text.replace("    ltibia lfoot", "    nothing lfoot"),
    "only rotations are known": lambda text: text.replace("dof ry rz", "dof ry l"),
    "should be 3 finite numbers": lambda text: text.replace("direction 1 0 0", "direction 1 0 nan"),
    "two bones are called 'lfoot'": lambda text: text.replace("name rfoot", "name lfoot"),
    "a permutation of XYZ": lambda text: text.replace("   axis XYZ", "   axis XYY"),
    "it lacks 'length'": lambda text: text.replace("     length 7.4", "     size 7.4"),
}


@pytest.mark.parametrize("message", BAD_SKELETONS)
def test_damaged_skeletons_are_one_sentence(message: str) -> None:
    text = asf_text()
    edited = BAD_SKELETONS[message](text)
    assert edited != text
    with pytest.raises(InputError, match=message) as caught:
        parse_asf(edited.encode(), "5.asf")
    assert str(caught.value).startswith("5.asf is not a sound ASF file")


def test_bad_sources(tmp_path: Path) -> None:
    folder = write_database(tmp_path / "cmu", {"05_01": 40})
    archive = zipped(folder, tmp_path / "cmu.zip")
    data = archive.read_bytes()
    (tmp_path / "cut.zip").write_bytes(data[: len(data) // 2])
    # Damage inside the compressed bytes of a member, the directory at the end left whole.
    middle = len(data) // 2
    (tmp_path / "rotten.zip").write_bytes(data[:middle] + bytes(64) + data[middle + 64 :])
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.txt").write_text("a")
    lonely = write_database(tmp_path / "lonely", {"05_01": 2})
    (lonely / "all_asfamc/subjects/05/05.asf").unlink()
    cases = {
        "cut.zip": "cut.zip is not a whole zip file",
        "rotten.zip": r"rotten.zip: .*05_01.amc cannot be read .*download or copy it again",
        "empty": "empty holds no files",
        "other": "other holds no .amc files",
        "lonely": "has no 05.asf beside it",
        "nowhere": "neither a folder nor a file",
    }
    before = sorted(tmp_path.iterdir())
    for name, message in cases.items():
        with pytest.raises(InputError, match=message) as caught:
            import_cmu(tmp_path / name, tmp_path / "out.h5")
        assert "\n" not in str(caught.value)
    assert sorted(tmp_path.iterdir()) == before


def test_an_existing_output_is_kept_unless_overwritten(tmp_path: Path) -> None:
    folder = write_database(tmp_path / "cmu", {"05_01": 3})
    target = tmp_path / "out.h5"
    target.write_text("mine")
    with pytest.raises(OutputError, match=r"out\.h5 exists"):
        import_cmu(folder, target)
    with pytest.raises(EvoliftError):
        import_cmu(tmp_path / "nowhere", target, overwrite=True)
    assert target.read_text() == "mine"
    import_cmu(folder, target, overwrite=True)
    with PoseStore(target) as store:
        assert len(store) == 3


def test_a_clip_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    write_database(tmp_path / "cmu" / "a", {"05_01": 3})
    write_database(tmp_path / "cmu" / "b", {"05_01": 3})
    with pytest.raises(InputError, match="holds the clip 05_01 twice"):
        import_cmu(tmp_path / "cmu", tmp_path / "out.h5")


@pytest.mark.real_data
def test_real_bones_keep_their_length_and_people_stand_upright_and_walk_forward(data_folder: Path) -> None:
    with SourceFiles(data_folder / "cmu_asfamc_subset.zip") as files:
        clips = {clip.name: clip for clip in find_clips(files)}
        assert len(clips) == 28
        for name in ("02_01", "03_01", "01_14"):
            skeleton = parse_asf(files.read(clips[name].asf), "asf")
            motion = parse_amc(files.read(clips[name].amc), "amc", skeleton)
            ends, _ = moved_bones(
                skeleton,
                motion,
                np.arange(len(motion)),
                sorted({b for bs in BONES_OF_JOINTS.values() for b in bs}),
            )
            for bone in skeleton.bones.values():
                if bone.parent is not None and bone.name in ends:
                    length = np.linalg.norm(ends[bone.name] - ends[bone.parent], axis=-1)
                    assert np.abs(length - np.linalg.norm(bone.offset)).max() < 0.1
        walk = read_clip(files, clips["02_01"]).joints
    at = {name: walk[:, H36M17.index(name)] for name in H36M17.joints}
    assert (at["head"][:, 2] - at["left_ankle"][:, 2]).min() > 1300
    forward = np.cross(at["left_hip"] - at["right_hip"], [0, 0, 1])
    step = at["pelvis"][60:] - at["pelvis"][:-60]
    assert ((step * forward[:-60]).sum(-1) > 0).all()
    knee_ahead = at["left_knee"] - (at["left_hip"] + at["left_ankle"]) / 2
    assert (knee_ahead * forward).sum(-1).mean() > 0


@pytest.mark.real_data
def test_real_bone_means_and_no_joint_jumps(data_folder: Path, tmp_path: Path) -> None:
    summary = import_cmu(
        data_folder / "cmu_asfamc_subset.zip", tmp_path / "out.h5", CmuSettings(fps=10, num_workers=2)
    )
    assert (summary.clips, summary.native_frames) == (28, 77754)
    with PoseStore(tmp_path / "out.h5") as store:
        poses = store.read()
    assert poses.joints_3d is not None
    lengths = {
        H36M17.joints[child]: np.linalg.norm(
            poses.joints_3d[:, child] - poses.joints_3d[:, parent], axis=-1
        ).mean()
        for parent, child in H36M17.bones
    }
    expected = {
        "left_knee": 412,
        "right_ankle": 422,
        "thorax": 285,
        "nose": 142,
        "head": 157,
        "left_wrist": 286,
    }
    for joint, length in expected.items():
        assert lengths[joint] == pytest.approx(length, rel=0.03)


def pitch(joints: np.ndarray, start: str, end: str) -> np.ndarray:
    """Degrees by which a bone leans forward from the axis of the trunk (thorax minus spine), of each pose."""
    at = {name: joints[:, H36M17.index(name)].astype(np.float64) for name in H36M17.joints}
    up = at["thorax"] - at["spine"]
    ahead = np.cross(at["left_shoulder"] - at["right_shoulder"], up)
    bone = at[end] - at[start]
    up, ahead = (axis / np.linalg.norm(axis, axis=-1, keepdims=True) for axis in (up, ahead))
    return np.degrees(np.arctan2((bone * ahead).sum(-1), (bone * up).sum(-1)))


@pytest.mark.real_data
def test_real_noses_lie_where_human36m_s_do(data_folder: Path) -> None:
    """The medians of Human3.6M's training subjects: the bone to the nose 44 degrees forward, that to the head 32 back, of which
    the line from thorax to head is 6 forward. In these clips people hold the head otherwise, which the two bones follow."""
    joints = []
    with SourceFiles(data_folder / "cmu_asfamc_subset.zip") as files:
        for clip in find_clips(files)[::5]:
            joints.append(read_clip(files, clip, 5).joints)
    poses = np.concatenate(joints)
    assert is_nose(poses)
    neck = pitch(poses, "thorax", "head")
    assert np.median(pitch(poses, "thorax", "nose") - neck) == pytest.approx(44 - 6, abs=6)
    assert np.median(pitch(poses, "nose", "head") - neck) == pytest.approx(-32 - 6, abs=6)


@pytest.mark.real_data
@pytest.mark.parametrize("clip", ["03_02", "01_12"])
def test_glitch_frames_are_those_of_the_files(data_folder: Path, clip: str) -> None:
    with SourceFiles(data_folder / "cmu_asfamc_subset.zip") as files:
        clips = {entry.name: entry for entry in find_clips(files)}
        poses = read_clip(files, clips[clip])
    speed = np.linalg.norm(np.diff(poses.joints.astype(float), axis=0), axis=-1).max(1) * 120 / 1000
    is_next = np.diff(poses.frames) == 1
    assert poses.left_out == GLITCHES[clip][1] - GLITCHES[clip][0] + 1
    assert speed[is_next].max() < 12
