"""Critical paths on screen: one, those of many scopes, the chain and its segments in words."""
