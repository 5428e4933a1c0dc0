"""`evolift predict`: 3D poses of people in photographs and videos, and of 2D keypoints that another detector found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import rich_click as click
from click.core import ParameterSource

from evolift.cli.options import (
    AnyPath,
    CheckpointName,
    DetectorName,
    ExistingFileName,
    RecipeCommand,
    overwrite_option,
)
from evolift.cli.settings_options import settings_options, taken_settings, with_flags
from evolift.posedata.errors import InputError
from evolift.prediction.settings import OUTPUT, PredictSettings

STREAM = (Path("-"),)
CHECKPOINTS = ("chain", "lifter", "refiner", "temporal")
FILES = ("person_weights", "mapping", "intrinsics")
SPECIAL: dict[str, click.ParamType[Any]] = {
    **dict.fromkeys(CHECKPOINTS, CheckpointName),
    "detector": DetectorName,
    **dict.fromkeys(FILES, ExistingFileName),
    "overlay_images": click.Path(exists=True),
}


class FormatList(click.ParamType[tuple[str, ...]]):
    """Formats with commas between them."""

    name = "formats"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Each once, in their order."""
        if isinstance(value, tuple):
            return value
        return tuple(dict.fromkeys(name.strip().lower() for name in value.split(",") if name.strip()))


@click.command(cls=RecipeCommand)
@click.argument("inputs", nargs=-1, type=AnyPath)
@settings_options(PredictSettings, special={**SPECIAL, "formats": FormatList()})
@click.option(
    "--webcam", type=click.IntRange(0), metavar="NUMBER", help="Predict what a webcam sees, until Ctrl-C."
)
@click.option(
    "-o",
    "--output",
    type=AnyPath,
    default=OUTPUT,
    show_default=True,
    help="Folder to write; not for a stream.",
)
@overwrite_option
@click.pass_context
def predict(
    ctx: click.Context,
    /,
    inputs: tuple[Path, ...],
    webcam: int | None,
    output: Path,
    overwrite: bool,
    **options: Any,
) -> None:
    """Write the 3D poses of people in images, videos, or files of 2D keypoints.

    INPUTS are images, videos, folders of them, patterns such as 'p*.jpg', or files of 2D keypoints: COCO (also
    WholeBody), AlphaPose, Halpe, OpenPose folders, MediaPipe, MMPose, DeepLabCut, SLEAP, CSV, NPZ, JSON lines,
    Detectron2, VideoPose3D, Ultralytics YOLO, DWPose, TRC, NPY. In images
    and videos one person is searched for and followed, or with --persons everybody: person 1, 2, ... of an image from left to
    right, and tracks of a video. The output folder gets predictions.json (all poses, with skeleton, units
    and frame of reference), NAME_overlay.png or .mp4 for each image or video, and page.html, where the poses can be
    rotated by mouse. Keypoints are drawn on their images with --images. Poses of videos are smoothed over time, unless --no-smooth
    is given.

    Joints of keypoints are told by their names in the file, else by --skeleton or --mapping, and only then by their number, which
    is said. Columns and keys that are not read, and joints that are not seen, are said too.

    The input - is a stream of keypoints on standard input, as JSON lines with joints_2d, and if known confidence, image,
    frame, person and skeleton; poses go to standard output as they come, as JSON lines.

    --detector rtmlib, --detector mediapipe or --detector FILE.onnx finds the joints with somebody else's detector, and everybody
    if it can; they are lifted as keypoints are.

    With a known camera (--intrinsics, --focal, or the focal length in a photograph's EXIF data) poses are in its frame,
    with the place of the person in it; otherwise the files say how the camera was taken to be.

    What cannot be read or lifted is named, the rest is done, and the exit code is 2.

    Example:

    \b
      evolift predict photo.jpg
      evolift predict photo.jpg --chain runs/chain/best.safetensors -o poses
      evolift predict video.mp4 --chain runs/chain/best.safetensors -o poses
      evolift predict video.mp4 --temporal temporal_lifter -o poses
      evolift predict team.jpg --persons torchvision --max-people 5 -o poses
      evolift predict team.jpg --detector rtmlib -o poses
      evolift predict keypoints.json --lifter runs/lifter/best.safetensors -o poses
      evolift predict keypoints.json --images photos -o poses
      tracker | evolift predict - --skeleton COCO17 --lifter runs/lifter/best.safetensors | viewer
    """
    settings = taken_settings(PredictSettings, options)
    report = _teller(ctx.command)
    if inputs == STREAM:
        is_written = any(
            ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in ("formats", "output")
        )
        if is_written or settings.smooth or settings.models.temporal is not None or webcam is not None:
            raise InputError(
                "a stream goes to standard output as JSON lines as it comes: leave out --output, --write, --smooth, --temporal and --webcam"
            )
        ctx.exit(_answer_stream(settings, report))
    if STREAM[0] in inputs:
        raise InputError("- is a stream of keypoints, which cannot be mixed with files: give it alone")

    from evolift.cli.progress import progress_bar
    from evolift.posedata.garbage_collection import lasting_imports
    from evolift.posedata.output_file import escaped

    with lasting_imports():
        from evolift.prediction.file_prediction import predict_files

    with progress_bar("predicting") as progress:
        results = predict_files(
            inputs, output, settings, webcam=webcam, overwrite=overwrite, progress=progress, report=report
        )
    if results.clips:
        written = ", ".join(map(str, results.written)) or "nothing could be written"
        click.echo(escaped(f"{results.poses} poses: {written}"))
    results.raise_failures()


def _answer_stream(settings: PredictSettings, report: Callable[[str], object]) -> int:
    """Answer lines of standard input by lines of standard output; the exit code."""
    import io
    import os
    import sys

    from evolift.posedata.garbage_collection import lasting_imports

    with lasting_imports():
        from evolift.posedata.predictions.prediction_files import prediction_lines
        from evolift.prediction.stream_prediction import predict_stream

    settings.people.require_images()
    for standard, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace")):
        if isinstance(standard, io.TextIOWrapper):  # JSON is UTF-8 everywhere; a line that is not is bad
            standard.reconfigure(encoding="utf-8", errors=errors)
    out, is_begun, code = sys.stdout, False, 0
    answers = predict_stream(sys.stdin, settings.models, settings.camera, settings.keypoints, report=report)
    for answer in answers:
        for sentence in answer.failed:
            report(f"Error: {sentence}")
            code = 2
        if answer.predictions is None:
            continue
        try:
            out.writelines(prediction_lines(answer.predictions, header=not is_begun))
            out.flush()
        except BrokenPipeError:  # the reader has seen enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
            return 0
        is_begun = True
    return code


def _teller(command: click.Command) -> Callable[[str], object]:
    """Says sentences of the library on standard error, in the command's flags."""
    return lambda sentence: click.echo(with_flags(sentence, command), err=True)
