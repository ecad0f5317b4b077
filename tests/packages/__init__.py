"""Both packages as they would be published: built, looked into, and tried in environments with nothing else in them."""
