from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from evolift.chain.evaluation import chain_table, predict_chain
from evolift.chain.model import ChainModel, lens_of, rotate_lens_with_crop, rotate_with_crop
from evolift.chain.settings import ChainTrainingSettings
from evolift.chain.training import ChainModule, bone_loss_3d, finetune, joint_loss_3d, sigma_loss_3d
from evolift.detector2d.crop import apply_affine, crop_from_image, crop_to_fraction, invert_affine, rotate_3d
from evolift.detector2d.drop_path import DropPath
from evolift.detector2d.model import DetectorModel
from evolift.detector2d.settings import DetectorSettings
from evolift.lifter.architecture import FORMS, Architecture
from evolift.lifter.model import LifterModel
from evolift.lifter.settings import LifterSettings
from evolift.lifter.straight_view import Lens
from evolift.posedata.camera import Camera, look_at, project
from evolift.posedata.errors import CheckpointError, InputError
from evolift.posedata.poses import Poses, repeated_label
from evolift.posedata.skeleton import COCO18_PELVIS, H36M17
from evolift.posedata.store import PoseStoreWriter, Provenance
from evolift.training.checkpoint import Checkpoint, save_checkpoint

MIRROR = list(H36M17.mirror)


def small_chain(depth_bins: int = 1, **lifter: object) -> ChainModel:
    torch.manual_seed(0)
    detector = DetectorModel(
        DetectorSettings(
            backbone="resnet10t",
            input_width=64,
            input_height=64,
            depth_bins=depth_bins,
            head="light",
            head_widths=(16,),
        )
    )
    settings = LifterSettings(**({"hidden": 16, "blocks": 1, "normalisation": "box"} | lifter))  # type: ignore[arg-type]
    return ChainModel(detector, LifterModel(settings)).eval()


@pytest.fixture(scope="module")
def camera() -> Camera:
    R, t = look_at(np.array([4000.0, 500.0, 1500.0]), np.array([0.0, 0.0, 1000.0]))
    return Camera.from_focal_length(300.0, 240, 200, R=R, t=t)


@pytest.fixture(scope="module")
def image_store(make_poses, camera: Camera, tmp_path_factory) -> Path:
    """Twelve images of white dots at the joints, with 2D and 3D labels."""
    folder = tmp_path_factory.mktemp("images")
    poses = make_poses(12)
    joints_2d = camera.project(poses.joints_3d)
    (folder / "images").mkdir()
    for row, joints in enumerate(joints_2d):
        image = np.zeros((camera.height, camera.width, 3), np.uint8)
        for u, v in joints:
            cv2.circle(image, (round(float(u)), round(float(v))), 2, (255, 255, 255), -1)
        cv2.imwrite(str(folder / "images" / f"{row}.png"), image)
    rows = Poses(
        poses.subject,
        poses.action,
        poses.frame,
        camera.to_camera(poses.joints_3d),
        joints_2d,
        np.full(joints_2d.shape[:2], 2, np.uint8),
        np.zeros(12, np.int32),
        [f"{row}.png" for row in range(12)],
        np.concatenate([joints_2d.min(1), np.ptp(joints_2d, 1)], 1).astype(np.float32),
    )
    with PoseStoreWriter(
        folder / "images.h5", H36M17, "camera", Provenance("test"), cameras=[camera], image_root="images"
    ) as writer:
        writer.append(rows)
    return folder / "images.h5"


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("angle", [0.0, 0.4, -1.3])
def test_turned_pixels_are_what_the_turned_camera_sees(
    standing_pose, camera: Camera, angle: float, flip: bool
) -> None:
    """The 2D that the lifter sees is the projection of the 3D target of the rotated, mirrored crop."""
    in_camera = camera.to_camera(standing_pose.astype(np.float64))
    pixels = camera.project(standing_pose.astype(np.float64))
    affine = crop_from_image((80.0, 40.0, 60.0, 120.0), (64, 64), padding=1.2, angle=angle, flip=flip)
    order = MIRROR if flip else list(range(17))
    root = in_camera[0]
    zoom = math.sqrt(abs(np.linalg.det(affine[:, :2])))
    rotated_root = np.array([*(affine[:, :2] / zoom @ root[:2]), root[2]])
    target = rotate_3d(in_camera[order] - root, affine)
    expected = (target + rotated_root) @ camera.K.T
    expected = expected[:, :2] / expected[:, 2:]

    fraction = crop_to_fraction(apply_affine(affine, pixels[order]), (64, 64))
    back = torch.from_numpy(invert_affine(affine))[None]
    from evolift.detector2d.crop import crop_to_image

    seen = crop_to_image(torch.from_numpy(fraction)[None], back, (64, 64))
    np.testing.assert_allclose(seen[0], pixels[order], atol=1e-9)
    rotated = rotate_with_crop(seen, back, torch.tensor([[240.0, 200.0]], dtype=torch.float64))
    np.testing.assert_allclose(rotated[0], expected, atol=1e-6)


