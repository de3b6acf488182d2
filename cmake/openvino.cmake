# OpenVINO's C++ runtime from its wheel, by path, as LibTorch is; optional.
# -DRSM_OPENVINO_DIR points to another one, or with `none` leaves it out.
# Sets openvino_target and openvino_include where it is found.
set(RSM_OPENVINO_DIR "" CACHE PATH "OpenVINO folder (with include/ and libs/)")
set(openvino_dir ${RSM_OPENVINO_DIR})
if(NOT openvino_dir)
  file(GLOB openvino_dir
    ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/openvino)
endif()
set(openvino_found)
foreach(dir ${openvino_dir})
  if(EXISTS ${dir}/include/openvino/openvino.hpp)
    file(GLOB openvino_found ${dir}/libs/libopenvino.so*)
    set(openvino_include ${dir}/include)
  endif()
endforeach()
set(openvino_target)
if(openvino_found)
  list(GET openvino_found 0 openvino_library)
  message(STATUS "ONNX judges run on ${openvino_library}")
  add_library(openvino SHARED IMPORTED)
  set_target_properties(openvino PROPERTIES IMPORTED_LOCATION ${openvino_library})
  set(openvino_target openvino)
elseif(RSM_OPENVINO_DIR AND NOT RSM_OPENVINO_DIR MATCHES "(^|/)none$")
  message(FATAL_ERROR "RSM_OPENVINO_DIR=${RSM_OPENVINO_DIR} has no "
    "libs/libopenvino.so* and include/openvino; point it to the folder "
    "`openvino` of the wheel, or leave it out")
else()
  message(STATUS "no OpenVINO: judges that are ONNX files will say so; "
    "`make setup` installs it")
endif()
