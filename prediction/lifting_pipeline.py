"""From an image to 3D poses with somebody else's detector of joints and a lifter for keypoints.

    pipeline = LiftingPipeline("rtmlib")
    poses = pipeline.predict_people("team.jpg")

The detector is one that `evolift.prediction.detectors` knows, or any object of the form of
`evolift.prediction.detectors.people_detector.PeopleDetector`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, UInt8

from evolift.artifacts.shipped_files import KEYPOINT_LIFTER, weights_file
from evolift.lifter.lifter import Lifter
from evolift.lifter.model import LifterModel
from evolift.lifter.refiner import Refined, RefinerModel
from evolift.posedata.any_image import SomeImage, rgb_image
from evolift.posedata.camera import Camera
from evolift.posedata.errors import InputError
from evolift.posedata.joint_mapping import mapping_between
from evolift.posedata.keypoint_formats.keypoints import keypoints_of
from evolift.prediction.detectors.detector_choice import load_people_detector
from evolift.prediction.detectors.people_detector import DetectedPeople, PeopleDetector
from evolift.prediction.everybody import Everybody, FoundPerson
from evolift.prediction.keypoint_lifting import lift_keypoints, require_pose_lifter
from evolift.prediction.persons.box_geometry import box_of_joints
from evolift.prediction.pipeline import ImagePipeline
from evolift.prediction.pose_prediction import NobodyError, OutOfSightError, PosePrediction
from evolift.prediction.settings import KeypointSettings
from evolift.training.device import on_device

if TYPE_CHECKING:
    from evolift.prediction.persons.people_finder import PeopleFinder

Image = UInt8[np.ndarray, "_height _width 3"]


class LiftingPipeline(ImagePipeline):
    """A detector of joints and a lifter ready to be shown images.

    Args:
        detector: or what `load_people_detector` makes one of: "rtmlib", an .onnx file, ...
        lifter: of target `xyz` and two input axes, or the file or shipped name of one; a folded copy of it is used.
        device: of the lifter, and of a detector that is loaded here.
        refiner: mends the poses of the lifter, see `evolift.lifter.refiner`.
        max_people: those of the highest mean confidence; None for all that the detector finds.

    Raises:
        InputError: the detector cannot be had, there is no mapping from its skeleton to the lifter's, the lifter takes or gives
            something else, or there is no such device.
        CheckpointError: the lifter's file is damaged or of another stage.
    """

    min_joint_confidence = KeypointSettings().min_joint_confidence

    def __init__(
        self,
        detector: PeopleDetector | str | Path,
        lifter: Lifter | str | Path = KEYPOINT_LIFTER,
        *,
        device: str = "cpu",
        refiner: RefinerModel | None = None,
        max_people: int | None = None,
    ) -> None:
        model = lifter if isinstance(lifter, Lifter) else LifterModel.load(weights_file(lifter))
        require_pose_lifter(model)
        model = on_device(model, device).eval()
        whole = model if refiner is None else Refined(model, on_device(refiner, device).eval())
        self.lifter = whole.folded()
        if isinstance(detector, str | Path):
            detector = load_people_detector(str(detector), device=device)
        mapping_between(detector.skeleton, model.skeleton)
        self.detector, self.max_people = detector, max_people

    def __repr__(self) -> str:
        lifter = self.lifter.settings
        return f"<LiftingPipeline: {self.detector.name} ({self.detector.skeleton.name}), lifter {lifter.architecture} ({lifter.normalisation}) of {lifter.skeleton.name}>"

    def predict_people(
        self, image: SomeImage, camera: Camera | None = None, *, max_people: int | None = None
    ) -> list[PosePrediction]:
        """As for all pipelines; a detector that needs boxes takes the whole image for one person. Who cannot be lifted is left out."""
        array = rgb_image(image)
        self._check_camera(camera, array)
        if not self.detector.finds_people:
            return [self._find(array, camera)]
        found = self._people(array, camera)
        poses = [person.pose for person in found if person.pose is not None]
        if not poses:
            raise next(
                (person.problem for person in found if person.problem is not None), NobodyError(self._nobody)
            )
        poses = sorted(poses, key=lambda pose: -float(pose.confidence.mean()))[:max_people]
        return sorted(poses, key=lambda pose: -pose.bounds[2] * pose.bounds[3])

    def search_note(self, max_people: int | None = None) -> str:
        """As for all pipelines."""
        del max_people
        return (
            f"No person box was given: {self.detector.name} took the whole image for one person, or in videos, once somebody was found, "
            "what surrounds the joints of the frame before; `box` and `persons` say where people are."
        )

    def everybody(
        self, finder: PeopleFinder | None = None, box: Sequence[float] | None = None
    ) -> Everybody | None:
        """As for other pipelines; and everybody whom the detector finds itself, if there is neither finder nor box."""
        if finder is not None or box is not None or not self.detector.finds_people:
            return super().everybody(finder, box)
        return Everybody(
            self._people, f"People and their joints were found by {self.detector.name}.", self._nobody
        )

    @property
    def _nobody(self) -> str:
        return f"{self.detector.name} finds nobody"

    def _people(self, image: Image, camera: Camera | None) -> list[FoundPerson]:
        """Everybody, from left to right."""
        found = _checked(self.detector(image), self.detector)
        rows = np.flatnonzero((found.confidence > 0).any(1))
        rows = rows[np.argsort(-found.confidence[rows].mean(1), kind="stable")][: self.max_people]
        people = []
        for row in rows:
            joints, confidence = found.joints_2d[row], found.confidence[row]
            box = box_of_joints(joints[confidence > 0])
            try:
                pose = self._lifted(joints, confidence, box, "found", image, camera)
                people.append(FoundPerson(box, pose))
            except (OutOfSightError, NobodyError) as error:
                people.append(FoundPerson(box, None, error))
        return sorted(people, key=lambda person: person.box[0] + person.box[2] / 2)

    def _find(self, image: Image, camera: Camera | None) -> PosePrediction:
        people = self._people(image, camera)
        poses = [person.pose for person in people if person.pose is not None]
        if poses:
            return max(poses, key=lambda pose: float(pose.confidence.mean()))
        for person in people:
            if person.problem is not None:
                raise person.problem
        raise NobodyError(self._nobody)

    def _predict(
        self, image: Image, box: Sequence[float], source: str, camera: Camera | None
    ) -> PosePrediction:
        found = _checked(self.detector(image, [box]), self.detector)
        if len(found.confidence) != 1:
            raise InputError(
                f"{self.detector.name} gives {len(found.confidence)} people for one box: a detector must give a row for each box"
            )
        place = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
        return self._lifted(found.joints_2d[0], found.confidence[0], place, source, image, camera)

    def _lifted(
        self,
        joints: Float[np.ndarray, "joints 2"],
        confidence: Float[np.ndarray, "joints"],
        box: tuple[float, float, float, float],
        source: str,
        image: Image,
        camera: Camera | None,
    ) -> PosePrediction:
        """The pose of one person.

        Raises:
            OutOfSightError: the joints span more than the camera can see.
            NobodyError: too few of them were found.
        """
        if not (confidence > 0).any():
            raise NobodyError(self._nobody)
        size = (image.shape[1], image.shape[0])
        person = keypoints_of(
            self.detector.skeleton,
            joints[None],
            format="detector",
            confidence=confidence[None],
            image_size=np.array([size], np.int32),
        )
        lifted = lift_keypoints(
            self.lifter,
            person,
            self.detector.name,
            cameras=() if camera is None else (camera,),
            camera=None if camera is None else np.zeros(1, np.int32),
        )
        if lifted.out_of_sight:
            raise OutOfSightError(
                "the joints that were found span more than this camera can see: give other intrinsics"
            )
        if not len(lifted.predictions):
            raise NobodyError(f"{self.detector.name} finds too few joints of a person to lift them")
        found = lifted.predictions
        return PosePrediction(
            joints_3d=found.joints_3d[0],
            root_3d=found.root_3d[0],
            joints_2d=found.joints_2d[0],
            confidence=found.confidence[0],
            box=box,
            box_source=source,
            image_size=size,
            skeleton=self.lifter.skeleton,
            camera=camera,
            sigma_mm=None if found.sigma_mm is None else found.sigma_mm[0],
        )


def _checked(found: DetectedPeople, detector: PeopleDetector) -> DetectedPeople:
    """What a detector gave, as numbers of the shapes that were agreed on; confidences above 1 count as 1.

    Raises:
        InputError: it gave something else.
    """
    joints, confidence = (np.asarray(values, np.float64) for values in (found.joints_2d, found.confidence))
    people, count = len(joints), len(detector.skeleton)
    if joints.shape != (people, count, 2) or confidence.shape != (people, count):
        raise InputError(
            f"{detector.name} gives joints {joints.shape} and confidences {confidence.shape}: for {detector.skeleton.name} they must be (people, {count}, 2) and (people, {count})"
        )
    is_found = np.isfinite(joints).all(-1) & np.isfinite(confidence)
    return DetectedPeople(
        np.where(is_found[..., None], joints, 0), np.where(is_found, np.clip(confidence, 0, 1), 0)
    )
