"""Rendered people: images of the poses of a store, with 3D joints, 2D joints and true occlusion flags.

Image i shows one row of the source in a scene of its own, both drawn from (seed, i) alone, so the images are the
same bytes for any number of worker processes and any number of images.

Whether a joint is visible is decided in `evolift.synthetic.rendering.occlusion`.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.image_file import encoded_image
from evolift.posedata.importers.image_folder import new_image_folder
from evolift.posedata.num_workers import require_workers
from evolift.posedata.output_file import require_apart, sha256_of
from evolift.posedata.poses import Poses
from evolift.posedata.progress import Progress, no_progress
from evolift.posedata.seeds import numpy_generator_at
from evolift.posedata.skeleton import H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from evolift.synthetic.rendering.backdrop import photograph
from evolift.synthetic.rendering.occlusion import visibility_of
from evolift.synthetic.rendering.renderer import NO_OPENGL, Renderer
from evolift.synthetic.rendering.scene import NEAREST, Scene, draw_scene
from evolift.synthetic.settings import RenderSettings

GOLDEN = 0.6180339887498949
IMAGES_PER_TASK = 16


@dataclass(frozen=True, eq=False)
class RenderedPerson:
    """One image and its labels.

    Args:
        image: RGB.
        joints_3d: camera frame, mm.
        joints_2d: pixels.
        visibility: 1 or 2, see `evolift.synthetic.rendering.occlusion`.
        box: of the person's outline as if nothing stood before it, cut at the image's edge: left, top, width,
            height in pixels.
        camera: with its pose in the source's world.
        row: of the source.
    """

    image: UInt8[np.ndarray, "size size 3"]
    joints_3d: Float32[np.ndarray, "17 3"]
    joints_2d: Float32[np.ndarray, "17 2"]
    visibility: UInt8[np.ndarray, "17"]
    box: Float32[np.ndarray, "4"]
    camera: Camera
    row: int


def render_store(
    source: Path,
    target: Path,
    settings: RenderSettings = RenderSettings(),
    *,
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> None:
    """Render images of the poses of a store into a new store (camera frame) and a folder of JPEG files.

    The folder stands beside the store and is called `<target stem>_images`. Both appear when all is done; subject,
    action and frame are the source's.

    Args:
        source: a pose store of H36M17 in the world frame; its rows are sampled evenly, in an order set by the seed.
        target: the new store.
        settings: how many images, how large, and so on.
        overwrite: replace an existing target and its folder.
        progress: counts images.

    Raises:
        StoreError: the source is no sound store or of another skeleton.
        InputError: it is not in the world frame, there is no OpenGL, or this machine has no use for so many workers.
        OutputError: an output exists, or cannot be written.
    """
    require_workers(settings.num_workers)
    require_apart(target, [source])
    with PoseStore(source, skeleton=H36M17) as poses:
        if poses.coordinate_frame != "world":
            raise InputError(
                f"{source}: its poses are in the {poses.coordinate_frame!r} frame: rendering needs the world frame"
            )
        poses.require_labelled("rendering")
        accepted = poses.accepted
    folder = target.with_name(f"{target.stem}_images")
    provenance = Provenance(
        "evolift data render",
        {"images": settings.images, "size": settings.size},
        settings.seed,
        {source.name: sha256_of(source)},
    )
    with (
        PoseStoreWriter(
            target,
            H36M17,
            "camera",
            provenance,
            image_root=folder.name,
            implausible=accepted,
            overwrite=overwrite,
        ) as writer,
        PoseStore(source, validate=False) as poses,
    ):
        partial = new_image_folder(folder, writer, overwrite=overwrite)
        progress(0, settings.images)
        for rendered in _rendered(source, partial, settings):
            labels = poses.read(np.array([one.row for one in rendered]))
            writer.append(_as_poses(rendered, labels, writer, len(writer)))
            progress(len(rendered))
        writer.check_plausibility()


def _rendered(source: Path, folder: Path, settings: RenderSettings) -> Iterator[list[RenderedPerson]]:
    images, workers = settings.images, settings.num_workers
    tasks = [
        range(start, min(start + IMAGES_PER_TASK, images)) for start in range(0, images, IMAGES_PER_TASK)
    ]
    if workers <= 1:
        with PoseStore(source, validate=False) as poses, Renderer(settings.size) as renderer:
            for task in tasks:
                yield _render_files(renderer, poses, folder, settings.seed, task)
        return
    # Not fork: threads of this process and its OpenGL driver must not be copied.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(
        workers,
        mp_context=context,
        initializer=_start_worker,
        initargs=(source, folder, settings.size, settings.seed),
    )
    try:
        yield from pool.map(_render_task, tasks)
    except BrokenProcessPool:
        raise InputError(
            f"a rendering process died: {NO_OPENGL}, or use fewer `num_workers` if memory is short"
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """What a worker process keeps between tasks."""

    source: Path
    folder: Path
    size: int
    seed: int
    renderer: Renderer | None = None
    poses: PoseStore | None = None


def _start_worker(source: Path, folder: Path, size: int, seed: int) -> None:
    _Worker.source, _Worker.folder, _Worker.size, _Worker.seed = source, folder, size, seed
    cv2.setNumThreads(1)


def _render_task(task: range) -> list[RenderedPerson]:
    # The window is made here and not at the start, so that its error reaches the caller as itself.
    if _Worker.renderer is None or _Worker.poses is None:
        _Worker.renderer = Renderer(_Worker.size)
        _Worker.poses = PoseStore(_Worker.source, validate=False)
    return _render_files(_Worker.renderer, _Worker.poses, _Worker.folder, _Worker.seed, task)


def _render_files(
    renderer: Renderer, poses: PoseStore, folder: Path, seed: int, task: range
) -> list[RenderedPerson]:
    """Render images into their files; what is returned has empty images (they are not sent between processes)."""
    labels = []
    for i, rendered in zip(task, render_people(renderer, poses, seed, task), strict=True):
        quality = int(numpy_generator_at(seed, i, 2).integers(55, 96))
        # Not `write_image`: the folder as a whole appears or does not.
        (folder / image_name(i)).write_bytes(encoded_image(rendered.image, ".jpg", quality=quality))
        labels.append(replace(rendered, image=np.zeros((0, 0, 3), np.uint8)))
    return labels


def image_name(i: int) -> str:
    """File name of the rendered image number i."""
    return f"{i:07d}.jpg"


def sampled_row(seed: int, i: int, rows: int) -> int:
    """Source row of image i: a golden-ratio walk, which spreads evenly over the store and seldom repeats."""
    start = numpy_generator_at(seed, 1).uniform()
    return int(rows * ((start + i * GOLDEN) % 1.0)) % rows


def render_people(
    renderer: Renderer, poses: PoseStore, seed: int, numbers: Sequence[int]
) -> Iterator[RenderedPerson]:
    """Images of a store by number, and their labels; each depends on store, seed, number and size only."""
    rows = [sampled_row(seed, i, len(poses)) for i in numbers]
    companions = [int(numpy_generator_at(seed, i, 3).integers(len(poses))) for i in numbers]
    # One read for all: a store decompresses whole chunks.
    joints = poses.read(np.array(rows + companions)).joints_3d
    assert joints is not None  # a store in the world frame has them
    for k, i in enumerate(numbers):
        yield _render_person(renderer, joints[k], joints[len(rows) + k], rows[k], seed, i)


def _render_person(
    renderer: Renderer,
    joints: Float32[np.ndarray, "17 3"],
    companion: Float32[np.ndarray, "17 3"],
    row: int,
    seed: int,
    i: int,
) -> RenderedPerson:
    generator = numpy_generator_at(seed, i, 0)
    scene = draw_scene(generator, joints, renderer.size, companion=companion)
    image, depth = renderer.draw(scene)
    in_camera = scene.camera.to_camera(joints.astype(np.float64))
    pixels = scene.camera.project(joints.astype(np.float64))
    return RenderedPerson(
        photograph(generator, image),
        in_camera.astype(np.float32),
        pixels.astype(np.float32),
        visibility_of(in_camera, pixels, depth, scene.appearance.build),
        outline_box(scene),
        scene.camera,
        row,
    )


def outline_box(scene: Scene) -> Float32[np.ndarray, "4"]:
    """Left, top, width, height of the person's outline inside the image, pixels; at least one pixel."""
    points = scene.person.points
    points = points[points[:, 2] > NEAREST]
    plane = points[:, :2] / points[:, 2:]
    pixels = plane * np.diag(scene.camera.K)[:2] + scene.camera.K[:2, 2]
    edge = scene.camera.width - 0.5
    low = np.clip(pixels.min(0), -0.5, edge - 1)
    high = np.clip(pixels.max(0), low + 1, edge)
    return np.concatenate([low, high - low]).astype(np.float32)


def _as_poses(rendered: list[RenderedPerson], labels: Poses, writer: PoseStoreWriter, first: int) -> Poses:
    """Rows of the new store; registers their cameras."""
    cameras = [
        writer.add_camera(replace(one.camera, name=f"image {first + k}")) for k, one in enumerate(rendered)
    ]
    return Poses(
        subject=labels.subject,
        action=labels.action,
        frame=labels.frame,
        joints_3d=np.stack([one.joints_3d for one in rendered]),
        joints_2d=np.stack([one.joints_2d for one in rendered]),
        visibility=np.stack([one.visibility for one in rendered]),
        camera=np.array(cameras, np.int32),
        image=[image_name(first + k) for k in range(len(rendered))],
        box=np.stack([one.box for one in rendered]),
    )
