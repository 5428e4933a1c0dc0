"""Evolution of motion from store to store: what children are, who breeds them, and bad input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from evolift.evolution.clips import clip_evolution
from evolift.evolution.clips.breeding import OPERATORS, ClipParents, Nature, make_candidates
from evolift.evolution.clips.clip_preview import write_clip_preview
from evolift.evolution.clips.feet import ankles_of, feet_of
from evolift.evolution.clips.speed_limits import SpeedLimits, peaks_of
from evolift.evolution.clips.windows import window_starts
from evolift.evolution.job.algorithm import evolve as evolve_poses
from evolift.evolution.job.block_workers import BlockWorkers, ProcessWorkers
from evolift.evolution.kinematics.local_bones import to_local
from evolift.evolution.limits.anatomical_limits import AnatomicalLimits
from evolift.evolution.settings import EvolutionSettings
from evolift.posedata.errors import EvoliftError, InputError, StoreError
from evolift.posedata.exporters.sequences import is_bred, sequences_of
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from tests.evolution.clips.made_clips import CLIPS, FRAMES, LENGTH, RATE, SETTINGS, TREE, windows, write_clips
from tests.headless_chromium import HeadlessPage

evolve_clips = partial(clip_evolution.evolve_clips, settings=SETTINGS, clips=CLIPS, block=8)
ROWS = 7 * 3 * LENGTH
CHILDREN = round(ROWS / FRAMES)
WITHOUT_CHANGE = dict.fromkeys(
    ("mutation_rate", "rotation_rate", "length_rate", "body_rate", "mirror_rate"), 0
)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "clips.h5")


@pytest.fixture(scope="module")
def evolved(source: Path) -> Path:
    target = source.with_name("evolved.h5")
    evolve_clips(source, target)
    return target


@pytest.fixture(scope="module")
def result(evolved: Path):  # type: ignore[no-untyped-def]
    with PoseStore(evolved) as store:
        return store.read(), store.table(), store.provenance


def children(poses: Poses) -> torch.Tensor:
    assert poses.joints_3d is not None
    return torch.from_numpy(poses.joints_3d[ROWS:]).reshape(CHILDREN, FRAMES, len(H36M17), 3)


def test_children_are_clips_of_consecutive_frames_with_names_of_their_own(result, source: Path) -> None:  # type: ignore[no-untyped-def]
    poses, table, provenance = result
    with PoseStore(source) as store:
        originals = store.read()
    np.testing.assert_array_equal(poses.joints_3d[:ROWS], originals.joints_3d)
    assert (table["generation"][:ROWS] == 0).all()
    bred = table[ROWS:]
    assert len(bred) == CHILDREN * FRAMES
    for row, (_, clip) in zip(
        range(ROWS, len(table), FRAMES), bred.groupby(np.arange(len(bred)) // FRAMES), strict=True
    ):
        (action,) = set(clip["action"])
        (subject,) = set(clip["subject"])
        assert action.endswith(f"_child_{row}")
        assert (np.diff(clip["frame"]) == 1).all()
        mother = table.iloc[clip["parent_a"].to_numpy()]
        assert set(mother["subject"]) == {subject}
        assert len(set(mother["action"])) == 1
    assert provenance.parameters["frames_per_second"] == RATE
    assert provenance.parameters["report"]["children"] == CHILDREN
    assert (np.diff(bred["generation"]) >= 0).all()
    assert set(bred["generation"]) == {1, 2}


def test_rows_of_parents_are_the_frames_that_are_shown(result) -> None:  # type: ignore[no-untyped-def]
    _, table, _ = result
    generation = table["generation"].to_numpy()
    bred = table[ROWS:]
    for name in ("parent_a", "parent_b"):
        parents = bred[name].to_numpy().reshape(CHILDREN, FRAMES)
        there = parents >= 0
        assert (there == there[:, :1]).all()
        assert (np.diff(parents[there[:, 0]]) >= 0).all()
        own = generation[ROWS:].reshape(CHILDREN, FRAMES)
        assert (generation[parents[there]] < own[there]).all()
    crossed = ["crossover" in operator for operator in bred["operator"]]
    assert ((bred["parent_b"] >= 0) == crossed).all()
    still = np.array(["tempo" not in operator for operator in bred["operator"]]).reshape(CHILDREN, FRAMES)[
        :, 0
    ]
    mothers = bred["parent_a"].to_numpy().reshape(CHILDREN, FRAMES)
    assert (np.diff(mothers[still]) == 1).all()
    assert still.any()
    assert not still.all()


def test_children_keep_bodies_limits_and_speeds_in_every_frame(result) -> None:  # type: ignore[no-untyped-def]
    poses, _, provenance = result
    bones = to_local(TREE, children(poses).flatten(0, 1))
    lengths = bones.lengths.reshape(CHILDREN, FRAMES, -1)
    assert (lengths.amax(1) - lengths.amin(1)).max() < 0.01
    assert AnatomicalLimits(TREE).check_measured(bones).all()
    told = provenance.parameters["speed_limits"]
    speeds = SpeedLimits(**{name: tuple(values) for name, values in told.items()})
    assert speeds.check(peaks_of(bones, FRAMES, RATE)).all()
    slower = SpeedLimits(speeds.parts, tuple(0.5 * one for one in speeds.velocity), speeds.acceleration)
    assert not slower.check(peaks_of(bones, FRAMES, RATE)).all()


def test_standing_feet_slide_no_more_than_stated(result) -> None:  # type: ignore[no-untyped-def]
    poses, table, _ = result
    same = ~table["operator"].astype(str).str.contains("crossover|tempo|lengths").to_numpy()[ROWS::FRAMES]
    assert same.any()
    mothers = table["parent_a"].to_numpy()[ROWS:].reshape(CHILDREN, FRAMES)[same]
    parents = torch.from_numpy(poses.joints_3d[mothers])
    moved, before = (
        clips[:, :, ankles_of(TREE), :2].diff(dim=1).norm(dim=-1)
        for clips in (children(poses)[torch.from_numpy(same)], parents)
    )
    mirrored = table["operator"].astype(str).str.contains("mirror").to_numpy()[ROWS::FRAMES][same]
    moved[torch.from_numpy(mirrored)] = moved[torch.from_numpy(mirrored)].flip(-1)
    stands = feet_of(parents, TREE, RATE).stands
    assert stands.any()
    assert ((moved - before).abs() * stands).max() <= CLIPS.max_slide + 0.01


@pytest.fixture(scope="module")
def twins(source: Path) -> tuple[torch.Tensor, ClipParents, Nature]:
    """Clips each of which is there twice, so that it can be crossed with itself."""
    one = windows(source)[:1]
    parents = ClipParents(
        one.repeat(2, 1, 1, 1).flatten(1).numpy(),
        np.arange(2),
        to_local(TREE, one[0]).lengths[:1].numpy(),
        np.zeros(2, np.int32),
    )
    peaks = peaks_of(to_local(TREE, one.flatten(0, 1)), FRAMES, RATE)
    clips = CLIPS.replaced(frames_per_second=RATE, tempo_rate=0.0)
    limits = AnatomicalLimits(TREE)
    return one, parents, Nature(limits, SpeedLimits.fitted(TREE, [peaks], 1.0), RATE, clips)


def test_a_clip_crossed_with_itself_is_itself(twins: tuple[torch.Tensor, ClipParents, Nature]) -> None:
    one, parents, nature = twins
    settings = EvolutionSettings(crossover_rate=1, **WITHOUT_CHANGE)
    crossed = make_candidates(parents, 20, nature, settings, torch.Generator().manual_seed(0))
    assert (crossed.operator == 1).all()
    # The actor's nose is up to 0.4 mm nearer than in the median of the clip.
    torch.testing.assert_close(crossed.joints, one.expand(20, -1, -1, -1), atol=0.4, rtol=0)
    assert torch.equal(crossed.frame_b, torch.arange(FRAMES).repeat(20, 1))
    assert crossed.footing.slides.max() < 0.1


def test_scaled_bones_are_constant_alike_on_both_sides_and_take_the_way_along(
    twins: tuple[torch.Tensor, ClipParents, Nature],
) -> None:
    one, parents, nature = twins
    settings = EvolutionSettings(
        crossover_rate=0, **(WITHOUT_CHANGE | {"length_rate": 1, "length_spread": 0.3})
    )
    scaled = make_candidates(parents, 20, nature, settings, torch.Generator().manual_seed(0))
    assert (scaled.operator == 1 << OPERATORS.index("lengths")).all()
    before = to_local(TREE, one[0]).lengths.median(0).values
    lengths = to_local(TREE, scaled.joints.flatten(0, 1)).lengths.reshape(20, FRAMES, -1)
    assert (lengths.amax(1) - lengths.amin(1)).max() < 0.01
    factors = lengths[:, 0] / before
    torch.testing.assert_close(factors, factors[:, list(TREE.mirror)], atol=1e-3, rtol=0)
    assert factors.min() > 0.69
    assert factors.max() < 1.31
    assert factors.std(0).min() > 0.05
    legs = [TREE.bone(name) for name in ("left_knee", "left_ankle")]
    ways = scaled.joints[:, :, 0, :2] - scaled.joints[:, :1, 0, :2]
    longer = lengths[:, 0, legs].sum(1) / before[legs].sum()
    way = (one[0, :, 0, :2] - one[0, :1, 0, :2]).norm(dim=-1)[-1]
    torch.testing.assert_close(ways.norm(dim=-1)[:, -1], way * longer, atol=30.0, rtol=0)


class Interrupted(BlockWorkers):
    """Stops like a person at the keyboard after some blocks."""

    def breed(self, job, blocks):  # type: ignore[no-untyped-def]
        for number, tally in enumerate(super().breed(job, blocks)):
            if number == 2:
                raise KeyboardInterrupt
            yield tally


def test_workers_and_interruptions_never_change_the_bytes(
    source: Path, evolved: Path, tmp_path: Path
) -> None:
    target = tmp_path / "evolved.h5"
    with pytest.raises(KeyboardInterrupt):
        evolve_clips(source, target, workers=Interrupted())
    assert not target.exists()
    with ProcessWorkers(2) as workers:
        evolve_clips(source, target, workers=workers, resume=True)
    assert target.read_bytes() == evolved.read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["evolved.h5"]
    assert evolve_clips(source, target, resume=True).children == CHILDREN  # finished already


def test_evolved_clips_are_clips_to_their_readers(evolved: Path, source: Path, tmp_path: Path) -> None:
    with PoseStore(evolved) as store:
        assert not is_bred(store)
        assert len(sequences_of(store)) == 21 + CHILDREN
    again = tmp_path / "again.h5"
    evolve_clips(evolved, again, settings=SETTINGS.replaced(ratio=1.05, generations=1))
    with PoseStore(again) as store:
        assert store.table()["generation"].max() == 3
    poses = tmp_path / "poses.h5"
    evolve_poses(source, poses, EvolutionSettings(ratio=1.05, generations=1))
    with PoseStore(poses) as store:
        assert is_bred(store)
    with pytest.raises(InputError, match="has two poses, so that it is no clip over time"):
        evolve_clips(poses, tmp_path / "none.h5", clips=CLIPS.replaced(frames_per_second=RATE))


def test_the_preview_shows_families_in_motion(evolved: Path, tmp_path: Path) -> None:
    write_clip_preview(evolved, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<canvas") >= 8
    for text in ("first parent: ", "child: ", "a standing foot slides", "originals", "left_wrist"):
        assert text in page, text


@pytest.mark.parametrize("width", [1400, 390])
def test_the_preview_moves_in_a_browser(width: int, evolved: Path, tmp_path: Path) -> None:
    write_clip_preview(evolved, tmp_path / "page.html")
    pictures = "[...document.querySelectorAll('canvas')].map((one) => one.toDataURL())"

    def moving() -> int:
        before = page.evaluate(pictures)
        page.evaluate("new Promise((done) => setTimeout(done, 400))")
        return sum(one != other for one, other in zip(before, page.evaluate(pictures), strict=True))

    with HeadlessPage(width, 1000) as page:
        page.open(tmp_path / "page.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing scrolls sideways"
        assert moving() >= 2, "parent and child, which are in view"
        # As wide as the telephone, so that the six bodies of a strip can be told from one another.
        widths = page.evaluate(
            "[...document.querySelectorAll('.panels img')].map((one) => one.getBoundingClientRect().width)"
        )
        assert min(widths) > (300 if width == 390 else 400)
        page.click("button")
        moving()  # what scrolled into view with the button is drawn once more
        assert moving() == 0
        assert page.errors == []
        assert [one for one in page.requests if not one.startswith(("file:", "data:"))] == []


def test_a_store_of_single_poses_has_no_motions_to_preview(source: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="it holds no children that are clips"):
        write_clip_preview(source, tmp_path / "page.html")


@pytest.mark.parametrize(
    ("length", "frames", "starts"), [(8, 9, []), (9, 9, [0]), (10, 9, [0, 1]), (27, 9, [0, 4, 7, 11, 14, 18])]
)
def test_windows_reach_from_end_to_end(length: int, frames: int, starts: list[int]) -> None:
    assert window_starts(length, frames) == starts


def moving(poses: Poses, frame: np.ndarray, action: str = "walk") -> Poses:
    rows = len(frame)
    return Poses(repeated_label("one", rows), repeated_label(action, rows), frame, poses.joints_3d[:rows])  # type: ignore[index]


@pytest.mark.parametrize(
    ("frames", "settings", "clips", "message"),
    [
        ([np.arange(30)], {}, {}, "a store does not tell the time between its frames, which motion needs: give `frames_per_second`"),
        ([np.arange(20)], {}, {"frames_per_second": 10}, "no clip has 27 frames in a row, the longest has 20: lower `clip_frames`"),
        ([np.arange(30) + 9 * (np.arange(30) > 14)], {}, {"frames_per_second": 10}, "the longest has 15"),
        ([np.arange(30), 2 * np.arange(30)], {}, {"frames_per_second": 10}, "frames of one b go in steps of 2, those of one a in steps of 1, so their rates may differ"),
        ([np.arange(30)], {"sampling": "novelty"}, {"frames_per_second": 10}, "`sampling` is of single poses, which clips are not: leave it out"),
        ([np.arange(30)], {"ratio": 1.001}, {"frames_per_second": 10}, "give a larger `ratio` or `target_size`"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence(  # type: ignore[no-untyped-def]
    frames, settings, clips, message: str, make_poses: Callable[..., Poses], tmp_path: Path
) -> None:
    source, target = tmp_path / "source.h5", tmp_path / "target.h5"
    with PoseStoreWriter(source, H36M17, "world", Provenance("test")) as writer:
        for name, numbers in zip("ab", frames, strict=False):
            writer.append(moving(make_poses(30), numbers, name))
    with pytest.raises(EvoliftError) as refused:
        evolve_clips(source, target, settings=SETTINGS.replaced(**settings), clips=CLIPS.replaced(**clips))
    assert message in str(refused.value)
    assert list(tmp_path.iterdir()) == [source]


def test_nearly_all_refused_is_said_with_the_reason(source: Path, tmp_path: Path) -> None:
    settings = SETTINGS.replaced(crossover_rate=0, body_rate=0, rotation_rate=0, mirror_rate=0)
    with pytest.raises(
        InputError, match=r"refuse nearly all clips .* survive\), most often for .*: lower `bend_sigma`"
    ):
        evolve_clips(source, tmp_path / "none.h5", settings=settings, clips=CLIPS.replaced(bend_sigma=120.0))
    assert not list(tmp_path.iterdir())
