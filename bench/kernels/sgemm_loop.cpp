// Calls a given cblas_sgemm many times, so that a BLAS is timed without Python's call overhead.

using Sgemm = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k,
                       float alpha, const float* a, int lda, const float* b, int ldb, float beta,
                       float* c, int ldc);

extern "C" void sgemm_loop(Sgemm sgemm, long calls, int transpose_a, int transpose_b, int m, int n,
                           int k, int lda, int ldb, int ldc, const float* a, const float* b,
                           float* c) {
  constexpr int kRowMajor = 101;
  for (long i = 0; i < calls; i++)
    sgemm(kRowMajor, transpose_a, transpose_b, m, n, k, 1.f, a, lda, b, ldb, 0.f, c, ldc);
}
