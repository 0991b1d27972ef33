# Finds FAISS for the engine "faiss": -DKITH_FAISS=AUTO (if it is there), ON (or stop), OFF; -DKITH_FAISS_ROOT=DIR looks
# there and nowhere else: DIR/lib and DIR/include, as FAISS installs itself. Sets KITH_FAISS_FOUND, KITH_FAISS_INCLUDE,
# KITH_FAISS_LIBRARIES and KITH_FAISS_OBJECTS, which are to be linked with these, and KITH_FAISS_VERSION.
#
# The engine speaks FAISS' C API. A libfaiss_c that has it is used; Debian's libfaiss-dev has its headers alone, and then
# faiss_shim.cc is compiled, for which alone C++ is needed. FAISS gets the OpenBLAS that kith has, whatever "-lblas"
# means on the machine.
set(KITH_FAISS AUTO CACHE STRING "the engine faiss: AUTO, ON or OFF")
set_property(CACHE KITH_FAISS PROPERTY STRINGS AUTO ON OFF)
set(KITH_FAISS_ROOT "" CACHE PATH "where FAISS is installed, if not where the system's libraries are")

set(KITH_FAISS_FOUND FALSE)
set(KITH_FAISS_LIBRARIES "")
set(KITH_FAISS_OBJECTS "")

