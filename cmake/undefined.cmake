# Refuses a module that leaves symbols of namespace steep undefined: compilers differ in which templates
# they emit unasked, and nothing but loading the module would tell. Run with -DNM= and -DMODULE=.
execute_process(COMMAND ${NM} -D --undefined-only ${MODULE}
  OUTPUT_VARIABLE undefined RESULT_VARIABLE failed)
if(failed)
  message(WARNING "${NM} cannot read ${MODULE}: undefined symbols are not looked for")
  return()
endif()
string(REGEX MATCHALL "_Z[A-Z]*N[A-Z]*5steep[^\n]*" missing "${undefined}")
if(missing)
  list(JOIN missing "\n  " missing)
  message(FATAL_ERROR "defined nowhere; instantiate them explicitly:\n  ${missing}")
endif()
