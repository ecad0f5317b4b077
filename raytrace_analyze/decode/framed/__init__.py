"""Where records stand in a file's text: lines, documents, and documents without an end."""
