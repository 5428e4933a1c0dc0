"""`evolift predict`: 3D poses of people in photographs, and of 2D keypoints that another detector found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from cli.options import (
    AnyPath,
    ExistingFile,
    RecipeCommand,
    command_record,
    output_option,
    overwrite_option,
    run_folder,
)

if TYPE_CHECKING:
    from lifter.model import Lifter
    from lifter.pipeline import Pipeline
    from posedata.drawing.pose_page import EmbeddedPicture
    from posedata.drawing.prediction_page import FrameKey
    from posedata.predicting.camera_choice import CameraRule
    from posedata.predicting.input_kinds import PredictionInput
    from posedata.predicting.predictions import Predictions

MOST_SENTENCES = 10


@click.command(cls=RecipeCommand)
@click.argument("inputs", nargs=-1, required=True, type=AnyPath)
@click.option("--joint", type=ExistingFile, help="Joint checkpoint of `evolift finetune`.")
@click.option("--detector", type=ExistingFile, help="Detector checkpoint, to be chained with --lifter.")
@click.option(
    "--lifter", type=ExistingFile, help="Lifter checkpoint; enough by itself for files of keypoints."
)
@click.option(
    "--box",
    nargs=4,
    type=float,
    metavar="LEFT TOP WIDTH HEIGHT",
    help="Person box in pixels, for all pictures. Without it the person is looked for in the whole picture.",
)
@click.option("--format", help="Format of files of keypoints, where their content does not tell it.")
@click.option("--skeleton", help="Skeleton of tables of keypoints that fit several, for example COCO17.")
@click.option(
    "--mapping",
    type=ExistingFile,
    help='What the keypoints of a DeepLabCut, SLEAP or CSV file are called: JSON {"skeleton": NAME, "joints": {YOURS: JOINT}}.',
)
@click.option(
    "--image-size",
    nargs=2,
    type=click.IntRange(1),
    metavar="WIDTH HEIGHT",
    help="Size in pixels of the pictures that keypoints are of, where their file does not tell it.",
)
@click.option(
    "--intrinsics",
    type=ExistingFile,
    help="Camera of all pictures: JSON with K or fx, fy, cx, cy (pixels), and if known distortion, width and height.",
)
@click.option("--focal", type=float, metavar="PX", help="Focal length of all pictures, in pixels.")
@click.option(
    "--assume-camera",
    is_flag=True,
    help="Where the camera is not known, take the focal length to be the picture's diagonal, and tell places by it.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps, ...")
@output_option("Folder")
@overwrite_option
@click.pass_context
def predict(ctx: click.Context, /, **options: Any) -> None:
    """Write the 3D pose of the people in pictures, or of 2D keypoints.

    INPUTS are pictures, folders of pictures, patterns such as 'p*.jpg', or files of 2D keypoints: COCO (also WholeBody),
    AlphaPose, Halpe, OpenPose folders, MediaPipe, MMPose, DeepLabCut, SLEAP, CSV, NPZ, JSON lines. The output folder
    gets predictions.json (all poses, with skeleton, units and frame of reference), NAME_overlay.png for each picture, and
    page.html, where the poses can be turned by mouse.

    With a known camera (--intrinsics, --focal, or the focal length in a photograph's EXIF data) poses are in its frame,
    with the place of the person in it; otherwise the files say how the camera was taken to be.

    What cannot be read or lifted is named, the rest is done, and the exit code is 2.

    Example:

    \b
      evolift predict photo.jpg --joint runs/joint/best.safetensors -o poses
      evolift predict keypoints.json --lifter runs/lifter/best.safetensors -o poses
    """
    from posedata.output_file import hashes_of
    from posedata.predicting.input_kinds import prediction_inputs

    output: Path = options["output"]
    inputs = prediction_inputs(options["inputs"])
    checkpoints = {name: options[name] for name in ("joint", "detector", "lifter")}
    lifter, pipeline = _models(
        **checkpoints, device=options["device"], needs_detector={one.kind for one in inputs} != {"keypoints"}
    )
    record = command_record(ctx)
    record["checkpoints"] = hashes_of(path for path in checkpoints.values() if path is not None)
    with run_folder(ctx, output, overwrite=options["overwrite"]):
        run = PredictRun(options, output, record, lifter, pipeline)
        run.predict(inputs)
        run.write()
        run.raise_failures()


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
    from posedata.predicting.input_kinds import prediction_inputs

    run = PredictRun({"box": box}, output, record, pipeline.model.lifter, pipeline)
    run.predict(prediction_inputs(pictures))
    run.write()
    return len(run.parts), run.failed


class PredictRun:
    """One call of the command: its models, and what it has predicted so far.

    Args:
        options: of the command; those that are not given count as their defaults.
        output: folder.
        record: provenance.
        lifter: for keypoints.
        pipeline: for pictures, if there are any.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        output: Path,
        record: dict[str, Any],
        lifter: Lifter,
        pipeline: Pipeline | None,
    ) -> None:
        from posedata.predicting.frame_sample import FrameSample

        self.options, self.output, self.record = options, output, record
        self.lifter, self.pipeline = lifter, pipeline
        self.cameras = _camera_rule(options, lifter.settings.normalisation)
        self.parts: list[Predictions] = []
        self.failed: list[str] = []
        self.notes: list[str] = []
        self.pictures: FrameSample[FrameKey, EmbeddedPicture] = FrameSample()

    def predict(self, inputs: list[PredictionInput]) -> None:
        """Predict all inputs, and remember what could not be done."""
        from cli.progress import progress_bar
        from posedata.errors import EvoliftError

        names = _overlay_names(inputs)
        with progress_bar("predicting", len(inputs)) as advance:
            for one in inputs:
                try:
                    if one.kind == "keypoints":
                        self._keypoints(one)
                    else:
                        self._picture(one, self.output / names[one])
                except EvoliftError as error:
                    self.failed.append(str(error))
                advance(1)

    def _keypoints(self, one: PredictionInput) -> None:
        from lifter.keypoint_lifting import lift_keypoints
        from posedata.keypoint_formats.keypoint_files import read_keypoints
        from posedata.keypoint_formats.name_mapping import read_name_mapping
        from posedata.skeleton import skeleton_by_name

        skeleton, mapping, size = (self.options.get(name) for name in ("skeleton", "mapping", "image_size"))
        keypoints = read_keypoints(
            one.path,
            format=self.options.get("format"),
            skeleton=skeleton_by_name(skeleton) if skeleton else None,
            mapping=read_name_mapping(mapping) if mapping else None,
            image_size=size,
        )
        if size:
            keypoints = keypoints.with_image_size(size)
        click.echo(
            f"{one.path}: {keypoints.format} keypoints of {len(keypoints)} people, {keypoints.skeleton.name}",
            err=True,
        )
        for note in keypoints.notes:
            click.echo(f"{one.path}: {note}", err=True)
        if self.cameras.intrinsics is not None and self.cameras.intrinsics.size is not None:
            keypoints = keypoints.with_image_size(self.cameras.intrinsics.size)
        chosen = self.cameras.of_keypoints(keypoints.image_size, str(one.path))
        lifted = lift_keypoints(
            self.lifter,
            keypoints,
            one.label,
            cameras=chosen.cameras,
            camera=chosen.camera,
            camera_assumption=chosen.sentence,
            provenance=self.record,
        )
        self.failed += lifted.skipped
        if len(lifted.predictions):
            self.parts.append(lifted.predictions)

    def _picture(self, one: PredictionInput, overlay: Path) -> None:
        import numpy as np

        from lifter.pipeline import predictions_of
        from posedata.drawing.overlay import draw_box, draw_joints
        from posedata.drawing.pose_page import embedded_picture
        from posedata.image_file import read_image, write_png

        assert self.pipeline is not None
        image = read_image(one.path)
        camera = self.cameras.of_picture((image.shape[1], image.shape[0]), str(one.path), one.path)
        pose = self.pipeline.predict(image, self.options.get("box"), camera.camera)
        drawn = draw_joints(image, pose.joints_2d, pose.skeleton, confidence=pose.confidence)
        write_png(overlay, draw_box(drawn, np.array(pose.box)))
        self.parts.append(
            predictions_of(
                [pose],
                image=one.label,
                camera_assumption=camera.sentence,
                provenance=self.record,
            )
        )
        self.pictures.offer((one.label, 0), lambda: embedded_picture(image))
        if pose.box_source == "found":
            self.note("No person box was given: the person was looked for in the whole picture.")

    def note(self, sentence: str) -> None:
        """Say something on the page, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def write(self) -> None:
        """Write the results, if there are any."""
        from posedata.drawing.prediction_page import write_prediction_page
        from posedata.predicting.prediction_files import write_predictions
        from posedata.predicting.predictions import Predictions

        if not self.parts:
            return
        assumptions = dict.fromkeys(part.camera_assumption for part in self.parts)
        predictions = replace(Predictions.concatenate(self.parts), camera_assumption=" ".join(assumptions))
        write_predictions(self.output / "predictions.json", predictions)
        write_prediction_page(
            self.output / "page.html",
            predictions,
            title="3D poses",
            pictures=self.pictures.kept(),
            notes=[predictions.camera_assumption, *self.notes],
        )
        click.echo(
            f"{len(predictions)} poses: {self.output / 'predictions.json'}, {self.output / 'page.html'}"
        )

    def raise_failures(self) -> None:
        """Raise what could not be done, as one error.

        Raises:
            InputError: there is something.
        """
        from posedata.errors import InputError

        if self.failed:
            more = len(self.failed) - MOST_SENTENCES
            sentences = self.failed[:MOST_SENTENCES] + ([f"and {more} more like these"] if more > 0 else [])
            raise InputError("; ".join(sentences))


def _camera_rule(options: Mapping[str, Any], normalisation: str) -> CameraRule:
    from posedata.intrinsics_file import read_intrinsics
    from posedata.predicting.camera_choice import CameraRule

    path = options.get("intrinsics")
    return CameraRule(
        normalisation,
        read_intrinsics(path) if path else None,
        options.get("focal"),
        bool(options.get("assume_camera")),
    )


def _models(
    joint: Path | None, detector: Path | None, lifter: Path | None, device: str, *, needs_detector: bool
) -> tuple[Lifter, Pipeline | None]:
    """The lifter, and the chain if there are pictures."""
    from posedata.device import on_device
    from posedata.errors import InputError

    if needs_detector:
        from lifter.pipeline import Pipeline

        pipeline = Pipeline.from_checkpoints(joint=joint, detector=detector, lifter=lifter, device=device)
        return pipeline.model.lifter, pipeline
    if detector is not None or (joint is None) == (lifter is None):
        raise InputError("to lift keypoints give --lifter or --joint, one of the two, and no --detector")
    if lifter is not None:
        from lifter.model import load_lifter

        return on_device(load_lifter(lifter), device), None
    from lifter.joint import load_joint

    assert joint is not None
    return on_device(load_joint(joint), device).lifter, None


def _overlay_names(inputs: list[PredictionInput]) -> dict[PredictionInput, str]:
    """NAME_overlay.png for each picture, with a number where names repeat."""
    names: dict[PredictionInput, str] = {}
    for one in inputs:
        number, name = 1, f"{one.path.stem}_overlay.png"
        while name in names.values():
            number += 1
            name = f"{one.path.stem}_{number}_overlay.png"
        names.setdefault(one, name)
    return names
