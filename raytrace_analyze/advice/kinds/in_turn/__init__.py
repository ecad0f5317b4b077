"""What happens one after another and could happen at once: loops, pools of coroutines or threads, orders of results."""
