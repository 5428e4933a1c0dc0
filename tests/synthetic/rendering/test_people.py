from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from evolift.posedata.errors import InputError, OutputError, StoreError
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.skeleton import COCO17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from evolift.synthetic.acting.actors import TRAIN_ACTIONS, write_actor_store
from evolift.synthetic.rendering.people import (
    image_name,
    render_store,
    sampled_row,
)
from evolift.synthetic.settings import ActorSettings, RenderSettings
from tests.synthetic.rendering.rendered_scenes import SIZE


@pytest.fixture(scope="module")
def actors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("actors") / "actors.h5"
    write_actor_store(
        path,
        ActorSettings(clips_per_action=1, frames=12, seed=1),
        subjects=["F1", "M2"],
        actions=TRAIN_ACTIONS,
    )
    return path


@pytest.fixture(scope="module")
def rendered(actors: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("rendered") / "people.h5"
    render_store(actors, target, RenderSettings(images=20, size=SIZE, seed=7))
    return target


def test_a_rendered_store_holds_what_its_images_show(actors: Path, rendered: Path):
    with PoseStore(actors) as source, PoseStore(rendered) as store:
        labels = store.read()
        assert store.coordinate_frame == "camera"
        assert store.image_folder == rendered.parent / "people_images"
        assert len(store) == len(store.cameras) == len(list(store.image_folder.iterdir())) == 20
        rows = [sampled_row(7, i, len(source)) for i in range(20)]
        assert len(set(rows)) == 20
        original = source.read(np.array(rows))
        assert list(labels.subject) == list(original.subject)
        assert list(labels.action) == list(original.action)
        np.testing.assert_array_equal(labels.frame, original.frame)
        for i, camera in enumerate(store.cameras):
            np.testing.assert_allclose(
                camera.to_camera(original.joints_3d[i]), labels.joints_3d[i], atol=0.05
            )
            np.testing.assert_allclose(camera.project(original.joints_3d[i]), labels.joints_2d[i], atol=0.01)
            image = cv2.imread(str(store.image_folder / labels.image[i]))
            assert image.shape == (SIZE, SIZE, 3)
            assert labels.image[i] == image_name(i)
            left, top, width, height = labels.box[i]
            assert left >= -0.5
            assert top >= -0.5
            assert left + width <= SIZE - 0.5 + 1e-3
            assert top + height <= SIZE - 0.5 + 1e-3
            inside = labels.joints_2d[i][labels.visibility[i] == 2]
            assert ((inside >= [left - 1, top - 1]) & (inside <= [left + width + 1, top + height + 1])).all()
        assert set(np.unique(labels.visibility)) == {1, 2}
        assert store.provenance.inputs.keys() == {"actors.h5"}


@pytest.mark.slow  # starting processes takes most of the time
def test_images_do_not_depend_on_the_workers(actors: Path, rendered: Path, tmp_path: Path):
    target = tmp_path / "people.h5"
    render_store(actors, target, RenderSettings(images=20, size=SIZE, seed=7, num_workers=2))
    folder = tmp_path / "people_images"
    for i in range(20):
        assert (folder / image_name(i)).read_bytes() == (
            rendered.parent / "people_images" / image_name(i)
        ).read_bytes()
    with PoseStore(target) as many, PoseStore(rendered) as few:
        a, b = many.read(slice(0, 20)), few.read()
        for column in ("joints_3d", "joints_2d", "visibility", "box"):
            np.testing.assert_array_equal(getattr(a, column), getattr(b, column))


def test_images_do_not_depend_on_their_number(actors: Path, rendered: Path, tmp_path: Path):
    render_store(actors, tmp_path / "few.h5", RenderSettings(images=3, size=SIZE, seed=7))
    for i in range(3):
        few, many = (
            folder / image_name(i) for folder in (tmp_path / "few_images", rendered.parent / "people_images")
        )
        assert few.read_bytes() == many.read_bytes()


def test_another_seed_gives_other_images(actors: Path, rendered: Path, tmp_path: Path):
    render_store(actors, tmp_path / "other.h5", RenderSettings(images=1, size=SIZE, seed=8))
    one, other = (
        cv2.imread(str(folder / image_name(0)))
        for folder in (rendered.parent / "people_images", tmp_path / "other_images")
    )
    assert np.abs(one.astype(int) - other).mean() > 5


def test_bad_input_leaves_nothing_behind(actors: Path, rendered: Path, tmp_path: Path):
    coco = tmp_path / "coco.h5"
    flat = Poses(
        repeated_label("a", 1),
        repeated_label("b", 1),
        np.zeros(1, np.int64),
        joints_3d=np.random.default_rng(0).normal(0, 150, (1, 17, 3)).astype(np.float32),
    )
    with PoseStoreWriter(coco, COCO17, "camera", Provenance("test")) as writer:
        writer.append(flat)
    out = tmp_path / "out" / "people.h5"
    with pytest.raises(StoreError, match="skeleton is COCO17, H36M17 is needed"):
        render_store(coco, out, RenderSettings(images=1))
    with pytest.raises(InputError, match="'camera' frame: rendering needs the world frame"):
        render_store(rendered, out, RenderSettings(images=1))
    with pytest.raises(StoreError, match="is not a file"):
        render_store(tmp_path / "missing.h5", out, RenderSettings(images=1))
    for name, wrong, low in (("images", 0, 1), ("size", 16, 32), ("num_workers", -1, 0), ("seed", -1, 0)):
        with pytest.raises(InputError, match=f"`{name}` must be a whole number of at least {low}"):
            RenderSettings(**{name: wrong})
    assert not out.parent.exists()
    (tmp_path / "taken_images").mkdir()
    with pytest.raises(OutputError, match="taken_images exists: choose another output or add `overwrite`"):
        render_store(actors, tmp_path / "taken.h5", RenderSettings(images=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["coco.h5", "taken_images"]


def test_an_error_while_rendering_keeps_the_old_output(actors: Path, tmp_path: Path):
    target = tmp_path / "people.h5"
    render_store(actors, target, RenderSettings(images=2, size=32, seed=1))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render_store(actors, target, RenderSettings(images=2, size=32, seed=2), overwrite=True, progress=fail)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    render_store(actors, target, RenderSettings(images=1, size=32, seed=2), overwrite=True)
    assert [path.name for path in (tmp_path / "people_images").iterdir()] == [image_name(0)]
