"""What a table tells of runs alone: how long they took and waited, which tried a task again, whether clocks fit."""
