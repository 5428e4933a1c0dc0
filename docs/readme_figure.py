"""Draws docs/readme_figure.png: a rendered person with the joints that the shipped chain finds, beside the 3D pose.

PYTHONPATH=. python docs/readme_figure.py

The person is of subject 02 of the CMU sample, whom the shipped models were not trained on. Of 25 images,
those in which the person is whole, it is the one with the median error, so neither a lucky nor a failed one. The image alone is artifacts/rendered_person.jpg.
Needs the extra `render`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np

from evolift.artifacts.shipped_files import example_image, sample_poses
from evolift.posedata.image_file import read_image
from evolift.posedata.selection import select_rows
from evolift.posedata.store import PoseStore
from evolift.prediction.pipeline import Pipeline
from evolift.synthetic.rendering.people import render_store
from evolift.synthetic.settings import RenderSettings

DOCS = Path(__file__).parent
IMAGES, SIZE = 25, 384


def main() -> None:
    """Write the figure and the image."""
    with tempfile.TemporaryDirectory() as name:
        people, images = Path(name) / "people.h5", Path(name) / "images.h5"
        select_rows(sample_poses(), people, subjects=("02",))
        render_store(people, images, RenderSettings(images=IMAGES, size=SIZE, seed=0))
        with PoseStore(images) as store:
            poses = store.read()
            files = [store.image_folder / path for path in poses.image or ()]
        pipeline = Pipeline.from_pretrained()
        predictions = [pipeline.predict(file) for file in files]
        truth = poses.joints_3d - poses.joints_3d[:, :1]
        found = np.stack([prediction.joints_3d for prediction in predictions])
        errors = np.linalg.norm(found - truth, axis=-1).mean(-1)
        edge = 0.03 * SIZE
        is_whole = ((poses.joints_2d > edge) & (poses.joints_2d < SIZE - edge)).all((1, 2))
        whole = np.flatnonzero(is_whole)
        errors = errors[whole]
        middle = int(np.argsort(errors)[len(errors) // 2])
        median = int(whole[middle])
        print(
            f"{files[median].name}: MPJPE {errors[middle]:.0f} mm, {len(errors)} images of {errors.min():.0f} to {errors.max():.0f}"
        )
        shutil.copy(files[median], example_image())
        figure = predictions[median].plot(read_image(files[median]))
        left, top, width, height = predictions[median].bounds
        half = 0.75 * max(width, height)
        shown = figure.axes[0]  # zoomed to the person, who is small in the image
        shown.set_xlim(left + width / 2 - half, left + width / 2 + half)
        shown.set_ylim(top + height / 2 + half, top + height / 2 - half)
        figure.savefig(DOCS / "readme_figure.png", dpi=110)


if __name__ == "__main__":
    main()
