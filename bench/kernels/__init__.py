"""Native measuring code of the benchmarks, built on demand; no part of steep itself."""
