"""What lifters learn from: poses of stores, seen by sampled cameras with a detector's noise."""
