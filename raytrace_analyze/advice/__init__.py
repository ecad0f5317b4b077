"""Advice: patterns that cost a job time, each with what mending it would save."""

from raytrace_analyze.advice.analysis import Advice, advise, give_advice

__all__ = ["Advice", "advise", "give_advice"]
