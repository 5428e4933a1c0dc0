"""`evolift predict`: 3D poses of people in photographs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from cli.options import AnyPath, ExistingFile, RecipeCommand, command_record, output_option, run_folder

if TYPE_CHECKING:
    from lifter.pipeline import Pipeline, PosePrediction
    from posedata.predicting.predictions import Predictions

PICTURE_ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


@click.command(cls=RecipeCommand)
@click.argument("inputs", nargs=-1, required=True, type=AnyPath)
@click.option("--joint", type=ExistingFile, help="Joint checkpoint of `evolift finetune`.")
@click.option("--detector", type=ExistingFile, help="Detector checkpoint, to be chained with --lifter.")
@click.option("--lifter", type=ExistingFile, help="Lifter checkpoint, to be chained with --detector.")
@click.option(
    "--box",
    nargs=4,
    type=float,
    metavar="LEFT TOP WIDTH HEIGHT",
    help="Person box in pixels, for all pictures. Without it the person is looked for in the whole picture.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps, ...")
@output_option("Folder")
@click.option("--overwrite", is_flag=True, help="Replace the output folder if it exists.")
@click.pass_context
def predict(
    ctx: click.Context,
    /,
    inputs: tuple[Path, ...],
    joint: Path | None,
    detector: Path | None,
    lifter: Path | None,
    box: tuple[float, float, float, float] | None,
    device: str,
    output: Path,
    overwrite: bool,
) -> None:
    """Write the 3D pose of the person in each picture.

    INPUTS are pictures, or folders of pictures. The output folder gets predictions.json (all poses, with skeleton, units
    and frame of reference), NAME_overlay.png for each picture, and page.html, where the poses can be turned by mouse.

    A picture that cannot be read is named, the others are done, and the exit code is 2.

    Example:

    \b
      evolift predict photo.jpg --joint runs/joint/best.safetensors -o poses
    """
    from lifter.pipeline import Pipeline
    from posedata.errors import InputError

    pictures = list(_pictures(inputs))
    pipeline = Pipeline.from_checkpoints(joint=joint, detector=detector, lifter=lifter, device=device)
    with run_folder(ctx, output, overwrite=overwrite):
        done, failed = predict_pictures(pictures, pipeline, box, output, command_record(ctx))
        if done:
            click.echo(f"{done} poses: {output / 'predictions.json'}, {output / 'page.html'}")
        if failed:
            raise InputError("; ".join(failed))


def predict_pictures(
    pictures: list[Path],
    pipeline: Pipeline,
    box: tuple[float, float, float, float] | None,
    output: Path,
    record: dict[str, object],
) -> tuple[int, list[str]]:
    """Predict pictures into a folder.

    Returns:
        How many were done, and a sentence for each that could not be.
    """
    from cli.progress import progress_bar
    from posedata.errors import EvoliftError
    from posedata.image_file import read_image

    names = _overlay_names(pictures)
    done: list[tuple[Path, PosePrediction]] = []
    failed: list[str] = []
    with progress_bar("predicting", len(pictures)) as advance:
        for path in pictures:
            try:
                image = read_image(path)
                pose = pipeline.predict(image, box)
                _write_overlay(output / names[path], image, pose)
                done.append((path, pose))
            except EvoliftError as error:
                failed.append(str(error))
            advance(1)
    if done:
        _write_results(output, done, record, pipeline.model.lifter.settings.normalisation)
    return len(done), failed


def _pictures(inputs: tuple[Path, ...]) -> Iterator[Path]:
    from posedata.errors import InputError

    for path in inputs:
        if path.is_dir():
            found = sorted(entry for entry in path.iterdir() if entry.suffix.lower() in PICTURE_ENDINGS)
            if not found:
                raise InputError(
                    f"{path}: there are no pictures in this folder ({', '.join(sorted(PICTURE_ENDINGS))})"
                )
            yield from found
        elif path.is_file():
            yield path
        else:
            raise InputError(f"{path}: there is no such file or folder")


def _overlay_names(pictures: list[Path]) -> dict[Path, str]:
    """NAME_overlay.png for each picture, with a number where names repeat."""
    names: dict[Path, str] = {}
    for path in pictures:
        number, name = 1, f"{path.stem}_overlay.png"
        while name in names.values():
            number += 1
            name = f"{path.stem}_{number}_overlay.png"
        names.setdefault(path, name)
    return names


def _write_overlay(target: Path, image: object, pose: PosePrediction) -> None:
    import cv2
    import numpy as np

    from posedata.drawing.overlay import draw_box, draw_joints
    from posedata.output_file import whole_file

    picture = draw_joints(np.asarray(image), pose.joints_2d, pose.skeleton, confidence=pose.confidence)
    picture = draw_box(picture, np.array(pose.box))
    _, encoded = cv2.imencode(".png", picture[..., ::-1])
    with whole_file(target, overwrite=True) as partial:
        partial.write_bytes(encoded.tobytes())


def _write_results(
    output: Path, done: list[tuple[Path, PosePrediction]], record: dict[str, object], normalisation: str
) -> None:
    from posedata.drawing.pose_page import PosePageItem, write_pose_page
    from posedata.image_file import read_image
    from posedata.predicting.prediction_files import write_predictions

    predictions = _as_predictions(done, record, normalisation)
    write_predictions(output / "predictions.json", predictions)
    items = [
        PosePageItem(
            read_image(path),
            pose.joints_2d,
            pose.joints_3d,
            pose.confidence,
            pose.skeleton,
            path.name,
            number,
        )
        for number, (path, pose) in enumerate(done)
    ]
    notes = [predictions.camera_assumption]
    if any(pose.box_source == "found" for _, pose in done):
        notes.append("No person box was given: the person was looked for in the whole picture.")
    write_pose_page(output / "page.html", items, title="3D poses", notes=notes)


def _as_predictions(
    done: list[tuple[Path, PosePrediction]], record: dict[str, object], normalisation: str
) -> Predictions:
    import numpy as np

    from posedata.poses import NO_CAMERA
    from posedata.predicting.predictions import Predictions

    assumption = {
        "box": "The camera is unknown: poses are as if seen by one that looks straight at the person; size and place in the room are not known.",
        "screen": "The camera is taken to be like those that the lifter was trained with, and to have taken the whole picture.",
    }[normalisation]
    poses = [pose for _, pose in done]
    rows = len(done)
    return Predictions(
        skeleton=poses[0].skeleton,
        joints_2d=np.stack([pose.joints_2d for pose in poses]),
        joints_3d=np.stack([pose.joints_3d for pose in poses]),
        confidence=np.stack([pose.confidence for pose in poses]),
        image=tuple(path.name for path, _ in done),
        frame=np.zeros(rows, np.int64),
        person=("person 1",) * rows,
        root_3d=np.full((rows, 3), np.nan, np.float32),
        box=np.array([pose.box for pose in poses], np.float32),
        camera=np.full(rows, NO_CAMERA, np.int32),
        camera_assumption=assumption,
        provenance=record,
    )
