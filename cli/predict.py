"""`evolift predict`: 3D poses of people in photographs and videos, and of 2D keypoints that another detector found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rich_click as click

from cli.options import (
    AnyPath,
    ExistingFile,
    RecipeCommand,
    command_record,
    overwrite_option,
    run_folder,
)
from cli.person_options import person_detector, person_files, person_options

if TYPE_CHECKING:
    import numpy as np

    from cli.progress import Advance
    from detector2d.person_boxes import PersonDetector
    from lifter.model import Lifter
    from lifter.pipeline import Pipeline, PosePrediction
    from posedata.camera import Camera
    from posedata.drawing.pose_page import EmbeddedPicture
    from posedata.drawing.prediction_page import FrameKey
    from posedata.predicting.camera_choice import CameraRule
    from posedata.predicting.input_kinds import PredictionInput
    from posedata.predicting.predictions import Predictions

FORMATS = ("json", "jsonl", "csv", "npz", "h5", "bvh")
MOST_SENTENCES = 10


@click.command(cls=RecipeCommand)
@click.argument("inputs", nargs=-1, type=AnyPath)
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
@click.option(
    "--webcam", type=click.IntRange(0), metavar="NUMBER", help="Predict what a webcam sees, until Ctrl-C."
)
@click.option("--frames", type=click.IntRange(1), help="Stop videos and webcam after so many frames.")
@click.option(
    "--smooth", is_flag=True, help="Smooth 3D poses over time (One Euro filter); 2D joints stay as found."
)
@click.option(
    "--fps",
    type=click.FloatRange(0, min_open=True),
    help="Frames per second of keypoints, for --smooth and bvh; videos tell theirs.",
)
@click.option(
    "--write",
    default="json",
    show_default=True,
    metavar="FORMATS",
    help="Files of poses, some of json,jsonl,csv,npz,h5,bvh; h5 is a pose store, bvh one file for each person for animators.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, mps, ...")
@click.option("-o", "--output", type=AnyPath, help="Folder to write; not for a stream.")
@overwrite_option
@click.pass_context
def predict(ctx: click.Context, /, **options: Any) -> None:
    """Write the 3D poses of people in pictures, videos, or files of 2D keypoints.

    INPUTS are pictures, videos, folders of them, patterns such as 'p*.jpg', or files of 2D keypoints: COCO (also
    WholeBody), AlphaPose, Halpe, OpenPose folders, MediaPipe, MMPose, DeepLabCut, SLEAP, CSV, NPZ, JSON lines. In pictures
    and videos one person is found and followed, or with --persons everybody: person 1, 2, ... of a picture from left to
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
    from posedata.errors import InputError
    from posedata.output_file import hashes_of
    from posedata.predicting.input_kinds import prediction_inputs

    if options["inputs"] == (Path("-"),):
        predict_stream(ctx, options)
        return
    output: Path | None = options["output"]
    if output is None:
        raise InputError("say where to write with --output FOLDER")
    _formats(options["write"])
    inputs = prediction_inputs(options["inputs"])
    webcam: int | None = options["webcam"]
    if not inputs and webcam is None:
        raise InputError("give pictures, videos or files of keypoints, or --webcam NUMBER")
    kinds = {one.kind for one in inputs} | ({"video"} if webcam is not None else set())
    checkpoints = {name: options[name] for name in ("joint", "detector", "lifter")}
    lifter, pipeline = _models(**checkpoints, device=options["device"], needs_detector=kinds != {"keypoints"})
    persons = person_detector(options, has_pictures=kinds != {"keypoints"})
    record = command_record(ctx)
    given = [path for path in checkpoints.values() if path is not None]
    record["checkpoints"] = hashes_of(given + person_files(options))
    with run_folder(ctx, output, overwrite=options["overwrite"]):
        run = PredictRun(options, output, record, lifter, pipeline, persons)
        run.predict(inputs, webcam)
        run.write()
        run.raise_failures()


def predict_stream(ctx: click.Context, options: dict[str, Any]) -> None:
    """Keypoints from standard input, poses to standard output."""
    import os
    import sys

    from lifter.keypoint_lifting import lift_keypoints
    from posedata.errors import InputError
    from posedata.keypoint_formats.line_stream import KeypointStream, arriving_lines
    from posedata.predicting.prediction_files import prediction_lines
    from posedata.skeleton import skeleton_by_name

    if options["output"] is not None or options["smooth"] or options["webcam"] is not None:
        raise InputError(
            "a stream goes to standard output as it comes: leave out --output, --smooth and --webcam"
        )
    person_detector(options, has_pictures=False)
    lifter, _ = _models(
        options["joint"], options["detector"], options["lifter"], options["device"], needs_detector=False
    )
    rule = _camera_rule(options, lifter.settings.normalisation)
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
    return len(run.clips), run.failed


