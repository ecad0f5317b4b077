"""English for what the analyses found: facts in, a sentence out; nothing here knows of a screen."""
