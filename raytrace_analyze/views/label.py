"""The only way to the screen: whatever a view shows becomes a `label` first, whole lines and names alike."""

from rich.text import Text

from raytrace_analyze.printable import printable


def label(text: str, style: str = "") -> Text:
    """Make text of one line that Rich shows as it is: nothing in it is markup, or acts on the terminal."""
    return Text(printable(text), style)
