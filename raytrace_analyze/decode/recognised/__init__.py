"""What a file is, told from its beginning: span JSON, or something that is not read."""
