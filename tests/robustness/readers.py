"""Every reader of the package, each with a small sound file: stores, checkpoints, settings, records, predictions.

A maker writes the file, and what must lie beside it, and tells how it is read; `evolift` writes nothing else in the folder
than `out.h5`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evolift.posedata.poses import Lineage, Poses, labelled
from evolift.posedata.skeleton import COCO17, H36M17
from evolift.posedata.store import PoseStore, PoseStoreWriter, Provenance
from tests.robustness.verdicts import nonsense_of, nonsense_of_poses


class Sample(NamedTuple):
    """A sound file and how it is read.

    Args:
        path: that is damaged.
        read: gives the values of the file as it is at that moment.
        format: of `tests.robustness.mutations.FORMATS`, or another word.
        nonsense: says what cannot be true of values.
        names: one of which a refusal must have beside the file's own.
    """

    path: Path
    read: Callable[[], Any]
    format: str
    nonsense: Callable[[Any], str | None] = nonsense_of
    names: tuple[str, ...] = ()


class Bodies(NamedTuple):
    """Of the fixtures of tests/conftest.py."""

    standing: np.ndarray
    make: Callable[..., Poses]


READERS: dict[str, Callable[[Path, Bodies], Sample]] = {}


def reader(name: str) -> Callable[[Callable[[Path, Bodies], Sample]], Callable[[Path, Bodies], Sample]]:
    def registered(maker: Callable[[Path, Bodies], Sample]) -> Callable[[Path, Bodies], Sample]:
        READERS[name] = maker
        return maker

    return registered


def _nonsense_of_store(values: Any) -> str | None:
    return nonsense_of_poses(values["poses"]) or nonsense_of(values["cameras"], 1e9)


def read_store(path: Path) -> dict[str, Any]:
    with PoseStore(path) as store:
        return {
            "poses": store.read(), "cameras": store.cameras, "skeleton": store.skeleton, "frame": store.coordinate_frame,
            "images": store.image_root, "table": store.table(),
        }  # fmt: skip


def imported(path: Path, take: Callable[[Path], Any], folder: Path, format: str, *names: str) -> Sample:
    """A sample whose values are those of the store that an importer makes of it."""
    target = folder / "out.h5"

    def read() -> dict[str, Any]:
        take(target)
        return read_store(target)

    return Sample(path, read, format, _nonsense_of_store, names)


@reader("pose store")
def _pose_store(folder: Path, bodies: Bodies) -> Sample:
    path = folder / "store.h5"
    with PoseStoreWriter(path, H36M17, "world", Provenance("test")) as writer:
        writer.append(bodies.make(24))
    return Sample(path, lambda: read_store(path), "hdf5", _nonsense_of_store)


@reader("pose store of views")
def _pose_store_of_views(folder: Path, bodies: Bodies) -> Sample:
    """With all columns that a store may have."""
    from evolift.posedata.camera import Camera, look_at

    R, t = look_at(np.array([4000.0, 1000.0, 1500.0]), np.array([0.0, 0.0, 900.0]))
    camera = Camera.from_focal_length(1000.0, 800, 600, R=R, t=t, name="a")
    poses = bodies.make(16)
    assert poses.joints_3d is not None
    seen = camera.project(poses.joints_3d).astype(np.float32)
    low, high = seen.min(1), seen.max(1)
    generation = np.repeat([0, 1], 8).astype(np.int32)
    parent = np.where(generation == 0, -1, np.arange(16) % 8)
    rows = Poses(
        poses.subject, poses.action, poses.frame, poses.joints_3d, seen, np.full((16, 17), 2, np.uint8),
        np.zeros(16, np.int32), [f"{row}.png" for row in range(16)], np.concatenate([low, high - low], 1).astype(np.float32),
        Lineage(generation, parent, parent, labelled(generation, ["", "crossover"])),
    )  # fmt: skip
    path = folder / "views.h5"
    with PoseStoreWriter(
        path, H36M17, "world", Provenance("test"), cameras=[camera], image_root="images"
    ) as writer:
        writer.append(rows)
    return Sample(path, lambda: read_store(path), "hdf5", _nonsense_of_store)


@reader("lifter checkpoint")
def _lifter(folder: Path, bodies: Bodies) -> Sample:
    from evolift.lifter.model import LifterModel
    from tests.settled_networks import settled_lifter

    path = folder / "lifter.safetensors"
    settled_lifter().save(path, {"command": "test"})
    return Sample(path, lambda: LifterModel.load(path), "safetensors")


@reader("refiner checkpoint")
def _refiner(folder: Path, bodies: Bodies) -> Sample:
    from evolift.lifter.refiner import RefinerModel
    from evolift.lifter.settings import RefinerSettings

    path = folder / "refiner.safetensors"
    RefinerModel(RefinerSettings(hidden=16, code=8)).save(path)
    return Sample(path, lambda: RefinerModel.load(path), "safetensors")


_SMALL = {
    "backbone": "test_resnet",
    "input_width": 64,
    "input_height": 64,
    "head": "light",
    "head_widths": (8,),
}


@reader("detector checkpoint")
def _detector(folder: Path, bodies: Bodies) -> Sample:
    from evolift.detector2d.model import DetectorModel
    from evolift.detector2d.settings import DetectorSettings

    path = folder / "detector.safetensors"
    DetectorModel(DetectorSettings(**_SMALL)).save(path)  # type: ignore[arg-type]
    return Sample(path, lambda: DetectorModel.load(path), "safetensors")


@reader("chain checkpoint")
def _chain(folder: Path, bodies: Bodies) -> Sample:
    from evolift.chain.model import ChainModel
    from evolift.detector2d.model import DetectorModel
    from evolift.detector2d.settings import DetectorSettings
    from tests.settled_networks import settled_lifter

    path = folder / "chain.safetensors"
    detector = DetectorModel(DetectorSettings(**_SMALL))  # type: ignore[arg-type]
    ChainModel(detector, settled_lifter(normalisation="box")).save(path)
    return Sample(path, lambda: ChainModel.load(path), "safetensors")


@reader("public SemGCN checkpoint")
def _public(folder: Path, bodies: Bodies) -> Sample:
    from evolift.lifter.public_checkpoint import load_public_checkpoint
    from tests.lifter.test_public_checkpoint import public_state

    path = folder / "ckpt_best.pth.tar"
    torch.save({"epoch": 3, "state_dict": public_state(non_local=True)}, path)
    return Sample(path, lambda: load_public_checkpoint(path), "torch")


@reader("weights of torch")
def _weights(folder: Path, bodies: Bodies) -> Sample:
    from evolift.detector2d.backbone import read_weights

    path = folder / "weights.pth"
    torch.save({"conv.weight": torch.randn(4, 3), "conv.bias": torch.zeros(4)}, path)
    return Sample(path, lambda: read_weights(path), "torch")


@reader("weights of safetensors")
def _safe_weights(folder: Path, bodies: Bodies) -> Sample:
    from evolift.detector2d.backbone import read_weights

    path = folder / "weights.safetensors"
    save_file({"conv.weight": torch.randn(4, 3), "conv.bias": torch.zeros(4)}, path)
    return Sample(path, lambda: read_weights(path), "safetensors")


@reader("fitted limits")
def _limits(folder: Path, bodies: Bodies) -> Sample:
    from evolift.evolution.kinematics.kinematic_tree import KinematicTree
    from evolift.evolution.limits.fitted_limits import fit_limits
    from evolift.evolution.limits.limits_file import load_limits, save_limits
    from evolift.evolution.settings import FitSettings

    path = folder / "limits.h5"
    joints = torch.from_numpy(bodies.make(40).joints_3d)
    save_limits(path, fit_limits([joints], KinematicTree(H36M17), FitSettings()), Provenance("test"))
    return Sample(path, lambda: vars(load_limits(path)), "hdf5")


def _akhter_black(name: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.evolution.limits.limit_sources import joint_limits
        from tests.evolution.limits.test_akhter_black_limits import write_model

        model = write_model(folder)
        return Sample(
            folder / name,
            lambda: vars(joint_limits(f"akhter-black:{model}", H36M17)),
            "mat",
            names=(model.name,),
        )

    return make


for _name in ("jointAngleModel_v2.mat", "staticPose.mat"):
    reader(f"Akhter-Black {_name}")(_akhter_black(_name))


@reader("recipe")
def _recipe(folder: Path, bodies: Bodies) -> Sample:
    import rich_click as click

    from evolift.cli.main import command_named
    from evolift.cli.settings_options import taken_settings
    from evolift.lifter.settings import LifterSettings, LifterTrainingSettings

    path, store = folder / "mine.toml", folder / "store.h5"
    path.write_text(
        'purpose = "a test"\ncommand = "lifter train"\nhardware = "any"\n[options]\nsteps = 5\nhidden = 8\nseed = 3\n'
        'learning-rate = 0.001\ngradient-clip = 1.0\nvalidation-subject = ["bob"]\nrotate-ring = true\nnoise = 2.5\n'
        "[stages.evolve]\nratio = 3.0\n"
    )
    store.touch()

    def read() -> Any:
        group = command_named("lifter")
        parent = click.RichContext(
            group, info_name="lifter", parent=click.RichContext(click.Group("evolift"), info_name="evolift")
        )
        train = group.commands["train"]  # type: ignore[attr-defined]
        with train.make_context(
            "train", [str(store), "-o", str(folder / "run"), "--recipe", str(path)], parent=parent
        ) as ctx:
            options = dict(ctx.params)
            return taken_settings(LifterSettings, options), taken_settings(LifterTrainingSettings, options)

    return Sample(path, read, "toml", names=(path.stem, "--", "`"))  # or the option


@reader("settings.json of a run")
def _run_settings(folder: Path, bodies: Bodies) -> Sample:
    from evolift.lifter.settings import LifterSettings
    from evolift.training.run_folder import SETTINGS, run_folder, run_record

    run, record = (
        folder / "run",
        run_record("evolift lifter train", LifterSettings(hidden=8), stores=[folder / "a.h5"]),
    )
    run.mkdir()
    (run / SETTINGS).write_text(json.dumps(record, indent=1))

    def read() -> Any:
        with run_folder(run, record, resume=True):
            return json.loads((run / SETTINGS).read_text())

    return Sample(run / SETTINGS, read, "json", names=("run was begun",))


@reader("resume.ckpt of a run")
def _resume(folder: Path, bodies: Bodies) -> Sample:
    from evolift.training.resume_state import STATE, require_steps_left

    torch.save({"global_step": 5, "state_dict": {"a": torch.zeros(3)}}, folder / STATE)
    return Sample(folder / STATE, lambda: require_steps_left(folder, 10), "torch", names=(folder.name,))


def _work_folder(name: str, format: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.evolution.job.breeding import Tally
        from evolift.evolution.job.work_folder import WorkFolder

        work, run = (
            WorkFolder(folder / "out.h5.work", 12, {"genes": 3, "joints": 51}),
            {"seed": 0, "ratio": 3.0, "stores": ["a"]},
        )
        work.start(run, resume=False, overwrite=True)
        parents = np.arange(6), np.ones((2, 16), np.float32)
        work.write_parents(*parents)
        for block in range(3):
            work.log(1, block, Tally(candidates=5, refused=2))

        def read() -> Any:
            work.start(run, resume=True, overwrite=False)
            work.write_parents(*parents)  # as each run does, resumed ones too
            return work.parents(6, 8), work.templates(), sorted(work.finished().items())

        return Sample(work.path / name, read, format, names=(work.path.name,))

    return make


for _name, _format in {
    "run.json": "json",
    "finished.jsonl": "lines",
    "parents.npy": "npy",
    "templates.npy": "npy",
}.items():
    reader(f"work folder {_name}")(_work_folder(_name, _format))


@reader("record of a stage")
def _stage_record(folder: Path, bodies: Bodies) -> Sample:
    from evolift.cli.reproducing.stage_run import RECORD, is_finished
    from evolift.cli.reproducing.stages import Stage
    from evolift.posedata.output_file import sha256_of

    stage = Stage("evolve", {"ratio": 3.0})
    place = stage.folder(folder)
    place.mkdir(parents=True)
    hashes = {}
    for name in stage.products:
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).write_text("a product")
        hashes[name] = sha256_of(place / name)
    (place / RECORD).write_text(
        json.dumps({"key": stage.key, "command": "evolift evolve", "seconds": 1.5, "products": hashes})
    )
    return Sample(place / RECORD, lambda: is_finished(stage, folder), "json")


@reader("intrinsics")
def _intrinsics(folder: Path, bodies: Bodies) -> Sample:
    from evolift.prediction.cameras.intrinsics_file import read_intrinsics

    path = folder / "camera.json"
    values = {
        "fx": 1000,
        "fy": 1010.5,
        "cx": 959.5,
        "cy": 530,
        "distortion": [0.1, 0, 0, 0.01],
        "width": 1920,
        "height": 1080,
    }
    path.write_text(json.dumps(values))
    return Sample(path, lambda: read_intrinsics(path), "json", lambda values: nonsense_of(values, 1e9))


@reader("names of joints")
def _name_mapping(folder: Path, bodies: Bodies) -> Sample:
    from evolift.posedata.keypoint_formats.name_mapping import read_name_mapping

    path = folder / "names.json"
    names: dict[str, Any] = {f"mine {joint}": joint for joint in H36M17.joints}
    path.write_text(json.dumps({"skeleton": "H36M17", "joints": names}))
    return Sample(path, lambda: vars(read_name_mapping(path)), "json")


@reader("errors of a detector")
def _detection_errors(folder: Path, bodies: Bodies) -> Sample:
    from evolift.lifter.data.detection_errors import load_detection_errors, save_detection_errors
    from tests.lifter.data.test_detection_errors import some_errors

    path = folder / "errors.csv"
    save_detection_errors(path, some_errors(12))
    return Sample(
        path, lambda: load_detection_errors(path, H36M17), "words", lambda values: nonsense_of(values, 1e6)
    )


@reader("cut-outs")
def _cut_outs(folder: Path, bodies: Bodies) -> Sample:
    from evolift.detector2d.occlusion import synthetic_occluders
    from evolift.detector2d.voc_objects import load_occluders, save_occluders

    path = folder / "objects.npz"
    save_occluders(path, tuple(synthetic_occluders(3, 0)))
    return Sample(path, lambda: load_occluders(path), "npz")


def _predictions(suffix: str, format: str) -> Callable[[Path, Bodies], Sample]:
    def make(folder: Path, bodies: Bodies) -> Sample:
        from evolift.posedata.predictions.prediction_files import read_predictions, write_predictions
        from tests.posedata.predictions.test_prediction_files import made

        path = folder / f"predictions{suffix}"
        sigma = np.random.default_rng(0).uniform(1, 300, (3, 17)).astype(np.float32)
        write_predictions(path, made(skeleton=COCO17, sigma_mm=sigma))
        return Sample(path, lambda: read_predictions(path), format, lambda values: nonsense_of(values, 1e9))

    return make


for _suffix, _format in {".json": "json", ".jsonl": "lines", ".csv": "words", ".npz": "npz"}.items():
    reader(f"predictions {_suffix}")(_predictions(_suffix, _format))


@reader("person detector ONNX")
def _onnx(folder: Path, bodies: Bodies) -> Sample:
    pytest.importorskip("onnxruntime")
    from evolift.prediction.persons.person_boxes import load_person_detector
    from tests.prediction.persons.person_onnx_files import Fixed, separate_outputs, write_onnx

    path = write_onnx(folder / "people.onnx", Fixed(*separate_outputs((1.0, 2.0, 40.0, 50.0, 0.9))))
    image = np.zeros((64, 96, 3), np.uint8)
    return Sample(
        path, lambda: load_person_detector(str(path))(image), "onnx", lambda values: nonsense_of(values, 1e6)
    )
