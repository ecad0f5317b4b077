"""What Ray tells of task attempts, and how it comes into the span table: as columns of runs, as rows, as spans."""
