"""Other people's detectors of joints, behind one protocol."""
