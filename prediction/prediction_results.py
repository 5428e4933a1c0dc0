"""All that one run of predictions has come to: clips, images for a page, what to say, and what could not be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from evolift.posedata.errors import EvoliftError, InputError
from evolift.posedata.predictions.prediction_files import write_predictions
from evolift.posedata.predictions.predictions import Predictions
from evolift.prediction.clip import Clip
from evolift.prediction.frame_sample import FrameSample
from evolift.prediction.smoothing import smoothing_notes

if TYPE_CHECKING:
    from evolift.drawing.pose_page import EmbeddedImage
    from evolift.drawing.prediction_page import FrameKey
    from evolift.prediction.temporal_lifting import TemporalLifting

MAX_SENTENCES = 10
"""An error tells at most so many things that could not be done, and how many more there are."""
TRACK_FORMATS = ("bvh", "sleap")
"""Formats that have a file for each track or clip."""
_IMAGES_PER_SECOND = 10.0


@dataclass(eq=False)
class PredictionResults:
    """What a run has predicted so far.

    Args:
        is_smooth: whether 3D poses are smoothed over the frames of each clip that is added; None for those of videos.
        temporal: lifts the tracks of each clip over time that is added; None to keep its poses.
        clips: in the order of the inputs.
        images: an even sample of the frames that people were found in.
        notes: sentences to go with the results.
        image_notes: sentences on single images or frames, which the page shows with them; `notes` has what they say too.
        failed: a sentence for each thing that could not be done.
        incomplete: labels of the images that lack a part of their data.
        labelled: what is to be said of several images, and their labels.
        said_with_images: notes that the page says with single images.
        frames_per_second: of the last clip over time, for a page.
        written: the files of poses, and the page.
    """

    is_smooth: bool | None = None
    temporal: TemporalLifting | None = None
    clips: list[Clip] = field(default_factory=list)
    images: FrameSample[FrameKey, EmbeddedImage] = field(default_factory=FrameSample)
    notes: list[str] = field(default_factory=list)
    image_notes: dict[FrameKey, list[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    labelled: dict[str, list[str]] = field(default_factory=dict)
    said_with_images: set[str] = field(default_factory=set)
    frames_per_second: float = _IMAGES_PER_SECOND
    written: list[Path] = field(default_factory=list)

    def add(self, clip: Clip) -> None:
        """Keep a clip if it has anybody in it.

        Raises:
            InputError: it shall be smoothed or lifted over time, and its people are no tracks.
        """
        if self.temporal is not None and clip.is_over_time:
            clip, notes = clip.lifted_over_time(self.temporal)
            for note in notes:
                self.note(f"{clip.label}: {note}")
        is_smooth = clip.is_video if self.is_smooth is None else self.is_smooth
        clip = clip.smoothed() if is_smooth else clip
        if not len(clip.predictions):
            return
        self.clips.append(clip)
        if clip.is_over_time:
            self.frames_per_second = clip.frames_per_second
            if is_smooth:
                is_asked = self.is_smooth is not None
                for note in smoothing_notes(clip.predictions, clip.frames_per_second, is_asked=is_asked):
                    self.note(f"{clip.label}: {note}")

    def note(self, sentence: str) -> None:
        """Add a sentence that is printed with the results, unless it is among them."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def note_image(self, key: FrameKey, sentence: str) -> None:
        """Add a sentence that the page shows with an image."""
        self.image_notes.setdefault(key, []).append(sentence)

    def note_all(self, what: str, label: str, *, of_image: FrameKey | None = None) -> None:
        """Add an image to those of which the same is to be said; `note_labelled` makes one sentence of them all.

        Args:
            what: to be said, without the stop.
            label: of the image.
            of_image: with which the page says it, instead of below all poses.
        """
        self.labelled.setdefault(what, []).append(label)
        if of_image is not None:
            self.note_image(of_image, f"{what[0].upper()}{what[1:]}.")
            self.said_with_images.add(what)

    def note_labelled(self) -> None:
        """Add a sentence for each thing that is to be said of several images."""
        for what, labels in self.labelled.items():
            sentence = f"{what[0].upper()}{what[1:]}: {_named(labels)}."
            self.note(sentence)
            if what in self.said_with_images:
                self.said_with_images.add(sentence)
        self.labelled.clear()

    def note_incomplete(self) -> None:
        """Add a sentence on the images that are incomplete, if there are any."""
        if self.incomplete:
            what, copy = ("images are", "them") if len(self.incomplete) > 1 else ("image is", "it")
            self.note(
                f"{len(self.incomplete)} {what} incomplete, a part is missing and was predicted as grey: {_named(self.incomplete)}; copy {copy} again."
            )

    @property
    def poses(self) -> int:
        """How many poses there are."""
        return sum(len(clip.predictions) for clip in self.clips)

    def joined(self) -> Predictions:
        """The predictions of all clips, of which there must be one; their provenance tells the notes."""
        parts = [clip.predictions for clip in self.clips]
        assumptions = dict.fromkeys(part.camera_assumption for part in parts)
        joined = Predictions.concatenate(parts)
        provenance = {**joined.provenance, "notes": list(self.notes)} if self.notes else joined.provenance
        return replace(joined, camera_assumption=" ".join(assumptions), provenance=provenance)

    def write_files(self, folder: Path, formats: Sequence[str]) -> None:
        """Write `predictions.FORMAT` into a folder; for `bvh` a file for each track, for `sleap` one for each clip.

        What could not be written is among `failed`; tracks that nobody could tell, among the notes if poses are written otherwise.

        Args:
            folder: to write into.
            formats: some of `evolift.prediction.settings.FORMATS`.
        """
        predictions = self.joined()
        of_clips = dict(zip(TRACK_FORMATS, (self._bvh, self._sleap), strict=True))
        for ending in dict.fromkeys(formats):
            path = folder / f"predictions.{ending}"
            for clip in self.clips if ending in of_clips else [None]:
                if clip is not None and not clip.is_mendable and not of_clips.keys() >= set(formats):
                    self.note(f"{clip.problem}, so there is no {ending} file of it.")
                    continue
                try:
                    if clip is not None:
                        self.written += of_clips[ending](folder, clip)
                        continue
                    if ending == "h5":
                        # Here, because what stores need is slow to import.
                        from evolift.posedata.predictions.prediction_store import (  # noqa: PLC0415
                            write_prediction_store,
                        )

                        write_prediction_store(path, predictions)
                    else:
                        write_predictions(path, predictions)
                    self.written.append(path)
                except EvoliftError as error:
                    self.failed.append(str(error))

    def _bvh(self, folder: Path, clip: Clip) -> list[Path]:
        # Here, because scipy is slow to import.
        from evolift.posedata.predictions.bvh_tracks import write_bvh_tracks  # noqa: PLC0415

        tracks = write_bvh_tracks(
            folder, Path(clip.label).stem, clip.tracked("bvh").predictions, clip.frames_per_second
        )
        for track in tracks:
            if track.interpolated:
                self.note(
                    f"{track.path.name}: {track.interpolated} of {track.frames} frames are interpolated."
                )
        return [track.path for track in tracks]

    def _sleap(self, folder: Path, clip: Clip) -> list[Path]:
        # Here, because h5py is slow to import.
        from evolift.posedata.predictions.sleap_analysis import write_sleap_analysis  # noqa: PLC0415

        return [write_sleap_analysis(folder, Path(clip.label).stem, clip.tracked("sleap").predictions)]

    def raise_failures(self) -> None:
        """Raise what could not be done, as one error.

        Raises:
            InputError: there is something.
        """
        if self.failed:
            more = len(self.failed) - MAX_SENTENCES
            sentences = self.failed[:MAX_SENTENCES] + ([f"and {more} more like these"] if more > 0 else [])
            raise InputError("; ".join(sentences))


def _named(labels: Sequence[str]) -> str:
    more = len(labels) - MAX_SENTENCES
    return ", ".join(labels[:MAX_SENTENCES]) + (f" and {more} more" if more > 0 else "")
