"""What records leave out, filled in from their traces and from the whole table."""
