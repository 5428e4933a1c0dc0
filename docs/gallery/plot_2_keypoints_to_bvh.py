"""
Keypoints of another detector to 3D and BVH
===========================================

Whoever has a 2D detector already needs only the lifter. Here a walk is written as a table of keypoints, as another
program would write it, lifted, and saved as BVH for Blender.

The table has COCO's names for 13 joints of a person who is seen by a camera of 1000 x 1000 pixels, with an error of two pixels.
The walker is subject 02 of CMU, whom the lifter was not trained on.
"""

from pathlib import Path

import numpy as np
import pandas as pd

import evolift
from evolift.drawing.pose_figure import new_figure, plot_pose, pose_axes
from evolift.posedata.camera import look_at
from evolift.prediction.settings import CameraSettings, KeypointSettings

with evolift.PoseStore(evolift.sample_poses()) as store:
    table = store.table()
    walk = store.read(np.flatnonzero(table["action"] == "02_01"))

middle = walk.joints_3d[:, 0].mean(0)
R, t = look_at(middle + np.array([3500, 3500, 500]), middle)
camera = evolift.Camera.from_focal_length(1100, 1000, 1000, R=R, t=t)
pixels = camera.project(walk.joints_3d) + np.random.default_rng(0).normal(0, 2, (len(walk), 17, 2))

# %%
# A table with a row for each frame and the columns ``JOINT_x`` and ``JOINT_y``. Other formats are told by their content, too:
# :doc:`/keypoints` lists them.
limbs = [joint for joint in evolift.H36M17.joints if joint in evolift.COCO17.joints]
columns = {
    f"{joint}_{axis}": pixels[:, evolift.H36M17.index(joint), number]
    for joint in limbs
    for number, axis in enumerate("xy")
}
Path("runs").mkdir(exist_ok=True)
pd.DataFrame({"frame": np.arange(len(walk)), **columns}).to_csv("runs/keypoints.csv", index=False)
print(limbs)

# %%
# The same as ``evolift predict runs/keypoints.csv --focal 1100 --image-size 1000 1000 --fps 10 --smooth --write json,bvh``.
settings = evolift.PredictSettings(
    camera=CameraSettings(focal=1100),
    keypoints=KeypointSettings(image_size=(1000, 1000), frames_per_second=10),
    formats=("json", "bvh"),
    smooth=True,
)
results = evolift.predict_files("runs/keypoints.csv", "runs/walk", settings, overwrite=True)
print(*(path.name for path in results.written))
print(*results.notes, sep="\n")

# %%
# The lifted poses, every sixth frame, and how far they lie from the recorded ones, root-relative.
lifted = results.joined()
truth = camera.to_camera(walk.joints_3d)
error = np.linalg.norm(lifted.joints_3d - (truth - truth[:, :1]), axis=-1)
print(f"MPJPE {error.mean():.0f} mm")

figure = new_figure(14, 3.2)
for number, row in enumerate(range(0, len(walk), 6), 1):
    plot_pose(pose_axes(figure, 1, 5, number), lifted.joints_3d[row], lifted.skeleton, radius=900)
