"""`evolift app`: a local page on which a photograph or video is dropped and its pose shown."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.camera_options import camera_options, camera_rule
from evolift.cli.options import RecipeCommand
from evolift.cli.prediction_models import model_options, picture_pipeline
from evolift.prediction.result_page import write_result_page

if TYPE_CHECKING:
    from evolift.prediction.cameras.camera_choice import CameraRule
    from evolift.prediction.pipeline import Pipeline
    from evolift.prediction.upload_server import Answer, UploadServer

MOST_PIXELS = 80_000_000


@click.command(cls=RecipeCommand)
@model_options
@camera_options
@click.option("--smooth", is_flag=True, help="Smooth the 3D poses of videos over time (One Euro filter).")
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

    Camera options hold for all uploads; without them a photograph's EXIF data are used.

    The page is for this computer alone unless --host says otherwise; then all who reach that address can use it. It loads
    nothing from elsewhere, predicts one upload at a time, and keeps none. Without checkpoints it uses those that come with
    evolift. Ctrl-C ends it.

    Example:

    \b
      evolift app
      evolift app --joint runs/joint/best.safetensors --smooth
    """
    import tempfile

    from evolift.prediction.upload_server import UploadLimits, UploadServer

    pipeline = picture_pipeline(options)
    cameras = camera_rule(options, pipeline.lifter.settings.normalisation)
    limits = UploadLimits(options["most_megabytes"], options["frames"])

    def predict(path: Path, name: str) -> Answer:
        return predict_upload(pipeline, cameras, path, name, limits.frames, is_smooth=options["smooth"])

    with (
        tempfile.TemporaryDirectory(prefix="evolift-app-", ignore_cleanup_errors=True) as folder,
        UploadServer(options["host"], options["port"], predict, Path(folder), limits) as server,
        _ended_by_sigterm(server),
    ):
        # All of it may be interrupted: who reads the line that it serves may end it at once.
        with contextlib.suppress(KeyboardInterrupt):
            click.echo(f"Open {server.url} in a browser; Ctrl-C ends it.")
            if not server.is_local:
                click.echo("All who can reach this address can use the page.", err=True)
            server.serve_forever()
        click.echo("Ended.")


@contextlib.contextmanager
def _ended_by_sigterm(server: UploadServer) -> Iterator[None]:
    """SIGTERM, too, leaves time to remove uploads.

    An exception from a signal handler would be lost if it fell into a destructor or a callback.
    """

    def end(*_: object) -> None:
        # From another thread: it waits for the loop that this one interrupts.
        threading.Thread(target=server.shutdown, daemon=True).start()

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def predict_upload(
    pipeline: Pipeline, cameras: CameraRule, path: Path, name: str, frames: int, *, is_smooth: bool = False
) -> Answer:
    """Predict a picture or video as `evolift predict` does; other files go beside it.

    Args:
        pipeline: of detector and lifter.
        cameras: which camera it is taken to be of.
        path: of the upload.
        name: that the user knows it by.
        frames: most of a video.
        is_smooth: smooth the poses of videos over time.

    Raises:
        InputError: it cannot be read, or nobody was found in it.
    """
    from evolift.posedata.errors import InputError
    from evolift.posedata.image_file import picture_size
    from evolift.prediction.input_kinds import PredictionInput, prediction_inputs
    from evolift.prediction.picture_prediction import PicturePrediction
    from evolift.prediction.prediction_results import PredictionResults
    from evolift.prediction.upload_server import Answer

    kind = prediction_inputs([path]).inputs[0].kind
    if kind == "picture":
        width, height = picture_size(path)
        if width * height > MOST_PIXELS:
            raise InputError(
                f"{path} has {width} x {height} pixels, at most {MOST_PIXELS / 1e6:.0f} million are taken: make it smaller"
            )
    output = path.with_name("output")
    results = PredictionResults(is_smooth=is_smooth)
    pictures = PicturePrediction(pipeline, cameras, results)
    if kind == "video":
        pictures.video(path, name, output / "overlay.mp4", most_frames=frames)
    else:
        pictures.picture(PredictionInput(kind, path, name), output / "overlay.png")
    write_result_page(output / "page.html", results, name)
    return Answer((output / "page.html").read_text(encoding="utf-8"), tuple(results.failed))