class Clip(NamedTuple):
    """What was predicted of one input.

    Args:
        label: of the input.
        predictions: of its people.
        frames_per_second: of a clip; of a single frame it means nothing.
        fault: why the people are no tracks over time, None if they are.
    """

    label: str
    predictions: Predictions
    frames_per_second: float
    fault: str | None = None

    def of_one_name(self) -> Predictions:
        """The predictions as of one video, though each frame may be a picture of its own name."""
        return replace(self.predictions, image=(self.label,) * len(self.predictions))


class PredictRun:
    """One call of the command: its models, and what it has predicted so far.

    Args:
        options: of the command; those that are not given count as their defaults.
        output: folder.
        record: provenance.
        lifter: for keypoints.
        pipeline: for pictures, if there are any.
        persons: finds the people of pictures; None to look for one in the whole picture, or in the box of `options`.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        output: Path,
        record: dict[str, Any],
        lifter: Lifter,
        pipeline: Pipeline | None,
        persons: PersonDetector | None = None,
    ) -> None:
        from posedata.predicting.frame_sample import FrameSample

        self.options, self.output, self.record = options, output, record
        self.lifter, self.pipeline, self.persons = lifter, pipeline, persons
        self.cameras = _camera_rule(options, lifter.settings.normalisation)
        self.failed: list[str] = []
        self.notes: list[str] = []
        self.frames_per_second = 10.0
        self.clips: list[Clip] = []
        self.pictures: FrameSample[FrameKey, EmbeddedPicture] = FrameSample()

    def predict(self, inputs: list[PredictionInput], webcam: int | None = None) -> None:
        """Predict all inputs, and remember what could not be done."""
        from cli.progress import progress_bar
        from posedata.errors import EvoliftError

        names = _overlay_names(inputs)
        with progress_bar("predicting", len(inputs)) as advance:
            for one in inputs:
                try:
                    if one.kind == "keypoints":
                        self._keypoints(one)
                    elif one.kind == "video":
                        self._video(one.path, one.label, self.output / names[one], advance)
                    else:
                        self._picture(one, self.output / names[one])
                except EvoliftError as error:
                    self.failed.append(str(error))
                advance(1)
            if webcam is not None:
                self._video(webcam, f"webcam {webcam}", self.output / "webcam_overlay.mp4", advance)

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
        predictions = lifted.predictions
        fault = None
        if len(set(predictions.frame.tolist())) > 1:
            if not keypoints.is_tracked:
                fault = f"{one.path} does not tell who is who over frames"
            elif not self.options.get("fps"):
                fault = f"{one.path} does not tell the time between frames (give --fps)"
        clip = Clip(one.label, predictions, self.options.get("fps") or self.frames_per_second, fault)
        if self.options.get("smooth"):
            clip = _smoothed(clip)
        self._add(clip)

    def _picture(self, one: PredictionInput, overlay: Path) -> None:
        import numpy as np

        from lifter.pipeline import predictions_of
        from posedata.drawing.overlay import draw_box
        from posedata.drawing.pose_page import embedded_picture
        from posedata.image_file import read_image, write_png

        image = read_image(one.path)
        camera = self.cameras.of_picture((image.shape[1], image.shape[0]), str(one.path), one.path)
        people, poses = self._people(image, str(one.path), camera.camera)
        if self.persons is None:
            write_png(overlay, draw_box(_drawn(image, poses), np.array(poses[0].box)))
        else:
            write_png(overlay, _drawn(image, poses, people))
        predictions = predictions_of(
            poses,
            image=one.label,
            frames=[0] * len(poses),
            people=people,
            camera_assumption=camera.sentence,
            provenance=self.record,
        )
        self._add(Clip(one.label, predictions, self.frames_per_second))
        self.pictures.offer((one.label, 0), lambda: embedded_picture(image))
        if poses[0].box_source == "found":
            self.note("No person box was given: the person was looked for in the whole picture.")

    def _people(
        self, image: np.ndarray, path: str, camera: Camera | None
    ) -> tuple[list[str], list[PosePrediction]]:
        """Names and poses of the people in a picture, at least one; who cannot be lifted is remembered as failed."""
        from posedata.errors import InputError

        assert self.pipeline is not None
        if self.persons is None:
            return ["person 1"], [self.pipeline.predict(image, self.options.get("box"), camera)]
        self._note_persons(self.persons)
        boxes = self.persons(image).boxes.tolist()
        if not boxes:
            raise InputError(
                f"{path}: {self.persons.name} finds nobody with a score of {self.persons.least_score:g} or more: lower --person-score, or give --box"
            )
        names, poses = [], []
        for number, box in enumerate(boxes, 1):
            try:
                poses.append(self.pipeline.predict(image, box, camera))
                names.append(f"person {number}")
            except InputError as error:
                self.failed.append(f"{path}: person {number}: {error}")
        if not poses:
            raise InputError(f"{path}: none of its people could be lifted")
        return names, poses

    def _note_persons(self, persons: PersonDetector) -> None:
        most = f", at most {persons.most} in each picture" if persons.most else ""
        self.note(
            f"People were found by {persons.name}, those with a score of {persons.least_score:g} or more{most}."
        )

    def _follower(
        self, camera: Camera | None
    ) -> Callable[[np.ndarray], Sequence[tuple[PosePrediction, str]]]:
        """What finds poses and tracks in one frame of a video after the other."""
        from lifter.person_following import PeopleFollower, PersonFollower

        assert self.pipeline is not None
        if self.persons is not None:
            self._note_persons(self.persons)
            persons = self.persons
            return PeopleFollower(self.pipeline, lambda image: persons(image).boxes, camera)
        follow = PersonFollower(self.pipeline, camera, self.options.get("box"))
        return lambda image: [answer] if (answer := follow(image)) else []

    def _video(self, source: Path | int, label: str, overlay: Path, advance: Advance) -> None:
        """Follow people through a video; Ctrl-C ends a webcam and keeps what was seen."""
        from itertools import islice

        from lifter.pipeline import predictions_of
        from posedata.drawing.pose_page import embedded_picture
        from posedata.errors import InputError
        from posedata.video_file import VideoReader, VideoWriter

        found: list[PosePrediction] = []
        frames: list[int] = []
        tracks: list[str] = []
        limit = self.options.get("frames")
        with (
            VideoReader(source) as video,
            VideoWriter(overlay, video.size, video.frames_per_second) as written,
        ):
            camera = self.cameras.of_picture(video.size, video.label)
            follow = self._follower(camera.camera)
            try:
                for number, image in enumerate(islice(video, limit)):
                    drawn = image
                    if answers := follow(image):
                        names = [track for _, track in answers] if self.persons is not None else ()
                        drawn = _drawn(image, [pose for pose, _ in answers], names)
                        self.pictures.offer((label, number), lambda image=image: embedded_picture(image))  # type: ignore[misc]  # bound now, not later
                        found += [pose for pose, _ in answers]
                        frames += [number] * len(answers)
                        tracks += [track for _, track in answers]
                    written.write(drawn)
                    advance(1, video.count + 1 if video.count else None)
            except KeyboardInterrupt:
                if isinstance(source, Path):
                    raise
            if limit is None and video.is_cut_off:
                self.failed.append(
                    f"{label} ends after {video.read} of {video.count} frames: it is damaged or cut off"
                )
            if not found:
                raise InputError(f"{label}: nobody was found in its {video.read} frames")
        unseen = video.read - len(set(frames))
        if unseen:
            self.note(f"{label}: in {unseen} of {video.read} frames nobody was found.")
        predictions = predictions_of(
            found,
            image=label,
            frames=frames,
            people=tracks,
            camera_assumption=camera.sentence,
            provenance=self.record | {"frames_per_second": {label: video.frames_per_second}},
        )
        clip = Clip(label, predictions, video.frames_per_second)
        self._add(_smoothed(clip) if self.options.get("smooth") else clip)

    def _add(self, clip: Clip) -> None:
        if not len(clip.predictions):
            return
        self.clips.append(clip)
        if len(set(clip.predictions.frame.tolist())) > 1:
            self.frames_per_second = clip.frames_per_second
            if self.options.get("smooth"):
                self.note(f"{clip.label}: 3D poses are smoothed over time.")

    def _write_bvh(self) -> list[Path]:
        from posedata.errors import EvoliftError, InputError
        from posedata.predicting.bvh_tracks import write_bvh_tracks

        written = []
        for clip in self.clips:
            try:
                if clip.fault is not None:
                    raise InputError(f"{clip.fault}, so there is no track for a bvh file")
                for track in write_bvh_tracks(self.output, clip.of_one_name(), clip.frames_per_second):
                    written.append(track.path)
                    if track.interpolated:
                        self.note(
                            f"{track.path.name}: {track.interpolated} of {track.frames} frames are interpolated."
                        )
            except EvoliftError as error:
                self.failed.append(str(error))
        return written

    def note(self, sentence: str) -> None:
        """Say something on the page, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def write(self) -> None:
        """Write the results, if there are any."""
        from cli.joint_readings import NOTE as JOINT_NOTE
        from cli.joint_readings import joint_readings
        from posedata.drawing.prediction_page import write_prediction_page
        from posedata.errors import EvoliftError
        from posedata.predicting.prediction_files import write_predictions
        from posedata.predicting.prediction_store import write_prediction_store
        from posedata.predicting.predictions import Predictions

        if not self.clips:
            return
        parts = [clip.predictions for clip in self.clips]
        assumptions = dict.fromkeys(part.camera_assumption for part in parts)
        predictions = replace(Predictions.concatenate(parts), camera_assumption=" ".join(assumptions))
        readings = joint_readings(predictions.skeleton)
        written = []
        for ending in _formats(self.options.get("write", "json")):
            path = self.output / f"predictions.{ending}"
            try:
                if ending == "bvh":
                    written += self._write_bvh()
                    continue
                if ending == "h5":
                    write_prediction_store(path, predictions)
                else:
                    write_predictions(path, predictions)
                written.append(path)
            except EvoliftError as error:
                self.failed.append(str(error))
        write_prediction_page(
            self.output / "page.html",
            predictions,
            title="3D poses",
            pictures=self.pictures.kept(),
            readings=readings,
            notes=[predictions.camera_assumption, *([JOINT_NOTE] if readings else []), *self.notes],
            frames_per_second=self.frames_per_second / self.pictures.stride,
        )
        written.append(self.output / "page.html")
        click.echo(f"{len(predictions)} poses: {', '.join(map(str, written))}")

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
    """The lifter, and the chain if there are pictures; those that come with the package where none are given."""
    from posedata.device import on_device
    from posedata.errors import InputError
    from posedata.shipped_weights import KEYPOINT_LIFTER, PHOTO_POSE, shipped_weights

    if joint is None and detector is None and lifter is None:
        name = PHOTO_POSE if needs_detector else KEYPOINT_LIFTER
        click.echo(f"weights: {name}, which come with evolift", err=True)
        joint, lifter = (shipped_weights(name), None) if needs_detector else (None, shipped_weights(name))
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


