"""Results to text: tables for a person, JSON and CSV for a program. Nothing is computed here."""
