# One static library per folder of src/, its *_test.cpp files in one test program beside it.
# The numbers are DESIGN section 4; a folder may link lower numbers only, checked here and,
# include by include, by tools/check/layers.py.

find_package(Threads REQUIRED)
find_package(fmt REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(OpenSSL 3 REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(CURL REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(SECP256K1 REQUIRED IMPORTED_TARGET libsecp256k1)
pkg_check_modules(PROMETHEUS REQUIRED IMPORTED_TARGET prometheus-cpp-core)
find_package(spdlog REQUIRED)
find_package(CLI11 REQUIRED)
if(ASSAY_TESTS)
  find_package(GTest REQUIRED)
  pkg_check_modules(LIBCBOR REQUIRED IMPORTED_TARGET libcbor)  # a peer of protocol/cbor, in tests alone
  enable_testing()
endif()

add_library(assay_flags INTERFACE)
# The canon needs every rounding where it is written: no contraction, no fast-math.
target_compile_options(assay_flags INTERFACE
  -ffp-contract=off -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wno-sign-conversion -Werror)
# Boost.JSON and fmt trip g++ 12's flow warnings inside their own headers at -O2.
target_compile_options(assay_flags INTERFACE
  $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized -Wno-stringop-overflow -Wno-stringop-overread
    -Wno-array-bounds -Wno-dangling-pointer -Wno-restrict>)
# Clang blames callers of libstdc++ 12's stable_partition for the deprecated buffer in it.
target_compile_options(assay_flags INTERFACE $<$<CXX_COMPILER_ID:Clang>:-Wno-deprecated-declarations>)
if(ASSAY_SANITIZE)
  target_compile_options(assay_flags INTERFACE -fsanitize=${ASSAY_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(assay_flags INTERFACE -fsanitize=${ASSAY_SANITIZE})
endif()
target_include_directories(assay_flags INTERFACE ${CMAKE_SOURCE_DIR}/src)

# A folder inside another (verify/referee) is a library of its own: it comes first, is numbered below
# the folder around it, and its files are not the other's.
# assay_layer(<folder> <number> [LINK libs…] [USES folders…])
function(assay_layer folder number)
  cmake_parse_arguments(ARG "" "" "LINK;USES" ${ARGN})
  string(REPLACE "/" "_" name ${folder})
  set(lib assay_${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cpp)
  get_property(earlier GLOBAL PROPERTY layer_folders)
  foreach(inner ${earlier})
    if(inner MATCHES "^${folder}/")
      list(FILTER sources EXCLUDE REGEX "/src/${inner}/")
    endif()
  endforeach()
  set_property(GLOBAL APPEND PROPERTY layer_folders ${folder})
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cpp$|_testutil\\.cpp$")
  list(FILTER tests INCLUDE REGEX "_test\\.cpp$|_testutil\\.cpp$")
  if(NOT sources)
    add_library(${lib} INTERFACE)
    set(scope INTERFACE)
  else()
    add_library(${lib} STATIC ${sources})
    set(scope PUBLIC)
  endif()
  set_property(GLOBAL PROPERTY layer_of_${name} ${number})
  target_link_libraries(${lib} ${scope} assay_flags ${ARG_LINK})
  foreach(used ${ARG_USES})
    string(REPLACE "/" "_" used_name ${used})
    get_property(used_number GLOBAL PROPERTY layer_of_${used_name})
    if(NOT used_number LESS number)
      message(FATAL_ERROR "layer rule: ${folder} (${number}) may not use ${used} (${used_number})")
    endif()
    target_link_libraries(${lib} ${scope} assay_${used_name})
  endforeach()
  if(ASSAY_TESTS AND tests)
    add_executable(${lib}_test ${tests})
    target_link_libraries(${lib}_test PRIVATE ${lib} GTest::gtest GTest::gmock GTest::gtest_main)
    target_compile_definitions(${lib}_test PRIVATE ASSAY_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
    add_test(NAME ${name} COMMAND ${lib}_test)
  endif()
endfunction()
