from __future__ import annotations

import dataclasses
import itertools
import json
import pickle
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, OutputError, StoreError
from evolift.posedata.poses import Lineage, Poses, repeated_label
from evolift.posedata.skeleton import H36M16, H36M17, LSP14
from evolift.posedata.store import CHUNK_ROWS, PoseStore, PoseStoreWriter, Provenance, append_to_store
from evolift.posedata.store_summary import summary_lines

Make = Callable[..., Poses]
CAMERA = Camera.from_focal_length(1145.0, 1000, 1002, R=np.eye(3), t=np.array([0.0, 0, 4000]), name="cam 1")


def full_poses(make_poses: Make, rows: int, seed: int = 0) -> Poses:
    """Every optional column but lineage."""
    rng = np.random.default_rng(seed)
    return dataclasses.replace(
        make_poses(rows, seed),
        joints_2d=rng.uniform(0, 1000, (rows, 17, 2)).astype(np.float32),
        visibility=rng.integers(0, 3, (rows, 17), np.uint8),
        camera=rng.integers(-1, 1, rows).astype(np.int32),
        image=[f"картина {row}.jpg" if row % 2 else "" for row in range(rows)],
        box=rng.uniform(1, 100, (rows, 4)).astype(np.float32),
    )


def write(path: Path, parts: list[Poses], **options: object) -> Path:
    settings = {"cameras": [CAMERA], "image_root": "images", **options}
    with PoseStoreWriter(
        path, H36M17, "world", Provenance("test", {"fps": 10}, 3, {"a.zip": "00"}), **settings
    ) as writer:  # type: ignore[arg-type]  # settings of tests
        for part in parts:
            writer.append(part)
    return path


def assert_same(a: Poses, b: Poses) -> None:
    for field in ("frame", "joints_3d", "joints_2d", "visibility", "camera", "box"):
        left, right = getattr(a, field), getattr(b, field)
        assert (left is None) == (right is None), field
        if left is not None:
            assert left.dtype == right.dtype
            np.testing.assert_array_equal(left, right)
    assert list(a.subject) == list(b.subject)
    assert list(a.action) == list(b.action)
    assert list(a.image or ()) == list(b.image or ())


def test_round_trip(make_poses: Make, tmp_path: Path) -> None:
    poses = full_poses(make_poses, 50)
    with PoseStore(write(tmp_path / "a.h5", [poses]), skeleton=H36M17) as store:
        assert_same(store.read(), poses)
        assert store.coordinate_frame == "world"
        assert store.provenance == Provenance("test", {"fps": 10}, 3, {"a.zip": "00"})
        assert store.image_folder == tmp_path / "images"
        camera = store.cameras[0]
        assert (camera.name, camera.width, camera.height) == ("cam 1", 1000, 1002)
        np.testing.assert_array_equal(camera.K, CAMERA.K)
        np.testing.assert_array_equal(camera.t, CAMERA.t)
        table = store.table()
    assert table["box_width"].tolist() == poses.box[:, 2].tolist()  # type: ignore[index]  # given above
    assert list(table["action"]) == list(poses.action)
    assert "joints_3d" not in table


def test_bytes_do_not_depend_on_how_rows_are_appended(make_poses: Make, tmp_path: Path) -> None:
    rows = 2 * CHUNK_ROWS + 100
    poses = full_poses(make_poses, rows)
    whole = write(tmp_path / "whole.h5", [poses]).read_bytes()
    cuts = [0, 1, 7, 7, CHUNK_ROWS - 1, CHUNK_ROWS + 5, 2 * CHUNK_ROWS, rows]
    parts = [poses[start:end] for start, end in itertools.pairwise(cuts)]
    assert write(tmp_path / "parts.h5", parts).read_bytes() == whole
    assert write(tmp_path / "again.h5", [poses]).read_bytes() == whole


def test_appending_to_a_store_gives_the_bytes_of_writing_it_at_once(make_poses: Make, tmp_path: Path) -> None:
    poses = full_poses(make_poses, CHUNK_ROWS + 300)
    whole = write(tmp_path / "whole.h5", [poses])
    grown = write(tmp_path / "grown.h5", [poses[:200]])
    with append_to_store(grown) as writer:
        assert len(writer) == 200
        writer.append(poses[200:])
    assert grown.read_bytes() == whole.read_bytes()


