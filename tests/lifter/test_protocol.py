"""The protocol beside the numbers: means, joints, frames and words, against loops that are plain to see."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner

from evolift.cli.lifter import lifter as lifter_commands
from evolift.lifter.evaluation import TestSet, evaluate_lifters, markdown_report, open_test_set, predict
from evolift.lifter.model import LifterModel
from evolift.lifter.protocol import ACTIONS, frame_gap, protocol_lines
from evolift.lifter.settings import EVALUATION_PAIRS, LifterSettings, PairSettings, ProtocolSettings
from evolift.posedata.camera import Camera, look_at
from evolift.posedata.errors import InputError
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.skeleton import H36M16, H36M17, MPII16, Skeleton
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance

H36M = ProtocolSettings(protocol="h36m")
OWN_CAMERAS = EVALUATION_PAIRS.replaced(cameras="store")
CLIPS: dict[tuple[str, str], range] = {
    ("S1", "Walking 1"): range(1, 4),
    ("S9", "Walking"): range(1, 41),
    ("S9", "Walking 1"): range(1, 24),
    ("S9", "TakingPhoto"): range(1, 7),
    ("S11", "Photo 1"): range(1, 3),
    ("S11", "_ALL"): range(1, 9),
}
"""Sequences with their frames; those of the test set are of two actions, one much longer than the other."""


@pytest.fixture(scope="session")
def write_clips(make_poses: Callable[..., Poses]) -> Callable[..., Path]:
    """`write_clips(path, clips)`: each sequence as four cameras see it, a block of rows for each."""

    def write(
        path: Path,
        clips: Mapping[tuple[str, str], range | list[int]],
        *,
        with_cameras: bool = True,
        pixel_error: float | None = None,
    ) -> Path:
        cameras = []
        for number, (x, y) in enumerate([(1840, 4950), (1760, -4900), (-1850, 5200), (-1790, -3720)]):
            R, t = look_at(np.array([x, y, 1500.0]), np.array([0.0, 0.0, 900.0]))
            cameras.append(Camera.from_focal_length(1145.0, 1000, 1000, R=R, t=t, name=str(number)))
        with PoseStoreWriter(path, H36M17, "world", Provenance("test"), cameras=cameras) as writer:
            for seed, ((subject, action), frames) in enumerate(clips.items()):
                # People of other sizes: the errors of sequences differ.
                joints = make_poses(max(frames) + 1, seed).joints_3d[list(frames)] * max(1 - 0.15 * seed, 0.4)
                labels = repeated_label(subject, len(frames)), repeated_label(action, len(frames))
                poses = Poses(*labels, np.array(frames, np.int64), joints)
                if not with_cameras:
                    writer.append(poses)
                    continue
                for camera, eye in enumerate(cameras):
                    if pixel_error is not None:
                        pixels = eye.project(joints) + np.array([pixel_error, 0])
                        visibility = np.full(pixels.shape[:2], 2, np.uint8)
                        poses = replace(poses, joints_2d=pixels.astype(np.float32), visibility=visibility)
                    writer.append(replace(poses, camera=np.full(len(frames), camera, np.int32)))
        return path

    return write


@pytest.fixture(scope="module")
def clip_store(write_clips: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("h36m") / "h36m.h5", CLIPS)


def small_lifter(skeleton: Skeleton = H36M17, normalisation: str = "screen") -> LifterModel:
    torch.manual_seed(0)
    settings = LifterSettings(hidden=8, blocks=1, skeleton=skeleton, normalisation=normalisation)
    return LifterModel(settings).eval()


def aligned(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """x brought onto y by the best similarity (Umeyama 1991)."""
    a, b = x - x.mean(0), y - y.mean(0)
    u, s, vt = np.linalg.svd(a.T @ b)
    sign = np.diag([1, 1, np.linalg.det(u @ vt)])
    return (np.trace(sign @ np.diag(s)) / (a**2).sum()) * a @ (u @ sign @ vt) + y.mean(0)


def plain_scores(
    store: Path, model: LifterModel, joints: list[int], every: int
) -> dict[str, dict[str, float]]:
    """P1 and P2 per action (mm), pose by pose and camera by camera, read straight from the store."""
    errors: dict[str, list[tuple[float, float]]] = {}
    with PoseStore(store) as opened:
        poses, table, cameras = opened.read(), opened.table(), opened.cameras
    for row, (subject, sequence, frame, camera) in enumerate(
        zip(table["subject"], table["action"], table["frame"], table["camera"], strict=True)
    ):
        action = sequence.split(" ")[0].replace("TakingPhoto", "Photo")
        if subject not in ("S9", "S11") or action not in ACTIONS or (frame - 1) % every:
            continue
        eye = cameras[camera]
        world = poses.joints_3d[row].astype(np.float64)
        pixels = torch.tensor(eye.project(world)[None], dtype=torch.float32)
        with torch.no_grad():
            size = torch.tensor([[1000.0, 1000.0]])
            lifted = model.lift(pixels, torch.full((1, 17), 2, dtype=torch.uint8), size)[0].double().numpy()
        truth = eye.to_camera(world)
        lifted, truth = (lifted - lifted[0])[joints], (truth - truth[0])[joints]
        p1 = float(np.mean([np.linalg.norm(a - b) for a, b in zip(lifted, truth, strict=True)]))
        p2 = float(np.mean(np.linalg.norm(aligned(lifted, truth) - truth, axis=-1)))
        errors.setdefault(action, []).append((p1, p2))
    means = {action: np.mean(values, axis=0) for action, values in errors.items()}
    pooled = np.mean([value for values in errors.values() for value in values], axis=0)
    rows = means | {"overall": pooled, "action-wise mean": np.mean(list(means.values()), axis=0)}
    return {name: {"mpjpe": float(p1), "p_mpjpe": float(p2)} for name, (p1, p2) in rows.items()}


def row_of(scores: pd.DataFrame, name: str) -> pd.Series:
    (row,) = [row for _, row in scores.iterrows() if row["name"] == name]
    return row


@pytest.mark.parametrize("joints", [16, 17, None])
@pytest.mark.parametrize("every", [1, None])
def test_the_published_numbers_are_those_of_a_plain_loop(
    clip_store: Path, joints: int | None, every: int | None
) -> None:
    model = small_lifter()
    protocol = ProtocolSettings(protocol="h36m", joints=joints, every=every)
    scores = evaluate_lifters({"a": model}, open_test_set(clip_store, H36M17, OWN_CAMERAS, protocol=protocol))
    kept = [joint for joint in range(17) if joint != 9 or joints != 16]
    expected = plain_scores(clip_store, model, kept, every or 5)
    assert set(expected) == {"Walking", "Photo", "overall", "action-wise mean"}
    assert set(scores[scores["group"] == "action"]["name"]) == {"Walking", "Photo"}
    for name, values in expected.items():
        row = row_of(scores, name)
        assert row["mpjpe"] == pytest.approx(values["mpjpe"], rel=1e-4), name
        assert row["p_mpjpe"] == pytest.approx(values["p_mpjpe"], rel=1e-3), name
    # The two means differ by much more than the tolerance, or the test could not tell them apart.
    assert abs(expected["overall"]["mpjpe"] / expected["action-wise mean"]["mpjpe"] - 1) > 0.05
    assert list(scores[scores["group"] == "joint"]["name"]) == [H36M17.joints[joint] for joint in kept]
    assert row_of(scores, "action-wise mean")["mean_over"] == "actions"
    assert row_of(scores, "overall")["mean_over"] == "poses"


def test_the_root_counts_among_the_joints(clip_store: Path) -> None:
    model, tests = small_lifter(), open_test_set(clip_store, H36M17, OWN_CAMERAS, protocol=H36M)
    scores = evaluate_lifters({"a": model}, tests)
    joints = scores[scores["group"] == "joint"].set_index("name")
    assert joints.loc["pelvis", "mpjpe"] == 0
    assert joints.loc["pelvis", "p_mpjpe"] > 0
    overall = row_of(scores, "overall")["mpjpe"]
    assert overall == pytest.approx(joints["mpjpe"].sum() / 17)
    assert overall < 0.95 * joints["mpjpe"].sum() / 16


def test_a_lifter_of_16_joints_is_scored_on_its_own(clip_store: Path) -> None:
    model, tests = small_lifter(H36M16), open_test_set(clip_store, H36M16, OWN_CAMERAS, protocol=H36M)
    scores = evaluate_lifters({"a": model}, tests)
    assert set(scores["joints_scored"]) == {16}
    error = torch.linalg.vector_norm(predict_root_relative(model, tests) - tests.truth, dim=-1).mean()
    assert row_of(scores, "overall")["mpjpe"] == pytest.approx(float(error), rel=1e-5)


def predict_root_relative(model: LifterModel, tests: TestSet) -> torch.Tensor:
    lifted = predict(model, tests)
    return lifted - lifted[:, :1]


@pytest.mark.parametrize(
    ("frames", "kept", "words"),
    [
        (range(1, 24), [1, 6, 11, 16, 21], "every 5th by the store's frame numbers"),
        (range(0, 12), [0, 5, 10], "every 5th by the store's frame numbers"),
        ([1, 2, 3, 7, 8, 9, 10, 11, 12], [1, 11], "every 5th by the store's frame numbers"),
        (range(1, 40, 5), list(range(1, 40, 5)), "every 5th, as the store has them"),
        ([3], [3], "every 5th by the store's frame numbers"),
    ],
)
def test_every_5th_frame_is_taken_by_number(write_clips, tmp_path, frames, kept, words) -> None:
    path = write_clips(tmp_path / "a.h5", {("S9", "Walking"): frames, ("S9", "Eating"): frames})
    tests = open_test_set(path, H36M17, OWN_CAMERAS, protocol=H36M)
    with PoseStore(path) as store:
        table = store.table().iloc[tests.rows]
    for _, clip in table.groupby(["action", "camera"], observed=True):
        assert list(clip["frame"]) == kept
    assert len(table) == 8 * len(kept)
    assert tests.protocol.frames == words


def test_a_store_without_every_5th_frame_is_refused(write_clips, tmp_path) -> None:
    path = write_clips(tmp_path / "a.h5", {("S9", "Walking"): range(1, 40, 2)})
    with pytest.raises(
        InputError, match=r"it has every 2nd frame, of which every 5th cannot be taken by `every`"
    ):
        open_test_set(path, H36M17, OWN_CAMERAS, protocol=H36M)
    # What no protocol forbids: every 4th of every 2nd, and all that is stored.
    tests = open_test_set(path, H36M17, OWN_CAMERAS, protocol=ProtocolSettings(every=4))
    assert (len(tests.rows), tests.protocol.frames) == (40, "every 4th by the store's frame numbers")
    assert open_test_set(path, H36M17).protocol.frames == "all rows of the store; the store has every 2nd"


def test_the_gap_between_frames_is_that_of_a_sequence_and_camera() -> None:
    table = pd.DataFrame(
        {
            "subject": pd.Categorical(["a"] * 8),
            "action": pd.Categorical(["x", "x", "x", "x", "x", "x", "y", "y"]),
            "camera": [0, 1, 0, 1, 0, 1, 0, 0],
            "frame": [1, 1, 6, 6, 11, 12, 2, 3],
        }
    )
    assert frame_gap(table) == 5
    assert frame_gap(table.iloc[::-1]) == 5
    assert frame_gap(table.drop(columns="camera").iloc[6:]) == 1
    assert frame_gap(table.iloc[:2]) is None


def test_the_words_tell_joints_cameras_2d_frames_and_what_is_missing(clip_store: Path) -> None:
    tests = open_test_set(
        clip_store, H36M17, OWN_CAMERAS, protocol=ProtocolSettings(protocol="h36m", joints=16)
    )
    scores = evaluate_lifters({"a": small_lifter(), "b": small_lifter(normalisation="box")}, tests)
    first, second, third = protocol_lines(scores)
    assert first == "Protocol h36m: published are the action-wise means of MPJPE (P1) and P-MPJPE (P2)."
    assert second.startswith(
        "Scored: 16 joints, the root counted; frames: every 5th by the store's frame numbers;"
    )
    assert "S9, S11: 2 actions (4 of the 59 published sequences, without S9 Directions, " in second
    assert "S9 Photo (1 of 2)" in second
    assert "Walking (" not in second
    assert "S11 Walking," in second
    assert "the store's own, 4 for each subject" in third
    assert "2D: projected 3D joints (ground truth)" in third
    assert "a: normalised by screen, answer x, y, z; b: normalised by box" in third
    assert f"\n{second}\n{third}\n" in markdown_report(scores)


def test_a_whole_test_set_lacks_nothing(write_clips, tmp_path) -> None:
    pairs = [
        (subject, f"{action}{part}") for subject in ("S9", "S11") for action in ACTIONS for part in ("", " 1")
    ]
    path = write_clips(tmp_path / "a.h5", {pair: [1] for pair in pairs if pair != ("S11", "Directions")})
    tests = open_test_set(path, H36M17, OWN_CAMERAS, protocol=H36M)
    assert tests.protocol.test_set == "S9, S11: 15 actions (59 of the 59 published sequences)"
    tests = open_test_set(path, H36M17, OWN_CAMERAS, subjects=("S11",), protocol=H36M)
    assert tests.protocol.test_set == "S11: 15 actions (29 of the 59 published sequences, without all of S9)"
    assert set(tests.subject) == {"S11"}


@pytest.mark.parametrize(("pixel_error", "kind"), [(0.0, "ground truth: 0.0 px"), (3.0, "detected: 3.0 px")])
def test_2d_joints_of_a_store_are_told_from_ground_truth(write_clips, tmp_path, pixel_error, kind) -> None:
    path = write_clips(tmp_path / "a.h5", {("S9", "Walking"): range(1, 4)}, pixel_error=pixel_error)
    tests = open_test_set(path, H36M17, OWN_CAMERAS, protocol=H36M)
    assert (
        tests.protocol.input_2d
        == f"the store's 2D joints ({kind} from the projected 3D joints in the median)"
    )


def test_own_choices_are_told_too(tiny_store: Path) -> None:
    pairs = PairSettings(cameras="random", noise=1.5, missing=0.1)
    record = open_test_set(tiny_store, H36M17, pairs, poses=8).protocol
    assert (record.name, record.joints) == ("own", 17)
    assert record.cameras == "a random one for each pose"
    assert (
        record.input_2d
        == "projected 3D joints (ground truth) with gaussian noise of 1.5 % of the box and 10 % of the joints missing"
    )
    assert record.frames == "all rows of the store; the store has every 4th, of these 8 evenly spread"
    assert record.test_set == "ann, bob: 2 actions"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pairs": EVALUATION_PAIRS}, r"`cameras` must be store by the `protocol` h36m, not ring"),
        ({"pairs": OWN_CAMERAS.replaced(noise=1.0)}, r"`noise` contradicts the `protocol` h36m"),
        ({"poses": 5}, r"`poses` contradicts the `protocol` h36m"),
        ({"subjects": ("S1",)}, r"`subjects`: 'S1' is not of the `protocol` h36m, which has S9, S11"),
        ({"actions": ("Walking 1",)}, r"`actions`: 'Walking 1' is not of the `protocol` h36m"),
        (
            {"skeleton": MPII16},
            r"`joints` and `protocol` are of Human3.6M's joints, and the lifter is for MPII16",
        ),
    ],
)
def test_what_contradicts_the_protocol_is_refused(clip_store: Path, given, message) -> None:
    arguments = {"skeleton": H36M17, "pairs": OWN_CAMERAS, "protocol": H36M} | given
    with pytest.raises(InputError, match=message):
        open_test_set(clip_store, **arguments)


def test_16_joints_have_no_17th(clip_store: Path) -> None:
    with pytest.raises(InputError, match=r"`joints` cannot be 17: the lifter is for H36M16"):
        open_test_set(clip_store, H36M16, protocol=ProtocolSettings(joints=17))
    with pytest.raises(
        InputError, match=r"`every` must be 5, or 1 for all frames, by the `protocol` h36m, not 10"
    ):
        ProtocolSettings(protocol="h36m", every=10)


@pytest.mark.parametrize(
    ("clips", "with_cameras", "message"),
    [
        ({("S1", "Walking"): range(1, 3)}, True, "is of the subjects S9 and S11, and it has none of them"),
        (
            {("S9", ""): range(1, 3)},
            True,
            "none of its poses of the test subjects has one of the actions Directions,",
        ),
        ({("S9", "Walking"): range(1, 3)}, False, "it does not tell the cameras of its poses"),
    ],
)
def test_stores_that_the_protocol_cannot_be_of_are_refused(
    write_clips, tmp_path, clips, with_cameras, message
) -> None:
    path = write_clips(tmp_path / "a.h5", clips, with_cameras=with_cameras)
    with pytest.raises(InputError, match=f"a.h5: .*{message}"):
        open_test_set(path, H36M17, OWN_CAMERAS, protocol=H36M)


def test_the_command_brings_the_cameras_and_writes_the_protocol(clip_store, tmp_path) -> None:
    checkpoint, out = tmp_path / "lifter.safetensors", tmp_path / "scores"
    small_lifter().save(checkpoint)
    words = ["evaluate", str(checkpoint), "--data", str(clip_store), "--protocol", "h36m", "--joints", "16"]
    result = CliRunner().invoke(lifter_commands, [*words, "-o", str(out)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    scores = pd.read_csv(out / "scores.csv")
    assert result.output.splitlines()[:3] == protocol_lines(scores)
    assert result.output.splitlines()[3].startswith("lifter, overall: MPJPE")
    assert set(scores["protocol"]) == {"h36m"}
    assert set(scores["root"]) == {"counted"}
    assert '"cameras": "store"' in (out / "settings.json").read_text()
    assert (out / "scores.md").read_text().splitlines()[2:5] == protocol_lines(scores)
    with pytest.raises(InputError, match="--cameras must be store by the --protocol h36m"):
        CliRunner().invoke(
            lifter_commands, [*words, "-o", str(tmp_path / "x"), "--cameras", "ring"], catch_exceptions=False
        )
    assert not (tmp_path / "x").exists()
