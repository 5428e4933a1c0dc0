from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from evolift.evolution.clips.clip_evolution import evolve_clips
from evolift.evolution.clips.settings import ClipSettings
from evolift.evolution.settings import EvolutionSettings
from evolift.lifter.settings import EVOLVED_SHARE, PairSettings, Split
from evolift.lifter.temporal.evaluation import open_test_clips
from evolift.lifter.temporal.model import TemporalLifter
from evolift.lifter.temporal.settings import TemporalSettings, TemporalTrainingSettings
from evolift.lifter.temporal.training import open_clips, train_temporal_lifter
from evolift.posedata.errors import InputError
from evolift.posedata.metrics import mpjpe
from evolift.posedata.rig_settings import RingRig
from evolift.posedata.store import PoseStore
from evolift.synthetic.acting.actors import write_actor_store
from evolift.synthetic.settings import ActorSettings
from tests.conftest import WriteClips
from tests.lifter.test_training import require_same_weights as same_weights_of_stage

SMALL = TemporalSettings(frames=9, hidden=8, blocks=1, dropout=0.1)
QUICK = TemporalTrainingSettings(
    steps=4,
    validate_every=2,
    seed=3,
    accelerator="cpu",
    devices="1",
    average_decay=0.0,
    progress=False,
    # A run of fewer steps stands for one that was stopped: its learning rates must not depend on the steps in all.
    schedule="published",
    store_fps=(30.0,),
    validation_poses=20,
    split=Split(validation_subjects=("bob",)),
    pairs=PairSettings(batch_size=8, noise=1.0, missing=0.05, ring=RingRig(rotate_ring=False)),
)


def run(
    store: Path, output: Path, *, lifter: TemporalSettings = SMALL, resume=False, **training
) -> pd.DataFrame:
    settings = QUICK.replaced(**training)
    return train_temporal_lifter(store, output, lifter=lifter, training=settings, resume=resume)


def require_same_weights(first: Path, second: Path) -> None:
    same_weights_of_stage(first, second, TemporalLifter.stage)


def test_a_resumed_run_ends_with_the_weights_of_an_undisturbed_one(clip_store, tmp_path) -> None:
    history = run(clip_store, tmp_path / "whole")
    run(clip_store, tmp_path / "cut", steps=2)
    resumed = run(clip_store, tmp_path / "cut", resume=True)
    require_same_weights(tmp_path / "whole", tmp_path / "cut")
    pd.testing.assert_frame_equal(history, resumed)


def test_workers_do_not_change_the_result(clip_store, tmp_path) -> None:
    run(clip_store, tmp_path / "alone", steps=2)
    run(clip_store, tmp_path / "two", steps=2, num_workers=2)
    require_same_weights(tmp_path / "alone", tmp_path / "two")


def test_it_learns_clips_of_another_person(clip_store, tmp_path) -> None:
    pairs = QUICK.pairs.replaced(
        noise=0.0, missing=0.0, flip=False, ring=RingRig(ring_radius=0.0, rotate_ring=False)
    )
    history = run(
        clip_store,
        tmp_path / "run",
        lifter=SMALL.replaced(hidden=32, dropout=0.0),
        steps=200,
        validate_every=200,
        learning_rate=5e-3,
        schedule="one-cycle",
        pairs=pairs.replaced(batch_size=16),
    )
    tests = open_test_clips(clip_store, SMALL.skeleton, pairs, store_fps=30.0, subjects=("bob",))
    truth = torch.cat([clip.pairs.root_relative(0) for clip in tests.clips])
    mean_pose = float(mpjpe(truth.mean(0).expand_as(truth), truth).mean())
    assert history["mpjpe"].iloc[-1] < 0.6 * mean_pose


def test_unlabelled_joints_are_not_learnt_and_spoil_nothing(write_clips: WriteClips, tmp_path) -> None:
    clips = {("ann", "walk"): range(12), ("bob", "walk"): range(12)}
    store = write_clips(tmp_path / "a.h5", clips, unlabelled=("nose",))
    history = run(store, tmp_path / "run", steps=2)
    assert np.isfinite(history[["loss", "mpjpe"]].to_numpy()).all()


def test_evolved_poses_are_left_out(evolved_store) -> None:
    """Its 40 original poses, of frames 0 to 39, are four clips with gaps; its children have no neighbours."""
    settings = QUICK.replaced(split=Split(validation_share=0.0), store_fps=(60.0,))
    data = open_clips([evolved_store], SMALL, settings)
    assert [part.row_count for part in data.mixture.parts] == [40]