NOSE = H36M17.index("nose")


def lacking_nose(poses: Poses) -> Poses:
    assert poses.joints_3d is not None
    joints = poses.joints_3d.copy()
    joints[:, NOSE] = np.nan
    return dataclasses.replace(poses, joints_3d=joints)


def test_unlabelled_joints_are_nan_in_memory_and_0_in_the_file(make_poses: Make, tmp_path: Path) -> None:
    poses = full_poses(make_poses, CHUNK_ROWS + 20)
    unlabelled = lacking_nose(poses)
    path = write(tmp_path / "a.h5", [unlabelled], unlabelled=["nose"])
    with h5py.File(path) as file:
        values = file["poses/joints_3d"][:]
        assert json.loads(file.attrs["unlabelled"]) == ["nose"]
    assert np.isfinite(values).all()
    assert (values[:, NOSE] == 0).all()
    with PoseStore(path, skeleton=H36M17) as store:
        assert store.unlabelled == ("nose",)
        assert_same(store.read(), unlabelled)
        rows = np.array([CHUNK_ROWS + 3, 0, 0])
        assert_same(store.read(rows), unlabelled[rows])
        assert_same(Poses.concatenate(list(store.batches(1000))), unlabelled)
        assert "unlabelled in 3D: nose" in summary_lines(store)
        with pytest.raises(
            InputError, match=r"a\.h5: its 3D poses lack nose, and breeding needs all joints of H36M17"
        ):
            store.require_labelled("breeding")
        copy = pickle.loads(pickle.dumps(store))
        assert np.isnan(copy.read(slice(0, 2)).joints_3d[:, NOSE]).all()
        copy.close()
    # What is given for such a joint is not used, and what is given stays as it was.
    assert write(tmp_path / "b.h5", [poses], unlabelled=["nose"]).read_bytes() == path.read_bytes()
    assert np.isfinite(poses.joints_3d).all()  # type: ignore[arg-type]  # given


def test_a_store_that_lacks_nothing_says_nothing_of_it(
    tiny_store: Path, make_poses: Make, tmp_path: Path
) -> None:
    with PoseStore(tiny_store) as store:
        assert store.unlabelled == ()
        assert not any("unlabelled" in line for line in summary_lines(store))
        store.require_labelled("breeding")
    path = write(tmp_path / "old.h5", [make_poses(5)])
    with h5py.File(path, "r+") as file:
        del file.attrs["unlabelled"]  # written before there was such an attribute
    with PoseStore(path) as store:
        assert store.unlabelled == ()
        assert_same(store.read(), make_poses(5))


def test_only_declared_joints_may_be_nan(make_poses: Make, tmp_path: Path) -> None:
    unlabelled = lacking_nose(make_poses(5))
    for joints in ([], ["head"]):
        with pytest.raises(StoreError, match="dataset /poses/joints_3d, row 0: is not finite"):
            write(tmp_path / "a.h5", [unlabelled], unlabelled=joints)
    with pytest.raises(InputError, match="skeleton H36M17 has no joint 'neck'"):
        write(tmp_path / "a.h5", [unlabelled], unlabelled=["neck"])
    assert list(tmp_path.iterdir()) == []


def test_appending_keeps_what_is_unlabelled(make_poses: Make, tmp_path: Path) -> None:
    poses = lacking_nose(full_poses(make_poses, 500))
    whole = write(tmp_path / "whole.h5", [poses], unlabelled=["nose"])
    grown = write(tmp_path / "grown.h5", [poses[:200]], unlabelled=["nose"])
    with append_to_store(grown) as writer:
        assert writer.unlabelled == ("nose",)
        writer.append(poses[200:])
    assert grown.read_bytes() == whole.read_bytes()


