# SPDX-License-Identifier: Apache-2.0
# cmake -DIN=FILE -DOUT=FILE.c -DNAME=NAME -P: see etcdseal_text in rooms.cmake.
file(READ "${IN}" text)
string(FIND "${text}" "\n" end)
math(EXPR begin "${end} + 1")
string(SUBSTRING "${text}" ${begin} -1 text)
string(HEX "${text}" hex)
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," list "${hex}")
file(WRITE "${OUT}" "extern const char ${NAME}[];\nconst char ${NAME}[] = {${list}0};\n")
