"""Evolution of 3D poses: local bones, joint-angle limits, operators, Algorithm 1.

The room knows kinematic skeletons and pose stores (`posedata`), nothing of detectors or lifters.
"""
