# What the linker would let pass, refused: symbols of namespace steep that are defined nowhere, since
# compilers differ in which templates they emit unasked and nothing but loading the module would tell;
# and code compiled for an instruction set under a name that others have, too, since the linker keeps
# one of them for all processors. Run with -DNM=, -DMODULE=, -DCONFIG= and -DOBJECTS=, a file with a path
# a line.
execute_process(COMMAND ${NM} -D --undefined-only ${MODULE}
  OUTPUT_VARIABLE undefined RESULT_VARIABLE failed)
if(failed)
  message(WARNING "${NM} cannot read ${MODULE}: symbols are not looked at")
  return()
endif()
string(REGEX MATCHALL "_Z[A-Z]*N[A-Z]*5steep[^\n]*" missing "${undefined}")
if(missing)
  list(JOIN missing "\n  " missing)
  message(FATAL_ERROR "defined nowhere; instantiate them explicitly:\n  ${missing}")
endif()

if(NOT CONFIG STREQUAL "Release")
  return()  # without optimisation inline functions of the standard library are code of their own
endif()
file(STRINGS ${OBJECTS} objects REGEX "/isa/.*_avx[0-9]+\\.cpp")
execute_process(COMMAND ${NM} ${objects} OUTPUT_VARIABLE listed)
string(REGEX MATCHALL "\n[0-9a-f]+ [WVu] [^\n]*" shared "${listed}")
list(FILTER shared EXCLUDE REGEX "[0-9]avx(2|512)")
if(shared)
  list(JOIN shared "" shared)
  message(FATAL_ERROR "compiled for one instruction set, but not named after it:${shared}")
endif()
