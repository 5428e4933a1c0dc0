"""Predictions come back from every format as they were written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError, OutputError
from evolift.posedata.keypoint_formats.keypoint_files import read_keypoints
from evolift.posedata.keypoint_formats.line_keypoints import read_keypoint_lines
from evolift.posedata.keypoint_formats.reading import Reading
from evolift.posedata.predictions.prediction_files import (
    prediction_lines,
    read_predictions,
    write_predictions,
)
from evolift.posedata.predictions.predictions import ROW_FIELDS, Predictions
from evolift.posedata.skeleton import COCO17, H36M17, Skeleton

SUFFIXES = (".json", ".jsonl", ".csv", ".npz")
CAMERAS = (
    Camera.from_focal_length(1100.5, 640, 480, name="given"),
    Camera.from_focal_length(900.0, 1920, 1080, distortion=np.array([0.1, -0.2, 1e-3, 2e-3, 0.05])),
)


def made(rows: int = 3, *, skeleton: Skeleton = H36M17, seed: int = 0, **changes: Any) -> Predictions:
    """Predictions with a missing joint, a row without camera, box and root, and awkward names."""
    generator = np.random.default_rng(seed)
    joints = len(skeleton)
    values: dict[str, Any] = {
        "skeleton": skeleton,
        "joints_2d": generator.uniform(-50, 2000, (rows, joints, 2)).astype(np.float32),
        "joints_3d": generator.uniform(-1500, 1500, (rows, joints, 3)).astype(np.float32),
        "confidence": generator.uniform(0, 1, (rows, joints)).astype(np.float32),
        "image": tuple(['größe, "a".jpg', "#2.png", "NA"][n % 3] for n in range(rows)),
        "frame": np.arange(rows, dtype=np.int64) * 5,
        "person": tuple(["1", "", "track <7>"][n % 3] for n in range(rows)),
        "root_3d": generator.uniform(0, 5000, (rows, 3)).astype(np.float32),
        "box": generator.uniform(1, 900, (rows, 4)).astype(np.float32),
        "camera": np.array([0, 1, -1], np.int32)[np.arange(rows) % 3],
        "cameras": CAMERAS,
        "camera_assumption": "focal length assumed: 1.2 x the longer side",
        "provenance": {"command": "evolift predict", "version": "1"},
    } | changes
    if rows:
        values["joints_2d"][0, 3] = np.nan
        values["joints_3d"][0, 3] = np.nan
        values["root_3d"][2::3], values["box"][2::3] = np.nan, np.nan
    return Predictions(**values)


def assert_same(read: Predictions, written: Predictions, *, exact: bool) -> None:
    assert read.skeleton == written.skeleton
    assert (read.camera_assumption, dict(read.provenance)) == (
        written.camera_assumption,
        dict(written.provenance),
    )
    for one, other in zip(read.cameras, written.cameras, strict=True):
        assert (one.name, one.width, one.height) == (other.name, other.width, other.height)
        assert (one.K == other.K).all()
        assert (one.distortion == other.distortion).all()
    for name in ROW_FIELDS:
        got, expected = getattr(read, name), getattr(written, name)
        if expected is None:
            assert got is None
        elif isinstance(expected, tuple):
            assert got == expected
        elif exact or expected.dtype.kind == "i":
            np.testing.assert_array_equal(got, expected)
        else:
            np.testing.assert_allclose(got, expected, atol=5.1e-4, rtol=1e-6, equal_nan=True)
        assert type(got) is type(expected)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("rows", [0, 1, 7, 1030])
def test_round_trip(suffix: str, rows: int, tmp_path: Path) -> None:
    written = made(rows)
    path = tmp_path / f"poses{suffix}"
    write_predictions(path, written)
    assert_same(read_predictions(path), written, exact=suffix == ".npz")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sigma_comes_back_where_it_is_told(suffix: str, tmp_path: Path) -> None:
    sigma = np.random.default_rng(0).uniform(0, 300, (3, 17)).astype(np.float32)
    sigma[0, 3], sigma[2], sigma[1, 0] = np.nan, np.nan, 0
    written = made(sigma_mm=sigma)
    path = tmp_path / f"poses{suffix}"
    write_predictions(path, written)
    assert_same(read_predictions(path), written, exact=suffix == ".npz")
    assert_same(written[1:], made(sigma_mm=sigma)[1:], exact=True)
    assert written[1:].sigma_mm is not None
    assert len(written[1:].sigma_mm) == 2


def test_files_without_sigma_do_not_name_it(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        write_predictions(tmp_path / f"p{suffix}", made())
        raw = (tmp_path / f"p{suffix}").read_bytes()
        assert b"sigma" not in raw
    write_predictions(tmp_path / "sure.json", made(sigma_mm=np.ones((3, 17), np.float32)))
    values = json.loads((tmp_path / "sure.json").read_text(encoding="utf-8"))
    assert values["units"]["sigma_mm"] == "mm"
    assert values["people"][0]["sigma_mm"] == [1.0] * 17


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_negative_sigma_is_refused(suffix: str, tmp_path: Path) -> None:
    sigma = np.ones((3, 17), np.float32)
    sigma[1, 4] = -2.5
    path = tmp_path / f"p{suffix}"
    write_predictions(path, made(sigma_mm=sigma))
    with pytest.raises(InputError) as caught:
        read_predictions(path)
    assert str(caught.value) == (
        f"{path}: sigma_mm of person 1 of 3 holds -2.5, and a standard deviation is never below 0: predict again"
    )


def test_predictions_with_and_without_sigma_can_be_joined() -> None:
    sure, silent = made(2, sigma_mm=np.ones((2, 17), np.float32)), made(1)
    joined = Predictions.concatenate([silent, sure])
    assert joined.sigma_mm is not None
    assert np.isnan(joined.sigma_mm[0]).all()
    assert (joined.sigma_mm[1:] == 1).all()
    assert Predictions.concatenate([silent, silent]).sigma_mm is None


_NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_FLOATS = st.floats(-1e6, 1e6, width=32) | st.just(np.float32(np.nan))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(SUFFIXES),
    joints_3d=arrays(np.float32, (2, 17, 3), elements=_FLOATS),
    image=st.tuples(_NAMES, _NAMES),
    person=st.tuples(_NAMES, _NAMES),
    frame=st.lists(st.integers(-(2**53), 2**53), min_size=2, max_size=2),
)
def test_round_trip_of_anything(
    suffix: str,
    joints_3d: np.ndarray,
    image: tuple[str, str],
    person: tuple[str, str],
    frame: list[int],
    tmp_path: Path,
) -> None:
    joints_3d[np.isnan(joints_3d).any(-1)] = np.nan  # a joint is known or not
    if suffix == ".csv":  # there, line ends inside names do not survive
        image, person = ((" ".join(a.split()), " ".join(b.split())) for a, b in (image, person))  # type: ignore[assignment]
    written = made(2, joints_3d=joints_3d, image=image, person=person, frame=np.array(frame))
    path = tmp_path / f"poses{suffix}"
    write_predictions(path, written, overwrite=True)
    assert_same(read_predictions(path), written, exact=suffix == ".npz")


def test_json_is_what_its_documentation_says(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.json", made())
    values = json.loads((tmp_path / "p.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert values["format"] == "evolift-predictions"
    assert values["units"] == {"joints_2d": "px", "joints_3d": "mm", "root_3d": "mm"}
    assert "relative to the joint 'pelvis'" in values["frame_of_reference"]
    assert values["cameras"][0]["K"][0][0] == 1100.5
    first, _, third = values["people"]
    assert (first["joints_3d"][3], first["joints_2d"][3]) == (None, None)
    assert len(first["joints_3d"]) == 17
    assert (third["camera"], third["box"], third["root_3d"]) == (None, None, None)


def test_csv_opens_in_pandas(tmp_path: Path) -> None:
    written = made()
    write_predictions(tmp_path / "p.csv", written)
    table = pd.read_csv(tmp_path / "p.csv", skiprows=1, keep_default_na=False, na_values={"z": [""]})
    assert len(table) == 3 * 17
    assert table["joint"][:17].tolist() == list(H36M17.joints)
    assert table["z"][20] == pytest.approx(written.joints_3d[1, 3, 2], abs=1e-3)


def test_lines_can_be_written_in_parts(tmp_path: Path) -> None:
    whole = made(5)
    lines = [*prediction_lines(whole[:2]), *prediction_lines(whole[2:], header=False)]
    (tmp_path / "p.jsonl").write_text("".join(lines), encoding="utf-8")
    assert_same(read_predictions(tmp_path / "p.jsonl"), whole, exact=False)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_predictions_can_be_lifted_again(suffix: str, tmp_path: Path) -> None:
    written = made()
    write_predictions(tmp_path / f"p{suffix}", written)
    read = read_keypoints(tmp_path / f"p{suffix}")
    assert read.skeleton == H36M17
    assert read.joints_2d == pytest.approx(np.nan_to_num(written.joints_2d), abs=1e-3)
    assert read.visibility[0, 3] == 0
    assert (read.person, read.is_tracked) == (written.person, True)
    if suffix != ".jsonl":  # a line does not hold the size of its image
        assert read.image_size.tolist() == [[640, 480], [1920, 1080], [0, 0]]


def test_streams_are_answered_as_they_come() -> None:
    lines = iter(
        [*prediction_lines(made(2)), "\n", '{"skeleton": "COCO17", "joints_2d": [' + "[1,2]," * 16 + "null]}"]
    )
    stream = read_keypoint_lines(lines, Reading("standard input"), rows=1)
    assert next(stream).skeleton == H36M17
    assert next(lines).startswith("{")  # the third line has not been read yet
    last = list(stream)
    assert [part.skeleton for part in last] == [COCO17]
    assert last[0].visibility[0].tolist() == [2] * 16 + [0]
    with pytest.raises(InputError, match="standard input line 1 is not JSON"):
        list(read_keypoint_lines(["{"], Reading("standard input")))


def test_file_names_that_are_no_text_are_written(tmp_path: Path) -> None:
    odd = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    for suffix in SUFFIXES:
        write_predictions(tmp_path / f"p{suffix}", made(1, image=(odd,)))
        if suffix != ".csv":
            assert read_predictions(tmp_path / f"p{suffix}").image == (odd,)


def test_parts_are_joined_with_their_cameras() -> None:
    other = Camera.from_focal_length(700.0, 640, 480)
    joined = Predictions.concatenate([made(3), made(2, seed=1, cameras=(other, CAMERAS[0]))])
    assert joined.camera.tolist() == [0, 1, -1, 2, 0]
    assert joined.cameras == (*CAMERAS, other)
    assert joined.image == made(3).image + made(2).image
    with pytest.raises(ValueError, match="different skeletons"):
        Predictions.concatenate([made(), made(skeleton=COCO17)])


def test_bad_predictions() -> None:
    with pytest.raises(ValueError, match=r"joints_2d must have shape \(3, 17, 2\) \(got \(3, 16, 2\)\)"):
        made(3, **{name: getattr(made(3), name)[:, :16] for name in ("joints_2d", "joints_3d", "confidence")})
    with pytest.raises(ValueError, match="camera must be an index below 2 or -1"):
        made(3, camera=np.array([0, 2, 0], np.int32))


def test_outputs(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"predictions are written as .json, .jsonl, .csv, .npz"):
        write_predictions(tmp_path / "p.txt", made())
    (tmp_path / "p.json").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        write_predictions(tmp_path / "p.json", made())
    assert (tmp_path / "p.json").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.json"]


def _changed_header(**changes: Any) -> str:
    header, person = list(prediction_lines(made(1)))
    return json.dumps(json.loads(header) | changes) + "\n" + person


def _changed_person(**changes: Any) -> str:
    header, person = list(prediction_lines(made(1)))
    return header + json.dumps(json.loads(person) | changes) + "\n"


@pytest.mark.parametrize("column", ["frame", "camera"])
@pytest.mark.parametrize("value", [1e300, np.nan, 1.5])
def test_frames_and_cameras_of_tables_are_whole_numbers(column: str, value: float, tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.npz", made(2))
    arrays = dict(np.load(tmp_path / "p.npz")) | {column: np.array([0, value])}
    np.savez(tmp_path / "changed.npz", **arrays)
    with pytest.raises(InputError, match=f"changed.npz: {column} must hold whole numbers"):
        read_predictions(tmp_path / "changed.npz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"p.jsonl is empty"),
        ("{}", r"line 1 has no header of evolift predictions"),
        (_changed_header(schema_version=2), r"has schema version 2, this evolift reads 1"),
        (_changed_header(skeleton=None), r"line 1: skeleton must be an object, not null"),
        (
            _changed_header(skeleton={"name": "x"}),
            r"line 1: skeleton: a skeleton's description lacks 'joints'",
        ),
        (_changed_header(cameras=[{"K": [[1]]}]), r"line 1: cameras\[0\].K\[0\] must have 3 numbers, has 1"),
        (_changed_header(cameras=[]), r"line 2.camera is 0, which is not one of its cameras"),
        (_changed_person(joints_3d=None), r"line 2.joints_3d must be a list, not null"),
        (_changed_person(joints_3d=[[1, 2, 3]]), r"line 2.joints_3d must have 17 joints, has 1"),
        (_changed_person(joints_2d=[[1, 2, 3]] * 17), r"line 2.joints_2d\[0\] must have 2 numbers, has 3"),
        (_changed_person(frame="1"), r"line 2.frame must be a number, not a text"),
        (_changed_person(frame=1.5), r"line 2.frame must be a whole number, not 1.5"),
        (_changed_person(frame=2**63), r"line 2.frame is too large a number"),
        (
            _changed_header(cameras=[{"K": [[1] * 3] * 3, "width": 2**31, "height": 1}]),
            r"\].width is too large",
        ),
        (_changed_header() + "{", r"line 3 is not JSON"),
        (
            _changed_person(box=[1, 2, 3, 1e9]),
            r"^\S+p.jsonl: box of person 0 of 1 holds 1e\+09, at most 100000 makes sense: predict again$",
        ),
        (_changed_person(root_3d=[0, 0, 1e30]), r"root_3d of person 0 of 1 holds 1e\+30, at most 1e\+08"),
        (_changed_person(confidence=[7] * 17), r"confidence of person 0 of 1 holds 7, at most 1.001"),
    ],
)
def test_one_sentence_for_each_damage(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_predictions(tmp_path / "p.jsonl")
    assert "\n" not in str(caught.value)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), suffix=st.sampled_from(SUFFIXES))
def test_any_cut_or_change_gives_predictions_or_one_sentence(
    data: st.DataObject, suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"p{suffix}"
    write_predictions(path, made(2), overwrite=True)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content)))]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        read_predictions(path)
    except InputError as error:
        assert "\n" not in str(error)  # noqa: PT017
