"""Algorithm 1 as a job: breeding in workers, its work folder and coverage."""
