"""Lifting through time: a lifter that sees some frames of a clip together, its clips, training and evaluation."""
