# Compiles every file of cpu/kernels and cpu/ops once per instruction set, each in its own namespace.
# steep_add_kernels(TARGET FILE...) adds the objects and defines STEEP_HAS_<ISA> for the dispatcher.
include(CheckCXXCompilerFlag)

function(steep_add_isa target isa flags)
  foreach(file IN LISTS ARGN)
    get_filename_component(stem ${file} NAME_WE)
    get_filename_component(room ${file} DIRECTORY)
    get_filename_component(room ${room} NAME)
    set(copy ${CMAKE_CURRENT_BINARY_DIR}/isa/${room}_${stem}_${isa}.cpp)
    file(CONFIGURE OUTPUT ${copy} CONTENT "#include \"${file}\"\n" @ONLY)
    set_source_files_properties(${copy} PROPERTIES OBJECT_DEPENDS ${file}
      COMPILE_OPTIONS "${flags}" COMPILE_DEFINITIONS "STEEP_ISA=${isa}")
    target_sources(${target} PRIVATE ${copy})
  endforeach()
  string(TOUPPER ${isa} upper)
  target_compile_definitions(${target} PRIVATE STEEP_HAS_${upper})
endfunction()

function(steep_add_kernels target)
  # No value changes: contraction is asked for by fma_() and, in GEMM, by its own flag.
  set(common -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off -fno-semantic-interposition)
  steep_add_isa(${target} portable "${common}" ${ARGN})
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64|amd64)$")
    check_cxx_compiler_flag("-mavx2 -mfma" STEEP_CXX_AVX2)
    if(STEEP_CXX_AVX2)
      steep_add_isa(${target} avx2 "${common};-mavx2;-mfma" ${ARGN})
    endif()
    check_cxx_compiler_flag("-mavx512f -mavx512bw -mavx512dq -mavx512vl" STEEP_CXX_AVX512)
    if(STEEP_CXX_AVX512)
      steep_add_isa(${target} avx512
        "${common};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl;-mavx2;-mfma;-mprefer-vector-width=512"
        ${ARGN})
    endif()
  endif()
endfunction()
