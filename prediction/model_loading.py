"""The trained stages of a prediction: those that were given, or those that come with the package."""

from __future__ import annotations

from evolift.artifacts.shipped_files import KEYPOINT_LIFTER, PHOTO_POSE, shipped_weights, weights_file
from evolift.chain.model import ChainModel
from evolift.lifter.lifter import Lifter
from evolift.lifter.model import LifterModel
from evolift.lifter.refiner import Refined, RefinerModel
from evolift.lifter.temporal.model import TemporalLifter
from evolift.posedata.errors import InputError
from evolift.prediction.detectors.detector_choice import load_people_detector
from evolift.prediction.lifting_pipeline import LiftingPipeline
from evolift.prediction.pipeline import ImagePipeline, Pipeline
from evolift.prediction.reports import Report, report_nothing
from evolift.prediction.settings import ModelSettings, PersonSettings
from evolift.prediction.temporal_lifting import TemporalLifting
from evolift.training.device import on_device


def image_pipeline(
    models: ModelSettings, people: PersonSettings = PersonSettings(), report: Report = report_nothing
) -> ImagePipeline:
    """What predicts images: a chain, or somebody else's detector and a lifter.

    Args:
        models: which; without any the chain that comes with the package.
        people: whom somebody else's detector keeps of those that it finds.
        report: called with sentences on that.

    Raises:
        InputError: checkpoints are missing or do not fit each other, the detector cannot be had, or there is no such device.
        CheckpointError: one is damaged or of another stage.
    """
    refiner = _refiner(models)
    if models.detector is not None and models.other_detector is not None:
        detector = load_people_detector(
            models.detector,
            detector_weights=models.detector_weights,
            detector_mode=models.detector_mode,
            detector_skeleton=models.detector_skeleton,
            min_score=people.person_score,
            max_people=people.max_people,
            device=models.device,
            report=report,
        )
        if models.lifter is None:
            report(_shipped(KEYPOINT_LIFTER))
        return LiftingPipeline(
            detector,
            models.lifter or KEYPOINT_LIFTER,
            device=models.device,
            refiner=refiner,
            max_people=people.max_people,
        )
    stages = {"chain": models.chain, "detector": models.detector, "lifter": models.lifter}
    if not any(stages.values()):
        report(_shipped(PHOTO_POSE))
        return Pipeline.from_pretrained(PHOTO_POSE, device=models.device, refiner=refiner)
    paths = {name: None if path is None else weights_file(path) for name, path in stages.items()}
    return Pipeline.from_checkpoints(**paths, device=models.device, refiner=refiner)


def keypoint_lifter(models: ModelSettings, report: Report = report_nothing) -> Lifter:
    """The lifter for keypoints.

    Args:
        models: which; without any the one that comes with the package.
        report: called with a sentence on that.

    Raises:
        InputError: checkpoints are too many or do not fit each other, or there is no such device.
        CheckpointError: one is damaged or of another stage.
    """
    if models.detector is not None or (models.chain is not None and models.lifter is not None):
        raise InputError("to lift keypoints give `lifter` or `chain`, one of the two, and no `detector`")
    lifter: Lifter
    if models.chain is not None:
        lifter = ChainModel.load(weights_file(models.chain)).lifter
    elif models.lifter is not None:
        lifter = LifterModel.load(weights_file(models.lifter))
    else:
        report(_shipped(KEYPOINT_LIFTER))
        lifter = LifterModel.load(shipped_weights(KEYPOINT_LIFTER))
    if refiner := _refiner(models):
        lifter = Refined(lifter, refiner)
    return on_device(lifter, models.device)


def temporal_lifting(models: ModelSettings) -> TemporalLifting | None:
    """What lifts tracks over time, with the refiner on its output; None if no temporal lifter was asked for.

    Raises:
        InputError: the refiner is of another skeleton, the lifter cannot be used, or there is no such device.
        CheckpointError: one is damaged or of another stage.
    """
    if models.temporal is None:
        return None
    path = weights_file(models.temporal)
    lifter: Lifter = TemporalLifter.load(path)
    if refiner := _refiner(models):
        lifter = Refined(lifter, refiner)
    return TemporalLifting(on_device(lifter, models.device), path.name)


def _refiner(models: ModelSettings) -> RefinerModel | None:
    return None if models.refiner is None else RefinerModel.load(weights_file(models.refiner))


def _shipped(name: str) -> str:
    return f"weights: {name}, which come with evolift"
