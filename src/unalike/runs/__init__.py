"""Runs: the directory that holds what was learned, and what is done with it, one file a verb.

`unalike.fit` makes one and `unalike.load` opens one. A verb takes what is opened, an `unalike.runs.opened.Opened`;
`unalike.Run` is that with every verb as a method.
"""
