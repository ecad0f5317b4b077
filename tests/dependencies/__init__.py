"""What this package depends on: licences, a bill of materials, the lowest versions that are allowed."""
