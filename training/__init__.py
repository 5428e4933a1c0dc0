"""What all trainings share: the trainer, checkpoints, the weight average, devices and ONNX files."""
