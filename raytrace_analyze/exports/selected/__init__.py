"""Which spans are exported, and how they are read: a part at a time."""
