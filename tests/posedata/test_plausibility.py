from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evolift.posedata.errors import StoreError
from evolift.posedata.plausibility import SAMPLE, PlausibilityCheck
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.selection import select_rows
from evolift.posedata.skeleton import COCO17, H36M17, LSP14, Skeleton
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance, append_to_store

Make = Callable[..., Poses]

# What people in millimetres with z up are made into, and what is said of it.
UNITS = [
    (1 / 1000, "looks like metres, since people in millimetres would be 1.66 mm tall: multiply its joints by 1000"),
    (1 / 10, "looks like centimetres, since people in millimetres would be 166 mm tall: multiply its joints by 10"),
    (1 / 25.4, "looks like inches, since people in millimetres would be 65.3 mm tall: multiply its joints by 25.4"),
    (1 / 304.8, "looks like feet, since people in millimetres would be 5.44 mm tall: multiply its joints by 304.8"),
    (10, "looks 10 times too large, since people in millimetres would be 16,600 mm tall: divide its joints by 10"),
    (100, "looks 100 times too large, since people in millimetres would be 166,000 mm tall: divide its joints by 100"),
    (1e-9, "its unit is not millimetres, since people in millimetres would be 1.66e-06 mm tall: bring its joints to millimetres"),
]  # fmt: skip
AXES: list[tuple[str, Callable[[np.ndarray], np.ndarray], str]] = [
    ("y", lambda p: np.stack([p[..., 0], p[..., 2], -p[..., 1]], -1), "(x, -z, y)"),
    ("x", lambda p: np.stack([p[..., 2], p[..., 0], p[..., 1]], -1), "(y, z, x)"),
    ("-y", lambda p: np.stack([p[..., 0], -p[..., 2], p[..., 1]], -1), "(x, z, -y)"),
    ("-x", lambda p: np.stack([-p[..., 2], -p[..., 0], p[..., 1]], -1), "(-y, z, -x)"),
    ("-z", lambda p: p * [1, -1, -1], "(x, -y, -z)"),
]


def poses_of(joints: np.ndarray, **more: object) -> Poses:
    rows = len(joints)
    return Poses(
        repeated_label("ann", rows),
        repeated_label("walk", rows),
        np.arange(rows),
        joints.astype(np.float32),
        **more,  # type: ignore[arg-type]  # of tests
    )


def write(path: Path, poses: Poses, **options: object) -> Path:
    settings: dict[str, object] = {"skeleton": H36M17, "coordinate_frame": "world", **options}
    with PoseStoreWriter(path, provenance=Provenance("test"), **settings) as writer:  # type: ignore[arg-type]  # of tests
        writer.append(poses)
    return path


def refusals(tmp_path: Path, poses: Poses) -> tuple[str, str]:
    """What is said when poses are written, and when they are found in a file that something else wrote."""
    with pytest.raises(StoreError) as writing:
        write(tmp_path / "a.h5", poses)
    assert list(tmp_path.iterdir()) == []
    found = write(tmp_path / "a.h5", poses, implausible="write")
    with pytest.raises(StoreError) as reading:
        PoseStore(found)
    return str(writing.value), str(reading.value)


@pytest.mark.parametrize(("factor", "said"), UNITS)
def test_units_are_told(make_poses: Make, tmp_path: Path, factor: float, said: str) -> None:
    joints = make_poses(40).joints_3d
    assert joints is not None
    writing, reading = refusals(tmp_path, poses_of(factor * joints))
    sentence = f"{tmp_path / 'a.h5'}: {said}, import it with the right unit, or insist by `implausible`"
    assert writing == sentence
    assert reading == f"{sentence} of `evolift data select`"


@pytest.mark.parametrize(("up", "turn", "mend"), AXES, ids=[axis[0] for axis in AXES])
def test_axes_are_told_and_the_mend_is_right(
    make_poses: Make, tmp_path: Path, up: str, turn: Callable[[np.ndarray], np.ndarray], mend: str
) -> None:
    joints = make_poses(40).joints_3d
    assert joints is not None
    turned = turn(joints)
    writing, reading = refusals(tmp_path, poses_of(turned))
    sentence = f"{tmp_path / 'a.h5'}: looks as if {up} was up, since people stand along it: rotate its joints (x, y, z) to {mend}, import it with the right axes, or insist by `implausible`"
    assert writing == sentence
    assert reading == f"{sentence} of `evolift data select`"
    x, y, z = np.moveaxis(turned, -1, 0)
    mended = np.stack(eval(mend, {"x": x, "y": y, "z": z}), -1)
    assert np.linalg.det(np.stack(eval(mend, dict(zip("xyz", np.eye(3), strict=True))))) == 1
    np.testing.assert_allclose(mended[..., 2], joints[..., 2], atol=1e-3)
    write(tmp_path / "mended.h5", poses_of(mended))


