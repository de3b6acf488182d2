# Tests for CTest, one for each suite of a GoogleTest program: a process costs
# half a second of loading libraries, and what a suite shares is made once.
#
# Included, it defines rsm_add_suites(TARGET). Run (-P) with PROGRAM and OUT, as
# that does after each build, it writes OUT.
if(NOT CMAKE_SCRIPT_MODE_FILE)
  set(suites_script ${CMAKE_CURRENT_LIST_FILE})
  function(rsm_add_suites target)
    set(out ${CMAKE_BINARY_DIR}/${target}_suites.cmake)
    add_custom_command(TARGET ${target} POST_BUILD BYPRODUCTS ${out}
      COMMAND ${CMAKE_COMMAND} -D PROGRAM=$<TARGET_FILE:${target}>
        -D OUT=${out} -D FOLDER=${CMAKE_SOURCE_DIR} -P ${suites_script})
    # Not built, a test that fails says so.
    file(WRITE ${out}.missing "add_test(${target}_NOT_BUILT ${target})\n")
    file(WRITE ${CMAKE_BINARY_DIR}/${target}_include.cmake
      "if(EXISTS ${out})\n  include(${out})\nelse()\n"
      "  include(${out}.missing)\nendif()\n")
    set_property(DIRECTORY APPEND PROPERTY TEST_INCLUDE_FILES
      ${CMAKE_BINARY_DIR}/${target}_include.cmake)
  endfunction()
  return()
endif()

execute_process(COMMAND ${PROGRAM} --gtest_list_tests
  WORKING_DIRECTORY ${FOLDER} OUTPUT_VARIABLE listed COMMAND_ERROR_IS_FATAL ANY)
string(REGEX MATCHALL "\n[A-Za-z][A-Za-z0-9_/]*\\." suites "\n${listed}")
if(NOT suites)
  message(FATAL_ERROR "${PROGRAM} lists no tests")
endif()
set(text "")
set(cost 0)
foreach(suite ${suites})
  # Whole runs are listed last and take longest: they begin first.
  math(EXPR cost "${cost} + 1")
  string(REGEX REPLACE "^\n|\\.$" "" suite ${suite})
  string(APPEND text "add_test([==[${suite}]==] ${PROGRAM} "
    "[==[--gtest_filter=${suite}.*]==])\nset_tests_properties([==[${suite}]==] "
    "PROPERTIES WORKING_DIRECTORY ${FOLDER} TIMEOUT 3000 COST ${cost})\n")
endforeach()
file(WRITE ${OUT} "${text}")
