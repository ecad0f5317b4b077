"""What the commands share: options, the way to the spans and back to the user, help, completion, defaults, memory."""