def test_the_unit_is_told_before_rows_of_it_make_no_sense(make_poses: Make, tmp_path: Path) -> None:
    joints = make_poses(40).joints_3d
    assert joints is not None
    assert all("looks 1000 times too large" in said for said in refusals(tmp_path, poses_of(1000 * joints)))


ABSURD = [
    ("joints_3d", (3, 8, 0), 1e30, "row 3 (subject ann, action walk, frame 3: thorax lies 1e+27 m from the origin)"),
    ("joints_3d", (3, 0, 1), -1.2e5, "row 3 (subject ann, action walk, frame 3: pelvis lies 120 m from the origin)"),
    ("joints_3d", (3, 8, 0), 8000, "row 3 (subject ann, action walk, frame 3: thorax lies 8 m from spine)"),
    ("joints_2d", (3, 9, 1), 1e30, "row 3 (subject ann, action walk, frame 3: nose lies at 1e+30 px)"),
    ("box", (3, 2), 2e9, "row 3 (subject ann, action walk, frame 3: its box reaches to 2e+09 px)"),
]  # fmt: skip


def with_2d(poses: Poses) -> Poses:
    rows = len(poses)
    return replace(
        poses,
        joints_2d=np.full((rows, 17, 2), 50, np.float32),
        visibility=np.full((rows, 17), 2, np.uint8),
        box=np.full((rows, 4), 50, np.float32),
    )


@pytest.mark.parametrize(("column", "place", "value", "said"), ABSURD)
def test_rows_of_no_sense_are_refused_or_left_out_and_counted(
    make_poses: Make,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    column: str,
    place: tuple[int, ...],
    value: float,
    said: str,
) -> None:
    joints = make_poses(10).joints_3d
    assert joints is not None
    joints[:, :, :2] -= joints[:, :1, :2]  # where the sentences say
    joints[:, 7:9, 0] = 0
    poses = with_2d(poses_of(joints))
    getattr(poses, column)[place] = value
    for sentence in refusals(tmp_path, poses):
        assert said in sentence
        assert sentence.startswith(f"{tmp_path / 'a.h5'}: row 3")
        assert "mend or leave out such rows (1 here), or insist by `implausible`" in sentence
    with caplog.at_level(logging.WARNING):
        kept = write(tmp_path / "kept.h5", poses, implausible="leave out")
    inner = said.removeprefix("row 3 (").removesuffix(")")
    assert caplog.messages == [f"{kept}: 1 of 10 rows left out that make no sense, first {inner}"]
    with PoseStore(kept) as store:
        assert store.read().frame.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
        assert not store.implausible
    accepted = write(tmp_path / "accepted.h5", poses, implausible="accept")
    with PoseStore(accepted) as store:
        assert getattr(store.read(), column)[place] == np.float32(value)


def test_a_source_of_which_most_makes_no_sense_is_refused(make_poses: Make, tmp_path: Path) -> None:
    poses = with_2d(make_poses(10))
    assert poses.joints_2d is not None
    poses.joints_2d[4:] = 1e9
    with pytest.raises(
        StoreError, match=r"6 of 10 rows make no sense, first subject ann, action walk, frame 4"
    ):
        write(tmp_path / "a.h5", poses, implausible="leave out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda poses: poses_of(poses.joints_3d / 1000), "looks like metres"),
        (lambda poses: poses_of(poses.joints_3d + 1e9), "10 of 10 rows make no sense"),
        (
            lambda poses: poses_of(poses.joints_3d * [np.nan]),
            "a.h5: dataset /poses/joints_3d, row 0: is not finite",
        ),
        (lambda poses: poses[:0], "there are no poses to write"),
    ],
)
def test_who_imports_is_told_of_the_source(
    make_poses: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Poses], Poses],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError) as caught:
        write(Path("a.h5"), change(make_poses(10)), source="b.mat", implausible="leave out")
    assert str(caught.value).startswith(f"b.mat: {message}")


def test_what_was_accepted_once_is_accepted_in_all_that_is_made_of_it(
    make_poses: Make, tmp_path: Path
) -> None:
    joints = make_poses(40).joints_3d
    assert joints is not None
    metres = write(tmp_path / "metres.h5", poses_of(joints / 1000), implausible="write")
    with pytest.raises(StoreError, match="looks like metres"):
        select_rows(metres, tmp_path / "selected.h5")
    select_rows(metres, tmp_path / "selected.h5", implausible=True)
    append_to_store(tmp_path / "selected.h5").close()
    select_rows(tmp_path / "selected.h5", tmp_path / "again.h5", share=0.5)
    for name in ("selected", "again"):
        with PoseStore(tmp_path / f"{name}.h5") as store:
            assert store.implausible
    with PoseStore(metres, implausible=True) as store:
        assert len(store) == 40
    with h5py.File(write(tmp_path / "fine.h5", make_poses(4)), "r") as file:
        assert "implausible" not in file.attrs


