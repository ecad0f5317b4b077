"""What all views share: the consoles, what may be shown, tables that fit, progress, the next step."""
