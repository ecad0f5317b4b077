"""The words that results, options and columns share, each kind as one enum: what a value can be is said here only.

Light on purpose: the command line's help is made of these before anything heavy is imported.
"""
