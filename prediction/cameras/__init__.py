"""Which camera a prediction is seen by, and poses in its frame."""
