"""The span table's file: its order, how it is written, and what is kept beside the rows."""
