"""`evolift predict -`: keypoints from standard input, poses to standard output, as they come."""

from __future__ import annotations

from typing import Any

import rich_click as click
from click.core import ParameterSource

from evolift.cli.camera_options import camera_rule
from evolift.cli.options import command_record
from evolift.cli.person_options import people_finder
from evolift.cli.prediction_models import keypoint_lifter


def predict_stream(ctx: click.Context, options: dict[str, Any]) -> None:
    """Answer JSON lines of keypoints by JSON lines of poses.

    Raises:
        InputError: an option does not fit a stream, or nobody came.
    """
    import io
    import os
    import sys

    from evolift.posedata.errors import InputError
    from evolift.posedata.keypoint_formats.line_stream import KeypointStream, arriving_lines
    from evolift.posedata.predictions.prediction_files import prediction_lines
    from evolift.posedata.skeleton import skeleton_by_name
    from evolift.prediction.keypoint_lifting import lift_keypoints

    is_written = ctx.get_parameter_source("write") is ParameterSource.COMMANDLINE
    if is_written or options["output"] is not None or options["smooth"] or options["webcam"] is not None:
        raise InputError(
            "a stream goes to standard output as JSON lines as it comes: leave out --output, --write, --smooth and --webcam"
        )
    for standard, errors in ((sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace")):
        if isinstance(
            standard, io.TextIOWrapper
        ):  # JSON is UTF-8 everywhere; a line that is not is a bad line
            standard.reconfigure(encoding="utf-8", errors=errors)
    people_finder(options, has_pictures=False)
    lifter = keypoint_lifter(options)
    rule = camera_rule(options, lifter.settings.normalisation)
    skeleton, size = options["skeleton"], options["image_size"] or (rule.intrinsics and rule.intrinsics.size)
    stream = KeypointStream("standard input", skeleton_by_name(skeleton) if skeleton else None)
    out, is_begun, told = sys.stdout, False, 0
    for batch in arriving_lines(sys.stdin):
        for keypoints in stream.read(batch):
            sized = keypoints.with_image_size(size) if size else keypoints
            chosen = rule.of_keypoints(sized.image_size, stream.where)
            lifted = lift_keypoints(
                lifter,
                sized,
                stream.where,
                cameras=chosen.cameras,
                camera=chosen.camera,
                camera_assumption=chosen.sentence,
                provenance=command_record(ctx),
            )
            try:
                out.writelines(prediction_lines(lifted.predictions, header=not is_begun))
                out.flush()
            except BrokenPipeError:  # the reader has seen enough
                os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
                return
            is_begun = True
            stream.failed += lifted.skipped
        for sentence in stream.failed[told:]:
            click.echo(f"Error: {sentence}", err=True)
        told = len(stream.failed)
    if not is_begun and not told:
        raise InputError("standard input held nobody: give a JSON object with joints_2d on each line")
    if told:
        ctx.exit(2)
