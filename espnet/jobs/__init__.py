"""Run a command N times, here or on a cluster, with Kaldi's launcher grammar.

:mod:`~espnet.jobs.grammar` reads the command line, :mod:`~espnet.jobs.launcher` hands
it to a backend and reports failures. A backend is one function
``run(request) -> {job number: Outcome}``: in :mod:`~espnet.jobs.local` and
:mod:`~espnet.jobs.ssh`, which start processes by :mod:`~espnet.jobs.pool`, and in
:mod:`~espnet.jobs.slurm`, :mod:`~espnet.jobs.sge` and :mod:`~espnet.jobs.pbs`, which
say what differs between the schedulers that :mod:`~espnet.jobs.cluster` submits to.
"""
