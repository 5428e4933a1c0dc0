"""The networks that can be inside a lifter."""
