"""
Fine-tune a small chain
=======================

Detector and lifter are one graph, so that the 3D error teaches the detector too. A few rendered people and a few steps show
how it is done.

Needs the extra ``render`` and OpenGL without a display (EGL or OSMesa).
"""

from pathlib import Path

import evolift
from evolift.artifacts.shipped_files import PHOTO_POSE, shipped_weights
from evolift.drawing.image_sheet import image_sheet
from evolift.drawing.overlay import draw_joints
from evolift.drawing.pose_figure import new_figure
from evolift.posedata.image_file import read_image
from evolift.posedata.selection import select_rows
from evolift.synthetic.rendering.people import render_store
from evolift.synthetic.settings import RenderSettings

# %%
# Rendered people come with 2D joints, 3D joints and true occlusion.
Path("runs").mkdir(exist_ok=True)
for name, subjects, images in (("train", ("01", "03"), 32), ("test", ("02",), 16)):
    poses, target = Path(f"runs/poses_{name}.h5"), Path(f"runs/people_{name}.h5")
    select_rows(evolift.sample_poses(), poses, subjects=subjects, overwrite=True)
    render_store(poses, target, RenderSettings(images=images, size=128), overwrite=True)

with evolift.PoseStore("runs/people_train.h5") as store:
    people = store.read(slice(0, 8))
    pictures = [
        draw_joints(read_image(store.image_folder / name), joints, store.skeleton)
        for name, joints in zip(people.image, people.joints_2d, strict=True)
    ]
figure = new_figure(8, 4)
axes = figure.add_subplot()
axes.imshow(image_sheet(pictures, columns=4))
axes.set_axis_off()

# %%
# The chain that comes with evolift, tuned for twelve steps with its backbone frozen.
chain = evolift.ChainModel.load(shipped_weights(PHOTO_POSE))
training = evolift.ChainTrainingSettings(
    steps=12, validate_every=6, batch_size=8, freeze="all-but-head", progress=False
)
history = evolift.finetune(
    "runs/people_train.h5",
    "runs/chain",
    chain=chain,
    validation="runs/people_test.h5",
    training=training,
    overwrite=True,
)
print(history.round(3).to_string(index=False))

# %%
# Stage by stage: what the lifter makes of labelled 2D joints, and of those that the detector finds. Twelve steps and sixteen
# images say nothing about what fine-tuning is worth: :doc:`/results` does.
scores = evolift.evaluate_chain(evolift.ChainModel.load("runs/chain/best.safetensors"), "runs/people_test.h5")
print(scores[["input", "poses", "mpjpe", "p_mpjpe", "pck_2d"]].round(2).to_string(index=False))