def test_a_failed_append_keeps_the_old_store(make_poses: Make, tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", [full_poses(make_poses, 20)])
    before = path.read_bytes()

    def fail() -> None:
        with append_to_store(path) as writer:
            writer.append(full_poses(make_poses, 5))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


def test_rows_can_be_read_in_any_order_with_repeats(make_poses: Make, tmp_path: Path) -> None:
    poses = full_poses(make_poses, CHUNK_ROWS + 50)
    with PoseStore(write(tmp_path / "a.h5", [poses])) as store:
        rows = np.array([CHUNK_ROWS + 49, 3, 3, 0, CHUNK_ROWS, 3])
        assert_same(store.read(rows), poses[rows])
        assert_same(store.read(slice(CHUNK_ROWS - 2, CHUNK_ROWS + 2)), poses[CHUNK_ROWS - 2 : CHUNK_ROWS + 2])
        assert_same(Poses.concatenate(list(store.batches(1000))), poses)
        assert len(store.read(np.array([], np.int64))) == 0
        with pytest.raises(IndexError, match="must not be negative"):
            store.read(np.array([0, -1]))
        with pytest.raises(IndexError, match=f"row {len(poses)} of a store of {len(poses)} rows"):
            store.read(np.array([0, len(poses)]))


def test_lineage_is_kept_and_checked(make_poses: Make, tmp_path: Path) -> None:
    poses = make_poses(6)
    lineage = Lineage(
        np.array([0, 0, 1, 1, 2, 2], np.int32), np.array([-1, -1, 0, 1, 2, 3]), np.array([-1, -1, 1, 0, 3, 5]),
        repeated_label("crossover", 6),
    )  # fmt: skip
    path = write(tmp_path / "a.h5", [dataclasses.replace(poses, lineage=lineage)])
    with PoseStore(path) as store:
        read = store.read().lineage
        assert read is not None
        assert read.parent_b.tolist() == [-1, -1, 1, 0, 3, 5]
        assert list(read.operator) == ["crossover"] * 6
        assert store.table()["generation"].tolist() == [0, 0, 1, 1, 2, 2]
    with h5py.File(path, "r+") as file:
        file["poses/parent_b"][4] = 6
    with pytest.raises(StoreError, match="dataset /poses/parent_b, row 4: points to no row"):
        PoseStore(path)


@pytest.mark.parametrize(
    ("column", "row", "value", "message"),
    [
        ("joints_3d", 7, np.nan, "dataset /poses/joints_3d, row 7: is not finite"),
        ("joints_3d", 0, np.inf, "dataset /poses/joints_3d, row 0: is not finite"),
        ("joints_2d", 19, -np.inf, "dataset /poses/joints_2d, row 19: is not finite"),
        ("box", 2, np.nan, "dataset /poses/box, row 2: is not finite"),
        ("box", 5, 0.0, "dataset /poses/box, row 5: has a width or height that is not positive"),
        ("visibility", 6, 3, "dataset /poses/visibility, row 6: is not 0, 1 or 2"),
        ("camera", 3, 1, "dataset /poses/camera, row 3: points to no camera"),
        ("camera", 3, -2, "dataset /poses/camera, row 3: points to no camera"),
    ],
)
def test_bad_values_are_refused_when_written_and_when_read(
    make_poses: Make, tmp_path: Path, column: str, row: int, value: float, message: str
) -> None:
    poses = full_poses(make_poses, 20)
    values = getattr(poses, column).copy()
    values[row] = value
    with pytest.raises(StoreError, match=message) as caught:
        write(tmp_path / "a.h5", [dataclasses.replace(poses, **{column: values})])
    assert "a.h5" in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    path = write(tmp_path / "b.h5", [poses])
    with h5py.File(path, "r+") as file:
        file[f"poses/{column}"][row] = value
    with pytest.raises(StoreError, match=message):
        PoseStore(path)
    PoseStore(path, validate=False).close()


def test_the_row_is_counted_over_all_appends_and_chunks(make_poses: Make, tmp_path: Path) -> None:
    poses = full_poses(make_poses, CHUNK_ROWS)
    bad = full_poses(make_poses, 30)
    assert bad.joints_3d is not None
    bad.joints_3d[11, 3, 1] = np.nan
    with pytest.raises(StoreError, match=f"row {CHUNK_ROWS + 11}: is not finite"):
        write(tmp_path / "a.h5", [poses, bad])


def test_finite_values_whose_sum_overflows_are_fine(make_poses: Make, tmp_path: Path) -> None:
    poses = make_poses(10)
    assert poses.joints_3d is not None
    poses.joints_3d[:] = 3e38
    with PoseStore(write(tmp_path / "a.h5", [poses], implausible="accept")) as store:
        assert len(store) == 10


def damage(path: Path, change: Callable[[h5py.File], None]) -> Path:
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def replace_dataset(name: str, values: np.ndarray) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = values

    return change


def delete(name: str) -> Callable[[h5py.File], None]:
    return lambda file: file.__delitem__(name)


def link(name: str, target: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[name]
        file[name] = target

    return change


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((20,), np.int64)
    layout[:] = h5py.VirtualSource("elsewhere.h5", "frame", shape=(20,))
    del file["poses/frame"]
    file["poses"].create_virtual_dataset("frame", layout)


def external(file: h5py.File) -> None:
    del file["poses/frame"]
    file["poses"].create_dataset(
        "frame", (20,), np.int64, external=[("elsewhere.bin", 0, h5py.h5f.UNLIMITED)]
    )


def references(file: h5py.File) -> None:
    del file["poses/frame"]
    file["poses"].create_dataset("frame", (20,), h5py.ref_dtype)


def attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    return lambda file: file.attrs.__setitem__(name, value)


OLD_SKELETON = json.loads(json.dumps(H36M17.to_dict()).replace('"nose"', '"neck"'))
OLD_SKELETON_MESSAGE = (
    r"its skeleton H36M17 is not the one of this evolift \(joint 9 of H36M17 was `neck` once and is `nose` now\)"
    "+: make (it|the store) again"
)
DAMAGES: list[tuple[Callable[[h5py.File], None], str]] = [
    (attribute("schema_version", 2), "schema version 2, this evolift reads 1: make it again"),
    (attribute("format", "something"), "is an HDF5 file but not a pose store"),
    (attribute("skeleton", "{"), "an attribute is missing or damaged"),
    (attribute("skeleton", '{"name": "x"}'), "a skeleton's description lacks 'joints'"),
    (attribute("skeleton", "3"), "an attribute is missing or damaged"),
    (attribute("provenance", '{"order": "x"}'), "an attribute is missing or damaged"),
    (attribute("unlabelled", "["), "an attribute is missing or damaged"),
    (attribute("unlabelled", '"nose"'), "an attribute is missing or damaged"),
    (attribute("unlabelled", "3"), "an attribute is missing or damaged"),
    (attribute("unlabelled", '["tail"]'), "skeleton H36M17 has no joint 'tail'"),
    (attribute("skeleton", json.dumps(OLD_SKELETON)), OLD_SKELETON_MESSAGE),
    (attribute("skeleton", json.dumps(H36M16.to_dict() | {"name": "H36M17"})), OLD_SKELETON_MESSAGE),
    (attribute("coordinate_frame", "moon"), "attribute coordinate_frame is 'moon'"),
    (attribute("coordinate_frame", "none"), "coordinate_frame 'none' does not fit its 3D joints"),
    (lambda file: file.attrs.__delitem__("image_root"), "an attribute is missing or damaged"),
    (delete("cameras"), "the group /cameras is missing"),
    (delete("poses/frame"), "the dataset /poses/frame is missing"),
    (delete("poses/subject"), "the dataset /poses/subject is missing"),
    (delete("poses/visibility"), "the dataset /poses/visibility is missing"),
    (delete("labels/action"), "the dataset /labels/action is missing"),
    (delete("cameras/K"), "the dataset /cameras/K is missing"),
    (delete("poses/joints_3d"), "coordinate_frame 'world' does not fit its 3D joints"),
    (replace_dataset("poses/joints_3d", np.zeros((20, 16, 3), np.float32)), r"/poses/joints_3d must have shape \(20, 17, 3\), has \(20, 16, 3\)"),
    (replace_dataset("poses/joints_3d", np.zeros((20, 17, 3), np.float64)), "/poses/joints_3d must be float32, is float64"),
    (replace_dataset("poses/box", np.zeros((19, 4), np.float32)), r"/poses/box must have shape \(20, 4\), has \(19, 4\)"),
    (lambda file: file["poses"].create_dataset("extra", data=np.zeros(20)), "unknown dataset /poses/extra"),
    (replace_dataset("poses/subject", np.full(20, 9, np.int32)), "dataset /poses/subject, row 0: points to no label"),
    (replace_dataset("poses/action", np.full(20, -1, np.int32)), "dataset /poses/action, row 0: points to no label"),
    (replace_dataset("labels/action", np.zeros(2)), "dataset /labels/action must hold strings"),
    (replace_dataset("cameras/K", np.zeros((1, 3, 3))), "/cameras: camera 'cam 1': focal lengths must be positive"),
    (replace_dataset("cameras/R", np.zeros((2, 3, 3))), r"dataset /cameras/R must have shape \(1, 3, 3\), has \(2, 3, 3\)"),
    (link("poses/frame", h5py.ExternalLink("elsewhere.h5", "frame")), "/poses/frame is a link; links are refused"),
    (link("poses/frame", h5py.SoftLink("/cameras/K")), "/poses/frame is a link; links are refused"),
    (virtual, "dataset /poses/frame keeps its data in another file, which is refused"),
    (external, "dataset /poses/frame keeps its data in another file, which is refused"),
    (references, "dataset /poses/frame holds objects, which are refused"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), DAMAGES)
def test_damaged_files_are_refused_in_one_sentence(
    make_poses: Make, tmp_path: Path, change: Callable[[h5py.File], None], message: str
) -> None:
    path = damage(write(tmp_path / "a.h5", [full_poses(make_poses, 20)]), change)
    with pytest.raises(StoreError, match=message) as caught:
        PoseStore(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with h5py.File(path, "r+"):
        pass  # nothing holds the refused file open


def test_a_group_in_the_place_of_a_dataset_is_refused(make_poses: Make, tmp_path: Path) -> None:
    def change(file: h5py.File) -> None:
        del file["poses/frame"]
        file.create_group("poses/frame")

    path = damage(write(tmp_path / "a.h5", [full_poses(make_poses, 20)]), change)
    with pytest.raises(StoreError, match="the dataset /poses/frame is missing"):
        PoseStore(path)


def test_files_that_are_no_stores(make_poses: Make, tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", [full_poses(make_poses, 3000)])
    data = path.read_bytes()
    (tmp_path / "cut.h5").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.h5").write_text("poses")
    (tmp_path / "empty.h5").write_bytes(b"")
    for name in ("cut.h5", "text.h5", "empty.h5"):
        with pytest.raises(StoreError, match="is not a readable HDF5 file"):
            PoseStore(tmp_path / name)
    with pytest.raises(StoreError, match="is not a file: give the path of a pose store"):
        PoseStore(tmp_path / "nowhere.h5")
    with pytest.raises(StoreError, match="is not a file"):
        PoseStore(tmp_path)


def test_damage_inside_a_chunk_is_refused(make_poses: Make, tmp_path: Path) -> None:
    path = write(tmp_path / "a.h5", [full_poses(make_poses, 3000)])
    with h5py.File(path, "r") as file:
        place = file["poses/joints_3d"].id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    middle = place.byte_offset + place.size // 2
    data[middle : middle + 64] = bytes(64)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="joints_3d"):
        PoseStore(path)


def test_another_skeleton_is_refused(tiny_store: Path) -> None:
    with pytest.raises(StoreError, match="its skeleton is H36M17, H36M16 is needed: convert it"):
        PoseStore(tiny_store, skeleton=H36M16)


def test_the_writer_refuses_rows_that_do_not_fit(make_poses: Make, tmp_path: Path) -> None:
    poses = make_poses(4)
    with pytest.raises(StoreError, match=r"rows with columns .* cannot follow rows with"):
        write(tmp_path / "a.h5", [poses, full_poses(make_poses, 4)])
    with (
        pytest.raises(StoreError, match="joints_3d has 17 joints, its skeleton has 14"),
        PoseStoreWriter(tmp_path / "b.h5", LSP14, "world", Provenance("test")) as writer,
    ):
        writer.append(poses)
    with pytest.raises(StoreError, match="there are no poses to write"):
        write(tmp_path / "c.h5", [])
    unlabelled = dataclasses.replace(poses, subject=poses.subject.remove_categories("ann"))
    with pytest.raises(StoreError, match="a row has no subject label"):
        write(tmp_path / "d.h5", [unlabelled])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("frame", ["none", "camera"])
def test_the_writer_refuses_a_frame_that_its_reader_would_refuse(
    make_poses: Make, tmp_path: Path, frame: str
) -> None:
    poses = make_poses(4)
    if frame == "camera":
        poses = dataclasses.replace(
            poses,
            joints_3d=None,
            joints_2d=np.zeros((4, 17, 2), np.float32),
            visibility=np.ones((4, 17), np.uint8),
        )
    with (
        pytest.raises(StoreError, match=f"coordinate_frame '{frame}' does not fit"),
        PoseStoreWriter(
            tmp_path / "a.h5",
            H36M17,
            frame,
            Provenance("test"),  # type: ignore[arg-type]  # one of the literals
        ) as writer,
    ):
        writer.append(poses)
    assert list(tmp_path.iterdir()) == []


def test_existing_files_are_kept_unless_overwritten(make_poses: Make, tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists: choose another output or add `overwrite`"):
        write(path, [make_poses(3)])
    assert path.read_text() == "mine"
    write(path, [make_poses(3)], overwrite=True)
    with PoseStore(path) as store:
        assert len(store) == 3


KILLED_WRITER = """
    import os, signal, sys
    from pathlib import Path
    import numpy as np
    from evolift.posedata.poses import Poses, repeated_label
    from evolift.posedata.skeleton import H36M17
    from evolift.posedata.store import PoseStoreWriter, Provenance

    rows = 10000
    poses = Poses(repeated_label("a", rows), repeated_label("b", rows), np.arange(rows), np.random.default_rng(0).normal(0, 150, (rows, 17, 3)).astype(np.float32))
    writer = PoseStoreWriter(Path(sys.argv[1]), H36M17, "world", Provenance("killed"), overwrite=True)
    writer.append(poses)
    def die(*_):
        os.kill(os.getpid(), signal.SIGKILL)

    if sys.argv[2] == "whole":
        Path.replace = die  # when all is written, and the file is about to get its name
        writer.close()
    die()
"""


@pytest.mark.parametrize("moment", ["early", "whole"])
def test_a_killed_writer_leaves_the_old_file_or_none(make_poses: Make, tmp_path: Path, moment: str) -> None:
    old = write(tmp_path / "old.h5", [make_poses(5)])
    before = old.read_bytes()
    path = old if moment == "whole" else tmp_path / "new.h5"
    command = [sys.executable, "-c", textwrap.dedent(KILLED_WRITER), str(path), moment]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert old.read_bytes() == before
    assert not (tmp_path / "new.h5").exists()
    assert len(list(tmp_path.glob(".evolift-*.partial"))) == 1
    write(path, [make_poses(5)], overwrite=True)  # what the killed writer left is in nobody's way
    assert {entry.name for entry in tmp_path.iterdir()} == {"old.h5", path.name}
    assert path.read_bytes() == before


def test_a_store_goes_to_other_processes(tiny_store: Path) -> None:
    with PoseStore(tiny_store) as store:
        copy = pickle.loads(pickle.dumps(store))
        assert_same(copy.read(slice(0, 5)), store.read(slice(0, 5)))
        copy.close()


STREAM = """
    import resource, sys
    from pathlib import Path
    import numpy as np
    from evolift.posedata.poses import Poses, repeated_label
    from evolift.posedata.skeleton import H36M17
    from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance

    rows = 20_000
    joints = np.random.default_rng(0).normal(0, 150, (rows, 17, 3)).round().astype(np.float32)
    for total in map(int, sys.argv[2:]):
        path = Path(sys.argv[1])
        with PoseStoreWriter(path, H36M17, "world", Provenance("long"), overwrite=True) as writer:
            for start in range(0, total, rows):
                frames = start + np.arange(rows)
                writer.append(Poses(repeated_label("a", rows), repeated_label("b", rows), frames, joints))
        with PoseStore(path) as store:
            assert len(store) == total
            seen = sum(len(poses) for poses in store.batches(rows))
            last = store.read(np.array([total - 1, 5]))
        assert seen == total and last.frame.tolist() == [total - 1, 5]
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak_kilobytes(path: Path, *poses: int) -> list[int]:
    """Highest memory of a process after writing and reading stores of so many poses, one after the other."""
    command = [sys.executable, "-c", textwrap.dedent(STREAM), str(path), *map(str, poses)]
    return [
        int(line)
        for line in subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    ]


@pytest.mark.slow
def test_ten_million_poses_stream_within_two_gigabytes(tmp_path: Path) -> None:
    assert peak_kilobytes(tmp_path / "long.h5", 10_000_000)[0] < 2 * 1024 * 1024


def test_memory_does_not_grow_with_the_store(tmp_path: Path) -> None:
    short, long = peak_kilobytes(tmp_path / "a.h5", 40_000, 160_000)
    assert long - short < 15 * 1024  # the joints of 120,000 poses alone are 24 MB
