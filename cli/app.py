"""`evolift app`: a local page on which a photograph or video is dropped and its pose shown."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from cli.options import ExistingFile, RecipeCommand, command_record

if TYPE_CHECKING:
    from lifter.pipeline import Pipeline
    from posedata.predicting.upload_server import Answer

MOST_PIXELS = 80_000_000


@click.command(cls=RecipeCommand)
@click.option("--joint", type=ExistingFile, help="Joint checkpoint of `evolift finetune`.")
@click.option("--detector", type=ExistingFile, help="Detector checkpoint, to be chained with --lifter.")
@click.option("--lifter", type=ExistingFile, help="Lifter checkpoint.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps, ...")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8765, show_default=True, help="Port; 0 for a free one."
)
@click.option(
    "--most-megabytes", type=click.IntRange(1), default=100, show_default=True, help="Largest upload."
)
@click.option(
    "--frames", type=click.IntRange(1), default=900, show_default=True, help="Most frames of a video."
)
@click.pass_context
def app(ctx: click.Context, /, **options: Any) -> None:
    """Show the pose in photographs and short videos that are dropped on a local page.

    The page is for this computer alone unless --host says otherwise; then all who reach that address can use it. It loads
    nothing from elsewhere, predicts one upload at a time, and keeps none. Without checkpoints it uses those that come with
    evolift. Ctrl-C ends it.

    Example:

    \b
      evolift app
      evolift app --joint runs/joint/best.safetensors
    """
    import tempfile

    from lifter.pipeline import Pipeline
    from posedata.predicting.upload_server import UploadLimits, UploadServer

    checkpoints = {name: options[name] for name in ("joint", "detector", "lifter")}
    if any(checkpoints.values()):
        pipeline = Pipeline.from_checkpoints(**checkpoints, device=options["device"])
    else:
        pipeline = Pipeline.from_pretrained(device=options["device"])
    record = command_record(ctx)
    limits = UploadLimits(options["most_megabytes"], options["frames"])

    def predict(path: Path, name: str) -> Answer:
        return predict_upload(pipeline, path, name, limits.frames, record)

    with (
        _ended_like_ctrl_c(),
        tempfile.TemporaryDirectory(prefix="evolift-app-", ignore_cleanup_errors=True) as folder,
        UploadServer(options["host"], options["port"], predict, Path(folder), limits) as server,
    ):
        click.echo(f"Open {server.url} in a browser; Ctrl-C ends it.")
        if not server.is_local:
            click.echo("All who can reach this address can use the page.", err=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            click.echo("Ended.")


@contextlib.contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """SIGTERM, too, leaves time to remove uploads."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def predict_upload(pipeline: Pipeline, path: Path, name: str, frames: int, record: dict[str, Any]) -> Answer:
    """Predict a picture or video as `evolift predict` does; other files go beside it.

    Raises:
        InputError: it cannot be read, or nobody was found in it.
    """
    from cli.joint_readings import NOTE as JOINT_NOTE
    from cli.joint_readings import joint_readings
    from cli.predict import PredictRun
    from posedata.drawing.prediction_page import write_prediction_page
    from posedata.errors import InputError
    from posedata.image_file import picture_size
    from posedata.predicting.input_kinds import PredictionInput, prediction_inputs
    from posedata.predicting.upload_server import Answer

    kind = prediction_inputs([path])[0].kind
    if kind == "picture":
        width, height = picture_size(path)
        if width * height > MOST_PIXELS:
            raise InputError(
                f"{path} has {width} x {height} pixels, at most {MOST_PIXELS / 1e6:.0f} million are taken: make it smaller"
            )
    output = path.with_name("output")
    run = PredictRun({"frames": frames}, output, record, pipeline.model.lifter, pipeline)
    run.predict([PredictionInput(kind, path, name)])
    if not run.clips:
        run.raise_failures()
    predictions = run.clips[0].predictions
    readings = joint_readings(predictions.skeleton)
    write_prediction_page(
        output / "page.html",
        predictions,
        title=name,
        pictures=run.pictures.kept(),
        readings=readings,
        notes=[predictions.camera_assumption, *([JOINT_NOTE] if readings else []), *run.notes],
        frames_per_second=run.frames_per_second / run.pictures.stride,
    )
    return Answer((output / "page.html").read_text(encoding="utf-8"), tuple(run.failed))
