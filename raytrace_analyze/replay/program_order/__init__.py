"""What the program itself puts in order: events along its flows, and the edges between them."""
