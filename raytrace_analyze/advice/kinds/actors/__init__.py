"""Actors: locks that they keep, one that has too much to do, pools of which one is slower or busier."""
