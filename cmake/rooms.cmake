# SPDX-License-Identifier: Apache-2.0
# Compiler flags, and the three functions that every CMakeLists.txt below uses.

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)

add_library(etcdseal_flags INTERFACE)
target_include_directories(etcdseal_flags INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(etcdseal_flags INTERFACE
    _GNU_SOURCE ETCDSEAL_VERSION="${PROJECT_VERSION}" ETCDSEAL_DATE="${ETCDSEAL_DATE}")
target_compile_options(etcdseal_flags INTERFACE
    -fno-common -fstack-protector-strong -fno-strict-overflow
    -ffile-prefix-map=${PROJECT_SOURCE_DIR}/=)
target_link_options(etcdseal_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
if(ETCDSEAL_FUZZ) # the fuzzer must see which branches an input takes, in all code
    target_compile_options(etcdseal_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(ETCDSEAL_SANITIZE)
    target_compile_options(etcdseal_flags INTERFACE
        -fsanitize=${ETCDSEAL_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer
        -fstrict-overflow) # with the option above, UBSan would not see signed overflow
    target_link_options(etcdseal_flags INTERFACE -fsanitize=${ETCDSEAL_SANITIZE})
    target_compile_definitions(etcdseal_flags INTERFACE ETCDSEAL_SANITIZED=1)
elseif(CMAKE_BUILD_TYPE STREQUAL "Release" OR CMAKE_BUILD_TYPE STREQUAL "RelWithDebInfo")
    target_compile_options(etcdseal_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
endif()

# Warnings are for our code only; generated code links etcdseal_flags alone.
add_library(etcdseal_warnings INTERFACE)
target_compile_options(etcdseal_warnings INTERFACE
    -Wall -Wextra -Werror -Wshadow -Wvla -Wcast-qual -Wwrite-strings -Wformat=2 -Wconversion
    -Wnull-dereference -Wundef -Wswitch-enum
    $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes>
    $<$<C_COMPILER_ID:Clang>:-Wno-gnu-zero-variadic-macro-arguments>)

# etcdseal_room(NAME SOURCES a.c… [USES room…] [PKG pkg-config-module…])
# USES is the room's row of the table in docs/design.md; tools/check-rooms compares the two.
function(etcdseal_room name)
    cmake_parse_arguments(ARG "" "" "SOURCES;USES;PKG" ${ARGN})
    add_library(${name} STATIC ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE etcdseal_warnings PUBLIC etcdseal_flags ${ARG_USES})
    foreach(module ${ARG_PKG})
        string(MAKE_C_IDENTIFIER "pkg_${module}" id)
        if(NOT TARGET PkgConfig::${id})
            pkg_check_modules(${id} REQUIRED IMPORTED_TARGET GLOBAL ${module})
        endif()
        target_link_libraries(${name} PRIVATE PkgConfig::${id})
    endforeach()
endfunction()

# etcdseal_text(NAME FILE): FILE, without the comment in its first line, as a C string in NAME.c of the
# build tree: `const char NAME[]`.
function(etcdseal_text name file)
    set(in ${CMAKE_CURRENT_SOURCE_DIR}/${file})
    add_custom_command(OUTPUT ${name}.c
        COMMAND ${CMAKE_COMMAND} -DIN=${in} -DOUT=${name}.c -DNAME=${name}
            -P ${PROJECT_SOURCE_DIR}/cmake/text.cmake
        DEPENDS ${in} ${PROJECT_SOURCE_DIR}/cmake/text.cmake VERBATIM)
endfunction()

# etcdseal_unit_test(NAME SOURCES test_x.c… USES room… [LABEL unit] [WRAP symbol…] [TIMEOUT s])
# One cmocka program; WRAP lists symbols for the linker's --wrap. A name says its folder:
# tests/unit/base/test_text.c is "unit.base.text".
function(etcdseal_unit_test name)
    cmake_parse_arguments(ARG "" "LABEL;TIMEOUT" "SOURCES;USES;WRAP" ${ARGN})
    if(NOT ARG_LABEL)
        set(ARG_LABEL unit)
    endif()
    if(NOT ARG_TIMEOUT)
        set(ARG_TIMEOUT 120)
    endif()
    if(CMAKE_CROSSCOMPILING_EMULATOR) # valgrind is some thirty times slower
        math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * 5")
    endif()
    if(NOT TARGET PkgConfig::pkg_cmocka)
        pkg_check_modules(pkg_cmocka REQUIRED IMPORTED_TARGET GLOBAL cmocka)
    endif()
    string(REPLACE "." "_" target "test.${name}")
    add_executable(${target} ${ARG_SOURCES})
    target_link_libraries(${target} PRIVATE etcdseal_warnings testlib ${ARG_USES} PkgConfig::pkg_cmocka)
    target_compile_definitions(${target} PRIVATE
        TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data" TEST_SOURCE="${PROJECT_SOURCE_DIR}")
    foreach(symbol ${ARG_WRAP})
        target_link_options(${target} PRIVATE -Wl,--wrap=${symbol})
    endforeach()
    add_test(NAME ${name} COMMAND ${target})
    set_tests_properties(${name} PROPERTIES LABELS ${ARG_LABEL} TIMEOUT ${ARG_TIMEOUT})
endfunction()

# etcdseal_fuzz(NAME SOURCE fuzz_x.c USES room…)
# With ETCDSEAL_FUZZ a libFuzzer program (target `fuzzers`: all of them); otherwise a test that
# replays tests/fuzz/seeds/NAME.
function(etcdseal_fuzz name)
    cmake_parse_arguments(ARG "" "SOURCE" "USES" ${ARGN})
    set(target fuzz_${name})
    if(ETCDSEAL_FUZZ)
        if(NOT TARGET fuzzers)
            add_custom_target(fuzzers)
        endif()
        add_executable(${target} ${ARG_SOURCE})
        add_dependencies(fuzzers ${target})
        target_compile_options(${target} PRIVATE -fsanitize=fuzzer)
        target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    else()
        add_executable(${target} ${ARG_SOURCE} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay.c)
        add_test(NAME fuzz.${name}
            COMMAND ${target} ${PROJECT_SOURCE_DIR}/tests/fuzz/seeds/${name})
        set_tests_properties(fuzz.${name} PROPERTIES LABELS fuzz TIMEOUT 60)
    endif()
    target_link_libraries(${target} PRIVATE etcdseal_warnings ${ARG_USES})
endfunction()
