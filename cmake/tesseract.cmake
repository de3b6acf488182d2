# Tesseract's C++ library, optional: -DRSM_TESSERACT=OFF leaves it out. Needs
# PkgConfig. Sets tesseract_libraries and tesseract_include where it is found.
option(RSM_TESSERACT "Read texts by Tesseract too, where it is found" ON)
set(tesseract_libraries)
set(tesseract_include)
if(RSM_TESSERACT)
  # Of the API's standard types, which older ones lack.
  pkg_check_modules(TESSERACT QUIET tesseract>=5)
endif()
if(RSM_TESSERACT AND TESSERACT_FOUND)
  # It alone: what it rests on it loads itself.
  list(GET TESSERACT_LINK_LIBRARIES 0 tesseract_library)
  set(tesseract_libraries ${tesseract_library} ${CMAKE_DL_LIBS})
  set(tesseract_include ${TESSERACT_INCLUDE_DIRS})
  list(REMOVE_ITEM tesseract_include
    ${CMAKE_CXX_IMPLICIT_INCLUDE_DIRECTORIES})
  message(STATUS "texts are read by ${tesseract_library} too")
else()
  message(STATUS "no Tesseract: `ocr` reads by PP-OCR alone; "
    "`make setup` installs it")
endif()
