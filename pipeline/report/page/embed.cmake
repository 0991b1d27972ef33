# Files as C strings: cmake -D OUT=text.c "-DFILES=a/page.css;b/prose.html" -P embed.cmake writes `const char
# kith_page_css[]` and so on. The end of the last line is left out.
set(text "/* Made by embed.cmake. */\n")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME)
  string(MAKE_C_IDENTIFIER ${name} name)
  file(READ ${file} bytes HEX)
  string(REGEX REPLACE "0a$" "" bytes "${bytes}")
  string(REGEX REPLACE "(..)" "\\\\x\\1" bytes "${bytes}")
  string(APPEND text "const char kith_${name}[] = \"${bytes}\";\n")
endforeach()
file(WRITE ${OUT} "${text}")
