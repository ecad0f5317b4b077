"""The commands: one module each. They parse, call the library, and hand the result to a view."""
