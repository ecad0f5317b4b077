"""Who stands in which queue of a scope: for slots, an actor, another resource, Ray's next look at retries."""
