"""`evolift predict`: 3D poses of people in photographs and videos, and of 2D keypoints that another detector found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.camera_options import camera_options, camera_rule
from evolift.cli.options import (
    AnyPath,
    ExistingFile,
    FiniteRange,
    RecipeCommand,
    command_record,
    overwrite_option,
    run_folder,
)
from evolift.cli.person_options import people_finder, person_files, person_options
from evolift.cli.predict_stream import predict_stream
from evolift.cli.prediction_models import checkpoint_files, keypoint_lifter, model_options, picture_pipeline
from evolift.prediction.result_page import write_result_page

if TYPE_CHECKING:
    from evolift.prediction.input_kinds import PredictionInput
    from evolift.prediction.keypoint_file_prediction import KeypointReading
    from evolift.prediction.picture_prediction import PicturePrediction
    from evolift.prediction.prediction_results import PredictionResults


@click.command(cls=RecipeCommand)
@click.argument("inputs", nargs=-1, type=AnyPath)
@model_options
@click.option(
    "--box",
    nargs=4,
    type=FiniteRange(),
    metavar="LEFT TOP WIDTH HEIGHT",
    help="Person box in pixels, for all pictures. Without it one person is searched for.",
)
@person_options
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
@camera_options
@click.option(
    "--webcam", type=click.IntRange(0), metavar="NUMBER", help="Predict what a webcam sees, until Ctrl-C."
)
@click.option("--frames", type=click.IntRange(1), help="Stop videos and webcam after so many frames.")
@click.option(
    "--smooth", is_flag=True, help="Smooth 3D poses over time (One Euro filter); 2D joints stay as found."
)
@click.option(
    "--fps",
    type=FiniteRange(0, min_open=True),
    help="Frames per second of keypoints, for --smooth and bvh; videos tell theirs.",
)
@click.option(
    "--write",
    default="json",
    show_default=True,
    metavar="FORMATS",
    help="Files of poses, some of json,jsonl,csv,npz,h5,bvh,sleap; h5 is a pose store, bvh one file for each person for animators, sleap one for each video, which movement reads.",
)
@click.option("-o", "--output", type=AnyPath, help="Folder to write; not for a stream.")
@overwrite_option
@click.pass_context
def predict(ctx: click.Context, /, **options: Any) -> None:
    """Write the 3D poses of people in pictures, videos, or files of 2D keypoints.

    INPUTS are pictures, videos, folders of them, patterns such as 'p*.jpg', or files of 2D keypoints: COCO (also
    WholeBody), AlphaPose, Halpe, OpenPose folders, MediaPipe, MMPose, DeepLabCut, SLEAP, CSV, NPZ, JSON lines. In pictures
    and videos one person is searched for and followed, or with --persons everybody: person 1, 2, ... of a picture from left to
    right, and tracks of a video. The output folder gets predictions.json (all poses, with skeleton, units
    and frame of reference), NAME_overlay.png or .mp4 for each picture or video, and page.html, where the poses can be
    turned by mouse.

    The input - is a stream of keypoints on standard input, as JSON lines with joints_2d, and if known confidence, image,
    frame, person and skeleton; poses go to standard output as they come, as JSON lines.

    With a known camera (--intrinsics, --focal, or the focal length in a photograph's EXIF data) poses are in its frame,
    with the place of the person in it; otherwise the files say how the camera was taken to be.

    What cannot be read or lifted is named, the rest is done, and the exit code is 2.

    Example:

    \b
      evolift predict photo.jpg --joint runs/joint/best.safetensors -o poses
      evolift predict video.mp4 --joint runs/joint/best.safetensors --smooth -o poses
      evolift predict team.jpg --persons torchvision --most-people 5 -o poses
      evolift predict keypoints.json --lifter runs/lifter/best.safetensors -o poses
      tracker | evolift predict - --skeleton COCO17 --lifter runs/lifter/best.safetensors | viewer
    """
    from evolift.posedata.errors import InputError
    from evolift.posedata.output_file import hashes_of
    from evolift.prediction.input_kinds import prediction_inputs
    from evolift.prediction.prediction_results import PredictionResults, formats_of

    if options["inputs"] == (Path("-"),):
        predict_stream(ctx, options)
        return
    if Path("-") in options["inputs"]:
        raise InputError("- is a stream of keypoints, which cannot be mixed with files: give it alone")
    output: Path | None = options["output"]
    if output is None:
        raise InputError("say where to write with --output FOLDER")
    formats = formats_of(options["write"])
    inputs, notes, problems = prediction_inputs(options["inputs"], are_keypoints=bool(options["format"]))
    webcam: int | None = options["webcam"]
    if not inputs and webcam is None:
        raise InputError("give pictures, videos or files of keypoints, or --webcam NUMBER")
    has_pictures = webcam is not None or any(one.kind != "keypoints" for one in inputs)
    people = people_finder(options, has_pictures=has_pictures)
    record = command_record(ctx)
    record["checkpoints"] = hashes_of(checkpoint_files(options) + person_files(options))
    results = PredictionResults(is_smooth=options["smooth"], notes=notes, failed=problems)
    pictures, lifter = None, None
    if has_pictures:
        from evolift.prediction.picture_prediction import PicturePrediction

        pipeline = picture_pipeline(options)
        lifter = pipeline.lifter
        cameras = camera_rule(options, lifter.settings.normalisation)
        pictures = PicturePrediction(pipeline, cameras, results, record, people, options["box"])
    else:
        lifter = keypoint_lifter(options)
        cameras = camera_rule(options, lifter.settings.normalisation)

    def keypoint_file(one: PredictionInput) -> None:
        from evolift.prediction.keypoint_file_prediction import predict_keypoint_file

        reading = _keypoint_reading(options)
        predict_keypoint_file(one, lifter, reading, cameras, results, provenance=record, tell=_tell)

    with run_folder(ctx, output, overwrite=options["overwrite"]):
        predict_inputs(inputs, output, results, pictures, keypoint_file, webcam, options["frames"])
        write_results(output, results, formats)
        results.raise_failures()


def predict_inputs(
    inputs: Sequence[PredictionInput],
    output: Path,
    results: PredictionResults,
    pictures: PicturePrediction | None,
    keypoint_file: Callable[[PredictionInput], object] | None = None,
    webcam: int | None = None,
    most_frames: int | None = None,
) -> None:
    """Predict inputs with a progress bar; what cannot be done is among the failures of the results.

    Args:
        inputs: pictures and videos, if `pictures` is given; keypoints, if `keypoint_file` is.
        output: folder of the overlays.
        results: to add to.
        pictures, keypoint_file: what predicts.
        webcam: to predict after the inputs.
        most_frames: of each video.
    """
    from evolift.cli.progress import progress_bar
    from evolift.posedata.errors import EvoliftError
    from evolift.prediction.input_kinds import overlay_names

    with progress_bar("predicting", len(inputs)) as advance:

        def frame_done(done: int, total: int | None) -> None:
            advance(done, None if total is None else total + 1)

        def video(source: Path | int, label: str, overlay: str) -> None:
            assert pictures is not None
            pictures.video(source, label, output / overlay, most_frames=most_frames, advance=frame_done)

        def predict_one(one: PredictionInput, overlay: str) -> None:
            if one.kind == "keypoints":
                assert keypoint_file is not None
                keypoint_file(one)
            elif one.kind == "video":
                video(one.path, one.label, overlay)
            else:
                assert pictures is not None
                pictures.picture(one, output / overlay)

        jobs: list[Callable[[], object]] = [
            partial(predict_one, one, overlay)
            for one, overlay in zip(inputs, overlay_names(inputs), strict=True)
        ]
        if webcam is not None:
            jobs.append(partial(video, webcam, f"webcam {webcam}", "webcam_overlay.mp4"))
        for job in jobs:
            try:
                job()
            except EvoliftError as error:
                results.failed.append(str(error))
            advance(1)


def write_results(output: Path, results: PredictionResults, formats: Sequence[str] = ("json",)) -> None:
    """Write files and page into a folder, if there are any results, and say so."""
    from evolift.posedata.errors import OutputError
    from evolift.posedata.output_file import escaped

    for note in results.notes:
        _tell(note)
    if not results.clips:
        return
    told = len(results.notes)
    written = results.write_files(output, formats)
    try:
        write_result_page(output / "page.html", results, "3D poses")
        written.append(output / "page.html")
    except OutputError as error:
        results.failed.append(str(error))
    for note in results.notes[told:]:  # what the formats had to say
        _tell(note)
    people = sum(len(clip.predictions) for clip in results.clips)
    click.echo(escaped(f"{people} poses: {', '.join(map(str, written)) or 'nothing could be written'}"))


def _keypoint_reading(options: Mapping[str, Any]) -> KeypointReading:
    from evolift.posedata.keypoint_formats.name_mapping import read_name_mapping
    from evolift.posedata.skeleton import skeleton_by_name
    from evolift.prediction.keypoint_file_prediction import KeypointReading

    skeleton, mapping = options["skeleton"], options["mapping"]
    return KeypointReading(
        options["format"],
        skeleton_by_name(skeleton) if skeleton else None,
        read_name_mapping(mapping) if mapping else None,
        options["image_size"],
        options["fps"],
    )


def _tell(sentence: str) -> None:
    click.echo(sentence, err=True)
