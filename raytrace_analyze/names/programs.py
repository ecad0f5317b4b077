"""What programs are called: their file, out of how they were called; and which files are theirs."""

import re

_BEFORE = re.compile(
    r"""(?x) ^\s*
    (?: (?: \S*/ )? env \s+ )?
    (?: \w+=\S* \s+ )*  # variables of the environment
    (?:
        (?: \S*/ )? python[\d.]* (?: \.exe )?
        (?: \s+ -[XW] \s+ \S+ | \s+ -(?! [mcXW]\b ) \S* )*  # options of Python itself
        (?: \s+ -m )?
        \s+ (?= [^\s-] )
    )?
    """
)
_OF_OTHERS = ("/site-packages/", "/dist-packages/", "/lib/python", "/raytrace_hook/")


def is_of_program(file: str) -> bool:
    """Tell by its path whether a file is the program's own: not an installed package's, Python's or the hook's."""
    return not any(part in file for part in _OF_OTHERS)


def called_program(entrypoint: str) -> str:
    """Tell which program a job's entry point calls: a path or a module, without an interpreter and without arguments.

    Ray's submissions hold whole commands, our hook what Python has as the program's arguments. What names no program,
    such as `python -c ...`, is told by its first word.

    >>> called_program("python -u jobs/train.py --epochs 3")
    'jobs/train.py'
    >>> called_program("jobs/train.py --epochs 3")
    'jobs/train.py'
    """
    told = _BEFORE.sub("", entrypoint, count=1).split(maxsplit=1)
    return told[0] if told else ""
