"""Built-in actors: bodies, motions written as joint angles, forward kinematics."""
