"""The chain: detector and lifter as one network, trained end to end, scored, split and exported."""
