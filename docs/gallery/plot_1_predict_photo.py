"""
Predict a photograph
====================

The chain that comes with evolift finds a person in an image and lifts the joints to 3D.

The image is a rendered one, because we may not redistribute photographs of people; put your own in its place. The person's
motion was recorded of subject 02 of CMU, whom the models were not trained on.
"""

import evolift
from evolift.artifacts.shipped_files import example_image
from evolift.posedata.image_file import read_image

image = read_image(example_image())
pipeline = evolift.Pipeline.from_pretrained()
pose = pipeline.predict(image)

# %%
# Joints are in millimetres relative to the pelvis, in the camera's frame (x right, y down, z forward). The camera is not known
# here: it is taken to look straight at the person.
figure = pose.plot(image)

# %%
# ``confidence`` tells how peaked each heatmap is. Below a mean of 0.3 there may be nobody in the box.
for joint, (x, y, z), confidence in zip(pose.skeleton.joints, pose.joints_3d, pose.confidence, strict=True):
    print(f"{joint:15} {x:6.0f} {y:6.0f} {z:6.0f} mm   {confidence:.2f}")

# %%
# Whoever knows where the person is gives the box, (left, top, width, height) in pixels, and saves the search, which takes
# most of the time. With a camera the pose is in its frame, and ``root_3d`` is the place of the pelvis in it.
height, width = image.shape[:2]
camera = evolift.Camera.from_focal_length(500, width, height)
placed = pipeline.predict(image, box=pose.box, camera=camera)
print("pelvis at", placed.root_3d.round(), "mm")
