"""Time of sixteen rendered images and of one actor clip: run with -m benchmark --benchmark-enable."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from evolift.posedata.store import PoseStore
from evolift.synthetic.acting.actors import make_clip, write_actor_store
from evolift.synthetic.acting.bodies import BODIES
from evolift.synthetic.acting.motions import MOTIONS
from evolift.synthetic.rendering.people import render_people
from evolift.synthetic.rendering.renderer import Renderer
from evolift.synthetic.settings import ActorSettings

pytestmark = pytest.mark.benchmark


@pytest.mark.parametrize("size", [128, 192, 256, 384])
def test_images_one_after_the_other(benchmark: BenchmarkFixture, tmp_path: Path, size: int) -> None:
    write_actor_store(tmp_path / "actors.h5", ActorSettings(clips_per_action=1, frames=20))
    numbers = iter(range(10_000))
    with PoseStore(tmp_path / "actors.h5") as poses, Renderer(size) as renderer:
        list(render_people(renderer, poses, 0, [0]))  # the first one compiles shaders
        result = benchmark.pedantic(
            lambda: list(render_people(renderer, poses, 0, range(start := 16 * next(numbers), start + 16))),
            rounds=8,
        )
    assert result[0].image.shape == (size, size, 3)


def test_clip_of_an_actor(benchmark: BenchmarkFixture) -> None:
    clip = benchmark(make_clip, BODIES["F1"], MOTIONS["dance"], frames=600, fps=10, seed=0, clip=0)
    assert clip.shape == (600, 17, 3)
