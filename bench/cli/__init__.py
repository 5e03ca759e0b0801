"""The command line, one file for each group of commands: parse, call, print, and nothing else."""