def test_a_run_begins_with_the_weights_of_a_checkpoint(clip_store, tmp_path) -> None:
    torch.manual_seed(0)
    begun = TemporalLifter(SMALL)
    begun.save(tmp_path / "begun.safetensors")
    settings = QUICK.replaced(steps=1, validate_every=1, learning_rate=1e-9)
    train_temporal_lifter(
        clip_store,
        tmp_path / "run",
        lifter=SMALL,
        training=settings,
        start_from=tmp_path / "begun.safetensors",
    )
    after = TemporalLifter.load(tmp_path / "run" / "last.safetensors").get_parameter("network.head.weight")
    torch.testing.assert_close(after, begun.get_parameter("network.head.weight"), rtol=0, atol=1e-6)


@pytest.fixture(scope="module")
def motions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two clips each of three actors at 20 a second, and as many that were bred of them."""
    folder = tmp_path_factory.mktemp("motions")
    source, target = folder / "source.h5", folder / "motions.h5"
    settings = ActorSettings(clips_per_action=2, frames=40, fps=20.0)
    write_actor_store(source, settings, subjects=["F1", "F2", "M1"], actions=["walk"])
    evolve_clips(source, target, EvolutionSettings(ratio=2, generations=1), ClipSettings(clip_frames=27))
    return source, target


def test_evolved_motions_train_and_evolved_poses_do_not(
    motions: tuple[Path, Path], evolved_store: Path
) -> None:
    source, target = motions
    lifter = SMALL.replaced(frames_per_second=20.0)
    settings = QUICK.replaced(store_fps=(), split=Split(validation_share=0.0), evolved_warm_up=10)
    mixture = open_clips([target], lifter, settings).mixture
    with PoseStore(target) as store:
        bred = store.table()["generation"].to_numpy() > 0
    assert [len(part.frames.before) for part in mixture.parts] == [(~bred).sum(), bred.sum()]
    np.testing.assert_allclose(mixture.weights, [1 - EVOLVED_SHARE, EVOLVED_SHARE])
    np.testing.assert_allclose(mixture.shares(5), [1 - EVOLVED_SHARE / 2, EVOLVED_SHARE / 2])
    # Each child is a clip of its own, at the rate that the run was told.
    recorded, children = mixture.parts
    assert (children.frames.last[children.frames.starts] - children.frames.starts + 1 == 27).all()
    assert (recorded.frames.share == 0).all()
    assert len(recorded.frames.starts) == 6
    assert len(open_clips([source], lifter, settings).mixture.parts) == 1
    without = open_clips([target], lifter, settings.replaced(evolved_share=0.0)).mixture
    assert [len(part.frames.before) for part in without.parts] == [(~bred).sum()]
    # Of a store of bred poses only the recorded ones are taken.
    (one,) = open_clips([evolved_store], SMALL, settings.replaced(store_fps=(60.0,))).mixture.parts
    assert one.row_count == 40
    # The one store tells its rate, the other does not.
    both, slow = [target, evolved_store], SMALL.replaced(frames_per_second=20.0)
    assert len(open_clips(both, slow, settings.replaced(store_fps=(0.0, 60.0))).mixture.parts) == 3
    with pytest.raises(InputError, match="does not tell how many frames a second"):
        open_clips(both, slow, settings.replaced(store_fps=(60.0, 0.0)))


def test_evolved_motions_change_the_training(motions: tuple[Path, Path], tmp_path: Path) -> None:
    settings = {"store_fps": (), "split": Split(validation_share=0.2), "evolved_warm_up": 0}
    lifter = SMALL.replaced(frames_per_second=20.0)
    for name, share in (("with", EVOLVED_SHARE), ("again", None), ("without", 0.0)):
        run(motions[1], tmp_path / name, lifter=lifter, evolved_share=share, **settings)
    head = "network.head.weight"
    weights = [
        TemporalLifter.load(tmp_path / name / "last.safetensors").get_parameter(head)
        for name in ("with", "again", "without")
    ]
    assert torch.equal(weights[0], weights[1]), "EVOLVED_SHARE of the draws if nothing else is said"
    assert not torch.equal(weights[0], weights[2])


def test_bad_input_is_refused(clip_store, tiny_store, evolved_store, tmp_path) -> None:
    with pytest.raises(InputError, match="`store_fps` must be one for all or one per store: 2 for 1"):
        run(clip_store, tmp_path / "a", store_fps=(30.0, 60.0))
    for store in (clip_store, evolved_store):  # of the latter only single poses were bred
        with pytest.raises(InputError, match="no store has evolved motions: run `evolift evolve --clips`"):
            run(
                store, tmp_path / "a", evolved_share=0.5, split=Split(validation_share=0.2), store_fps=(60.0,)
            )
    with pytest.raises(InputError, match="it has 10 frames a second, and the lifter sees 30"):
        run(clip_store, tmp_path / "a", store_fps=(10.0,))
    with pytest.raises(InputError, match="there is nothing to validate on"):
        run(clip_store, tmp_path / "a", split=Split(validation_share=0.0))
    assert not (tmp_path / "a").exists()
