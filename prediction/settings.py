"""The settings of predictions, in the groups in which the parts of a prediction take them.

Paths are texts, as JSON and recipes have them. This file imports nothing slow, so that the command's help comes at once.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from evolift.artifacts.shipped_files import is_shipped, weights_file
from evolift.posedata.errors import InputError
from evolift.posedata.image_settings import ImageSettings
from evolift.posedata.settings import Settings
from evolift.posedata.skeleton import Skeleton
from evolift.prediction.frame_choice import FrameChoice

FORMATS = ("json", "jsonl", "csv", "npz", "h5", "bvh", "sleap")
"""Files of poses that can be written."""
OUTPUT = "runs/predict"
"""Folder that predictions go into, if nothing else is said."""
MAX_FOCAL = 1_000_000
"""Pixels; a longer lens sees less than a person."""
RTMLIB, MEDIAPIPE, ONNX = "rtmlib", "mediapipe", ".onnx"
"""Detectors of joints that are not ours: of two packages, and of files; see `evolift.prediction.detectors`."""

Pixels = Annotated[int, Meta(ge=1)]
Smooth = Annotated[
    bool | None,
    Meta(
        description="Smooth 3D poses over time, without lag; 2D joints stay as found. If left out, those of videos are smoothed and those of files of keypoints are not."
    ),
]


def kind_of_detector(detector: str) -> str | None:
    """Whose a detector is, "rtmlib", "mediapipe" or ".onnx"; None for the checkpoint of one of ours.

    Args:
        detector: a name, maybe with what of it is meant (`rtmlib:feet`), or a path.
    """
    name = detector.partition(":")[0]
    if name in (RTMLIB, MEDIAPIPE):
        return name
    return ONNX if detector.lower().endswith(ONNX) else None


class ModelSettings(Settings, frozen=True, kw_only=True):
    """Which trained stages predict; without any those that come with the package."""

    panel: ClassVar[str | None] = "Network"

    chain: (
        Annotated[
            str,
            Meta(
                description="Chain checkpoint of `evolift finetune`, or photo_pose, which comes with evolift."
            ),
        ]
        | None
    ) = None
    detector: (
        Annotated[
            str,
            Meta(
                description="Detector checkpoint, to be chained with that of a lifter; or somebody else's detector: rtmlib, rtmlib:feet, rtmlib:wholebody, mediapipe, or an .onnx file of RTMPose, HRNet, ViTPose, MoveNet or YOLO-pose.",
                extra={"metavar": "DETECTOR"},
            ),
        ]
        | None
    ) = None
    detector_weights: Annotated[
        tuple[str, ...],
        Meta(
            description="Files of somebody else's detector: the .task file of mediapipe; for rtmlib the .onnx files of its person detector and of its pose network, in this order, which it else downloads once.",
            extra={"metavar": "FILE"},
        ),
    ] = ()
    detector_mode: Annotated[
        Literal["balanced", "performance", "lightweight"],
        Meta(description="Which networks rtmlib takes."),
    ] = "balanced"
    detector_skeleton: (
        Annotated[
            Skeleton,
            Meta(
                description="Skeleton of the joints that an .onnx detector finds, for example HALPE26; 17 are else taken to be COCO17's, 26 HALPE26's, 133 COCO-WholeBody's."
            ),
        ]
        | None
    ) = None
    lifter: (
        Annotated[
            str,
            Meta(
                description="Lifter checkpoint, or keypoint_lifter, which comes with evolift; enough by itself for files of keypoints."
            ),
        ]
        | None
    ) = None
    refiner: (
        Annotated[
            str,
            Meta(
                description="Refiner checkpoint of `evolift lifter train-refiner`, to mend the poses of the lifter."
            ),
        ]
        | None
    ) = None
    temporal: (
        Annotated[
            str,
            Meta(
                description="Temporal lifter checkpoint, or temporal_lifter, which comes with evolift; it sees neighbouring frames, and lifts the tracks of videos and keypoints instead of the other lifter."
            ),
        ]
        | None
    ) = None
    device: Annotated[
        str, Meta(description="cpu, cuda, mps, ..., or auto: the accelerator if there is one.")
    ] = "cpu"

    def check(self) -> None:
        """Refuse settings of somebody else's detector where there is another, and a chain beside it.

        Raises:
            InputError: naming the fields.
        """
        kind = self.other_detector
        if kind is not None and self.chain is not None:
            raise InputError(
                "a chain has its own detector: give `chain`, or `detector` and maybe `lifter`, not both"
            )
        owners = {
            "detector_weights": ((RTMLIB, MEDIAPIPE), f"{RTMLIB} and {MEDIAPIPE}"),
            "detector_mode": ((RTMLIB,), RTMLIB),
            "detector_skeleton": ((ONNX,), "an .onnx file"),
        }
        for field in msgspec.structs.fields(ModelSettings):
            if field.name in owners and getattr(self, field.name) != field.default:
                kinds, names = owners[field.name]
                if kind not in kinds:
                    raise InputError(f"`{field.name}` belongs to {names} as `detector`: leave it out")

    @property
    def other_detector(self) -> str | None:
        """Whose detector it is, "rtmlib", "mediapipe" or ".onnx"; None for one of ours."""
        return None if self.detector is None else kind_of_detector(self.detector)

    @property
    def files(self) -> list[Path]:
        """The checkpoints and files of detectors that were given."""
        given = [self.chain, self.detector, self.lifter, self.refiner, self.temporal]
        if self.other_detector in (RTMLIB, MEDIAPIPE):
            given[1:2] = self.detector_weights
        return [weights_file(path) if is_shipped(path) else Path(path) for path in given if path is not None]


class PersonSettings(Settings, frozen=True, kw_only=True):
    """Who is predicted in images and videos: the person in a box, everybody, or the one who is found."""

    panel: ClassVar[str | None] = "People"

    box: (
        Annotated[
            tuple[float, float, float, float],
            Meta(
                description="Person box in pixels, for all images. Without it everybody is searched for.",
                extra={"metavar": "LEFT TOP WIDTH HEIGHT"},
            ),
        ]
        | None
    ) = None
    min_confidence: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Take nobody to be in an image, or a frame, if the mean confidence of the joints of the person who was searched for is lower.",
        ),
    ] = 0.0
    persons: (
        Annotated[
            str,
            Meta(
                description="Find everybody with a person detector instead of the pose detector: torchvision, torchvision:MODEL, or an .onnx file with boxes (N, 4) and scores, or as YOLOv8.",
                extra={"metavar": "DETECTOR"},
            ),
        ]
        | None
    ) = None
    person_weights: (
        Annotated[
            str,
            Meta(
                description="Weights (.pth) of the torchvision detector; without them torchvision downloads its own once."
            ),
        ]
        | None
    ) = None
    person_score: Annotated[
        float, Meta(ge=0, le=1, description="Leave out people whom the detector gives a lower score.")
    ] = 0.5
    max_people: (
        Annotated[
            int,
            Meta(
                ge=1,
                description="Keep so many people of each image or frame, those of the highest scores; 1 for one person.",
                extra={"metavar": "N"},
            ),
        ]
        | None
    ) = None

    def check(self) -> None:
        """Refuse two ways of finding people, and weights of a person detector where there is none.

        Raises:
            InputError: naming the fields.
        """
        if self.persons is not None and self.box is not None:
            raise InputError("`persons` and `box` both say where people are: give one of the two")
        if self.box is not None and self.max_people is not None:
            raise InputError("there is one person in `box`: leave `max_people` out")
        if self.persons is None and self.person_weights is not None:
            raise InputError("`person_weights` belongs to `persons`: give that, too, or leave it out")

    def require_detector(self, models: ModelSettings) -> None:
        """Refuse what says whom of several people to keep where only one is searched for.

        Raises:
            InputError: naming the field.
        """
        is_told = self.persons is not None or models.other_detector in (MEDIAPIPE, ONNX)
        if not is_told and self.person_score != PersonSettings().person_score:
            raise InputError("`person_score` belongs to `persons`: give that, too, or leave it out")

    def require_images(self) -> None:
        """Refuse what says where people are, for inputs that hold no images.

        Raises:
            InputError: naming the field.
        """
        if self.box is not None:
            raise InputError(
                "`box` says where people are in images and videos, and there are none: leave it out"
            )
        if self.persons is not None:
            raise InputError("`persons` finds people in images and videos, and there are none: leave it out")

    @property
    def files(self) -> list[Path]:
        """The files that the person detector is read from."""
        files = [] if self.person_weights is None else [Path(self.person_weights)]
        if self.persons is not None and self.persons.lower().endswith(".onnx"):
            files.append(Path(self.persons))
        return files


class KeypointSettings(Settings, frozen=True, kw_only=True):
    """How files and streams of 2D keypoints are read, where they do not tell it themselves."""

    panel: ClassVar[str | None] = "2D keypoints"

    format: (
        Annotated[
            str, Meta(description="Format of files of keypoints, where their content does not tell it.")
        ]
        | None
    ) = None
    skeleton: (
        Annotated[
            Skeleton,
            Meta(description="Skeleton of keypoints that have no names, for example COCO17."),
        ]
        | None
    ) = None
    mapping: (
        Annotated[
            str,
            Meta(
                description='What the keypoints of a file are called, if their names are not known, or their numbers from 0: JSON {"skeleton": NAME, "joints": {YOURS: JOINT}}.'
            ),
        ]
        | None
    ) = None
    image_size: (
        Annotated[
            tuple[Pixels, Pixels],
            Meta(
                description="Size in pixels of the images that keypoints are of, where their file does not tell it.",
                extra={"metavar": "WIDTH HEIGHT"},
            ),
        ]
        | None
    ) = None
    frames_per_second: (
        Annotated[
            float,
            Meta(
                gt=0,
                description="Frames per second of keypoints, for smoothing and bvh; videos tell theirs.",
                extra={"flag": "fps"},
            ),
        ]
        | None
    ) = None

    min_joint_confidence: Annotated[
        float,
        Meta(
            ge=0,
            le=1,
            description="Lift joints of a lower confidence from the others, as if they were not there; if that leaves half of a person's joints.",
        ),
    ] = 0.2
    overlay_images: (
        Annotated[
            str,
            Meta(
                description="Folder of the images, or the video, that keypoints are of, to draw them on.",
                extra={"flag": "images", "metavar": "FOLDER|VIDEO"},
            ),
        ]
        | None
    ) = None

    def require_files(self) -> None:
        """Refuse what says how keypoints are read, for inputs that hold none.

        Raises:
            InputError: naming the fields.
        """
        fields = msgspec.structs.fields(KeypointSettings)
        given = [f"`{field.name}`" for field in fields if getattr(self, field.name) != field.default]
        if given:
            raise InputError(
                f"for files of keypoints alone, which none of the inputs is by its ending: {' and '.join(given)}; leave that "
                "out, or say with `format` what they are"
            )

    def require_stream(self) -> None:
        """Refuse what a stream of JSON lines has no use for.

        Raises:
            InputError: naming the field.
        """
        if self.format not in (None, "jsonl"):
            raise InputError(f"a stream is of JSON lines: leave out `format` {self.format}")
        if self.overlay_images is not None:
            raise InputError("a stream has no overlays: leave out `overlay_images`")
        if self.frames_per_second is not None:
            raise InputError(
                "a stream is lifted as it comes, whatever time passes: leave out `frames_per_second`"
            )


class CameraSettings(Settings, frozen=True, kw_only=True):
    """Which camera images and keypoints are of; see `evolift.prediction.cameras.camera_choice`."""

    panel: ClassVar[str | None] = "Camera"

    intrinsics: (
        Annotated[
            str,
            Meta(
                description="Camera of all images: JSON with K or fx, fy, cx, cy (pixels), and if known distortion, width and height."
            ),
        ]
        | None
    ) = None
    focal: (
        Annotated[
            float,
            Meta(
                ge=1,
                le=MAX_FOCAL,
                description="Focal length of all images, in pixels; their width is a common size.",
                extra={"metavar": "PX"},
            ),
        ]
        | None
    ) = None
    assume_camera: Annotated[
        bool,
        Meta(
            description="Where the camera is not known, take the focal length to be the image's diagonal, and tell places by it."
        ),
    ] = False

    def check(self) -> None:
        """Refuse two focal lengths.

        Raises:
            InputError: naming the fields.
        """
        if self.intrinsics is not None and self.focal is not None:
            raise InputError("the focal length is in the intrinsics already: give `intrinsics` or `focal`")


class PredictSettings(Settings, frozen=True, kw_only=True):
    """How poses are predicted of images, videos and files of keypoints, and what is written."""

    models: ModelSettings = ModelSettings()
    people: PersonSettings = PersonSettings()
    keypoints: KeypointSettings = KeypointSettings()
    camera: CameraSettings = CameraSettings()
    images: ImageSettings = ImageSettings()
    frames: FrameChoice = FrameChoice()
    smooth: Smooth = None
    formats: Annotated[
        tuple[str, ...],
        Meta(
            description=f"Files of poses, some of {','.join(FORMATS)}; h5 is a pose store, bvh one file for each person for animators, sleap one for each video, which movement reads.",
            extra={"flag": "write", "metavar": "FORMATS"},
        ),
    ] = ("json",)
    strict: Annotated[
        bool,
        Meta(
            description="Count it as a failure if an image is incomplete (a part is missing of its file, and grey in it), which else is a warning."
        ),
    ] = False

    def check(self) -> None:
        """Refuse formats that cannot be written and none at all, and people of a detector that finds one.

        Raises:
            InputError: naming the field.
        """
        self.people.require_detector(self.models)
        if not self.formats or not set(self.formats) <= set(FORMATS):
            raise InputError(f"`formats` {','.join(self.formats)}: choose some of {','.join(FORMATS)}")

    @property
    def files(self) -> list[Path]:
        """The files that what predicts is read from, for records."""
        return self.models.files + self.people.files


class UploadSettings(Settings, frozen=True, kw_only=True):
    """Where a page for uploads is served, and what it takes."""

    host: Annotated[str, Meta(description="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="Port; 0 for a free one.")] = 8765
    max_megabytes: Annotated[int, Meta(ge=1, description="Largest upload.")] = 100
    max_frames: Annotated[
        int, Meta(ge=1, description="At most so many frames of a video.", extra={"flag": "frames"})
    ] = 900


class AppSettings(Settings, frozen=True, kw_only=True):
    """What the page for uploads predicts with, and how it is served."""

    models: ModelSettings = ModelSettings()
    people: PersonSettings = PersonSettings()
    camera: CameraSettings = CameraSettings()
    images: ImageSettings = ImageSettings(max_megapixels=80.0)
    smooth: Smooth = None
    uploads: UploadSettings = UploadSettings()

    def check(self) -> None:
        """Refuse what says whom of several people to keep where only one is searched for.

        Raises:
            InputError: naming the field.
        """
        self.people.require_detector(self.models)