# Sets `why` to what is missing, "" if nothing is.
function(kith_find_faiss)
  set(why "" PARENT_SCOPE)
  # another root is another search
  if(NOT "${KITH_FAISS_ROOT}" STREQUAL "${KITH_FAISS_ROOT_SEARCHED}")
    unset(KITH_FAISS_INCLUDE CACHE)
    unset(KITH_FAISS_LIBRARY CACHE)
    unset(KITH_FAISS_C_LIBRARY CACHE)
    unset(KITH_FAISS_C_LINKS CACHE)
    set(KITH_FAISS_ROOT_SEARCHED "${KITH_FAISS_ROOT}" CACHE INTERNAL "")
  endif()
  if(KITH_FAISS_ROOT) # one that was built for this processor is meant, where there are several
    set(optimised faiss_avx512 faiss_avx2)
    set(c_optimised faiss_c_avx512 faiss_c_avx2)
    set(only NO_DEFAULT_PATH)
  endif()
  find_path(KITH_FAISS_INCLUDE faiss/c_api/Index_c.h HINTS ${KITH_FAISS_ROOT} PATH_SUFFIXES include ${only})
  find_library(KITH_FAISS_LIBRARY NAMES ${optimised} faiss HINTS ${KITH_FAISS_ROOT}
               PATH_SUFFIXES lib lib64 lib/${CMAKE_LIBRARY_ARCHITECTURE} ${only})
  find_library(KITH_FAISS_C_LIBRARY NAMES ${c_optimised} faiss_c HINTS ${KITH_FAISS_ROOT}
               PATH_SUFFIXES lib lib64 lib/${CMAKE_LIBRARY_ARCHITECTURE} ${only})
  mark_as_advanced(KITH_FAISS_INCLUDE KITH_FAISS_LIBRARY KITH_FAISS_C_LIBRARY)
  if(NOT KITH_FAISS_INCLUDE OR NOT KITH_FAISS_LIBRARY)
    if(KITH_FAISS_ROOT)
      set(where " in ${KITH_FAISS_ROOT}")
    endif()
    set(why "no libfaiss with the headers of its C API${where} (libfaiss-dev has them)" PARENT_SCOPE)
    return()
  endif()
  set(libraries ${KITH_FAISS_LIBRARY} ${OPENBLAS_LIBRARY} OpenMP::OpenMP_C stdc++ m)
  if(KITH_FAISS_C_LIBRARY)
    set(CMAKE_REQUIRED_INCLUDES ${KITH_FAISS_INCLUDE})
    set(CMAKE_REQUIRED_LIBRARIES ${KITH_FAISS_C_LIBRARY} ${libraries})
    set(CMAKE_REQUIRED_QUIET TRUE)
    check_c_source_compiles("
      #include <faiss/c_api/AutoTune_c.h>
      #include <faiss/c_api/index_factory_c.h>
      int main(void)
      {
        FaissParameterSpace *space;
        FaissIndex *index;
        return faiss_ParameterSpace_new(&space) || faiss_index_factory(&index, 2, \"Flat\", METRIC_L2);
      }" KITH_FAISS_C_LINKS)
    if(KITH_FAISS_C_LINKS)
      set(KITH_FAISS_LIBRARIES ${KITH_FAISS_C_LIBRARY} ${libraries} PARENT_SCOPE)
      return()
    endif()
  endif()
  set(KITH_FAISS_LIBRARIES ${libraries} PARENT_SCOPE)
  check_language(CXX)
  if(NOT CMAKE_CXX_COMPILER)
    set(why "no C++ compiler for the C API that ${KITH_FAISS_LIBRARY} lacks (g++)" PARENT_SCOPE)
    return()
  endif()
  set(KITH_FAISS_SHIM TRUE PARENT_SCOPE)
endfunction()

include(CheckCSourceCompiles)
include(CheckLanguage)
if(KITH_FAISS)
  kith_find_faiss()
  if(why AND NOT KITH_FAISS STREQUAL AUTO)
    message(FATAL_ERROR "KITH_FAISS=ON: ${why}")
  elseif(why)
    message(STATUS "FAISS: ${why}; kith-knn is built without the engine faiss")
  else()
    set(KITH_FAISS_FOUND TRUE)
  endif()
endif()

# Linked as objects by their names: linked as a target, it would have all of kith linked by the C++ compiler, which need
# not be of the C compiler's make.
if(KITH_FAISS_FOUND AND KITH_FAISS_SHIM)
  enable_language(CXX)
  add_library(kith_faiss_shim OBJECT pipeline/knn/faiss/faiss_shim.cc)
  target_include_directories(kith_faiss_shim SYSTEM PRIVATE ${KITH_FAISS_INCLUDE})
  target_compile_options(kith_faiss_shim PRIVATE -Wall -Wextra -Werror)
  set_target_properties(kith_faiss_shim PROPERTIES CXX_STANDARD 17)
  set(KITH_FAISS_OBJECTS $<TARGET_OBJECTS:kith_faiss_shim>)
endif()
if(KITH_FAISS_FOUND)
  file(STRINGS ${KITH_FAISS_INCLUDE}/faiss/Index.h lines REGEX "define FAISS_VERSION_(MAJOR|MINOR|PATCH)")
  string(REGEX REPLACE "[^0-9]*([0-9]+);[^0-9]*([0-9]+);[^0-9]*([0-9]+).*" "\\1.\\2.\\3" KITH_FAISS_VERSION "${lines}")
endif()
# As kith.pc wants them.
set(KITH_FAISS_FLAGS "")
if(KITH_FAISS_FOUND)
  foreach(library ${KITH_FAISS_LIBRARIES})
    if(library MATCHES "^(.*)/lib(faiss[a-z0-9_]*)\\.[a-z]+$")
      set(KITH_FAISS_FLAGS "${KITH_FAISS_FLAGS}-L${CMAKE_MATCH_1} -l${CMAKE_MATCH_2} ")
    endif()
  endforeach()
  set(KITH_FAISS_FLAGS "${KITH_FAISS_FLAGS}-lstdc++ ")
endif()
if(KITH_FAISS_SHIM)
  message(STATUS "FAISS ${KITH_FAISS_VERSION}: ${KITH_FAISS_LIBRARY}, and a C API for it")
elseif(KITH_FAISS_FOUND)
  message(STATUS "FAISS ${KITH_FAISS_VERSION}: ${KITH_FAISS_LIBRARY}, ${KITH_FAISS_C_LIBRARY}")
endif()
