"""Benchmarks: many reconstructions by the rules of a protocol, and the tables of their results.

In the order in which data flows:

* `request` (what a person asks) and `protocols` (where scenes are, what is read of them; `benchmark` says what a
  protocol states, `scenes` helps to find them) → `plan` → `task` (one reconstruction, pure);
* `executors` run tasks; `run` ties both together, `progress` shows it;
* `folder` (files beside the runs) and `record` (results.json), read again by `asked`;
* `summary` (means) and `published` (others' figures) → `document` → `tables` and `page`; `comparison` of two folders.
"""
