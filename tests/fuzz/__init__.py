"""A fuzzing machine for the readers of files: `python -m tests.fuzz --seeds 0:1000`.

`mutate` changes bytes of any kind, `safetensors_files`, `tables` and `pictures` those of some
formats, `readers` lists what is read and what is a right outcome, `worker` reads in a process of
its own, `machine` drives workers and makes failing inputs small.
"""
