"""The page: everything known of a job in one file that needs nothing else."""