def test_turning_is_nothing_for_plain_crops() -> None:
    back = torch.from_numpy(invert_affine(crop_from_image((10.0, 20.0, 30.0, 50.0), (64, 48))))[None].float()
    pixels = torch.randn(1, 17, 2) * 50
    torch.testing.assert_close(
        rotate_with_crop(pixels, back, torch.tensor([[320.0, 200.0]])), pixels, atol=1e-4, rtol=0
    )


def test_gradcheck_of_turning() -> None:
    back = torch.from_numpy(
        invert_affine(crop_from_image((1.0, 2.0, 9.0, 5.0), (16, 16), angle=0.3, flip=True))
    )[None]
    size = torch.tensor([[30.0, 20.0]], dtype=torch.float64)
    pixels = torch.randn(1, 4, 2, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda p: rotate_with_crop(p, back, size), (pixels,))


def batch_for(model: ChainModel, size: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    affine = invert_affine(crop_from_image((20.0, 30.0, 100.0, 120.0), (64, 64)))
    images = torch.randn(size, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    return (
        images,
        torch.from_numpy(affine).float().expand(size, 2, 3),
        torch.tensor([[240, 200]]).expand(size, 2),
    )


def lens_batch(size: int) -> dict[str, torch.Tensor]:
    K = torch.tensor([[300.0, 0, 119.5], [0, 300, 99.5], [0, 0, 1]])
    return {"intrinsics": K.expand(size, 3, 3), "distortion": torch.zeros(size, 5)}


@pytest.mark.parametrize(
    ("freeze", "open_part"), [("none", "stem"), ("all-but-last-block", "last"), ("all-but-head", "head")]
)
def test_the_3d_loss_reaches_the_first_open_layer_and_no_frozen_one(freeze: str, open_part: str) -> None:
    model = small_chain()
    module = ChainModule(model, ChainTrainingSettings(freeze=freeze))
    module.train()
    output = model(*batch_for(model))
    joint_loss_3d(output.joints_3d, torch.randn(2, 17, 3) * 300, torch.ones(2, dtype=torch.bool)).backward()
    detector = model.detector
    blocks = dict(detector.backbone.stages)
    names = list(blocks)
    part = {"stem": blocks[names[0]], "last": blocks[names[-1]], "head": detector.head}[open_part]
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in part.parameters())
    for parameter in model.parameters():
        assert parameter.requires_grad or parameter.grad is None
    frozen = {"none": [], "all-but-last-block": names[:-1], "all-but-head": names}[freeze]
    for name in frozen:
        assert all(not p.requires_grad for p in blocks[name].parameters())


@pytest.mark.parametrize("architecture", FORMS)
def test_every_lifter_learns_at_the_end_of_a_chain_and_teaches_its_detector(
    architecture: Architecture,
) -> None:
    model = small_chain(architecture=architecture)
    ChainModule(model, ChainTrainingSettings(freeze="all-but-head")).train()
    output = model(*batch_for(model))
    joint_loss_3d(output.joints_3d, torch.randn(2, 17, 3) * 300, torch.ones(2, dtype=torch.bool)).backward()
    for part in (model.lifter, model.detector.head):
        gradients = [p.grad for p in part.parameters() if p.grad is not None]
        assert all(bool(gradient.isfinite().all()) for gradient in gradients)
        assert any(bool((gradient != 0).any()) for gradient in gradients)


def test_a_frozen_lifter_keeps_its_statistics() -> None:
    model = small_chain()
    module = ChainModule(model, ChainTrainingSettings(lifter_learning_rate=0.0))
    before = {name: value.clone() for name, value in model.lifter.state_dict().items()}
    module.train()
    model(*batch_for(model))
    for name, value in model.lifter.state_dict().items():
        torch.testing.assert_close(value, before[name], atol=0, rtol=0)


def test_depth_of_a_volumetric_detector_is_the_third_input_or_dropped() -> None:
    dropped = small_chain(depth_bins=8)
    kept = small_chain(depth_bins=8, input_axes=3)
    for model, uses_depth in ((dropped, False), (kept, True)):
        images, back, size = batch_for(model)
        output = model(images, back, size)
        z = torch.autograd.grad(output.joints_3d.square().sum(), output.detection.joints)[0][..., 2]
        assert bool(z.abs().sum() > 0) == uses_depth


def test_stages_that_do_not_fit_are_refused() -> None:
    detector = small_chain().detector
    with pytest.raises(InputError, match="the detector finds H36M17 and the lifter takes COCO18_PELVIS"):
        ChainModel(detector, LifterModel(LifterSettings(skeleton=COCO18_PELVIS)))
    with pytest.raises(InputError, match="third input"):
        ChainModel(detector, LifterModel(LifterSettings(input_axes=3)))


def test_checkpoint_round_trip_and_split(tmp_path: Path) -> None:
    model = small_chain()
    path = tmp_path / "chain.safetensors"
    model.save(path, {"command": "test"})
    loaded = ChainModel.load(path)
    inputs = batch_for(model)
    torch.testing.assert_close(loaded(*inputs).joints_3d, model(*inputs).joints_3d, atol=0, rtol=0)
    loaded.lifter.save(tmp_path / "lifter.safetensors")
    alone, poses = LifterModel.load(tmp_path / "lifter.safetensors"), torch.randn(3, 17, 2)
    torch.testing.assert_close(alone.lift(poses), model.lifter.lift(poses), atol=0, rtol=0)
    with pytest.raises(CheckpointError, match="of the stage 'chain', not 'lifter'"):
        LifterModel.load(path)
    settings: dict[str, object] = {"detector": model.detector.settings.to_dict()}
    save_checkpoint(path, Checkpoint("chain", dict(model.state_dict()), settings, {}), overwrite=True)
    with pytest.raises(CheckpointError, match=r"chain\.safetensors: ChainSettings must have exactly"):
        ChainModel.load(path)


@pytest.mark.parametrize("depth_bins", [1, 8])
def test_a_flip_test_is_part_of_the_chain_but_not_of_its_training(depth_bins: int, tmp_path: Path) -> None:
    plain = small_chain(depth_bins, input_axes=3 if depth_bins > 1 else 2)
    flipped = ChainModel(plain.detector, plain.lifter, flip_test=True).eval()
    images, back, extent = batch_for(plain)
    both = plain.detector(torch.cat([images, images.flip(-1)])).heatmaps
    shape = both.shape[1:]
    seen, mirrored = both.flatten(2).softmax(-1).unflatten(2, shape[1:]).chunk(2)
    expected = plain.detector.decoded(((seen + mirrored.flip(-1)[:, MIRROR]) / 2).log())
    found = flipped(images, back, extent)
    torch.testing.assert_close(found.detection.joints, expected.joints, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.confidence, expected.confidence, rtol=0, atol=1e-5)
    assert not torch.allclose(found.joints_3d, plain(images, back, extent).joints_3d)
    flipped.save(tmp_path / "chain.safetensors", {"command": "test"})
    loaded = ChainModel.load(tmp_path / "chain.safetensors")
    assert loaded.settings.flip_test
    torch.testing.assert_close(loaded(images, back, extent).joints_3d, found.joints_3d, rtol=0, atol=0)
    for chain in (plain, flipped):
        chain.train()
        chain.detector.eval()  # BatchNorm alike
        chain.lifter.eval()
    one, other = (chain(images, back, extent).joints_3d for chain in (plain, flipped))
    torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_a_chain_of_before_has_no_flip_test(tmp_path: Path) -> None:
    model = small_chain()
    settings = model.settings.to_dict()
    del settings["flip_test"]
    path = tmp_path / "chain.safetensors"
    save_checkpoint(path, Checkpoint("chain", dict(model.state_dict()), settings, {}))
    assert not ChainModel.load(path).settings.flip_test


def test_losses_against_plain_sums() -> None:
    prediction, target = torch.randn(4, 17, 3), torch.randn(4, 17, 3)
    known = torch.tensor([True, False, True, True])
    total, bones = 0.0, 0.0
    for b in range(4):
        for j in range(17):
            for a in range(3):
                total += known[b].item() * abs(prediction[b, j, a] - target[b, j, a]).item() / 1000 / 4
        for parent, child in H36M17.bones:
            difference = (prediction[b, child] - prediction[b, parent]) - (
                target[b, child] - target[b, parent]
            )
            bones += known[b].item() * difference.abs().sum().item() / 1000 / 4
    assert joint_loss_3d(prediction, target, known).item() == pytest.approx(total, rel=1e-5)
    assert bone_loss_3d(prediction, target, known, H36M17).item() == pytest.approx(bones, rel=1e-5)
    depth = joint_loss_3d(prediction[..., 2:], target, known).item()
    expected = ((prediction[..., 2] - target[..., 2]).abs().sum(1) * known).mean().item() / 1000
    assert depth == pytest.approx(expected, rel=1e-5)


def test_unlabelled_joints_add_nothing_to_the_losses() -> None:
    """A loop over what is labelled; depth alone goes the same way."""
    generator = torch.Generator().manual_seed(2)
    prediction, target = (100 * torch.randn(4, 17, 3, generator=generator) for _ in range(2))
    target[1, 9] = target[3, 9] = target[3, 13] = torch.nan
    known = torch.tensor([True, True, False, True])
    for axes in ([0, 1, 2], [2]):
        total, bones = 0.0, 0.0
        for b in range(4):
            error = prediction[b, :, axes] - target[b, :, axes]
            labelled = [j for j in range(17) if not error[j].isnan().any()]
            total += sum(known[b].item() * error[j].abs().sum().item() for j in labelled) / 1000 / 4
            for parent, child in H36M17.bones:
                if parent in labelled and child in labelled:
                    bones += known[b].item() * (error[child] - error[parent]).abs().sum().item() / 1000 / 4
        answer = prediction[..., axes].clone().requires_grad_()
        losses = (
            joint_loss_3d(answer, target, known),
            bone_loss_3d(answer, target, known, H36M17),
        )
        assert losses[0].item() == pytest.approx(total, rel=1e-5)
        assert losses[1].item() == pytest.approx(bones, rel=1e-5)
        (losses[0] + losses[1]).backward()
        assert answer.grad is not None
        assert answer.grad.isfinite().all()
        assert (answer.grad[1, 9] == 0).all()
        assert (answer.grad[0, 9] != 0).all()


def test_a_step_on_a_store_without_a_nose(image_store: Path, tmp_path: Path) -> None:
    from evolift.posedata.store import PoseStore

    nose = H36M17.index("nose")
    with PoseStore(image_store) as store:
        poses, cameras = store.read(), store.cameras
    assert poses.joints_3d is not None
    poses.joints_3d[:, nose] = np.nan
    path = tmp_path / "noseless.h5"
    with PoseStoreWriter(
        path,
        H36M17,
        "camera",
        Provenance("test"),
        cameras=cameras,
        image_root=str(image_store.parent / "images"),
        unlabelled=("nose",),
    ) as writer:
        writer.append(poses)
    training = ChainTrainingSettings(
        steps=1,
        validate_every=1,
        accelerator="cpu",
        progress=False,
        batch_size=4,
        bone_weight=0.1,
    )
    history = finetune([path], tmp_path / "run", chain=small_chain(), validation=[path], training=training)
    assert np.isfinite(history.to_numpy(float)).all()
    weights = load_file(tmp_path / "run" / "last.safetensors").values()
    assert all(value.isfinite().all() for value in weights if value.is_floating_point())
    model = small_chain()
    predictions = predict_chain(model, path)
    assert predictions.from_detections.isfinite().all()
    assert predictions.truth[:, nose].isnan().all()
    table = chain_table(predictions, path, model)
    others = [joint for joint in range(17) if joint != nose]
    errors = (predictions.from_detections - predictions.truth)[:, others].norm(dim=-1).mean()
    assert table["mpjpe"].iloc[1] == pytest.approx(float(errors), rel=1e-4)
    assert set(table["joints_scored"]) == {16}


def run(folder: Path, store: Path, steps: int, *, resume: bool = False) -> pd.DataFrame:
    training = ChainTrainingSettings(
        steps=steps,
        validate_every=4,
        accelerator="cpu",
        progress=False,
        batch_size=4,
        gradient_clip=0.0,
        learning_rate=1e-3,
        lifter_learning_rate=1e-3,
        schedule="constant",
        warm_up=0.0,
    )
    return finetune(
        [store], folder, chain=small_chain(), validation=[store], training=training, resume=resume
    )


@pytest.mark.slow
def test_finetuning_learns_and_resumes_to_the_same_bytes(image_store: Path, tmp_path: Path) -> None:
    history = run(tmp_path / "whole", image_store, 16)
    assert history["loss_3d"].iloc[-1] < history["loss_3d"].iloc[0]
    run(tmp_path / "parts", image_store, 8)
    run(tmp_path / "parts", image_store, 16, resume=True)
    for name in ("last.safetensors", "history.csv"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    # The record of the best may be that of the first part, which was to end after 8 steps.
    best, again = (load_file(tmp_path / part / "best.safetensors") for part in ("whole", "parts"))
    assert all(torch.equal(again[name], value) for name, value in best.items())


def test_finetuning_passes_over_blocks_as_told() -> None:
    model = small_chain()
    ChainModule(model, ChainTrainingSettings(drop_path=0.4))
    probabilities = [m.probability for m in model.detector.backbone.modules() if isinstance(m, DropPath)]
    assert max(probabilities) == pytest.approx(0.4)


def test_photographs_without_3d_teach_the_detector_alone() -> None:
    model = small_chain()
    module = ChainModule(model, ChainTrainingSettings())
    images, back, size = batch_for(model)
    batch = {
        "image": images,
        "image_from_crop": back,
        "image_size": size,
        **lens_batch(2),
        "joints": torch.zeros(2, 17, 3),
        "weight": torch.ones(2, 17, 3),
        "joints_3d": torch.zeros(2, 17, 3),
        "has_3d": torch.zeros(2, dtype=torch.bool),
    }
    module.losses(batch)["loss"].backward()
    assert all(p.grad is None or p.grad.abs().sum() == 0 for p in model.lifter.parameters())
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.detector.parameters())


def test_chain_evaluation_with_a_perfect_detector_matches_the_labels(image_store: Path) -> None:
    """`from_labels` must be what the lifter gives for the projected truth, row by row."""
    from evolift.posedata.object_keypoint_similarity import average_precisions
    from evolift.posedata.store import PoseStore

    model = small_chain()
    predictions = predict_chain(model, image_store, batch_size=5)
    with PoseStore(image_store) as store:
        poses = store.read()
    pixels, lens = torch.from_numpy(poses.joints_2d), lens_of(lens_batch(len(poses)))
    expected = model.lifter.lift(pixels, None, None, lens).detach()
    assert not torch.allclose(expected, model.lifter.lift(pixels), atol=5), "people stand beside the axis"
    torch.testing.assert_close(predictions.from_labels, expected, atol=0.05, rtol=1e-4)
    truth = torch.from_numpy(poses.joints_3d - poses.joints_3d[:, :1])
    torch.testing.assert_close(predictions.truth, truth, atol=1e-2, rtol=0)
    table = chain_table(predictions, image_store, model)
    errors = torch.linalg.vector_norm(expected - truth, dim=-1).mean().item()
    assert table["mpjpe"].iloc[0] == pytest.approx(errors, rel=1e-4)
    assert 0 <= table["lifter_share"].iloc[1] <= 1
    assert set(table["joints_scored"]) == {17}
    with PoseStore(image_store) as store:
        box = torch.from_numpy(store.read().box)
    expected = average_precisions(
        predictions.joints_2d,
        predictions.truth_2d,
        predictions.visibility,
        predictions.confidence,
        box,
        model.skeleton,
    )
    for name, value in expected.items():
        assert table[name].tolist() == [1.0, value]
    assert set(table["normalisation"]) == {model.lifter.settings.normalisation}


def test_a_store_without_3d_is_refused(make_poses, image_store: Path, tmp_path: Path) -> None:
    from evolift.posedata.store import PoseStore

    with PoseStore(image_store) as store:
        poses = store.read()
    flat = Poses(
        repeated_label("a", 12),
        repeated_label("b", 12),
        poses.frame,
        joints_2d=poses.joints_2d,
        visibility=poses.visibility,
        image=poses.image,
    )
    path = tmp_path / "flat.h5"
    root = str(image_store.parent / "images")
    with PoseStoreWriter(path, H36M17, "none", Provenance("test"), image_root=root) as writer:
        writer.append(flat)
    with pytest.raises(InputError, match="no image has 3D joints"):
        predict_chain(small_chain(), path)
    with pytest.raises(InputError, match="none of the stores has images with 3D joints"):
        finetune([path], tmp_path / "run", chain=small_chain(), validation=[path])
    assert not (tmp_path / "run").exists()


def test_pixels_keep_their_precision_under_autocast() -> None:
    """A product in bfloat16 is wrong by pixels; the lifter would be trained on other input than it is used with."""
    from evolift.detector2d.crop import crop_to_image

    affine = invert_affine(crop_from_image((300.0, 100.0, 500.0, 900.0), (64, 64), angle=0.2))
    back = torch.from_numpy(affine)[None].float()
    joints = torch.rand(1, 17, 2) - 0.5
    size = torch.tensor([[1280.0, 1024.0]])
    expected = crop_to_image(joints, back, (64, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pixels = crop_to_image(joints, back, (64, 64))
        rotated = rotate_with_crop(pixels, back, size)
    torch.testing.assert_close(pixels, expected, atol=1e-3, rtol=0)
    torch.testing.assert_close(rotated, rotate_with_crop(expected, back, size), atol=1e-3, rtol=0)


def test_padding_goes_with_the_checkpoint(tmp_path: Path) -> None:
    from evolift.detector2d.model import DetectorModel

    settings = DetectorSettings(
        backbone="resnet10t", padding=1.1, input_width=64, input_height=64, head="light", head_widths=(16,)
    )
    DetectorModel(settings).save(tmp_path / "detector.safetensors")
    assert DetectorModel.load(tmp_path / "detector.safetensors").settings.padding == 1.1


def test_the_lifter_sees_what_it_was_trained_on(image_store: Path) -> None:
    """Crop coordinates of the data pipeline, rotated, mirrored and scaled, go back to the labelled pixels."""
    from evolift.detector2d.crop import crop_to_image
    from evolift.detector2d.image_source import read_source
    from evolift.detector2d.samples import MixedBatches, crop_settings
    from evolift.lifter.normalisation import normalise

    model = small_chain(normalisation="screen")
    source, training = read_source(image_store, H36M17), ChainTrainingSettings()
    batches = MixedBatches(
        [source], [1.0], 12, crop_settings(model.detector.settings, model.detector.scaling, training), 3
    )
    kinds = set()
    for step in range(3):
        batch = batches(step, 0, 1)
        back, size = batch["image_from_crop"], batch["image_size"]
        inside = (batch["weight"][..., :2] > 0).all(-1)
        assert inside.float().mean() > 0.8
        pixels = crop_to_image(batch["joints"], back, model.detector.settings.size)
        assert (pixels - batch["joints_2d"])[inside].abs().max() < 1e-3
        rotated = rotate_with_crop(pixels, back, size.float())
        assert (rotated - rotate_with_crop(batch["joints_2d"], back, size.float()))[inside].abs().max() < 1e-3
        for row in range(len(back)):
            linear = back[row, :, :2].numpy().astype(np.float64)
            kinds.add((np.linalg.det(linear) < 0, abs(linear[0, 1]) > 1e-6))
            if (batch["weight"][row] > 0).all():
                # The camera that is rotated with the crop sees the rotated 3D pose exactly where the lifter is told.
                expected = normalise(rotated[row : row + 1], None, size[row : row + 1].float(), "screen")
                relative = batch["joints_3d"][row]
                depth = _root_depth(image_store, int(batch["row"][row])) + relative[:, 2:]
                # `screen` has its 0 half a pixel beside the principal point; the focal length is 300 px.
                plane = (expected[0] * size[row, 0] / 2 + 0.5) / 300.0
                rays = plane * depth - (plane * depth)[:1]
                torch.testing.assert_close(rays, relative[:, :2], atol=0.05, rtol=0)
    assert kinds == {(flip, rotation) for flip in (False, True) for rotation in (False, True)}


@pytest.mark.parametrize("principal", [(119.5, 99.5), (140.0, 90.0)])
def test_the_lens_turns_with_the_crop(principal: tuple[float, float]) -> None:
    """The camera that is rotated and mirrored with the crop sees the rotated 3D pose where the 2D joints are taken to be."""
    K = np.array([[300.0, 0, principal[0]], [0, 300, principal[1]], [0, 0, 1]])
    distortion = np.array([-0.1, 0.02, 0.004, -0.006, 0.01])
    person = np.random.default_rng(0).normal([500, -200, 3500], 300, (17, 3))
    seen = Camera(K, 240, 200, np.eye(3), np.zeros(3), distortion).project(person)
    for flip in (False, True):
        affine = crop_from_image((20.0, 30.0, 100.0, 120.0), (64, 64), angle=25.0, flip=flip)
        back = torch.from_numpy(invert_affine(affine))[None]
        size = torch.tensor([[240.0, 200.0]]).double()
        lens = Lens(torch.from_numpy(K)[None], torch.from_numpy(distortion)[None])
        turned = rotate_lens_with_crop(lens, back, size)
        rotated = torch.from_numpy(rotate_3d(person, affine))[None]
        torch.testing.assert_close(
            project(rotated, turned.intrinsics, turned.distortion),
            rotate_with_crop(torch.from_numpy(seen)[None], back, size),
            atol=1e-4,
            rtol=0,
        )


@pytest.mark.parametrize("normalisation", ["box", "screen"])
def test_with_a_lens_the_chain_answers_in_the_frame_of_the_true_camera(normalisation: str) -> None:
    model = small_chain(normalisation=normalisation)
    images, back, size = batch_for(model)
    lens = lens_of(lens_batch(2))
    with torch.no_grad():
        plain, turned = model(images, back, size), model(images, back, size, lens)
        wanted = model.lifter.lift(plain.joints_2d, None, size.float(), lens)
        torch.testing.assert_close(turned.joints_3d, wanted, atol=1e-3, rtol=0)
        seen = torch.full((2, 17), 2, dtype=torch.uint8)
        labelled = model.lift_labels(plain.joints_2d, seen, back, size, None, lens)
        torch.testing.assert_close(labelled, wanted, atol=1e-3, rtol=0)
    assert torch.equal(turned.joints_3d, plain.joints_3d) == (normalisation == "screen")


def test_training_tells_the_chain_the_lens() -> None:
    model = small_chain()
    batch = batch_of(model, [True, True])
    output = model(batch["image"], batch["image_from_crop"], batch["image_size"], lens_of(batch))
    target = batch | {"joints_3d": output.joints_3d.detach()}
    module = ChainModule(model, ChainTrainingSettings())
    module.eval()
    with torch.no_grad():
        assert float(module.losses(target)["3d"]) == pytest.approx(0, abs=1e-4)


def test_people_out_of_sight_teach_nothing_and_spoil_nothing(caplog: pytest.LogCaptureFixture) -> None:
    model = small_chain()
    module = ChainModule(model, ChainTrainingSettings(weight_bones_3d=1.0))
    module.eval()
    batch = batch_of(model, [True, True])
    alone = {name: values[:1] for name, values in batch.items()}
    # The joints of the second lie all around the camera, by a focal length of next to nothing.
    batch["intrinsics"] = batch["intrinsics"].clone()
    batch["intrinsics"][1, [0, 1], [0, 1]] = 1e-3
    with torch.no_grad():
        batch["intrinsics"][1, :2, 2] = module._run(batch).joints_2d[1].mean(0)
    output = module._run(batch)
    assert output.is_in_sight is not None
    assert output.is_in_sight.tolist() == [True, False]
    assert bool(output.joints_3d[1].isnan().all())
    losses = module.losses(batch)
    wanted = module.losses(alone)
    for name in ("3d", "bones_3d"):
        assert float(losses[name].detach()) == pytest.approx(float(wanted[name].detach()) / 2, rel=1e-3)
    losses["loss"].backward()
    gradients = [weights.grad for weights in model.parameters() if weights.grad is not None]
    assert gradients
    assert all(bool(values.isfinite().all()) for values in gradients)
    with torch.no_grad(), caplog.at_level("WARNING"):
        module.validation_step(batch, 0)
    assert [len(errors) for errors in module._errors] == [1]
    assert "1 people of the validation images span more than their cameras can see" in caplog.text


def test_a_lens_that_is_not_known_has_the_diagonal_as_focal_length(image_store: Path) -> None:
    from dataclasses import replace

    from evolift.detector2d.image_source import read_source
    from evolift.detector2d.samples import batches_in_order, crop_settings

    source = read_source(image_store, H36M17)
    unknown = replace(source, intrinsics=np.full_like(source.intrinsics, np.nan))
    settings = crop_settings(small_chain().detector.settings, small_chain().detector.scaling)
    for one, focal in ((source, 300.0), (unknown, math.hypot(240, 200))):
        batch = next(iter(batches_in_order([one], settings, 4)))
        wanted = torch.tensor([[focal, 0, 119.5], [0, focal, 99.5], [0, 0, 1]]).expand(4, 3, 3)
        torch.testing.assert_close(batch["intrinsics"], wanted)


def _root_depth(store: Path, row: int) -> float:
    from evolift.posedata.store import PoseStore

    with PoseStore(store) as opened:
        poses = opened.read(slice(row, row + 1))
    assert poses.joints_3d is not None
    return float(poses.joints_3d[0, 0, 2])


def batch_of(model: ChainModel, has_3d: list[bool]) -> dict[str, torch.Tensor]:
    images, back, size = batch_for(model, len(has_3d))
    generator = torch.Generator().manual_seed(4)
    return {
        "image": images,
        "image_from_crop": back,
        "image_size": size,
        **lens_batch(len(has_3d)),
        "joints": torch.rand(len(has_3d), 17, 3, generator=generator) - 0.5,
        "weight": torch.ones(len(has_3d), 17, 3),
        "joints_3d": torch.randn(len(has_3d), 17, 3, generator=generator) * 300,
        "has_3d": torch.tensor(has_3d),
    }


def test_in_a_mixed_batch_photographs_teach_the_detector_and_3d_teaches_both() -> None:
    model = small_chain()
    module = ChainModule(model, ChainTrainingSettings())
    module.eval()  # batch norm would mix the samples
    mixed, alone = batch_of(model, [True, False]), batch_of(model, [True, False])
    for name, value in alone.items():
        alone[name] = value[:1]
    gradients = []
    for batch in (mixed, alone):
        module.zero_grad()
        module.losses(batch)["loss"].backward()
        gradients.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    share = {name for name in gradients[0] if name.startswith("lifter.")}
    for name in share:  # the mean over the batch halves what the one 3D sample says
        torch.testing.assert_close(gradients[0][name] * 2, gradients[1][name], atol=1e-5, rtol=1e-3)
    assert any(
        not torch.allclose(gradients[0][name] * 2, gradients[1][name], atol=1e-5, rtol=1e-3)
        for name in gradients[0].keys() - share
    )


def test_a_frozen_detector_stays_bit_for_bit_while_a_new_lifter_learns() -> None:
    model = small_chain(target="z")
    rates = ChainTrainingSettings(
        freeze="all", schedule="constant", warm_up=0.0, lifter_learning_rate=1e-2, steps=10
    )
    module = ChainModule(model, rates)
    optimiser = module.configure_optimizers()["optimizer"]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    module.train()
    losses = []
    for _ in range(8):
        optimiser.zero_grad()
        loss = module.losses(batch_of(model, [True, True]))["3d"]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    for name, value in model.state_dict().items():
        if name.startswith("detector."):
            torch.testing.assert_close(value, before[name], atol=0, rtol=0)


def test_backbone_head_and_lifter_have_learning_rates_of_their_own() -> None:
    model = small_chain()
    training = ChainTrainingSettings(learning_rate=1e-3, backbone_factor=0.1, lifter_learning_rate=1e-2)
    groups = ChainModule(model, training).configure_optimizers()["optimizer"].param_groups
    rate_of = {id(p): round(group["initial_lr"], 9) for group in groups for p in group["params"]}
    for part, rate in ((model.detector.head, 1e-3), (model.detector.backbone, 1e-4), (model.lifter, 1e-2)):
        assert {rate_of[id(p)] for p in part.parameters()} == {rate}


def test_a_chain_of_depth_alone_is_scored_with_the_true_plane(image_store: Path) -> None:
    model = small_chain(target="z")
    predictions = predict_chain(model, image_store)
    torch.testing.assert_close(
        predictions.from_detections[..., :2], predictions.truth[..., :2], atol=0, rtol=0
    )
    table = chain_table(predictions, image_store, model)
    depth = (predictions.from_detections - predictions.truth)[..., 2].abs().mean()
    assert table["mpjpe"].iloc[1] == pytest.approx(float(depth), rel=1e-5)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"weight_3d": 0.0, "weight_2d": 0.0}, "there is nothing to learn: set `weight_3d`"),
        ({"freeze": "all", "lifter_learning_rate": 0.0}, "detector and lifter are both frozen"),
        ({"weight_2d": -1.0}, "`weight_2d` must be a number of at least 0, not -1.0"),
    ],
)
def test_trainings_in_which_nothing_learns(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ChainTrainingSettings(**wrong)  # type: ignore[arg-type]


def test_a_chain_learns_how_sure_it_is_without_a_loss_of_joints_by_it() -> None:
    model = small_chain(uncertainty=True)
    module = ChainModule(model, ChainTrainingSettings(weight_3d=2.0))
    module.eval()
    batch = batch_of(model, [True, False])
    batch["joints_3d"][0, 5] = torch.nan
    output = module._run(batch)
    assert output.sigma is not None
    loss = sigma_loss_3d(output, batch["joints_3d"], batch["has_3d"], model.skeleton.root)
    known = [joint for joint in range(17) if joint not in (model.skeleton.root, 5)]
    away = (output.joints_3d[0, known] - batch["joints_3d"][0, known]).norm(dim=-1)
    scale = output.sigma[0, known] / 2
    torch.testing.assert_close(loss, (away / scale + 3 * (scale / 1000).log()).mean())
    torch.testing.assert_close(module.losses(batch)["sigma_3d"], 2 * loss)
    assert torch.autograd.grad(loss, [output.sigma, output.joints_3d], allow_unused=True)[1] is None
    frozen = ChainModule(model, ChainTrainingSettings(lifter_learning_rate=0.0))
    assert "sigma_3d" not in frozen.losses(batch)
    assert "sigma_3d" not in ChainModule(small_chain(), ChainTrainingSettings()).losses(batch)


@pytest.mark.parametrize("lifter", ["loaded", "fresh"])
def test_fine_tuning_keeps_the_statistics_of_networks_that_were_trained(
    lifter: str, image_store: Path, tmp_path: Path
) -> None:
    model = small_chain()
    if lifter == "fresh":
        model.lifter.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    finetune(
        image_store, tmp_path / "run", chain=model, validation=image_store,
        training=ChainTrainingSettings(steps=2, validate_every=1, batch_size=4, accelerator="cpu", progress=False),
    )  # fmt: skip
    after = ChainModel.load(tmp_path / "run" / "last.safetensors").state_dict()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert any(name.startswith("detector.head") for name in moved)
    assert any(name.startswith("lifter") for name in moved)
    statistics = {name for name in moved if "running" in name}
    assert not [name for name in statistics if name.startswith("detector")]
    assert bool(statistics) == (lifter == "fresh")
