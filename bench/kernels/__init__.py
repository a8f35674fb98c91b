"""Native measuring code of the benchmarks, built on demand; nothing here belongs to steep itself."""