def lying(joints: np.ndarray) -> np.ndarray:
    """People on their backs along y, who draw up their legs and move about on the floor."""
    rows = len(joints)
    flat = np.stack([joints[..., 1], joints[..., 2], -joints[..., 0]], -1)
    flat[..., 2] -= flat[..., 2].min(1, keepdims=True)
    flat[..., 1] += np.linspace(0, 1000, rows)[:, None]
    return flat


def test_people_on_the_floor_are_told_of_and_not_refused(
    make_poses: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    joints = make_poses(60).joints_3d
    assert joints is not None
    with caplog.at_level(logging.WARNING):
        path = write(tmp_path / "a.h5", poses_of(lying(joints)))
    assert caplog.messages == [
        f"{path}: people in it lie along y, if z is up: look at them (`evolift data view`), and rotate them if they should stand"
    ]
    PoseStore(path).close()


@pytest.mark.parametrize("frame", ["camera", "world"])
def test_only_the_world_has_an_upward_axis(make_poses: Make, tmp_path: Path, frame: str) -> None:
    joints = make_poses(40).joints_3d
    assert joints is not None
    seen = poses_of(np.stack([joints[..., 0], -joints[..., 2], joints[..., 1]], -1))
    if frame == "world":
        with pytest.raises(StoreError, match="looks as if -y was up"):
            write(tmp_path / "a.h5", seen, coordinate_frame=frame)
    else:
        write(tmp_path / "a.h5", seen, coordinate_frame=frame)


@pytest.mark.parametrize(
    ("skeleton", "is_judged"),
    [(LSP14, True), (COCO17, True), (Skeleton("HAND", ("wrist", "tip"), (None, "wrist")), False)],
)
def test_other_skeletons_are_judged_by_the_limbs_that_they_have(
    standing_pose: np.ndarray, tmp_path: Path, skeleton: Skeleton, is_judged: bool
) -> None:
    places = [H36M17.index(joint) if joint in H36M17.joints else 0 for joint in skeleton.joints]
    metres = poses_of(standing_pose[None, places] / 1000)
    if not is_judged:
        write(tmp_path / "a.h5", metres, skeleton=skeleton)
        return
    with pytest.raises(StoreError, match="looks like metres"):
        write(tmp_path / "a.h5", metres, skeleton=skeleton)


def test_unlabelled_joints_count_for_nothing(make_poses: Make, tmp_path: Path) -> None:
    poses = make_poses(10)
    assert poses.joints_3d is not None
    for value in (np.nan, 0, 1e30):
        poses.joints_3d[:, H36M17.index("nose")] = value
        path = write(tmp_path / f"{value}.h5", poses, unlabelled=["nose"])
        PoseStore(path).close()


def test_the_sample_is_that_of_all_rows_however_they_are_cut(make_poses: Make, tmp_path: Path) -> None:
    poses = poses_of(np.tile(np.asarray(make_poses(50).joints_3d), (200, 1, 1)))
    samples = []
    for cut in (7, 1000, 10_000):
        check = PlausibilityCheck(tmp_path, H36M17, "world", (), "refuse", "insist")
        for start in range(0, len(poses), cut):
            check.kept(poses[start : start + cut])
        check.close()
        samples.append(np.concatenate(check._sample))
    for sample in samples:
        assert SAMPLE <= len(sample) <= 2 * SAMPLE
        np.testing.assert_array_equal(sample, samples[0])


@given(
    stature=st.floats(600, 2500),
    place=st.tuples(*[st.floats(-9e4, 9e4)] * 2),
    heading=st.floats(0, 2 * np.pi),
    rows=st.integers(1, 30),
    seed=st.integers(0, 2**16),
)
def test_any_plausible_body_passes(
    standing_pose: np.ndarray,
    make_poses: Make,
    stature: float,
    place: tuple[float, float],
    heading: float,
    rows: int,
    seed: int,
) -> None:
    joints = np.asarray(make_poses(rows, seed).joints_3d, float)
    cos, sin = np.cos(heading), np.sin(heading)
    rotated = (stature / 1658) * joints @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
    check = PlausibilityCheck(Path("a.h5"), H36M17, "world", (), "refuse", "insist")
    poses = poses_of(rotated + np.array([*place, 0]))
    assert check.kept(poses) is poses
    check.close()


def test_statures_are_those_of_people(make_poses: Make) -> None:
    check = PlausibilityCheck(Path("a.h5"), H36M17, "world", (), "refuse", "insist")
    check.kept(make_poses(40))
    stature = check._stature()
    assert stature == pytest.approx(1658, abs=1)
