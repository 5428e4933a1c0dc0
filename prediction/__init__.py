"""From a user's photograph, video or keypoints to 3D poses."""
