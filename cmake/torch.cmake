# LibTorch from the pinned wheel, by path: a CUDA wheel's own TorchConfig stops
# where no CUDA toolkit is installed. -DRSM_TORCH_DIR points to another one.
set(RSM_TORCH_DIR "" CACHE PATH "LibTorch folder (with include/ and lib/)")
if(NOT RSM_TORCH_DIR)
  file(GLOB torch_candidates
    ${CMAKE_SOURCE_DIR}/.venv/lib/python3*/site-packages/torch)
  list(LENGTH torch_candidates torch_count)
  if(torch_count EQUAL 0)
    message(FATAL_ERROR "no LibTorch in .venv; run 'make setup', or pass "
      "-DRSM_TORCH_DIR=<folder with include/ and lib/>")
  endif()
  list(GET torch_candidates 0 torch_found)
  set(RSM_TORCH_DIR ${torch_found} CACHE PATH "LibTorch folder" FORCE)
endif()
if(NOT EXISTS ${RSM_TORCH_DIR}/lib/libtorch_cpu.so)
  message(FATAL_ERROR "RSM_TORCH_DIR=${RSM_TORCH_DIR} has no "
    "lib/libtorch_cpu.so; point it to a LibTorch folder or 'make setup'")
endif()

add_library(torch INTERFACE)
target_include_directories(torch SYSTEM INTERFACE
  ${RSM_TORCH_DIR}/include
  ${RSM_TORCH_DIR}/include/torch/csrc/api/include)
foreach(lib torch torch_cpu c10)
  target_link_libraries(torch INTERFACE ${RSM_TORCH_DIR}/lib/lib${lib}.so)
endforeach()
foreach(lib torch_cuda c10_cuda)
  if(EXISTS ${RSM_TORCH_DIR}/lib/lib${lib}.so)
    # CUDA kernels register themselves at load time: keep the library although
    # no symbol of it is named.
    target_link_libraries(torch INTERFACE
      "-Wl,--no-as-needed,${RSM_TORCH_DIR}/lib/lib${lib}.so,--as-needed")
  endif()
endforeach()