def _drawn(image: np.ndarray, poses: Sequence[PosePrediction], names: Sequence[str] = ()) -> np.ndarray:
    """A picture with the 2D joints of its people on it, and if their names are given, these in their boxes."""
    import numpy as np

    from posedata.drawing.overlay import draw_box, draw_joints

    joints, confidence = (
        np.stack([getattr(pose, name) for pose in poses]) for name in ("joints_2d", "confidence")
    )
    drawn = draw_joints(image, joints, poses[0].skeleton, confidence=confidence)
    for pose, name in zip(poses, names, strict=False):
        drawn = draw_box(drawn, np.array(pose.box), label=name)
    return drawn


def _formats(text: str) -> list[str]:
    """The formats of --write."""
    from posedata.errors import InputError

    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in FORMATS]
    if unknown or not names:
        raise InputError(f"--write {text}: choose some of {','.join(FORMATS)}")
    return list(dict.fromkeys(names))


def _smoothed(clip: Clip) -> Clip:
    """A clip of lifted keypoints smoothed over the frames of each person."""
    from posedata.errors import InputError
    from posedata.predicting.one_euro import smoothed_predictions

    if clip.fault is not None:
        raise InputError(f"{clip.fault}, which --smooth needs")
    smooth = smoothed_predictions(clip.of_one_name(), clip.frames_per_second)
    return clip._replace(predictions=replace(smooth, image=clip.predictions.image))


def _overlay_names(inputs: list[PredictionInput]) -> dict[PredictionInput, str]:
    """NAME_overlay.png for each picture and .mp4 for each video, with a number where names repeat."""
    names: dict[PredictionInput, str] = {}
    for one in inputs:
        ending = ".mp4" if one.kind == "video" else ".png"
        number, name = 1, f"{one.path.stem}_overlay{ending}"
        while name in names.values():
            number += 1
            name = f"{one.path.stem}_{number}_overlay{ending}"
        names.setdefault(one, name)
    return names
