"""`evolift app`: a local page on which a photograph or video is dropped and its pose shown."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from evolift.cli.options import CheckpointName, DetectorName, ExistingFileName, RecipeCommand
from evolift.cli.settings_options import settings_options, taken_settings
from evolift.prediction.settings import AppSettings

if TYPE_CHECKING:
    from evolift.posedata.progress import Progress
    from evolift.prediction.upload_server import Answer, UploadServer


CHECKPOINTS, FILES = ("chain", "lifter", "refiner", "temporal"), ("person_weights", "intrinsics")


@click.command(cls=RecipeCommand)
@settings_options(
    AppSettings,
    special={
        **dict.fromkeys(CHECKPOINTS, CheckpointName),
        "detector": DetectorName,
        **dict.fromkeys(FILES, ExistingFileName),
    },
)
def app(**options: Any) -> None:
    """Show the pose in photographs and short videos that are dropped on a local page.

    The poses can be downloaded as JSON and CSV, and those of videos as BVH. One person is searched for, or with --persons everybody.
    --box and camera options hold for all uploads; without them a photograph's EXIF data are used.

    The page is for this computer alone unless --host says otherwise; then all who reach that address can use it. It loads
    nothing from elsewhere, predicts one upload at a time, and keeps none. Without checkpoints it uses those that come with
    evolift. Ctrl-C ends it.

    Example:

    \b
      evolift app
      evolift app --chain runs/chain/best.safetensors
    """
    import tempfile

    from evolift.posedata.extras import require_extra
    from evolift.posedata.garbage_collection import lasting_imports

    require_extra("app", "starlette", "uvicorn")
    with lasting_imports():
        from evolift.prediction.cameras.camera_choice import CameraRule
        from evolift.prediction.model_loading import image_pipeline, temporal_lifting
        from evolift.prediction.persons.people_finder import people_finder
        from evolift.prediction.reports import Held
        from evolift.prediction.upload_prediction import predict_upload
        from evolift.prediction.upload_server import UploadServer

    settings = taken_settings(AppSettings, options)
    settings.people.check()
    weights = Held(lambda sentence: click.echo(sentence, err=True))
    finder = people_finder(settings.people, device=settings.models.device)
    pipeline = image_pipeline(settings.models, settings.people, weights.hold)
    temporal = temporal_lifting(settings.models)
    people = pipeline.everybody(finder, settings.people.box)
    cameras = CameraRule.of_settings(settings.camera, pipeline.lifter.settings.normalisation)
    frames = settings.uploads.max_frames

    def predict(path: Path, name: str, progress: Progress) -> Answer:
        return predict_upload(
            pipeline,
            cameras,
            path,
            name,
            frames,
            is_smooth=settings.smooth,
            temporal=temporal,
            images=settings.images,
            people=people,
            box=settings.people.box,
            max_people=settings.people.max_people,
            min_confidence=settings.people.min_confidence,
            progress=progress,
        )

    with (
        tempfile.TemporaryDirectory(prefix="evolift-app-", ignore_cleanup_errors=True) as folder,
        UploadServer(settings.uploads, predict, Path(folder)) as server,
        _ended_by_signals(server),
    ):
        weights.release()
        click.echo(f"Open {server.url} in a browser; Ctrl-C ends it.")
        if not server.is_local:
            click.echo("All who can reach this address can use the page.", err=True)
        server.serve_forever()
    click.echo("Ended.")


@contextlib.contextmanager
def _ended_by_signals(server: UploadServer) -> Iterator[None]:
    """Ctrl-C and SIGTERM leave time to remove uploads; uvicorn, which has its own way with them, raises them again after it."""

    def end(*_: object) -> None:
        server.shutdown()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
