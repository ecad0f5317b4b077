"""Why runs waited before they started: the causes, and who held the slot or the actor."""
