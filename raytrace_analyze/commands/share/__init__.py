"""Commands that give it to others: pages, other tools, manuals."""
