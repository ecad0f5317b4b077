"""What `doctor` says of each thing that it looks at: how it is, and what to do about it."""

from raytrace_analyze.diagnosis.finding import Finding
from raytrace_analyze.views.doctor.record_words import OF_RECORD
from raytrace_analyze.views.doctor.said import Words, WordsOf
from raytrace_analyze.views.doctor.setup_words import OF_SETUP

_WORDS_OF: WordsOf = {**OF_SETUP, **OF_RECORD}


def words(finding: Finding) -> Words:
    """Say of a finding how it is, and what to do about it."""
    return _WORDS_OF[finding.check](finding.facts)
