"""Run a command N times, here or on a cluster, with Kaldi's launcher grammar.

:mod:`~espnet.jobs.grammar` reads the command line, :mod:`~espnet.jobs.launcher` hands
it to a backend and reports failures. A backend is one file with one function
``run(request) -> {job number: exit code}`` (:mod:`~espnet.jobs.local`).
"""
