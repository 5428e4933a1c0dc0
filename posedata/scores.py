"""Scores are numbers: one that is not finite ends the command instead of being printed or called the best."""

from __future__ import annotations

import math

from evolift.posedata.errors import InputError


def require_score(name: str, score: float, where: str) -> None:
    """Refuse a score that is not finite.

    Args:
        name: of the score.
        score: its value.
        where: it was found, such as "at step 100".

    Raises:
        InputError: it is not finite.
    """
    if not math.isfinite(score):
        raise InputError(
            f"the score {name} is {score} {where}, which is no score: predictions or poses are out of all range, so look for a setting that is too large, such as noise or learning rate"
        )
