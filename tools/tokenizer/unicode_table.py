#!/usr/bin/env python3
"""Writes src/engine/tokenizer/unicode_table.hpp: the class of every code point, as pre-tokenizers ask
for it (spec/model.md, "The tokenizer"). The Unicode version is part of the specification, so any
other is refused: Python 3.13 has this one, older ones get it from `pip install unicodedata2==15.1.0`.

    python3 tools/tokenizer/unicode_table.py > src/engine/tokenizer/unicode_table.hpp
"""
import sys

try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

VERSION = "15.1.0"
# In the order of enum Class (unicode.hpp).
CLASSES = {"L": 1, "M": 2, "N": 3, "P": 4, "S": 5}
SPACE = 6
# Property White_Space, which the module does not tell.
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F,
               0x3000}


def class_of(code):
    if code in WHITE_SPACE:
        return SPACE
    return CLASSES.get(unicodedata.category(chr(code))[0], 0)


def main():
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"unicode_table.py: this Python knows Unicode {unicodedata.unidata_version}, needed is {VERSION}; "
                 f"pip install unicodedata2=={VERSION}")
    starts, last = [], None
    for code in range(0x110000):
        found = class_of(code)
        if found != last:
            starts.append(f"0x{code << 3 | found:x}")
            last = found
    print(f"""// Written by tools/tokenizer/unicode_table.py from Unicode {VERSION}; not to be edited.
// Where the class of code points changes: first code point << 3 | class, ascending.
#pragma once
#include <cstdint>

namespace assay::engine {{

// clang-format off
inline constexpr std::uint32_t kUnicodeClasses[] = {{""")
    line = "   "
    for start in starts:
        if len(line) + len(start) + 2 > 100:
            print(line)
            line = "   "
        line += f" {start},"
    print(line)
    print("""};
// clang-format on

}  // namespace assay::engine""")


if __name__ == "__main__":
    main()
