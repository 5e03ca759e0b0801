"""Did a change of the code make a method worse? `bench check` runs a fixed small grid and compares it with a baseline.

    baseline.py   the file: the grid, and for every method the values of each seed and how they were obtained
    state.py      which code it is that runs, so that its runs are never mixed with those of other code
    sweep.py      the grid as a sweep on this machine
    runs.py       what the records and logs of its runs say
    compare.py    those of one method against the baseline
    decide.py     the rule and its false-alarm rate
    history.py    the last commit at which a value was fine
    report.py     the table of what moved
    update.py     a new entry of the baseline
    check.py      the two commands: check, and --update

A check whose runs are all there does not import torch.
"""
