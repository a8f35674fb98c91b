# The CUDA room. STEEP_CUDA is off (the default: no trace of it), on (nvcc 13), or emulate: the same sources
# compiled by the C++ compiler and run on fibers, for tests on machines without a GPU; never in a wheel.
set(STEEP_CUDA off CACHE STRING "off, on or emulate")
set_property(CACHE STEEP_CUDA PROPERTY STRINGS off on emulate)
set(STEEP_CUDA_ROOM ${CMAKE_CURRENT_SOURCE_DIR}/csrc/cuda)
# Of an emulated room alone: address or undefined look at all of it, thread looks at the kernels.
set(STEEP_CUDA_SANITIZER "" CACHE STRING "address, address,undefined or thread")

if(STEEP_CUDA STREQUAL "on")
  if(CMAKE_VERSION VERSION_LESS 3.30)
    message(FATAL_ERROR "steep.cuda=on needs CMake 3.30 or newer, this is ${CMAKE_VERSION}; pip install cmake")
  endif()
  # Taken by the language and by targets when they are made: before both.
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90a-real;90-virtual" CACHE STRING "")
  set(CMAKE_CUDA_STANDARD 20)
  set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
  set(CMAKE_CUDA_VISIBILITY_PRESET hidden)
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    message(FATAL_ERROR "steep.cuda=on needs nvcc 13 on the PATH or in CUDACXX")
  endif()
  enable_language(CUDA)
elseif(NOT STEEP_CUDA MATCHES "^(off|emulate)$")
  message(FATAL_ERROR "steep.cuda is off, on or emulate, got ${STEEP_CUDA}")
endif()

# Adds what stands behind the door of CUDA: the room, or the one that says it is not there.
function(steep_add_cuda target)
  if(STEEP_CUDA STREQUAL "off")
    file(GLOB sources CONFIGURE_DEPENDS csrc/no_cuda/*.cpp)
    target_sources(${target} PRIVATE ${sources})
    return()
  endif()
  file(GLOB sources CONFIGURE_DEPENDS ${STEEP_CUDA_ROOM}/*.cpp ${STEEP_CUDA_ROOM}/ops/*.cpp
    ${STEEP_CUDA_ROOM}/libraries/*.cpp)
  target_link_libraries(${target} PRIVATE ${CMAKE_DL_LIBS})  # NVIDIA's libraries are opened at run time
  file(GLOB kernels CONFIGURE_DEPENDS ${STEEP_CUDA_ROOM}/kernels/*.cu)
  target_sources(${target} PRIVATE ${sources})
  if(STEEP_CUDA STREQUAL "on")
    target_sources(${target} PRIVATE ${kernels})
    set_source_files_properties(${sources} PROPERTIES
      INCLUDE_DIRECTORIES "${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES}")
    target_compile_definitions(${target} PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:STEEP_ISA=cuda>)
    # Contraction only where fma_ asks for it, denormals flushed as on the CPU: the same bytes.
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CUDA>:-fmad=false -ftz=true -Xfatbin=-compress-all>)
    return()
  endif()
  set(level -O2)
  if(STEEP_CUDA_SANITIZER MATCHES address)
    set(level -O1)  # compiled sooner
  endif()
  foreach(file IN LISTS kernels)
    get_filename_component(stem ${file} NAME_WE)
    set(copy ${CMAKE_CURRENT_BINARY_DIR}/emulated/${stem}.cpp)
    file(CONFIGURE OUTPUT ${copy} CONTENT "#include \"${file}\"\n" @ONLY)
    set_source_files_properties(${copy} PROPERTIES OBJECT_DEPENDS ${file}
      COMPILE_DEFINITIONS "STEEP_ISA=cuda" INCLUDE_DIRECTORIES ${STEEP_CUDA_ROOM}/emulation
      COMPILE_OPTIONS "${level};-mavx2;-mfma;-ffp-contract=off;-fno-math-errno;-fno-trapping-math;-Wno-unknown-pragmas")
    target_sources(${target} PRIVATE ${copy})
    list(APPEND copies ${copy})
  endforeach()
  file(GLOB emulation CONFIGURE_DEPENDS ${STEEP_CUDA_ROOM}/emulation/*.cpp)
  target_sources(${target} PRIVATE ${emulation})
  set_source_files_properties(${sources} ${emulation} PROPERTIES
    INCLUDE_DIRECTORIES ${STEEP_CUDA_ROOM}/emulation)
  if(STEEP_CUDA_SANITIZER)
    set(looks -fsanitize=${STEEP_CUDA_SANITIZER} -fno-omit-frame-pointer -g1 -Wno-maybe-uninitialized)
    if(STEEP_CUDA_SANITIZER STREQUAL "thread")  # the scheduler of the fibers is none of TSan's business
      set_source_files_properties(${emulation} PROPERTIES COMPILE_DEFINITIONS EMULATION_TSAN)
    else()
      list(APPEND copies ${sources} ${emulation})
      set_source_files_properties(${sources} PROPERTIES COMPILE_DEFINITIONS STEEP_CUDA_APART)
    endif()
    set_property(SOURCE ${copies} APPEND PROPERTY COMPILE_OPTIONS ${looks})
    target_link_options(${target} PRIVATE -fsanitize=${STEEP_CUDA_SANITIZER})
  endif()
endfunction()
